//! Cost: what a fraud, a bothered honest payer and an analyst's look cost, and the thresholds that follow.
//!
//! With the probability of fraud `p`, an amount `a` and what a fraud costs `F(a) = times_amount x a + plus_minor`,
//! each verdict has an expected cost that is a straight line in `p`:
//!
//! ```text
//! verdict      honest (p = 0)    fraud (p = 1)          cost
//! approve      0                 F                      |      .'approve     _ review
//! review       R                 R + (1 - catches) F    |    .'   ___---"""""
//! challenge    C                 (1 - stops) F          |  .:---""
//! decline      D                 0                      |.'________________  decline
//! ```
//!
//! `R`, `C` and `D` are prices of the same form as `F`. Of two verdicts `u` (milder) and `w` (severer) with costs
//! `(h_u, f_u)` and `(h_w, f_w)` at the two ends, `w` is the cheaper one from
//!
//! ```text
//! b(u, w) = (h_w - h_u) / ((h_w - h_u) + (f_u - f_w))
//! ```
//!
//! on: the threshold of Charles Elkan, "The Foundations of Cost-Sensitive Learning" (IJCAI 2001), equation 2. What is
//! severer falls faster (or rises slower) with `p`, which is checked when a policy is read, so the cheapest verdict
//! gets severer as `p` rises, and the threshold of `v` has a closed form: the score from which on some verdict at
//! least as severe as `v` is cheaper than every milder one,
//!
//! ```text
//! t(v) = min over w >= v of  max over u < v of  b(u, w)
//! ```
//!
//! Where two cost the same the severer one is taken, as a threshold is reached on it; where two cost the same for
//! every score, the milder one. Not converted: a price is in the minor units of whatever currency the payment has.

use schemas::decision::Verdict;
use schemas::payment::AmountMinor;

use super::threshold::Bounds;

/// A price that may grow with the amount.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Price {
    /// So many times the amount.
    pub(super) times_amount: f64,
    /// And so many minor units.
    pub(super) plus_minor: i64,
}

impl Price {
    /// Minor units.
    fn of(self, amount: AmountMinor) -> f64 {
        self.times_amount * amount.minor() as f64 + self.plus_minor as f64
    }

    /// Whether it is at most the other for every amount.
    pub(super) fn at_most(self, other: Price) -> bool {
        self.times_amount <= other.times_amount && self.plus_minor <= other.plus_minor
    }
}

/// The price of a measure, and the share of the fraud's cost that it saves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measure {
    /// What it costs.
    pub(super) price: Price,
    /// 0 to 1.
    pub(super) saves: f64,
}

/// `[cost]`. A verdict without a price is never chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Costs {
    /// A fraud that goes through.
    pub(super) fraud: Price,
    /// An analyst's look, paid for honest payments and frauds.
    pub(super) review: Option<Measure>,
    /// An honest payer who is challenged.
    pub(super) challenge: Option<Measure>,
    /// An honest payment that is refused.
    pub(super) decline: Option<Price>,
}

/// A verdict's expected cost at both ends of the probability.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Line {
    honest: f64,
    fraud: f64,
}

impl Line {
    /// The probability from which on the severer verdict is the cheaper one; infinite where it never is.
    fn break_even(self, severer: Line) -> f64 {
        let harm = severer.honest - self.honest;
        let sum = harm + (self.fraud - severer.fraud);
        if sum > 0.0 {
            harm / sum
        } else if harm < 0.0 {
            0.0
        } else {
            f64::INFINITY
        }
    }
}

impl Costs {
    /// The thresholds of least expected cost for this amount.
    pub(super) fn bounds(&self, amount: AmountMinor) -> Bounds {
        let lines = self.lines(amount);
        let threshold = |verdict: Verdict| {
            let at_least = |w: &(Verdict, Option<Line>)| w.1.filter(|_| w.0 >= verdict);
            let milder = |u: &(Verdict, Option<Line>)| u.1.filter(|_| u.0 < verdict);
            let from = |w: Line| lines.iter().filter_map(milder).map(|u| u.break_even(w)).fold(0.0, f64::max);
            // Where it has no price itself, no score leads to it: only to what is severer.
            lines.iter().find(|(other, line)| *other == verdict && line.is_some())?;
            let least = lines.iter().filter_map(at_least).map(from).fold(f64::INFINITY, f64::min);
            (least <= 1.0).then_some(least)
        };
        Bounds {
            review: threshold(Verdict::Review),
            challenge: threshold(Verdict::Challenge),
            decline: threshold(Verdict::Decline),
        }
    }

    fn lines(&self, amount: AmountMinor) -> [(Verdict, Option<Line>); 4] {
        let fraud = self.fraud.of(amount);
        let review = |measure: Measure| {
            let look = measure.price.of(amount);
            Line { honest: look, fraud: look + (1.0 - measure.saves) * fraud }
        };
        let challenge = |measure: Measure| Line {
            honest: measure.price.of(amount),
            fraud: (1.0 - measure.saves) * fraud,
        };
        [
            (Verdict::Approve, Some(Line { honest: 0.0, fraud })),
            (Verdict::Review, self.review.map(review)),
            (Verdict::Challenge, self.challenge.map(challenge)),
            (Verdict::Decline, self.decline.map(|price| Line { honest: price.of(amount), fraud: 0.0 })),
        ]
    }
}

#[cfg(test)]
mod tests;
