//! Tiles: what is left of events beyond the bound. A window that reaches them is approximate and says so.
//!
//! A tile counts for a window when its last millisecond lies in it. Tiles answer counts, sums, means and
//! extremes without a filter; filters, distinct values and labels see only the rows that are kept.

use schemas::payment::Payment;

use super::{Bounds, TIME_SHIFT};
use crate::definition::EntityPlan;

/// The events of one span of event time, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tile {
    /// Last millisecond of the span.
    pub end_ms: i64,
    /// Events folded.
    pub count: u64,
    /// For each number of the layout: sum, smallest, largest.
    pub numbers: Vec<(i64, i64, i64)>,
}

impl Tile {
    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<(i64, i64, i64)>()
    }

    fn add(&mut self, values: impl Iterator<Item = i64>) {
        let first = self.count == 0;
        self.count += 1;
        for ((sum, min, max), value) in self.numbers.iter_mut().zip(values) {
            *sum = sum.wrapping_add(value);
            *min = if first { value } else { value.min(*min) };
            *max = if first { value } else { value.max(*max) };
        }
    }
}

/// The tile of an event time, made where it is missing.
fn tile_of<'a>(tiles: &'a mut Vec<Tile>, plan: &EntityPlan, time_ms: i64, tile_ms: i64) -> &'a mut Tile {
    let end_ms = (time_ms / tile_ms + 1) * tile_ms - 1;
    let at = tiles.partition_point(|tile| tile.end_ms < end_ms);
    if tiles.get(at).is_none_or(|tile| tile.end_ms != end_ms) {
        tiles.insert(at, Tile { end_ms, count: 0, numbers: vec![(0, 0, 0); plan.layout.numbers.len()] });
    }
    &mut tiles[at]
}

/// Folds the second of two neighbouring rows; the first holds the running sums before it.
pub(super) fn fold_row(tiles: &mut Vec<Tile>, plan: &EntityPlan, pair: &[u64], tile_ms: i64) {
    let (before, row) = pair.split_at(plan.layout.width);
    let numbers = 1..=plan.layout.numbers.len();
    tile_of(tiles, plan, (row[0] >> TIME_SHIFT) as i64, tile_ms)
        .add(numbers.map(|word| row[word].wrapping_sub(before[word]) as i64));
}

/// Folds a late event that is older than every row kept.
pub(super) fn fold_late(tiles: &mut Vec<Tile>, plan: &EntityPlan, payment: &Payment, bounds: &Bounds) {
    tile_of(tiles, plan, payment.event_time.ms(), bounds.tile_ms)
        .add(plan.layout.numbers.iter().map(|number| number.of(payment).unwrap_or(0)));
}
