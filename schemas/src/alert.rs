//! A decision that an analyst should look at, as `avro/alert.avsc` has it. Not the queue's row, which also has a
//! state, an owner and notes.

use serde::{Deserialize, Serialize};

use crate::decision::{Verdict, first};
use crate::id::derived;
use crate::name::Name;
use crate::payment::{AmountMinor, Currency};
use crate::reason::{EntityVersion, Reason};
use crate::time::EventTime;

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// [`alert_id`] of the transaction id.
    pub alert_id: String,
    /// The decision that raised it.
    pub decision_id: String,
    /// The payment that was decided.
    pub transaction_id: String,
    /// When the card holder paid.
    pub event_time: EventTime,
    /// Wall-clock time of the alert, milliseconds since 1970.
    #[serde(rename = "raised_at")]
    pub raised_at_ms: i64,
    /// How often this alert was written, counted from 1.
    #[serde(default = "first")]
    pub attempt: i32,
    /// What became of the payment.
    #[serde(rename = "decision")]
    pub verdict: Verdict,
    /// The payment waits until a person has looked at it.
    #[serde(default)]
    pub hold: bool,
    /// The policy's alert rule that raised it.
    #[serde(default)]
    pub rule: Name,
    /// The live model's probability of fraud.
    #[serde(default)]
    pub score: Option<f64>,
    /// The payment's amount.
    #[serde(rename = "amount_minor")]
    pub amount: AmountMinor,
    /// The payment's currency.
    pub currency: Currency,
    /// Score times amount under the policy's cost model, minor units: the queue's order.
    #[serde(default)]
    pub expected_loss_minor: i64,
    /// The entities of the payment, each with the version that the decision saw.
    #[serde(default)]
    pub entities: Vec<EntityVersion>,
    /// Why, weightiest first.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// The live model as `name/version`.
    #[serde(default)]
    pub model: Option<Name>,
    /// Version of the policy.
    #[serde(default)]
    pub policy: Name,
    /// Partition of the payment in the transactions topic.
    pub source_partition: i32,
    /// Offset of the payment in that partition.
    pub source_offset: i64,
}

/// The alert's id: the same for a payment however often it is raised.
pub fn alert_id(transaction_id: &str) -> String {
    derived("alr_", "alert", transaction_id)
}
