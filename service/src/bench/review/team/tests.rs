//! A world small enough to say beforehand what each order finds.

use schemas::decision::Verdict;
use schemas::payment::{AmountMinor, Currency};
use schemas::reason::EntityVersion;

use super::*;

const HOUR_MS: i64 = 3_600_000;

/// Payment, card, minutes after midnight, amount, expected loss, score, fraud.
type Told = (&'static str, &'static str, i64, i64, i64, f64, bool);

fn truth((id, card, minute, amount_minor, _, _, fraud): Told) -> Truth {
    Truth { id: id.into(), event_ms: minute * 60_000, card: card.into(), amount_minor, fraud }
}

fn alert((id, card, minute, amount, expected_loss_minor, score, _): Told) -> Alert {
    let event_time = EventTime::from_ms(minute * 60_000).unwrap();
    Alert {
        alert_id: schemas::alert::alert_id(id),
        decision_id: format!("d-{id}"),
        transaction_id: id.to_owned(),
        event_time,
        raised_at_ms: event_time.ms(),
        attempt: 1,
        verdict: Verdict::Review,
        hold: false,
        rule: "rule".into(),
        score: Some(score),
        amount: AmountMinor::new(amount).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        expected_loss_minor,
        entities: vec![EntityVersion {
            entity: "card".into(),
            key: card.to_owned(),
            version: 1,
            pending: Vec::new(),
            applied: 0,
        }],
        reasons: Vec::new(),
        model: None,
        policy: "p".into(),
        source_partition: 0,
        source_offset: 0,
    }
}

/// What an order finds in one day of two reviews, at noon and at midnight.
fn found(order: Order, told: &[Told]) -> Caught {
    let truths: Vec<Truth> = told.iter().copied().map(truth).collect();
    let by_id = truths.iter().map(|truth| (&*truth.id, truth)).collect();
    let alerts: Vec<Alert> = told.iter().copied().map(alert).collect();
    let rules = Rules {
        entity: "card".to_owned(),
        due_ms: 24 * HOUR_MS,
        half_life_ms: 4 * HOUR_MS,
        ..Rules::default()
    };
    let shift = Shift {
        alerts: &alerts,
        truths: &by_id,
        rules: &rules,
        from_ms: 0,
        days: 1,
        reviews: 2,
        delay_ms: 7 * DAY_MS,
    };
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(shift.worked(order, folder.path())).unwrap()
}

/// Five cards before noon; the first that came is honest, and so is the one of the largest amount.
const WORLD: [Told; 6] = [
    ("first", "a", 1, 1_000, 100, 0.10, false),
    ("large", "b", 2, 90_000, 4_500, 0.05, false),
    ("costly", "c", 3, 20_000, 12_000, 0.60, true),
    ("likely", "d", 4, 2_000, 1_900, 0.95, true),
    ("more", "c", 5, 5_000, 3_000, 0.60, true),
    ("later", "e", 6, 10_000, 7_000, 0.70, true),
];

#[test]
fn each_order_finds_what_it_puts_first() {
    let caught =
        |reviews, found, money_minor, cards| Caught { reviews, found, money_minor, cards, stopped_minor: 0 };
    // c with both payments, then e.
    assert_eq!(found(Order::Loss, &WORLD), caught(2, 2, 35_000, 2));
    assert_eq!(found(Order::Rank, &WORLD), caught(2, 2, 35_000, 2));
    // b, then c; d, then e; a, then b.
    assert_eq!(found(Order::Amount, &WORLD), caught(2, 1, 25_000, 1));
    assert_eq!(found(Order::Score, &WORLD), caught(2, 2, 12_000, 2));
    assert_eq!(found(Order::Arrival, &WORLD), caught(2, 0, 0, 0));
    assert_eq!(found(Order::Hindsight, &WORLD), caught(2, 2, 35_000, 2));
}

/// Urgency doubles in four hours: eight hours of waiting are worth a loss of four times as much.
#[test]
fn what_waits_rises() {
    let world = |loss| {
        [
            ("at noon", "n", 100, 1_000, 1_000_000, 0.9, true),
            ("waits", "w", 101, 30_000, 1_000, 0.5, true),
            ("fresh", "f", 101 + 480, 70_000, loss, 0.5, true),
        ]
    };
    assert_eq!(found(Order::Rank, &world(3_900)).money_minor, 1_000 + 30_000);
    assert_eq!(found(Order::Rank, &world(4_100)).money_minor, 1_000 + 70_000);
    assert_eq!(found(Order::Loss, &world(3_900)).money_minor, 1_000 + 70_000);
}

/// A card that was found out at noon raises nothing in the afternoon: what it would have paid is stopped.
#[test]
fn a_card_is_found_once() {
    let world = [
        ("before", "c", 100, 1_000, 900, 0.9, true),
        ("after", "c", 800, 700, 600, 0.9, true),
        ("other", "d", 801, 10, 1, 0.1, false),
    ];
    let caught = found(Order::Rank, &world);
    assert_eq!((caught.reviews, caught.found, caught.cards), (2, 1, 1));
    assert_eq!((caught.money_minor, caught.stopped_minor), (1_000 + 700, 700));
}
