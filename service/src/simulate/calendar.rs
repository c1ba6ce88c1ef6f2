//! Calendar: what is to come, earliest first.
//!
//! A heap with one entry for each card's next payment, plus the planned frauds and the labels under way. Its
//! size is the number of cards, plus about a tenth of a day's payments: frauds are planned for two weeks at
//! most, labels for ten days.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::event::{FraudPattern, LabelSource};

/// A payment before it has a name: parts by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) card: u32,
    pub(super) merchant: u32,
    pub(super) device: u32,
    pub(super) amount_minor: i64,
    pub(super) fraud: Option<FraudPattern>,
}

/// Something that will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// The card of this number pays, by habit.
    Habit(u32),
    /// A fraudulent payment, as planned.
    Fraud(Draft),
    /// A word on the payment of this number.
    Label { payment: u64, fraud: bool, source: LabelSource },
    /// Someone plans a fraud.
    Plan(FraudPattern),
}

/// Entries in order of time; those of the same time in the order in which they were added.
#[derive(Default)]
pub(super) struct Calendar {
    heap: BinaryHeap<Reverse<Appointment>>,
    added: u64,
}

impl Calendar {
    /// Adds an entry at an event time, ms.
    pub(super) fn add(&mut self, time_ms: i64, entry: Entry) {
        self.heap.push(Reverse(Appointment { time_ms, turn: self.added, entry }));
        self.added += 1;
    }

    /// Takes out the earliest entry and its event time, ms.
    pub(super) fn next(&mut self) -> Option<(i64, Entry)> {
        self.heap.pop().map(|Reverse(next)| (next.time_ms, next.entry))
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}

#[derive(PartialEq, Eq)]
struct Appointment {
    time_ms: i64,
    turn: u64,
    entry: Entry,
}

impl Ord for Appointment {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time_ms, self.turn).cmp(&(other.time_ms, other.turn))
    }
}

impl PartialOrd for Appointment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_by_time_then_by_turn() {
        let mut calendar = Calendar::default();
        for (time_ms, card) in [(5, 0), (3, 1), (5, 2), (-1, 3), (3, 4)] {
            calendar.add(time_ms, Entry::Habit(card));
        }
        let order: Vec<_> = std::iter::from_fn(|| calendar.next()).collect();
        let expected =
            [(-1, 3), (3, 1), (3, 4), (5, 0), (5, 2)].map(|(time, card)| (time, Entry::Habit(card)));
        assert_eq!(order, expected);
    }
}
