//! Every feature of one entity by event time: ranges of places, running totals and edges. Linear in the rows.
//!
//! ```text
//! count, sum, mean   running totals, one subtraction a row
//! min, max           a deque of those that can still become the extreme
//! distinct           how often each value is in the window, as rows enter and leave it
//! frauds             a payment known to be fraud for a spell counts for a range of places: +1 where it begins,
//!                    -1 where it ends, and a running total
//! ```

use std::collections::VecDeque;

use feature_store::definition::Aggregate;
use hashbrown::HashMap;
use schemas::value::FeatureValue;

use super::group::{Group, Itself, Row, Windows, partition};
use super::plan::Task;

/// One entity's rows with the words that they brought along.
pub(super) struct Rows<'a> {
    /// The group.
    pub group: &'a Group,
    /// The share's words.
    pub words: &'a [u64],
    /// Where numbers and values begin among a row's words.
    pub columns: (usize, usize),
}

impl Rows<'_> {
    /// The rows by place.
    pub fn rows(&self) -> &[Row] {
        &self.group.rows
    }

    /// The number that a task looks at.
    pub fn number(&self, task: &Task, place: usize) -> i64 {
        self.words[self.rows()[place].words + self.columns.0 + task.column].cast_signed()
    }

    /// The value that a task looks at; 0 for null.
    pub fn value(&self, task: &Task, place: usize) -> u64 {
        self.words[self.rows()[place].words + self.columns.1 + task.column]
    }

    /// Whether the payment at a place passes the task's conditions.
    pub fn passes(&self, task: &Task, place: usize) -> bool {
        self.rows()[place].bits & task.bit == task.bit
    }

    /// Those of a range that pass.
    pub fn passing(&self, task: &Task, range: (usize, usize)) -> impl DoubleEndedIterator<Item = usize> {
        (range.0..range.1).filter(move |place| self.passes(task, *place))
    }
}

/// Whether a task counts the asking payment.
pub(super) fn itself(task: &Task) -> Itself {
    let leaves_out = !task.windowed.include_current && task.windowed.delay.0 == 0;
    if leaves_out { Itself::LeftOut } else { Itself::Counts }
}

/// What later corrections start from: the parts of a value before the division.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts {
    /// Payments that pass.
    pub count: i64,
    /// The total of the number, or frauds, or different values.
    pub total: i128,
}

/// A task's values, one for each place.
pub(super) fn values(rows: &Rows<'_>, windows: &Windows, task: &Task, out: &mut Vec<FeatureValue>) {
    out.clear();
    let len = rows.rows().len();
    match task.windowed.aggregate {
        Aggregate::Min(_) => extremes(rows, windows, task, |new, old| new <= old, out),
        Aggregate::Max(_) => extremes(rows, windows, task, |new, old| new >= old, out),
        Aggregate::TimeSinceLast => since_last(rows, windows, task, out),
        Aggregate::Distinct(_) => {
            let counts = distinct(rows, windows, task);
            out.extend(counts.into_iter().map(FeatureValue::Int));
        }
        _ => {
            let frauds = counts_frauds(task).then(|| frauds(rows, windows, task));
            let totals = Totals::of(rows, task);
            for place in 0..len {
                let mut parts = totals.between(windows.range(place, itself(task)));
                if let Some(frauds) = &frauds {
                    parts.total = i128::from(frauds[place]);
                }
                out.push(finished(task, parts));
            }
        }
    }
}

/// Whether a task counts frauds.
pub(super) fn counts_frauds(task: &Task) -> bool {
    matches!(task.windowed.aggregate, Aggregate::FraudCount | Aggregate::FraudRatio)
}

/// The value of counts, sums, means and ratios.
pub(super) fn finished(task: &Task, parts: Parts) -> FeatureValue {
    let count = i128::from(parts.count);
    match task.windowed.aggregate {
        Aggregate::Count => FeatureValue::Int(parts.count),
        Aggregate::FraudCount => FeatureValue::Int(parts.total as i64),
        Aggregate::Sum(_) => task.divided(parts.total, 1),
        _ if count == 0 => task.undefined(),
        Aggregate::FraudRatio => FeatureValue::Real(parts.total as f64 / count as f64),
        _ => task.divided(parts.total, count),
    }
}

/// Running totals over the places.
pub(super) struct Totals {
    counts: Vec<i64>,
    totals: Vec<i128>,
}

