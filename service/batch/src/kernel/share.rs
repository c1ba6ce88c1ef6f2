//! One share of one entity's rows: sorted, cut into groups, computed. Shares are independent, so every core takes one
//! after another.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;
use schemas::value::FeatureValue;

use super::aggregate::{Rows, values};
use super::as_of_log::{Blinds, blinds, corrected};
use super::group::{Group, Row, Windows};
use super::join::{JOINED_WORDS, Pending};
use super::label::{ALL_EPOCHS, Epochs, Said, Verdicts};
use super::order::settle;
use super::plan::EntityTasks;
use super::spill::Spill;
use super::{CHUNK_BITS, Causes, Gap, ROW_WORDS, SHARES};

/// What all shares need.
pub(super) struct Work<'a> {
    pub tasks: &'a [EntityTasks],
    pub epochs: &'a Epochs,
    pub pending: &'a Pending,
    pub chunks: usize,
    pub folder: &'a Path,
}

/// A value as of the log that is another by event time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Correction {
    pub row: u32,
    pub feature: u32,
    pub value: FeatureValue,
    pub causes: Causes,
}

/// What the shares came to.
#[derive(Debug)]
pub(super) struct Done {
    /// For each entity with features: row, values, which of them are defined; shared out by chunk.
    pub values: Vec<Spill>,
    /// As of the log, sorted by row and feature.
    pub corrections: Vec<Correction>,
    /// What the archive lacks.
    pub gaps: Vec<Gap>,
}

/// Words of a row's values: the row, each value, and bits of those that are defined.
pub(super) fn value_width(tasks: &EntityTasks) -> usize {
    1 + tasks.tasks.len() + tasks.tasks.len().div_ceil(64)
}

/// Runs all shares.
pub(super) fn run(
    work: &Work<'_>,
    entities: Vec<Spill>,
    labels: Vec<Spill>,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> io::Result<Done> {
    let spills = work.tasks.iter().map(|_| Spill::new(work.folder, work.chunks));
    let values: Vec<Mutex<Spill>> = spills.map(|spill| spill.map(Mutex::new)).collect::<io::Result<_>>()?;
    let inputs: Vec<Mutex<(Spill, Spill)>> = entities.into_iter().zip(labels).map(Mutex::new).collect();
    let found = Mutex::new((Vec::new(), Vec::new()));
    let (next, all) = (AtomicUsize::new(0), inputs.len() * SHARES);
    let worker = || -> io::Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= all {
                return Ok(());
            }
            let (entity, share) = (at / SHARES, at % SHARES);
            let (rows, labels) = {
                let mut input = inputs[entity].lock().unwrap_or_else(PoisonError::into_inner);
                (input.0.take(share)?, input.1.take(share)?)
            };
            let mut one = Share::new(work, entity);
            one.run(&rows, &labels);
            one.hand_in(&values[entity])?;
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.0.append(&mut one.corrections);
            found.1.append(&mut one.gaps);
            drop(found);
            progress(at + 1, all);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        let mut ended = workers.into_iter().map(|worker| worker.join());
        ended.try_for_each(|one| {
            one.unwrap_or_else(|_| Err(io::Error::other("a share could not be computed")))
        })
    })?;
    let (mut corrections, mut gaps): (Vec<Correction>, Vec<Gap>) =
        found.into_inner().unwrap_or_else(PoisonError::into_inner);
    corrections.sort_unstable_by_key(|one| (one.row, one.feature));
    gaps.sort_unstable_by_key(|gap| (gap.row, gap.entity));
    let values = values.into_iter().map(|spill| spill.into_inner().unwrap_or_else(PoisonError::into_inner));
    Ok(Done { values: values.collect(), corrections, gaps })
}

struct Share<'a> {
    work: &'a Work<'a>,
    tasks: &'a EntityTasks,
    entity: usize,
    windows: Windows,
    column: Vec<FeatureValue>,
    /// Rows of `value_width` words.
    out: Vec<u64>,
    corrections: Vec<Correction>,
    gaps: Vec<Gap>,
}

impl<'a> Share<'a> {
    fn new(work: &'a Work<'a>, entity: usize) -> Self {
        let (out, corrections, gaps) = (Vec::new(), Vec::new(), Vec::new());
        let tasks = &work.tasks[entity];
        Self { work, tasks, entity, windows: Windows::default(), column: Vec::new(), out, corrections, gaps }
    }

