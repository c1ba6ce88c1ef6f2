//! Draw: the one source of chance, a seeded generator and the few distributions the simulated world needs.
//!
//! The generator is named, not `StdRng`, because only a named one promises the same numbers after an update
//! of `rand`. The distributions are four short formulas; a crate for them would be longer than they are.

use std::f64::consts::TAU;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// A seeded stream of chance. Two with the same seed give the same draws.
pub(super) struct Draw(Xoshiro256PlusPlus);

impl Draw {
    /// The stream of this seed.
    pub(super) fn seeded(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Uniform in `[0, 1)`.
    pub(super) fn unit(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// True with probability `share`.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Uniform in `[low, high)`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number from `0` up to but not including `end`; `0` when `end` is `0`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        if end == 0 { 0 } else { self.0.random_range(0..end) }
    }

    /// A whole number from `low` to `high`, both included.
    pub(super) fn whole(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// `mean` rounded up or down at random, so that the average over many calls is `mean`.
    pub(super) fn around(&mut self, mean: f64) -> u32 {
        (mean + self.unit()) as u32
    }

    /// Exponential with this mean: the time to the next of many independent events.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Log-normal with this median; `spread` is the standard deviation of its logarithm.
    pub(super) fn log_normal(&mut self, median: f64, spread: f64) -> f64 {
        median * (spread * self.normal()).exp()
    }

    /// Pareto with minimum 1: few are large, most are near 1; the smaller `shape`, the heavier the tail.
    pub(super) fn pareto(&mut self, shape: f64) -> f64 {
        (1.0 - self.unit()).powf(-1.0 / shape)
    }

    /// Standard normal (Box and Muller 1958; the second value is thrown away).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (TAU * self.unit()).cos()
    }
}

/// A list to pick from by weight.
#[derive(Default)]
pub(super) struct Weighted {
    items: Vec<u32>,
    /// `cumulative[i]`: the sum of the weights of `items[0..=i]`.
    cumulative: Vec<f64>,
}

impl Weighted {
    /// Adds an item; a weight of 0 is never picked.
    pub(super) fn add(&mut self, item: u32, weight: f64) {
        if weight > 0.0 {
            let sum = self.cumulative.last().copied().unwrap_or(0.0);
            self.items.push(item);
            self.cumulative.push(sum + weight);
        }
    }

    /// An item with probability in proportion to its weight; `None` of an empty list.
    pub(super) fn pick(&self, draw: &mut Draw) -> Option<u32> {
        let mark = draw.unit() * self.cumulative.last()?;
        let place = self.cumulative.partition_point(|sum| *sum <= mark);
        self.items.get(place).or(self.items.last()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 200_000;

    fn mean(mut one: impl FnMut() -> f64) -> f64 {
        (0..DRAWS).map(|_| one()).sum::<f64>() / DRAWS as f64
    }

    #[test]
    fn the_distributions_have_their_stated_means() {
        let mut draw = Draw::seeded(1);
        assert!((mean(|| draw.exponential(3.0)) - 3.0).abs() < 0.05);
        assert!(mean(|| draw.normal()).abs() < 0.02);
        assert!((mean(|| draw.normal().powi(2)) - 1.0).abs() < 0.02);
        assert!((mean(|| draw.log_normal(10.0, 0.5)) - 10.0 * 0.125_f64.exp()).abs() < 0.1);
        assert!((mean(|| f64::from(draw.around(2.3))) - 2.3).abs() < 0.02);
        assert!((mean(|| f64::from(draw.whole(5, 15))) - 10.0).abs() < 0.05);
        assert!((mean(|| draw.pareto(3.0)) - 1.5).abs() < 0.02);
    }

    #[test]
    fn an_item_is_picked_in_proportion_to_its_weight() {
        let mut draw = Draw::seeded(2);
        let mut list = Weighted::default();
        for (item, weight) in [(7, 1.0), (8, 0.0), (9, 3.0)] {
            list.add(item, weight);
        }
        let share_of =
            |wanted: u32, draw: &mut Draw| mean(|| if list.pick(draw) == Some(wanted) { 1.0 } else { 0.0 });
        assert!((share_of(9, &mut draw) - 0.75).abs() < 0.01);
        assert_eq!(share_of(8, &mut draw), 0.0);
        assert_eq!(Weighted::default().pick(&mut draw), None);
    }
}
