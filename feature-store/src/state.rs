//! One entity's state: its recent events as rows of words, ordered by event time and then by order of arrival.
//!
//! ```text
//! base  | time 0 | 0 sum |               | words before the first row: the running sums so far
//! row 1 | time+bits | running sum | hash | label |
//! row 2 | time+bits | running sum | hash | label |   sum over rows 2..=5 = sum[5] - sum[1]
//! ```
//! A window is two binary searches; counts, sums and means are then one subtraction, exact because they
//! wrap in integers. A late event is inserted where it belongs and moves the sums behind it. Dropping the
//! oldest rows makes the last of them the new base. The algebra knows no key, no store and no clock.
//!
//! Prefix sums over an ordered buffer after Tangwongsan, Hirzel, Schneider, "Optimal and General Out-of-Order
//! Sliding-Window Aggregation" (VLDB 2019), which keeps a tree instead; rows of one entity are few.

use schemas::payment::Payment;

use crate::definition::EntityPlan;
use crate::definition::value_hash;

mod bytes;
mod evaluate;
mod label;
mod tile;

pub use bytes::StateBytesError;
pub use evaluate::Scratch;
pub(crate) use evaluate::undefined;
use label::Amendment;
use tile::Tile;

/// Bounds of one entity's state, from the config.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most rows kept; beyond it the oldest fold into tiles.
    pub max_events: usize,
    /// Width of a tile, milliseconds.
    pub tile_ms: i64,
    /// How far out of order an event may be, milliseconds: rows are kept that much longer.
    pub allowed_lateness_ms: i64,
}

/// Where a payment's row stands, for its label: event time and number among the rows of that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The row's event time, milliseconds.
    pub time_ms: i64,
    /// How many rows of the same time were applied before it.
    pub tie: u32,
}

/// The state of one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityState {
    /// The base row and the rows, `width` words each.
    words: Vec<u64>,
    /// Events applied: payments and labels.
    version: u64,
    /// Time of the newest row dropped; -1 if none was.
    dropped_ms: i64,
    /// How many rows of exactly that time were dropped.
    dropped_ties: u32,
    /// What was folded at the bound, oldest first.
    tiles: Vec<Tile>,
    /// Labels beyond the first of a row.
    amendments: Vec<Amendment>,
    /// Rows with a label that says fraud, in order: frauds are few, and are counted without a look at the others.
    /// Follows from the above and is not written.
    frauds: Vec<Place>,
}

/// Time and filter bits share a word: 48 bits of milliseconds reach beyond the year 9998.
const TIME_SHIFT: u32 = 16;

impl EntityState {
    /// The state before any event.
    pub fn new(plan: &EntityPlan) -> Self {
        Self {
            words: vec![0; plan.layout.width],
            version: 0,
            dropped_ms: -1,
            dropped_ties: 0,
            tiles: Vec::new(),
            amendments: Vec::new(),
            frauds: Vec::new(),
        }
    }

    /// Events applied so far: payments and labels.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Rows kept.
    pub fn len(&self, plan: &EntityPlan) -> usize {
        self.words.len() / plan.layout.width - 1
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
            + self.tiles.capacity() * size_of::<Tile>()
            + self.tiles.iter().map(Tile::heap_bytes).sum::<usize>()
            + self.amendments.capacity() * size_of::<Amendment>()
            + self.frauds.capacity() * size_of::<Place>()
    }

    /// Applies a payment: its row goes behind all rows of its time. Returns the row's place, or `None` when it
    /// is older than everything still kept and only a tile could take it.
    pub fn apply(&mut self, plan: &EntityPlan, payment: &Payment, bounds: &Bounds) -> Option<Place> {
        self.version += 1;
        let time_ms = payment.event_time.ms();
        let width = plan.layout.width;
        if time_ms < self.dropped_ms {
            tile::fold_late(&mut self.tiles, plan, payment, bounds);
            return None;
        }
        let at = self.after(width, time_ms);
        let place = self.place_of(width, at, time_ms);
        if at * width == self.words.len() {
            self.push_row(plan, payment);
        } else {
            self.insert_row(plan, payment, at);
        }
        self.drop_old(plan, bounds);
        Some(place)
    }

