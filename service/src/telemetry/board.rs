//! The board: the last alerts, the rate and the latencies of the last minute, for the page and `/v1/board`.
//!
//! It is bounded in entries and in the length of each. It is no queue: nothing is claimed or kept here, and it is
//! empty after a restart. Keys and texts are masked before they are kept (I15).

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use schemas::alert::Alert;
use schemas::decision::{Decision, Verdict};
use schemas::reason::Reason;
use schemas::sensitive::masked;
use serde::Serialize;

use super::latency::Counts;
use super::{Health, Readiness, Telemetry, Totals};
use crate::clock::Now;

/// Alerts kept: what a person looks through.
pub const ALERTS: usize = 50;
/// Decisions of interest kept.
pub const DECISIONS: usize = 100;
/// Seconds that the rate and the latencies look back.
pub const SECONDS: usize = 60;
/// Reasons and entities kept of an alert.
const REASONS: usize = 16;
/// Features kept of an alert.
const FEATURES: usize = 64;
/// Characters kept of a text.
const TEXT: usize = 240;
/// The rate is said over so many seconds, so that it can be read.
const RATE_SECONDS: usize = 5;

/// The board. Any thread writes, any thread reads.
#[derive(Debug, Default)]
pub struct Board(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Newest first.
    alerts: VecDeque<AlertCard>,
    /// Newest first.
    decisions: VecDeque<DecisionCard>,
    /// Oldest first, about a second apart.
    samples: VecDeque<Sample>,
    started_us: Option<u64>,
}

#[derive(Debug)]
struct Sample {
    at_us: u64,
    decided: u64,
    latencies: Counts,
}

/// What the page shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// Version of the service.
    pub version: &'static str,
    /// Wall-clock time of this view, milliseconds since 1970.
    pub now_ms: i64,
    /// Seconds since the board began.
    pub uptime_s: u64,
    /// How the parts stand.
    pub readiness: Readiness,
    /// Counts since the process began.
    pub totals: Totals,
    /// Decisions by verdict, mildest first.
    pub verdicts: Vec<VerdictCount>,
    /// Payments decided a second, over the last seconds.
    pub rate: f64,
    /// The same second by second, oldest first, at most 60.
    pub rates: Vec<f64>,
    /// Median time from a record's arrival to its decision over the last minute, milliseconds.
    pub p50_ms: Option<f64>,
    /// The same, 99th percentile.
    pub p99_ms: Option<f64>,
    /// The last alerts, newest first.
    pub alerts: Vec<AlertCard>,
    /// The last decisions other than a plain approval, newest first.
    pub decisions: Vec<DecisionCard>,
}

/// How often a verdict was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct VerdictCount {
    /// The verdict.
    pub verdict: Verdict,
    /// How often.
    pub count: u64,
}

/// An alert as the page shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertCard {
    /// The alert's id.
    pub alert_id: String,
    /// The payment.
    pub transaction_id: String,
    /// When the card holder paid, milliseconds since 1970.
    pub event_time_ms: i64,
    /// When the alert was raised, milliseconds since 1970.
    pub raised_at_ms: i64,
    /// What became of the payment.
    pub verdict: Verdict,
    /// The alert rule.
    pub rule: String,
    /// The model's score.
    pub score: Option<f64>,
    /// The amount in minor units.
    pub amount_minor: i64,
    /// Its currency.
    pub currency: String,
    /// The expected loss in minor units.
    pub expected_loss_minor: i64,
    /// The model, as `name/version`.
    pub model: Option<String>,
    /// The payment's entities, its card first where it has an entity of that name.
    pub entities: Vec<EntityCard>,
    /// Why, weightiest first.
    pub reasons: Vec<ReasonCard>,
    /// What the model saw.
    pub features: Vec<FeatureCard>,
}

/// An entity of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntityCard {
    /// Its name in the features file.
    pub entity: String,
    /// Its key, masked.
    pub key: String,
}

/// A reason of an alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReasonCard {
    /// Stable word.
    pub code: String,
    /// For a person.
    pub text: String,
    /// The feature's value.
    pub value: Option<f64>,
    /// What is usual.
    pub norm: Option<f64>,
}

/// A feature of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeatureCard {
    /// Its name.
    pub name: String,
    /// Its value as text: a 64-bit integer has no place in a browser's number.
    pub value: String,
}

/// A decision in short form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecisionCard {
    /// The payment.
    pub transaction_id: String,
    /// When it was decided, milliseconds since 1970.
    pub decided_at_ms: i64,
    /// What became of it.
    pub verdict: Verdict,
    /// The model's score.
    pub score: Option<f64>,
    /// The amount in minor units.
    pub amount_minor: i64,
    /// Its currency.
    pub currency: String,
    /// The weightiest reason.
    pub reason: Option<String>,
    /// Why the policy's fallback decided.
    pub fallback: Option<String>,
}

impl Board {
    /// Shows a decision, if it is of interest: anything but a plain approval. Others cost nothing.
    pub fn decided(&self, decision: &Decision, alert: Option<&Alert>) {
        let plain = decision.verdict == Verdict::Approve && decision.fallback.is_none();
        if plain && alert.is_none() {
            return;
        }
        let card = decision_card(decision);
        let alert = alert.map(|alert| alert_card(alert, decision));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keep(&mut kept.decisions, card, DECISIONS);
        if let Some(alert) = alert {
            keep(&mut kept.alerts, alert, ALERTS);
        }
    }

