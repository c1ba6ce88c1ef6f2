//! Labels, and payments that a decision was told of, find their rows: by transaction, one share at a time.

use std::io;
use std::path::Path;

use hashbrown::HashMap;
use schemas::time::DAY_MS;

use super::SHARES;
use super::label::{Epochs, FORGOTTEN};
use super::spill::Spill;

/// Transaction (2), row and epoch, partition, then the share of each entity that has features.
pub(super) const fn identity_width(entities: usize) -> usize {
    4 + entities
}

/// Transaction (2), since, verdict with source and partition, offset.
pub(super) const LABEL_WORDS: usize = 5;

/// Transaction (2), asking row and entity.
pub(super) const PENDING_WORDS: usize = 3;

/// Row, since, verdict with source and epoch.
pub(super) const JOINED_WORDS: usize = 3;

/// The rows that a decision for a caller was told of: by its row and the entity's place among those with features.
pub(super) type Pending = HashMap<(u32, u32), Vec<u32>>;

/// When the stream forgot whose payment was whose: a label that comes then finds nobody.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// How long an id is known, milliseconds; `None`: for ever.
    pub remember_ms: Option<i64>,
    /// By partition: the first day that is kept, each time that it moves on, and the number of the decision's epoch.
    moved: HashMap<i32, Vec<(i64, u32)>>,
}

impl Memory {
    /// A payment was decided; those of a partition come in the order of the topic.
    pub fn hear(&mut self, partition: i32, time_ms: i64, epoch: u32) {
        let Some(remember_ms) = self.remember_ms else { return };
        let moved = self.moved.entry(partition).or_default();
        let first_kept = (time_ms - remember_ms).div_euclid(DAY_MS);
        if moved.last().is_none_or(|(before, _)| first_kept > *before) {
            moved.push((first_kept, epoch));
        }
    }

    /// Whether a payment was forgotten before a label of this epoch was applied.
    fn has_lost(&self, partition: i32, time_ms: i64, label: u32, epochs: &Epochs) -> bool {
        let Some(moved) = self.moved.get(&partition) else { return false };
        let day = time_ms.div_euclid(DAY_MS);
        let past = moved.partition_point(|(first_kept, _)| *first_kept <= day);
        moved.get(past).is_some_and(|(_, number)| epochs.place(*number) < label)
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Joined {
    /// For each entity with features, the labels of its rows, shared out as they are.
    pub labels: Vec<Spill>,
    /// The payments that decisions were told of.
    pub pending: Pending,
    /// Rows whose label came before them.
    pub early: Vec<u32>,
}

/// What is known of the order of the log.
pub(super) struct Log<'a> {
    pub epochs: &'a Epochs,
    pub memory: &'a Memory,
    /// Time and amount of each row.
    pub basis: &'a [[i64; 2]],
}

/// Joins them.
pub(super) fn join(
    identities: &mut Spill,
    labels: &mut Spill,
    pending: &mut Spill,
    log: &Log<'_>,
    entities: usize,
    folder: &Path,
) -> io::Result<Joined> {
    let Log { epochs, memory, basis } = log;
    let spills = (0..entities).map(|_| Spill::new(folder, SHARES));
    let mut joined =
        Joined { labels: spills.collect::<io::Result<_>>()?, pending: Pending::new(), early: Vec::new() };
    for share in 0..SHARES {
        let labels = labels.take(share)?;
        let told = pending.take(share)?;
        let rows = identities.take(share)?;
        if labels.is_empty() && told.is_empty() {
            continue;
        }
        let width = identity_width(entities);
        let known: HashMap<[u64; 2], &[u64]> =
            rows.chunks_exact(width).map(|words| ([words[0], words[1]], &words[2..])).collect();
        for label in labels.chunks_exact(LABEL_WORDS) {
            let Some(found) = known.get(&[label[0], label[1]]) else { continue };
            let (row, number) = (found[0] as u32, (found[0] >> 32) as u32);
            let mut epoch = epochs.of_label((label[3] >> 32) as i32, label[4].cast_signed());
            let time_ms = basis.get(row as usize).map_or(i64::MAX, |[time_ms, _]| *time_ms);
            if memory.has_lost(found[1] as i32, time_ms, epoch, epochs) {
                epoch = FORGOTTEN;
            }
            if number != super::label::ALL_EPOCHS && epoch <= epochs.place(number) {
                joined.early.push(row);
            }
            let what = label[3] & 0xffff_ffff | u64::from(epoch) << 32;
            for (spill, share) in joined.labels.iter_mut().zip(&found[2..]) {
                if *share != u64::MAX {
                    spill.push(*share as usize, &[u64::from(row), label[2], what])?;
                }
            }
        }
        for told in told.chunks_exact(PENDING_WORDS) {
            let asking = (told[2] as u32, (told[2] >> 32) as u32);
            if let Some(found) = known.get(&[told[0], told[1]]) {
                joined.pending.entry(asking).or_default().push(found[0] as u32);
            }
        }
    }
    joined.early.sort_unstable();
    Ok(joined)
}
