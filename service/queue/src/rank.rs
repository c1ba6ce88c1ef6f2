//! The order of the queue: expected loss times urgency, as a function of stored facts.
//!
//! Urgency doubles each half-life `h`, and is 1 when the alert is due: `u(t) = 2^((t - due) / h)`. While a payment of the
//! alert is on hold it is `w` times that, since a held customer waits: an earlier time at which it is due says too little
//! where `h` is days. Of two alerts the order of `loss x w x u(t)` is that of its logarithm,
//!
//! ```text
//! log2(loss x w x u(t)) = log2(loss) + log2(w) + (t - due) / h
//! ```
//!
//! in which `t` is the same for both and falls out. So `log2(loss) + log2(w) - due / h` is kept in an indexed column, and
//! time passes without a row being written: what waits rises over what arrives later. The key changes when a hit or a
//! label arrives, in that transaction, and when other rules are in force. The loss is in the queue's own
//! currency, whatever the payments are in.

/// Expected loss of an alert, minor units: what its hits stand for, one by one.
pub fn expected_loss_minor(hits: impl IntoIterator<Item = HitLoss>) -> i64 {
    hits.into_iter().map(HitLoss::minor).fold(0, i64::saturating_add)
}

/// What a hit adds to the loss that is expected of its alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HitLoss {
    /// Score times amount under the policy's cost model, as the decision said it.
    pub expected_minor: i64,
    /// The payment's amount.
    pub amount_minor: i64,
    /// What it turned out to be, if that is known.
    pub fraud: Option<bool>,
}

impl HitLoss {
    /// Known fraud counts whole, what is known to be legitimate not at all.
    pub fn minor(self) -> i64 {
        match self.fraud {
            None => self.expected_minor.max(0),
            Some(true) => self.amount_minor.max(self.expected_minor).max(0),
            Some(false) => 0,
        }
    }
}

/// The key that the list is ordered by, largest first. The loss counts `weight` times, one that is nothing too: a payment
/// that a rule holds may have no score.
pub fn rank_key(expected_loss_minor: i64, weight: u32, due_ms: i64, half_life_ms: i64) -> f64 {
    let loss = (expected_loss_minor.max(0).saturating_add(1) as f64).log2();
    loss + f64::from(weight.max(1)).log2() - due_ms as f64 / half_life_ms.max(1) as f64
}

/// Urgency at a time: 1 when due, 2 a half-life later.
pub fn urgency(now_ms: i64, due_ms: i64, half_life_ms: i64) -> f64 {
    ((now_ms - due_ms) as f64 / half_life_ms.max(1) as f64).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const WEEK: i64 = 7 * 24 * HOUR;

    #[test]
    fn what_is_on_hold_goes_before_what_is_worth_as_much_and_waited_longer() {
        // Due in half an hour, beside what is due in an hour.
        let held = |weight, loss| rank_key(loss, weight, HOUR / 2, WEEK);
        let waits = rank_key(1_000, 1, HOUR, WEEK);
        assert!(held(1, 900) < waits, "its time alone does not lift it");
        assert!(held(8, 130) > waits && held(8, 120) < waits, "eight times its loss, about");
        assert!(held(8, 0) > rank_key(5, 1, HOUR, WEEK), "one without a score, too");
    }

    #[test]
    fn a_weight_of_one_changes_no_key_and_no_loss_is_too_large() {
        assert_eq!(rank_key(999, 1, 0, WEEK), 1_000_f64.log2());
        assert!(rank_key(i64::MAX, 1_000, 0, WEEK).is_finite());
    }
}