    /// Looks at the counters; to be called about once a second.
    pub fn tick(&self, now: Now, telemetry: &Telemetry) {
        let at_us = now.monotonic_us;
        let sample = Sample { at_us, decided: telemetry.totals().decided, latencies: telemetry.latencies() };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.started_us.get_or_insert(at_us);
        // Two at one moment have no rate between them.
        if kept.samples.back().is_some_and(|last| last.at_us >= at_us) {
            return;
        }
        kept.samples.push_back(sample);
        if kept.samples.len() > SECONDS + 1 {
            kept.samples.pop_front();
        }
    }

    /// What the page shows now.
    pub fn view(&self, now: Now, telemetry: &Telemetry, health: &Health) -> View {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let samples = &kept.samples;
        let rates: Vec<f64> =
            samples.iter().zip(samples.iter().skip(1)).map(|(from, to)| rate(from, to)).collect();
        let lately = samples.get(samples.len().saturating_sub(RATE_SECONDS + 1)).zip(samples.back());
        let minute = samples.front().zip(samples.back());
        let minute = minute.map(|(from, to)| to.latencies.since(&from.latencies));
        let quantile_ms = |q| minute.as_ref()?.quantile_us(q).map(|us| us / 1_000.0);
        View {
            version: env!("CARGO_PKG_VERSION"),
            now_ms: now.wall_ms,
            uptime_s: kept
                .started_us
                .map_or(0, |started_us| now.monotonic_us.saturating_sub(started_us) / 1_000_000),
            readiness: health.readiness(),
            totals: telemetry.totals(),
            verdicts: telemetry
                .verdicts()
                .into_iter()
                .map(|(verdict, count)| VerdictCount { verdict, count })
                .collect(),
            rate: lately.map_or(0.0, |(from, to)| rate(from, to)),
            rates,
            p50_ms: quantile_ms(0.5),
            p99_ms: quantile_ms(0.99),
            alerts: kept.alerts.iter().cloned().collect(),
            decisions: kept.decisions.iter().cloned().collect(),
        }
    }
}

/// Decisions a second between two samples.
fn rate(from: &Sample, to: &Sample) -> f64 {
    match to.at_us.saturating_sub(from.at_us) {
        0 => 0.0,
        us => to.decided.saturating_sub(from.decided) as f64 * 1e6 / us as f64,
    }
}

fn keep<T>(list: &mut VecDeque<T>, newest: T, most: usize) {
    list.truncate(most.saturating_sub(1));
    list.push_front(newest);
}

fn alert_card(alert: &Alert, decision: &Decision) -> AlertCard {
    let mut entities: Vec<_> = alert
        .entities
        .iter()
        .take(REASONS)
        .map(|seen| EntityCard { entity: text(&seen.entity), key: text(&seen.key) })
        .collect();
    // A stable sort: the others keep the config's order.
    entities.sort_by_key(|seen| seen.entity != "card");
    AlertCard {
        alert_id: alert.alert_id.clone(),
        transaction_id: text(&alert.transaction_id),
        event_time_ms: alert.event_time.ms(),
        raised_at_ms: alert.raised_at_ms,
        verdict: alert.verdict,
        rule: text(&alert.rule),
        score: alert.score.filter(|score| score.is_finite()),
        amount_minor: alert.amount.minor(),
        currency: alert.currency.as_str().to_owned(),
        expected_loss_minor: alert.expected_loss_minor,
        model: alert.model.as_ref().map(|model| text(model)),
        entities,
        reasons: alert.reasons.iter().take(REASONS).map(reason_card).collect(),
        features: decision
            .features
            .iter()
            .take(FEATURES)
            .map(|feature| FeatureCard { name: text(&feature.name), value: feature.value.to_string() })
            .collect(),
    }
}

fn reason_card(reason: &Reason) -> ReasonCard {
    ReasonCard {
        code: text(&reason.code),
        text: text(&reason.text),
        value: reason.value.filter(|value| value.is_finite()),
        norm: reason.norm.filter(|norm| norm.is_finite()),
    }
}

fn decision_card(decision: &Decision) -> DecisionCard {
    DecisionCard {
        transaction_id: text(&decision.transaction_id),
        decided_at_ms: decision.decided_at_ms,
        verdict: decision.verdict,
        score: decision.score.filter(|score| score.is_finite()),
        amount_minor: decision.amount.minor(),
        currency: decision.currency.as_str().to_owned(),
        reason: decision.reasons.first().map(|reason| text(&reason.text)),
        fallback: decision.fallback.as_ref().map(|fallback| text(fallback)),
    }
}

/// A text as the page may have it: masked, and cut where it is long.
fn text(raw: &str) -> String {
    // Masked before it is cut: half a card number has no check digit.
    let whole = masked(raw);
    match whole.char_indices().nth(TEXT) {
        None => whole.into_owned(),
        Some((end, _)) => format!("{}…", whole.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
