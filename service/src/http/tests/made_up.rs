//! Made-up traffic for the page: a minute of alerts at once, then some payments a second.

use schemas::alert::{Alert, alert_id};
use schemas::decision::{Decision, Door, Feature, Latency, Verdict, decision_id};
use schemas::name::Name;
use schemas::payment::{AmountMinor, Currency};
use schemas::reason::{EntityVersion, Reason, ReasonSource};
use schemas::time::EventTime;
use schemas::value::FeatureValue;

use super::super::Sources;

/// A number that looks like chance, below `most`.
fn chance(n: u64, most: u64) -> u64 {
    let mut x = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ (x >> 32)) % most
}

fn reason(code: &str, text: String, value: f64, norm: Option<f64>) -> Reason {
    let (code, feature, source) = (Name::from(code), Some(Name::from(code)), ReasonSource::Model);
    Reason { code, text, feature, value: Some(value), norm, contribution: None, source }
}

fn features(card_count: i64, minor: i64) -> Vec<Feature> {
    let features = [
        ("card_payments_1h", FeatureValue::Int(card_count)),
        ("card_amount_mean_30d", FeatureValue::Real(2_314.25)),
        ("card_distinct_merchants_1d", FeatureValue::Int(card_count - 1)),
        ("card_seconds_since_last", FeatureValue::Int(41)),
        ("merchant_fraud_ratio_28d", FeatureValue::Real(0.021)),
        ("merchant_payments_1d", FeatureValue::Int(1_204)),
        ("amount", FeatureValue::Int(minor)),
        ("hour", FeatureValue::Int(3)),
        ("night", FeatureValue::Flag(true)),
        ("device_cards_7d", FeatureValue::Null),
    ];
    features.map(|(name, value)| Feature { name: Name::from(name), value }).into()
}

fn reasons(card_count: i64, minor: i64, merchant: &str) -> Vec<Reason> {
    let often = format!("{card_count} payments with this card within an hour, usual are 0.4");
    let much = format!("amount at {merchant} far above the card's mean");
    vec![
        reason("card_payments_1h", often, card_count as f64, Some(0.4)),
        reason("amount", much, minor as f64, Some(2_314.25)),
        reason("night", "paid at night, which this card does not".to_owned(), 1.0, None),
    ]
}

fn entities(n: u64, merchant: &str) -> Vec<EntityVersion> {
    let entity = |entity: &str, key: String| EntityVersion {
        entity: Name::from(entity),
        key,
        version: 7,
        pending: Vec::new(),
        applied: 0,
    };
    // Every third has a bare card number for its key: it must come out masked.
    let token = format!("card_{:010x}", chance(n, 1 << 40));
    let card = if n.is_multiple_of(3) { "4111111111111111".to_owned() } else { token };
    vec![entity("merchant", merchant.to_owned()), entity("card", card)]
}

fn decision(n: u64, merchant: &str, now_ms: i64) -> Decision {
    let verdict = Verdict::ALL[1 + chance(n + 11, 3) as usize];
    let score = 0.55 + 0.13 * (verdict as u64 as f64) + chance(n, 60) as f64 / 1_000.0;
    let transaction = format!("tx-{:08x}", chance(n, 1 << 32));
    let minor = 500 + chance(n + 5, 180_000) as i64;
    let card_count = 4 + chance(n, 9) as i64;
    Decision {
        decision_id: decision_id(&transaction),
        event_time: EventTime::from_ms(now_ms - 1_234).unwrap(),
        decided_at_ms: now_ms,
        attempt: 1,
        amount: AmountMinor::new(minor).unwrap(),
        currency: Currency::parse(["EUR", "EUR", "EUR", "USD", "JPY"][chance(n, 5) as usize]).unwrap(),
        verdict,
        hold: false,
        risk_level: Name::from("high"),
        rules: Vec::new(),
        lists: Vec::new(),
        segment: None,
        fallback_policy: None,
        door: Door::Topic,
        score: Some(score),
        expected_loss_minor: (minor as f64 * score) as i64,
        reasons: reasons(card_count, minor, merchant),
        features: features(card_count, minor),
        entities: entities(n, merchant),
        model: Some(Name::from("demo/3")),
        policy: Name::from("2024-05"),
        features_version: Name::from("f1"),
        schema_id: 1,
        fallback: None,
        approximate: false,
        labels_until: Vec::new(),
        labels_applied: Vec::new(),
        source_partition: 0,
        source_offset: n as i64,
        latency_us: Latency::default(),
        alert_id: Some(alert_id(&transaction)),
        transaction_id: transaction,
    }
}

/// An alert and its decision.
pub fn alert(n: u64, merchant: &str, now_ms: i64) -> (Decision, Alert) {
    let decision = decision(n, merchant, now_ms);
    let alert = Alert {
        alert_id: alert_id(&decision.transaction_id),
        decision_id: decision.decision_id.clone(),
        transaction_id: decision.transaction_id.clone(),
        event_time: decision.event_time,
        raised_at_ms: decision.decided_at_ms,
        attempt: 1,
        verdict: decision.verdict,
        hold: false,
        rule: Name::from("high_score"),
        score: decision.score,
        amount: decision.amount,
        currency: decision.currency,
        expected_loss_minor: decision.expected_loss_minor,
        entities: decision.entities.clone(),
        reasons: decision.reasons.clone(),
        model: decision.model.clone(),
        policy: decision.policy.clone(),
        source_partition: 0,
        source_offset: decision.source_offset,
    };
    (decision, alert)
}

/// One second of payments.
fn second(sources: &Sources, n: u64, now_ms: i64) {
    let swing = ((n as f64 / 9.0).sin() * 12.0) as u64 as i64;
    for payment in 0..(46 + swing.max(0) as u64 + chance(n, 9)) {
        let latency_us = 700 + chance(n * 100 + payment, 900) + if payment == 0 { 2_500 } else { 0 };
        sources.telemetry.decided(Verdict::Approve, latency_us as i64);
    }
    if chance(n, 3) == 0 {
        let merchants = ["Kiosk am Ring", "<script>alert(1)</script>", "Elektro Nord", "Café Übersee"];
        let (decision, alert) = alert(n, merchants[chance(n, 4) as usize], now_ms);
        sources.telemetry.decided(decision.verdict, 1_900);
        sources.telemetry.alerts(1);
        sources.board.decided(&decision, Some(&alert));
    }
    if chance(n, 17) == 0 {
        sources.telemetry.dead_letters(
            feature_store::store::Topic::Payments,
            schemas::reject::RejectCode::Late,
            1,
        );
    }
}

/// What came before the page is opened: enough for alerts to look at.
pub fn past(sources: &Sources) {
    let wall_ms = sources.clock.now().wall_ms;
    (0..60).for_each(|n| second(sources, n, wall_ms - (60 - n as i64) * 1_000));
}

/// Traffic for ever.
pub async fn traffic(sources: Sources) {
    for n in 60.. {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        second(&sources, n, sources.clock.now().wall_ms);
    }
}
