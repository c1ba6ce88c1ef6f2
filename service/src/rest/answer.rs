//! What a caller is told: a decision as JSON, the same wherever it is asked for.

use schemas::decision::{Decision, Latency, Verdict};
use schemas::reason::Reason;
use serde::Serialize;

use super::flow::Told;
use crate::http::request::time;

/// A decision, as `POST /v1/score` and `GET /v1/decisions/{id}` give it.
#[derive(Serialize)]
pub struct Answer<'a> {
    decision_id: &'a str,
    transaction_id: &'a str,
    decision: Verdict,
    hold: bool,
    score: Option<f64>,
    risk_level: &'a str,
    expected_loss: Money<'a>,
    amount: Money<'a>,
    event_time: String,
    reasons: &'a [Reason],
    rules: &'a [schemas::name::Name],
    lists: &'a [schemas::name::Name],
    segment: Option<&'a str>,
    versions: Versions<'a>,
    fallback: Option<Fallback<'a>>,
    approximate: bool,
    replayed: bool,
    recorded: bool,
    alert_id: Option<&'a str>,
    evaluated_at: String,
    latency_us: Latency,
}

#[derive(Serialize)]
struct Money<'a> {
    amount_minor: i64,
    currency: &'a str,
}

#[derive(Serialize)]
struct Versions<'a> {
    model: Option<&'a str>,
    policy: &'a str,
    features: &'a str,
    schema: i32,
}

#[derive(Serialize)]
struct Fallback<'a> {
    reason: &'a str,
    policy: Option<&'a str>,
}

/// What was missing where only the brokers were.
const NOT_RECORDED: Fallback<'static> = Fallback { reason: "not_recorded", policy: Some("as_decided") };

impl<'a> Answer<'a> {
    /// The answer to a caller who asked for a decision.
    pub fn told(told: &'a Told) -> Self {
        let answer = Self::of(&told.made.decision, told.replayed, told.recorded.unwrap_or(false));
        // One that was only tried has no record, and misses nothing by it.
        let missed = answer
            .fallback
            .filter(|fallback| told.recorded.is_some() || fallback.reason != NOT_RECORDED.reason);
        Self { fallback: missed, ..answer }
    }

    /// A decision.
    pub fn of(decision: &'a Decision, replayed: bool, recorded: bool) -> Self {
        let currency = decision.currency.as_str();
        let fallback = decision
            .fallback
            .as_deref()
            .map(|reason| Fallback { reason, policy: decision.fallback_policy.as_deref() });
        Self {
            decision_id: &decision.decision_id,
            transaction_id: &decision.transaction_id,
            decision: decision.verdict,
            hold: decision.hold,
            score: decision.score,
            risk_level: &decision.risk_level,
            expected_loss: Money { amount_minor: decision.expected_loss_minor, currency },
            amount: Money { amount_minor: decision.amount.minor(), currency },
            event_time: decision.event_time.to_string(),
            reasons: &decision.reasons,
            rules: &decision.rules,
            lists: &decision.lists,
            segment: decision.segment.as_deref(),
            versions: Versions {
                model: decision.model.as_deref(),
                policy: &decision.policy,
                features: &decision.features_version,
                schema: decision.schema_id,
            },
            fallback: fallback.or((!recorded).then_some(NOT_RECORDED)),
            approximate: decision.approximate,
            replayed,
            recorded,
            alert_id: decision.alert_id.as_deref(),
            evaluated_at: time(decision.decided_at_ms),
            latency_us: decision.latency_us,
        }
    }
}
