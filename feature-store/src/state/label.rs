//! Labels in the rows: what was known about a payment, and since when.
//!
//! A payment's labels are a set of (source, verdict) with the earliest time at which each was known; so the
//! order in which they arrive, and how often, does not matter. At a time t the payment is fraud if the newest
//! label known at t says so; at equal times fraud wins. Nearly every payment has none or one: the first sits
//! in the row's own word, further ones in a list beside the rows.
//!
//! ```text
//! label word: | label_time, 48 bits | more | source, 4 bits | verdict: 0 none, 1 legitimate, 2 fraud |
//! ```

use schemas::payment::{Label, LabelSource};

use super::{EntityState, Place};
use crate::definition::EntityPlan;

const TIME_SHIFT: u32 = 16;
const MORE: u64 = 1 << 8;
const VERDICT_BITS: u64 = 0b11;
const FRAUD: u64 = 2;

/// A label beyond the first of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amendment {
    /// The row.
    pub place: Place,
    /// The label, as in a row's word.
    pub word: u64,
}

fn word_of(fraud: bool, source: LabelSource, time_ms: i64) -> u64 {
    (time_ms as u64) << TIME_SHIFT | (source as u64) << 2 | if fraud { FRAUD } else { 1 }
}

/// Source and verdict: what makes two labels of a payment the same.
fn identity(word: u64) -> u64 {
    word & 0b11_1111
}

fn known_since(word: u64) -> i64 {
    (word >> TIME_SHIFT) as i64
}

impl EntityState {
    /// Applies a label to the row of its payment. `false` when the row shows that it was known already.
    ///
    /// It counts as an event in any case, also if it is repeated, if its row is out of every window or if no
    /// feature looks at labels: the version says how many events came, whatever is still kept.
    pub fn apply_label(&mut self, plan: &EntityPlan, place: Place, label: &Label) -> bool {
        self.version += 1;
        let new = word_of(label.fraud, label.source, label.label_time.ms());
        match (plan.layout.label, self.row_at(plan.layout.width, place)) {
            (Some(word), Some(row)) => self.set_label(row * plan.layout.width + word, place, new),
            _ => true,
        }
    }

    fn set_label(&mut self, at: usize, place: Place, new: u64) -> bool {
        if new & VERDICT_BITS == FRAUD
            && let Err(here) = self.frauds.binary_search(&place)
        {
            self.frauds.insert(here, place);
        }
        let first = self.words[at];
        if first & VERDICT_BITS == 0 {
            self.words[at] = new;
            return true;
        }
        if identity(first) == identity(new) {
            let earlier = known_since(new) < known_since(first);
            if earlier {
                self.words[at] = new | (first & MORE);
            }
            return earlier;
        }
        let same = |known: &&mut Amendment| known.place == place && identity(known.word) == identity(new);
        if let Some(known) = self.amendments.iter_mut().find(same) {
            let earlier = known_since(new) < known_since(known.word);
            if earlier {
                known.word = new;
            }
            return earlier;
        }
        self.words[at] |= MORE;
        self.amendments.push(Amendment { place, word: new });
        true
    }

    /// The places of rows with a label that says fraud, after reading the rows back.
    pub(super) fn fraud_places(&self, width: usize, word: usize) -> Vec<Place> {
        let mut places: Vec<_> =
            self.amendments.iter().filter(|a| a.word & VERDICT_BITS == FRAUD).map(|a| a.place).collect();
        for row in 1..self.words.len() / width {
            if self.words[row * width + word] & VERDICT_BITS == FRAUD {
                places.push(self.place_of(width, row, self.time(width, row)));
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Whether the payment of `row`, whose label word this is, was known to be fraud at `at_ms`.
    pub(super) fn known_fraud(&self, width: usize, row: usize, word: u64, at_ms: i64) -> bool {
        if word & MORE == 0 {
            return word & VERDICT_BITS == FRAUD && known_since(word) <= at_ms;
        }
        let time_ms = self.time(width, row);
        let place = self.place_of(width, row, time_ms);
        let others = self.amendments.iter().filter(|other| other.place == place).map(|other| other.word);
        let newest = others
            .chain([word])
            .filter(|word| known_since(*word) <= at_ms)
            .map(|word| (known_since(word), word & VERDICT_BITS))
            .max();
        matches!(newest, Some((_, FRAUD)))
    }
}
