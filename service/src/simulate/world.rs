//! World: the size and pace of the simulated world; the few numbers that a caller may choose.
//!
//! Habits, prices and the shapes of the frauds are constants beside the code that uses them.

use super::rhythm::DAY_MS;

/// 2026-01-01T00:00:00Z, a Thursday.
const DEFAULT_START_MS: i64 = 1_767_225_600_000;
/// Above this a world of mostly frauds would need cards that do nothing else.
const MAX_FRAUD_SHARE: f64 = 0.5;
/// 1,157 a second. Frauds are planned up to two weeks ahead; at this pace that is about 150 MB. For more
/// payments a second of the clock, let the simulated time run faster.
const MAX_PAYMENTS_PER_DAY: f64 = 1e8;

/// What the simulated world looks like. The same world always gives the same events.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    /// Chooses one of many alike worlds, and is part of every transaction id.
    pub seed: u64,
    /// Number of cards; at least 1.
    pub cards: u32,
    /// Number of merchants; at least 1.
    pub merchants: u32,
    /// Event time before which nothing happens, milliseconds UTC.
    pub start: i64,
    /// Payments of all cards together, average of a week, in payments per simulated day, at most 10^8.
    pub payments_per_day: f64,
    /// Fraudulent payments as a fraction of all payments, a third for each pattern; 0 for none, at most 0.5.
    pub fraud_share: f64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            seed: 42,
            cards: 5_000,
            merchants: 1_000,
            start: DEFAULT_START_MS,
            payments_per_day: 10_000.0,
            fraud_share: 0.0075,
        }
    }
}

impl World {
    /// The nearest world that can be simulated: what lies outside the limits above is moved to the limit.
    pub(super) fn within_limits(self) -> Self {
        let pace = if self.payments_per_day.is_nan() { 0.0 } else { self.payments_per_day };
        let share = if self.fraud_share.is_nan() { 0.0 } else { self.fraud_share };
        Self {
            cards: self.cards.max(1),
            merchants: self.merchants.max(1),
            payments_per_day: pace.clamp(0.001, MAX_PAYMENTS_PER_DAY),
            fraud_share: share.clamp(0.0, MAX_FRAUD_SHARE),
            ..self
        }
    }

    /// Payments a day that the cardholders make themselves.
    pub(super) fn habitual_per_day(&self) -> f64 {
        self.payments_per_day * (1.0 - self.fraud_share)
    }

    /// Fraudulent payments a day, over all patterns.
    pub(super) fn frauds_per_day(&self) -> f64 {
        self.payments_per_day * self.fraud_share
    }

    /// A moment this many days after the start (before it, when negative).
    pub(super) fn day_ms(&self, days: f64) -> i64 {
        self.start.saturating_add((days * DAY_MS) as i64)
    }
}
