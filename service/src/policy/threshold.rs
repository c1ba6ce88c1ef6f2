//! Threshold: the scores from which on a verdict holds, as written or as the costs of this amount make them.

use schemas::decision::Verdict;
use schemas::payment::AmountMinor;

use super::cost::Costs;

/// A policy's or a segment's thresholds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Thresholds {
    /// The same for every amount.
    Fixed(Bounds),
    /// Those of least expected cost for the payment's amount.
    Computed(Costs),
}

impl Thresholds {
    /// The thresholds for a payment of this amount.
    pub(super) fn bounds(&self, amount: AmountMinor) -> Bounds {
        match self {
            Thresholds::Fixed(bounds) => *bounds,
            Thresholds::Computed(costs) => costs.bounds(amount),
        }
    }
}

/// The scores from which on a verdict holds, 0 to 1; `None` where the score never leads to that verdict.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Bounds {
    /// From here on an analyst looks at it.
    pub(super) review: Option<f64>,
    /// From here on the card holder has to prove himself.
    pub(super) challenge: Option<f64>,
    /// From here on it is refused.
    pub(super) decline: Option<f64>,
}

impl Bounds {
    /// Mildest first, which is also the order in which they must not descend.
    pub(super) fn ascending(self) -> [(Verdict, Option<f64>); 3] {
        [
            (Verdict::Review, self.review),
            (Verdict::Challenge, self.challenge),
            (Verdict::Decline, self.decline),
        ]
    }

    /// The severest verdict whose threshold the score reaches, with that threshold.
    pub(super) fn reached(self, score: f64) -> Option<(Verdict, f64)> {
        let reached = |(verdict, threshold): (Verdict, Option<f64>)| Some((verdict, threshold?));
        self.ascending().into_iter().rev().filter_map(reached).find(|(_, threshold)| score >= *threshold)
    }
}
