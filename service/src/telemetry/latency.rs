//! How long things take: counts by upper bound, which threads add to without a lock.
//!
//! Ten bounds a decade (Renard's R10 series, each about a quarter above the last) from 10 us to 100 s, so that a
//! quantile is known within a quarter of itself and the whole is 600 bytes. `/metrics` shows three of each ten.

use std::sync::atomic::{AtomicU64, Ordering};

/// Decades from the first bound on.
const DECADES: usize = 7;

/// Number of counts: one for each bound and one for what lies above all of them.
pub const BUCKETS: usize = DECADES * 10 + 2;

/// R10, in hundredths.
const R10: [u64; 10] = [100, 125, 160, 200, 250, 315, 400, 500, 630, 800];

/// Upper bounds in microseconds, ascending; the last count has none.
pub const BOUNDS_US: [u64; BUCKETS - 1] = bounds_us();

const fn bounds_us() -> [u64; BUCKETS - 1] {
    let mut bounds = [0; BUCKETS - 1];
    let (mut at, mut decade) = (0, 1);
    while at < bounds.len() {
        bounds[at] = R10[at % 10] * decade / 10;
        at += 1;
        if at % 10 == 0 {
            decade *= 10;
        }
    }
    bounds
}

/// Counts by upper bound, as they stood at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts(pub [u64; BUCKETS]);

impl Counts {
    /// How many there are.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// What was added since an earlier moment.
    pub fn since(&self, earlier: &Counts) -> Counts {
        let mut counts = *self;
        for (count, before) in counts.0.iter_mut().zip(earlier.0) {
            *count = count.saturating_sub(before);
        }
        counts
    }

    /// The duration, in microseconds, that the share `q` (0 to 1) of them does not exceed; `None` without any. Between
    /// two bounds it is interpolated; above all bounds it is the last one.
    pub fn quantile_us(&self, q: f64) -> Option<f64> {
        let total = self.total();
        let wanted = q.clamp(0.0, 1.0) * total as f64;
        let (mut below, mut lower_us) = (0, 0);
        for (count, upper_us) in self.0.iter().zip(BOUNDS_US) {
            let reached = below + count;
            if *count > 0 && reached as f64 >= wanted {
                let share = ((wanted - below as f64) / *count as f64).clamp(0.0, 1.0);
                return Some(lower_us as f64 + share * (upper_us - lower_us) as f64);
            }
            (below, lower_us) = (reached, upper_us);
        }
        (total > 0).then_some(lower_us as f64)
    }
}

/// Durations, counted.
#[derive(Debug)]
pub struct Durations {
    counts: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Default for Durations {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| AtomicU64::new(0)), sum_us: AtomicU64::new(0) }
    }
}

impl Durations {
    /// Counts one duration, in microseconds; a negative one is 0.
    pub fn add(&self, took_us: i64) {
        let took_us = u64::try_from(took_us).unwrap_or(0);
        let at = BOUNDS_US.partition_point(|bound| *bound < took_us);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    /// The counts now.
    pub fn counts(&self) -> Counts {
        Counts(std::array::from_fn(|at| self.counts.get(at).map_or(0, |count| count.load(Ordering::Relaxed))))
    }

    /// Sum of all durations, seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_us.load(Ordering::Relaxed) as f64 / 1e6
    }
}

/// The counts under the bounds that `/metrics` shows, 1, 2.5 and 5 of each decade: upper bound in seconds, count above
/// the bound before.
pub fn shown(counts: &Counts) -> Vec<(f64, u64)> {
    let mut rows = Vec::with_capacity(3 * DECADES + 2);
    let mut since = 0;
    for (at, (count, bound_us)) in counts.0.iter().zip(BOUNDS_US).enumerate() {
        since += count;
        if matches!(at % 10, 0 | 4 | 7) {
            rows.push((bound_us as f64 / 1e6, since));
            since = 0;
        }
    }
    rows.push((f64::INFINITY, since + counts.0.last().copied().unwrap_or(0)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_ascend_and_hold_the_round_numbers() {
        assert!(BOUNDS_US.is_sorted_by(|a, b| a < b));
        for round in [10, 25, 50, 100, 1_000, 2_500, 100_000, 1_000_000, 100_000_000] {
            assert!(BOUNDS_US.contains(&round), "{round}");
        }
        assert_eq!(BOUNDS_US.last(), Some(&100_000_000));
    }

    #[test]
    fn a_duration_on_a_bound_counts_under_it() {
        let durations = Durations::default();
        for took_us in [-5, 100, 101, i64::MAX] {
            durations.add(took_us);
        }
        let rows = shown(&durations.counts());
        assert_eq!(rows.iter().map(|row| row.1).sum::<u64>(), 4);
        let at = |bound: f64| rows.iter().find(|row| row.0 == bound).unwrap().1;
        assert_eq!((at(0.000_01), at(0.000_1), at(0.000_25), at(f64::INFINITY)), (1, 1, 1, 1));
    }

    #[test]
    fn quantiles_are_right_within_a_quarter() {
        let durations = Durations::default();
        let before = durations.counts();
        assert_eq!(before.quantile_us(0.5), None);
        (1..=100_000).for_each(|took_us| durations.add(took_us));
        let counts = durations.counts();
        for q in [0.5, 0.9, 0.99, 0.999] {
            let got = counts.quantile_us(q).unwrap();
            let exact = q * 100_000.0;
            assert!((got / exact - 1.0).abs() < 0.25, "{q}: {got} {exact}");
        }
        assert_eq!(counts.since(&before), counts);
        assert_eq!(counts.since(&counts).total(), 0);
        durations.add(i64::MAX);
        assert_eq!(durations.counts().quantile_us(1.0), Some(100_000_000.0));
    }
}