impl Totals {
    /// Those of a task.
    pub fn of(rows: &Rows<'_>, task: &Task) -> Self {
        let adds = matches!(task.windowed.aggregate, Aggregate::Sum(_) | Aggregate::Mean(_));
        let len = rows.rows().len();
        let (mut counts, mut totals) = (Vec::new(), Vec::new());
        if task.bit != 0 {
            counts.reserve_exact(len + 1);
            let mut count = 0;
            counts.push(0);
            for place in 0..len {
                count += i64::from(rows.passes(task, place));
                counts.push(count);
            }
        }
        if adds {
            totals.reserve_exact(len + 1);
            let mut total = 0;
            totals.push(0);
            for place in 0..len {
                if rows.passes(task, place) {
                    total += i128::from(rows.number(task, place));
                }
                totals.push(total);
            }
        }
        Self { counts, totals }
    }

    /// What lies in a range of places.
    pub fn between(&self, (from, to): (usize, usize)) -> Parts {
        let count =
            if self.counts.is_empty() { (to - from) as i64 } else { self.counts[to] - self.counts[from] };
        let total = if self.totals.is_empty() { 0 } else { self.totals[to] - self.totals[from] };
        Parts { count, total }
    }
}

/// How many known frauds each place's window covers.
pub(super) fn frauds(rows: &Rows<'_>, windows: &Windows, task: &Task) -> Vec<i64> {
    let all = rows.rows();
    let mut edges = vec![0_i64; all.len() + 1];
    for (place, verdicts) in &rows.group.verdicts {
        let place = *place as usize;
        if !rows.passes(task, place) {
            continue;
        }
        let (first, last) = windows.covering(place, itself(task));
        for (since_ms, until_ms) in verdicts.spells() {
            let begins = first.max(partition(all.len(), |at| all[at].time_ms < since_ms));
            let ends = last.min(partition(all.len(), |at| all[at].time_ms < until_ms));
            if begins < ends {
                edges[begins] += 1;
                edges[ends] -= 1;
            }
        }
    }
    edges.pop();
    let mut running = 0;
    for edge in &mut edges {
        running += *edge;
        *edge = running;
    }
    edges
}

/// How many different values each place's window covers.
pub(super) fn distinct(rows: &Rows<'_>, windows: &Windows, task: &Task) -> Vec<i64> {
    let mut inside: HashMap<u64, u32> = HashMap::new();
    let (mut from, mut to) = (0, 0);
    let counted =
        |place: usize| Some(rows.value(task, place)).filter(|value| *value != 0 && rows.passes(task, place));
    let mut counts = Vec::with_capacity(rows.rows().len());
    for place in 0..rows.rows().len() {
        let range = windows.range(place, itself(task));
        while to < range.1 {
            if let Some(value) = counted(to) {
                *inside.entry(value).or_default() += 1;
            }
            to += 1;
        }
        while from < range.0 {
            if let Some(value) = counted(from)
                && let Some(often) = inside.get_mut(&value)
            {
                *often -= 1;
                if *often == 0 {
                    inside.remove(&value);
                }
            }
            from += 1;
        }
        counts.push(inside.len() as i64);
    }
    counts
}

fn extremes(
    rows: &Rows<'_>,
    windows: &Windows,
    task: &Task,
    beats: fn(i64, i64) -> bool,
    out: &mut Vec<FeatureValue>,
) {
    let mut candidates: VecDeque<(usize, i64)> = VecDeque::new();
    let mut to = 0;
    for place in 0..rows.rows().len() {
        let range = windows.range(place, itself(task));
        while to < range.1 {
            if rows.passes(task, to) {
                let number = rows.number(task, to);
                while candidates.back().is_some_and(|(_, known)| beats(number, *known)) {
                    candidates.pop_back();
                }
                candidates.push_back((to, number));
            }
            to += 1;
        }
        while candidates.front().is_some_and(|(at, _)| *at < range.0) {
            candidates.pop_front();
        }
        out.push(
            candidates
                .front()
                .map_or_else(|| task.undefined(), |(_, known)| task.divided(i128::from(*known), 1)),
        );
    }
}

fn since_last(rows: &Rows<'_>, windows: &Windows, task: &Task, out: &mut Vec<FeatureValue>) {
    // The last place before each that passes; 0 for none, else the place + 1.
    let mut last = vec![0_usize];
    for place in 0..rows.rows().len() {
        last.push(if rows.passes(task, place) { place + 1 } else { last[place] });
    }
    for (place, row) in rows.rows().iter().enumerate() {
        let (from, to) = windows.range(place, Itself::Counts);
        let found = last[to.min(place)];
        out.push(match found.checked_sub(1) {
            Some(before) if before >= from => FeatureValue::Int(row.time_ms - rows.rows()[before].time_ms),
            _ => task.undefined(),
        });
    }
}
