//! Which class has which colour, the same in every plot.

use std::collections::BTreeSet;

use super::paint::{DECLINE, HUES, OTHERS, Paint};
use crate::numbers::Numbers;

/// The class that no cause explains.
pub(super) const UNEXPLAINED: &str = "unexplained";

/// The classes in their order, each with its colour.
pub(super) struct Palette {
    classes: Vec<(String, Paint)>,
}

impl Palette {
    /// What no cause explains first and red, then the classes as the numbers order them, then those of cells only.
    /// When the colours are used up the rest share one.
    pub(super) fn of(numbers: &Numbers) -> Self {
        let known = numbers.classes.iter().map(|class| class.class.as_str());
        let cells = numbers.by_day.iter().chain(&numbers.by_feature).map(|cell| cell.column.as_str());
        let mut seen = BTreeSet::from([UNEXPLAINED]);
        let mut classes = vec![(UNEXPLAINED.to_owned(), DECLINE)];
        let mut hues = HUES.into_iter();
        for class in known.chain(cells) {
            if seen.insert(class) {
                classes.push((class.to_owned(), hues.next().unwrap_or(OTHERS)));
            }
        }
        Self { classes }
    }

    pub(super) fn paint(&self, class: &str) -> Paint {
        self.classes.iter().find(|(word, _)| word == class).map_or(OTHERS, |(_, paint)| *paint)
    }

    /// The words in their order.
    pub(super) fn order(&self) -> impl Iterator<Item = &str> {
        self.classes.iter().map(|(word, _)| word.as_str())
    }
}