    fn push_row(&mut self, plan: &EntityPlan, payment: &Payment) {
        let layout = &plan.layout;
        let last = self.words.len() - layout.width;
        if self.words.len() == self.words.capacity() {
            // An eighth at a time: doubling would leave half of the memory of a quiet entity unused.
            self.words.reserve_exact((self.words.len() / 8).max(2 * layout.width));
        }
        self.words.push(row_head(plan, payment));
        for (i, number) in layout.numbers.iter().enumerate() {
            let sum = self.words[last + 1 + i].wrapping_add(number.of(payment).unwrap_or(0) as u64);
            self.words.push(sum);
        }
        for field in &layout.hashes {
            self.words.push(value_hash(payment.fields.get(*field)));
        }
        if layout.label.is_some() {
            self.words.push(0);
        }
    }

    /// Inserts a late row before row `at` and moves the running sums behind it.
    fn insert_row(&mut self, plan: &EntityPlan, payment: &Payment, at: usize) {
        let width = plan.layout.width;
        let later = self.words.split_off(at * width);
        self.push_row(plan, payment);
        let moved = self.words.len();
        self.words.extend_from_slice(&later);
        for (i, number) in plan.layout.numbers.iter().enumerate() {
            let value = number.of(payment).unwrap_or(0) as u64;
            for row in self.words[moved..].chunks_exact_mut(width) {
                row[1 + i] = row[1 + i].wrapping_add(value);
            }
        }
    }

    /// Drops what no window can reach any more, and folds what is above the bound.
    fn drop_old(&mut self, plan: &EntityPlan, bounds: &Bounds) {
        let width = plan.layout.width;
        let newest_ms = self.time(width, self.words.len() / width - 1);
        let horizon_ms = newest_ms - plan.reach_ms - bounds.allowed_lateness_ms;
        let rows = self.len(plan);
        let mut cut = 0;
        while cut < rows && self.time(width, cut + 1) <= horizon_ms {
            cut += 1;
        }
        // A sixteenth beyond the need, so that a full entity moves its rows once in a while, not every time.
        // Only for rows that are out of every window: what they hold cannot matter.
        let over = rows - cut > bounds.max_events;
        if over {
            let fold_to = rows - bounds.max_events;
            for row in cut..fold_to {
                tile::fold_row(
                    &mut self.tiles,
                    plan,
                    &self.words[row * width..(row + 2) * width],
                    bounds.tile_ms,
                );
            }
            cut = fold_to;
        } else if cut <= rows / 8 && cut < 64 && rows < bounds.max_events {
            return;
        }
        if cut == 0 {
            return;
        }
        self.drop_rows(width, cut);
        self.tiles.retain(|tile| tile.end_ms > horizon_ms);
    }

    fn drop_rows(&mut self, width: usize, cut: usize) {
        for row in 1..=cut {
            let time_ms = self.time(width, row);
            if time_ms == self.dropped_ms {
                self.dropped_ties += 1;
            } else {
                (self.dropped_ms, self.dropped_ties) = (time_ms, 1);
            }
        }
        self.words.drain(..cut * width);
        let (dropped_ms, ties) = (self.dropped_ms, self.dropped_ties);
        let is_kept = |place: Place| place >= Place { time_ms: dropped_ms, tie: ties };
        self.amendments.retain(|amendment| is_kept(amendment.place));
        self.frauds.retain(|place| is_kept(*place));
    }

    /// Event time of row `row` (0 is the base).
    fn time(&self, width: usize, row: usize) -> i64 {
        (self.words[row * width] >> TIME_SHIFT) as i64
    }

    /// The first row (1 and on) whose time is after `time_ms`.
    fn after(&self, width: usize, time_ms: i64) -> usize {
        let rows = self.words.len() / width;
        // Most payments are the newest of their entity.
        if rows == 1 || self.time(width, rows - 1) <= time_ms {
            return rows;
        }
        let (mut low, mut high) = (1, rows - 1);
        while low < high {
            let middle = low.midpoint(high);
            if self.time(width, middle) <= time_ms { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The place that a row inserted at `at` gets.
    fn place_of(&self, width: usize, at: usize, time_ms: i64) -> Place {
        let first = self.after(width, time_ms - 1);
        let dropped = if time_ms == self.dropped_ms { self.dropped_ties } else { 0 };
        Place { time_ms, tie: (at - first) as u32 + dropped }
    }

    /// The row at a place, if it is still kept.
    fn row_at(&self, width: usize, place: Place) -> Option<usize> {
        let dropped = if place.time_ms == self.dropped_ms { self.dropped_ties } else { 0 };
        let row = self.after(width, place.time_ms - 1) + place.tie.checked_sub(dropped)? as usize;
        (row < self.words.len() / width && self.time(width, row) == place.time_ms).then_some(row)
    }
}

fn row_head(plan: &EntityPlan, payment: &Payment) -> u64 {
    (payment.event_time.ms() as u64) << TIME_SHIFT | plan.bits_of(payment)
}