    fn run(&mut self, words: &[u64], labels: &[u64]) {
        let width = ROW_WORDS + self.tasks.width();
        let mut order: Vec<([u64; 2], usize)> =
            words.chunks_exact(width).enumerate().map(|(at, row)| ([row[0], row[1]], at * width)).collect();
        order.sort_unstable();
        let mut said: HashMap<u32, Verdicts> = HashMap::new();
        for label in labels.chunks_exact(JOINED_WORDS) {
            let one = Said {
                since_ms: label[1].cast_signed(),
                is_fraud: label[2] & 1 == 1,
                source: (label[2] >> 1 & 0xff) as u8,
                epoch: (label[2] >> 32) as u32,
            };
            said.entry(label[0] as u32).or_default().0.push(one);
        }
        for same_key in order.chunk_by(|one, other| one.0 == other.0) {
            let rows = same_key.iter().map(|(_, at)| self.row(words, *at)).collect();
            self.group(Group { key: same_key[0].0, rows, ..Group::default() }, words, &said);
        }
    }

    fn row(&self, words: &[u64], at: usize) -> Row {
        let number = (words[at + 5] >> 32) as u32;
        Row {
            time_ms: words[at + 2].cast_signed(),
            applied: words[at + 3],
            state: words[at + 4],
            row: words[at + 5] as u32,
            epoch: if number == ALL_EPOCHS { number } else { self.work.epochs.place(number) },
            source: words[at + 6],
            bits: words[at + ROW_WORDS],
            words: at + ROW_WORDS,
        }
    }

    fn group(&mut self, mut group: Group, words: &[u64], said: &HashMap<u32, Verdicts>) {
        let entity = self.tasks.entity;
        self.gaps.extend(settle(entity, &mut group, &|row| said.get(&row).cloned()));
        let told = |row: u32| self.work.pending.get(&(row, self.entity as u32)).cloned().unwrap_or_default();
        let blinds = blinds(&group, &told);
        let rows = Rows { group: &group, words, columns: self.tasks.columns() };
        self.values(&rows, &blinds);
    }

    fn values(&mut self, rows: &Rows<'_>, blinds: &Blinds) {
        let (width, features) = (value_width(self.tasks), self.tasks.tasks.len());
        let from = self.out.len();
        self.out.resize(from + rows.rows().len() * width, 0);
        for (place, row) in rows.rows().iter().enumerate() {
            self.out[from + place * width] = u64::from(row.row);
        }
        let mut laid = None;
        for (number, task) in self.tasks.tasks.iter().enumerate() {
            let span = (task.windowed.window.0, task.windowed.delay.0);
            if laid != Some(span) {
                self.windows.lay(rows.rows(), span.0, span.1);
                laid = Some(span);
            }
            values(rows, &self.windows, task, &mut self.column);
            for (place, value) in self.column.iter().enumerate() {
                let at = from + place * width + 1;
                if let Some(word) = to_word(*value) {
                    self.out[at + number] = word;
                    self.out[at + features + number / 64] |= 1 << (number % 64);
                }
            }
            if blinds.is_empty() {
                continue;
            }
            let (column, corrections) = (&self.column, &mut self.corrections);
            corrected(rows, &self.windows, task, blinds, column, |place, value| {
                let causes = blinds.get(&place).map(|blind| blind.causes).unwrap_or_default();
                let row = rows.rows()[place as usize].row;
                corrections.push(Correction { row, feature: task.feature as u32, value, causes });
            });
        }
    }

    fn hand_in(&self, values: &Mutex<Spill>) -> io::Result<()> {
        let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
        for record in self.out.chunks_exact(value_width(self.tasks)) {
            values.push((record[0] as u32 >> CHUNK_BITS) as usize, record)?;
        }
        Ok(())
    }
}

/// A value's bits, `None` where it is undefined; what they mean the feature's kind says.
fn to_word(value: FeatureValue) -> Option<u64> {
    match value {
        FeatureValue::Null => None,
        FeatureValue::Int(value) => Some(value.cast_unsigned()),
        FeatureValue::Real(value) => Some(value.to_bits()),
        FeatureValue::Flag(value) => Some(u64::from(value)),
    }
}
