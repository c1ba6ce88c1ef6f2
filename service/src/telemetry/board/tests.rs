//! The board's bounds, what it masks, and its rate.

use schemas::alert::alert_id;
use schemas::decision::{Door, Feature, Latency, decision_id};
use schemas::name::Name;
use schemas::payment::{AmountMinor, Currency};
use schemas::reason::{EntityVersion, ReasonSource};
use schemas::time::EventTime;
use schemas::value::FeatureValue;

use super::super::Part;
use super::*;

const CARD: &str = "4111111111111111";

fn decision(transaction: &str, verdict: Verdict) -> Decision {
    Decision {
        decision_id: decision_id(transaction),
        transaction_id: transaction.to_owned(),
        event_time: EventTime::from_ms(1_700_000_000_000).unwrap(),
        decided_at_ms: 1_700_000_000_250,
        attempt: 1,
        amount: AmountMinor::new(12_345).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        verdict,
        hold: false,
        risk_level: Name::from("high"),
        rules: Vec::new(),
        lists: Vec::new(),
        segment: None,
        fallback_policy: None,
        door: Door::Topic,
        score: Some(0.9),
        expected_loss_minor: 11_110,
        reasons: vec![Reason {
            code: Name::from("burst"),
            text: format!("card {CARD} paid often"),
            feature: None,
            value: Some(9.0),
            norm: Some(f64::NAN),
            contribution: None,
            source: ReasonSource::Model,
        }],
        features: vec![Feature { name: Name::from("count_1h"), value: FeatureValue::Int(i64::MAX) }],
        entities: vec![
            EntityVersion {
                entity: Name::from("merchant"),
                key: "m_1".to_owned(),
                version: 1,
                pending: Vec::new(),
                applied: 0,
            },
            EntityVersion {
                entity: Name::from("card"),
                key: CARD.to_owned(),
                version: 1,
                pending: Vec::new(),
                applied: 0,
            },
        ],
        model: None,
        policy: Name::from("p"),
        features_version: Name::from("f"),
        schema_id: 0,
        fallback: None,
        approximate: false,
        labels_until: Vec::new(),
        labels_applied: Vec::new(),
        source_partition: 0,
        source_offset: 0,
        latency_us: Latency::default(),
        alert_id: None,
    }
}

fn alert(decision: &Decision) -> Alert {
    Alert {
        alert_id: alert_id(&decision.transaction_id),
        decision_id: decision.decision_id.clone(),
        transaction_id: decision.transaction_id.clone(),
        event_time: decision.event_time,
        raised_at_ms: decision.decided_at_ms,
        attempt: 1,
        verdict: decision.verdict,
        hold: false,
        rule: Name::from("all"),
        score: decision.score,
        amount: decision.amount,
        currency: decision.currency,
        expected_loss_minor: decision.expected_loss_minor,
        entities: decision.entities.clone(),
        reasons: decision.reasons.clone(),
        model: None,
        policy: decision.policy.clone(),
        source_partition: 0,
        source_offset: 0,
    }
}

fn at(second: u64) -> Now {
    Now { wall_ms: 1_700_000_000_000, monotonic_us: 7_000_000 + second * 1_000_000 }
}

fn telemetry() -> Telemetry {
    Telemetry::new(["transactions".to_owned(), "labels".to_owned()])
}

#[test]
fn i16_it_keeps_the_newest_within_its_bounds() {
    let (board, telemetry) = (Board::default(), telemetry());
    for n in 0..1_000 {
        let mut decision = decision(&format!("tx-{n}"), Verdict::Decline);
        decision.reasons = vec![decision.reasons[0].clone(); 40];
        decision.reasons[0].text = "ü".repeat(100_000);
        decision.features = vec![decision.features[0].clone(); 500];
        board.decided(&decision, Some(&alert(&decision)));
        board.tick(at(n), &telemetry);
    }
    let view = board.view(at(1_000), &telemetry, &Health::new(&[]));
    assert_eq!((view.alerts.len(), view.decisions.len(), view.rates.len()), (ALERTS, DECISIONS, SECONDS));
    assert_eq!((view.alerts[0].transaction_id.as_str(), view.uptime_s), ("tx-999", 1_000));
    assert_eq!(view.alerts[49].transaction_id, "tx-950");
    let newest = &view.alerts[0];
    assert_eq!((newest.reasons.len(), newest.features.len()), (REASONS, FEATURES));
    assert_eq!(newest.reasons[0].text.chars().count(), TEXT + 1);
}

#[test]
fn plain_approvals_are_not_shown_and_fallbacks_are() {
    let (board, telemetry) = (Board::default(), telemetry());
    board.decided(&decision("plain", Verdict::Approve), None);
    board.decided(&decision("looked at", Verdict::Review), None);
    let by_fallback =
        Decision { fallback: Some(Name::from("no_model")), ..decision("fallback", Verdict::Approve) };
    board.decided(&by_fallback, None);
    let view = board.view(at(0), &telemetry, &Health::new(&[]));
    let shown: Vec<_> = view.decisions.iter().map(|card| card.transaction_id.as_str()).collect();
    assert_eq!(shown, ["fallback", "looked at"]);
    assert!(view.alerts.is_empty());
}

#[test]
fn i15_no_card_number_gets_onto_it() {
    let (board, telemetry) = (Board::default(), telemetry());
    let decision = decision(CARD, Verdict::Decline);
    board.decided(&decision, Some(&alert(&decision)));
    let view = board.view(at(0), &telemetry, &Health::new(&[Part::Http]));
    let json = serde_json::to_string(&view).unwrap();
    assert!(!json.contains(CARD), "{json}");
    let alert = &view.alerts[0];
    assert_eq!(
        (alert.entities[0].entity.as_str(), alert.entities[0].key.as_str()),
        ("card", "411111******1111")
    );
    assert_eq!((alert.reasons[0].norm, alert.features[0].value.as_str()), (None, "9223372036854775807"));
    // Cut in the middle of a number, none of it may be left bare.
    let late = format!("{}{CARD}", "x".repeat(TEXT - 14));
    assert!(text(&late).ends_with("411111******11…"), "{}", text(&late));
}

#[test]
fn rates_and_latencies_are_of_the_last_minute() {
    let (board, telemetry) = (Board::default(), telemetry());
    let view = |second| board.view(at(second), &telemetry, &Health::new(&[]));
    assert_eq!((view(0).rate, view(0).p99_ms), (0.0, None));
    board.tick(at(0), &telemetry);
    for second in 1..=10 {
        (0..second).for_each(|_| telemetry.decided(Verdict::Approve, 1_000));
        board.tick(at(second), &telemetry);
        board.tick(at(second), &telemetry);
    }
    let early = view(10);
    assert_eq!(early.rates, (1..=10).map(f64::from).collect::<Vec<_>>());
    assert_eq!(early.rate, 8.0);
    assert!(early.p50_ms.is_some_and(|ms| (0.75..=1.25).contains(&ms)), "{:?}", early.p50_ms);
    for second in 11..=71 {
        board.tick(at(second), &telemetry);
    }
    let late = view(71);
    assert_eq!((late.rate, late.p50_ms, late.totals.decided), (0.0, None, 55));
}
