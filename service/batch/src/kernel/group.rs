//! One entity's payments, in the two orders that matter.
//!
//! ```text
//! places:   by event time, and at one time by order of application     -> windows are ranges of places
//! versions: by order of application, as the decisions recorded it      -> who had been applied before whom
//! ```
//! Both orders agree unless something came late.

use super::label::Verdicts;

/// One payment of the entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// Event time, milliseconds.
    pub time_ms: i64,
    /// Twice the number of events applied once it was; odd for one that was put behind another by inference.
    pub applied: u64,
    /// Twice the number of events that its decision saw of the state.
    pub state: u64,
    /// How far the labels had been applied when it was decided, see `epoch`.
    pub epoch: u32,
    /// Its place in the order of reading.
    pub row: u32,
    /// Its place in the topic: partition, then offset.
    pub source: u64,
    /// Bits of the conditions that it meets.
    pub bits: u64,
    /// Where its numbers and values begin among the share's words.
    pub words: usize,
}

/// The rows of one entity, and what follows from their order.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// The entity's key.
    pub key: [u64; 2],
    /// By place.
    pub rows: Vec<Row>,
    /// Places by version.
    pub by_version: Vec<u32>,
    /// Version's place of each row: the inverse.
    pub version_of: Vec<u32>,
    /// Newest event time of the versions so far.
    pub newest_ms: Vec<i64>,
    /// For each place its verdicts, if it has labels: sorted by place.
    pub verdicts: Vec<(u32, Verdicts)>,
}

impl Group {
    /// Puts the rows in order; `verdicts` are those of a row.
    pub fn arrange(&mut self, verdicts: &dyn Fn(u32) -> Option<Verdicts>) {
        self.rows.sort_unstable_by_key(|row| (row.time_ms, row.applied, row.row));
        let rows = &self.rows;
        self.by_version.clear();
        self.by_version.extend(0..u32::try_from(rows.len()).unwrap_or(u32::MAX));
        // At one version, which only inferred ones share, the order of places decides.
        self.by_version.sort_by_key(|place| rows[*place as usize].applied);
        self.version_of.clear();
        self.version_of.resize(rows.len(), 0);
        self.newest_ms.clear();
        let mut newest_ms = i64::MIN;
        for (version, place) in (0..).zip(&self.by_version) {
            self.version_of[*place as usize] = version;
            newest_ms = newest_ms.max(rows[*place as usize].time_ms);
            self.newest_ms.push(newest_ms);
        }
        let places = (0..).zip(rows);
        self.verdicts = places.filter_map(|(place, row)| Some((place, verdicts(row.row)?))).collect();
    }

    /// The first place whose time is after `time_ms`.
    pub fn after(&self, time_ms: i64) -> usize {
        self.rows.partition_point(|row| row.time_ms <= time_ms)
    }

    /// The row of a version.
    pub fn at_version(&self, version: usize) -> &Row {
        &self.rows[self.by_version[version] as usize]
    }

    /// The verdicts of a place.
    pub fn verdicts_of(&self, place: usize) -> Option<&Verdicts> {
        let found = self.verdicts.binary_search_by_key(&place, |(place, _)| *place as usize).ok()?;
        Some(&self.verdicts[found].1)
    }
}

/// The windows of one width and delay: for each place the range of places that it covers.
#[derive(Debug, Default)]
pub(super) struct Windows {
    from: Vec<u32>,
    to: Vec<u32>,
}

impl Windows {
    /// Two pointers over the places: both ends only move forward.
    pub fn lay(&mut self, rows: &[Row], window_ms: i64, delay_ms: i64) {
        self.from.clear();
        self.to.clear();
        let (mut from, mut to) = (0, 0);
        for (place, row) in rows.iter().enumerate() {
            let until_ms = row.time_ms - delay_ms;
            while rows[from].time_ms <= until_ms - window_ms {
                from += 1;
            }
            if delay_ms == 0 {
                // Of its own time only those applied before it, which is those before its place, and itself.
                to = place + 1;
            } else {
                while to < rows.len() && rows[to].time_ms <= until_ms {
                    to += 1;
                }
            }
            self.from.push(from as u32);
            self.to.push(to as u32);
        }
    }

    /// The range of a place, `itself` left out where the feature says so.
    pub fn range(&self, place: usize, itself: Itself) -> (usize, usize) {
        let (from, to) = (self.from[place] as usize, self.to[place] as usize);
        match itself {
            Itself::LeftOut => (from.min(place), to.min(place)),
            Itself::Counts => (from.min(to), to),
        }
    }

    /// The places whose window has `place` in it: a range, since both ends of windows only move forward.
    pub fn covering(&self, place: usize, itself: Itself) -> (usize, usize) {
        let before_end = |at: usize| self.range(at, itself).1 <= place;
        let first = partition(self.to.len(), before_end);
        let last = self.from.partition_point(|from| *from as usize <= place);
        (first.min(last), last)
    }
}

/// The first index for which `before` no longer holds.
pub(super) fn partition(len: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// Whether the asking payment counts in its own window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Itself {
    Counts,
    LeftOut,
}
