//! The decision on one payment, as `avro/decision.avsc` has it. Not how it is made: that is the service's policy.

use serde::{Deserialize, Serialize};

use crate::id::derived;
use crate::name::Name;
use crate::payment::{AmountMinor, Currency};
use crate::reason::{EntityVersion, Reason};
use crate::time::EventTime;
use crate::value::FeatureValue;

/// What becomes of a payment, in order of severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It goes through.
    Approve,
    /// It goes through, and an analyst looks at it.
    Review,
    /// The card holder has to prove himself first.
    Challenge,
    /// It is refused.
    Decline,
}

impl Verdict {
    /// Every verdict, mildest first.
    pub const ALL: [Verdict; 4] = [Verdict::Approve, Verdict::Review, Verdict::Challenge, Verdict::Decline];

    /// The word in the contracts.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Approve => "approve",
            Verdict::Review => "review",
            Verdict::Challenge => "challenge",
            Verdict::Decline => "decline",
        }
    }

    /// The verdict of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }
}

/// Where a payment was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// By the stream, when it came to it in the topic.
    #[default]
    Topic,
    /// For a caller who waited for it; the stream emits that decision as it stands.
    Rest,
}

/// The decision on one payment, with all that is needed to explain it and to compute it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// [`decision_id`] of the transaction id.
    pub decision_id: String,
    /// The payment that was decided.
    pub transaction_id: String,
    /// When the card holder paid.
    pub event_time: EventTime,
    /// Wall-clock time of the decision, milliseconds since 1970.
    #[serde(rename = "decided_at")]
    pub decided_at_ms: i64,
    /// How often this decision was written, counted from 1.
    #[serde(default = "first")]
    pub attempt: i32,
    /// The payment's amount.
    #[serde(rename = "amount_minor")]
    pub amount: AmountMinor,
    /// The payment's currency.
    pub currency: Currency,
    /// What becomes of the payment.
    #[serde(rename = "decision")]
    pub verdict: Verdict,
    /// The payment waits until a person has looked at it.
    #[serde(default)]
    pub hold: bool,
    /// The score's band, by the policy.
    #[serde(default)]
    pub risk_level: Name,
    /// The live model's probability of fraud; `None` when no model scored the payment.
    #[serde(default)]
    pub score: Option<f64>,
    /// Score times amount under the policy's cost model, minor units.
    #[serde(default)]
    pub expected_loss_minor: i64,
    /// Why, weightiest first.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// The policy's rules that matched.
    #[serde(default)]
    pub rules: Vec<Name>,
    /// The list entries that matched, each as `list/entity`.
    #[serde(default)]
    pub lists: Vec<Name>,
    /// The policy's segment whose thresholds held; `None` for those of all.
    #[serde(default)]
    pub segment: Option<Name>,
    /// The vector that was scored, in the model's order.
    #[serde(default)]
    pub features: Vec<Feature>,
    /// The entities of the payment, each with the version that the decision saw.
    #[serde(default)]
    pub entities: Vec<EntityVersion>,
    /// For each partition of the labels topic the offset of the next label that was to be applied.
    #[serde(default)]
    pub labels_until: Vec<i64>,
    /// The same when a payment decided over REST was applied from the topic.
    #[serde(default)]
    pub labels_applied: Vec<i64>,
    /// The live model as `name/version`.
    #[serde(default)]
    pub model: Option<Name>,
    /// Version of the policy.
    #[serde(default)]
    pub policy: Name,
    /// Version of the features file.
    #[serde(default)]
    pub features_version: Name,
    /// Registry id of the payment's schema; 0 when it came without one.
    #[serde(default)]
    pub schema_id: i32,
    /// Why the policy's fallback decided and not the model's score.
    #[serde(default)]
    pub fallback: Option<Name>,
    /// What the policy says for that fallback.
    #[serde(default)]
    pub fallback_policy: Option<Name>,
    /// An entity's state was at its bound and some feature is approximate.
    #[serde(default)]
    pub approximate: bool,
    /// Where the payment was decided.
    #[serde(default)]
    pub door: Door,
    /// Partition of the payment in the transactions topic.
    pub source_partition: i32,
    /// Offset of the payment in that partition.
    pub source_offset: i64,
    /// Where the time went.
    #[serde(default)]
    pub latency_us: Latency,
    /// The alert that the decision raised, if any.
    #[serde(default)]
    pub alert_id: Option<String>,
}

/// One feature's value as of a payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name in the features file.
    pub name: Name,
    /// Its value.
    #[serde(default = "undefined")]
    pub value: FeatureValue,
}

/// Microseconds of wall clock by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// Bytes to payment.
    pub decode: i64,
    /// Loading entities and computing the vector.
    pub features: i64,
    /// Scoring and reasons.
    pub model: i64,
    /// Score to decision.
    pub policy: i64,
    /// From the record's arrival in the process to its decision.
    pub total: i64,
}

/// The decision's id: the same for a payment however often it is decided.
pub fn decision_id(transaction_id: &str) -> String {
    derived("dec_", "decision", transaction_id)
}

/// serde's default of `attempt`, as in the contracts.
pub(crate) fn first() -> i32 {
    1
}

fn undefined() -> FeatureValue {
    FeatureValue::Null
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_apart() {
        // Pinned: ids in the topics of every installation depend on them.
        assert_eq!(decision_id("tx-1"), "dec_8c2ed7cc224912a438ea21e86f1e4a5f");
        assert_eq!(crate::alert::alert_id("tx-1"), "alr_9beec7724a10f48de84e2d85bbce1a19");
        assert_ne!(decision_id("tx-1"), decision_id("tx-2"));
    }

    #[test]
    fn verdicts_order_by_severity_and_speak_the_contract() {
        assert!(Verdict::ALL.is_sorted());
        for verdict in Verdict::ALL {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
            assert_eq!(Verdict::parse(verdict.as_str()), Some(verdict));
        }
        assert_eq!(Verdict::parse("Approve"), None);
    }
}
