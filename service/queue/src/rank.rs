//! The order of the queue: expected loss times urgency, as a function of stored facts.
//!
//! Urgency doubles each half-life `h`, and is 1 when the alert is due: `u(t) = 2^((t - due) / h)`. Of two alerts the
//! order of `loss x u(t)` is that of its logarithm,
//!
//! ```text
//! log2(loss x u(t)) = log2(loss) + (t - due) / h
//! ```
//!
//! in which `t` is the same for both and falls out. So `log2(loss) - due / h` is kept in an indexed column, and time
//! passes without a row being written: what waits rises over what arrives later. The key changes when a hit or a label
//! arrives, in that transaction.

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

/// The key that the list is ordered by, largest first.
pub fn rank_key(expected_loss_minor: i64, due_ms: i64, half_life_ms: i64) -> f64 {
    ((expected_loss_minor.max(0) + 1) as f64).log2() - due_ms as f64 / half_life_ms.max(1) as f64
}

/// Urgency at a time: 1 when due, 2 a half-life later.
pub fn urgency(now_ms: i64, due_ms: i64, half_life_ms: i64) -> f64 {
    ((now_ms - due_ms) as f64 / half_life_ms.max(1) as f64).exp2()
}
