//! Labels by example: when they count, what decides between them, those that come before their payment, and what
//! they do to versions. The expected numbers are worked out by hand.

use std::sync::Arc;

use feature_store::definition::Definitions;
use feature_store::enricher::{Applied, Enriched, LabelApplied, Limits};
use schemas::payment::LabelSource::{self, Analyst, Chargeback, Customer, Issuer};
use schemas::time::DurationMs;
use schemas::value::FeatureValue::{self, Int, Null, Real};

use super::scenario::{Draft, label, vocabulary};
use super::world::World;

const FEATURES: &str = r#"
[[feature]]
name = "frauds"
entity = "card"
aggregate = "count"
of = "label"
window = "20s"
delay = "1ms"
[[feature]]
name = "risk"
entity = "card"
aggregate = "ratio"
of = "label"
window = "1s"
delay = "1ms"
[[feature]]
name = "payments"
entity = "device"
aggregate = "count"
window = "20s"
"#;

const FORGET_MS: i64 = 200_000_000;

/// One desk where payments are paid, with card 0 and device 0 unless said otherwise.
struct Desk {
    world: World,
    count: usize,
}

impl Desk {
    fn open(max_events: usize, waiting_labels: usize) -> Self {
        let definitions = Arc::new(Definitions::parse("f", FEATURES, &vocabulary()).unwrap());
        let limits = Limits {
            allowed_lateness: DurationMs(10_000),
            remember: DurationMs(FORGET_MS),
            max_events,
            tile: DurationMs(1_000),
            waiting_labels,
        };
        Self { world: World::start(&definitions, limits, 300), count: 0 }
    }

    fn pay_with(&mut self, id: &str, time_ms: i64, keys: [Option<u8>; 3]) -> (Enriched, [FeatureValue; 3]) {
        let payment = Draft { keys, amount: 1, ..Draft::default() }.payment(id, time_ms);
        let mut values = [Null; 3];
        match self.world.enricher.payment(0, &payment, &mut values).unwrap() {
            Applied::New(enriched) => (enriched, values),
            other => panic!("{id} at {time_ms}: {other:?}"),
        }
    }

    fn pay(&mut self, id: &str, time_ms: i64) -> (Enriched, [FeatureValue; 3]) {
        self.pay_with(id, time_ms, [Some(0), Some(0), None])
    }

    /// Known frauds in the last twenty seconds, asked by a payment at this time.
    fn frauds(&mut self, time_ms: i64) -> FeatureValue {
        self.count += 1;
        let id = format!("ask {}", self.count);
        self.pay(&id, time_ms).1[0]
    }

    fn label(&mut self, id: &str, fraud: bool, source: LabelSource, time_ms: i64) -> LabelApplied {
        self.world.enricher.label(&label(id, fraud, source, time_ms)).unwrap()
    }

    fn versions(&mut self, time_ms: i64) -> [Option<u64>; 2] {
        self.count += 1;
        let id = format!("ask {}", self.count);
        let versions = self.pay(&id, time_ms).0.versions;
        [versions[0], versions[1]]
    }
}

fn desk() -> Desk {
    Desk::open(1_000, 1_000)
}

#[test]
fn i7_a_label_counts_from_the_millisecond_at_which_it_is_known() {
    let mut desk = desk();
    desk.pay("x", 0);
    assert_eq!(desk.label("x", true, Issuer, 5_000), LabelApplied::Applied);
    // Asked in any order: what counts is when it was known, not when it came.
    for (time_ms, expected) in [(5_000, 1), (4_999, 0), (9_000, 1), (0, 0), (5_001, 1)] {
        assert_eq!(desk.frauds(time_ms), Int(expected), "at {time_ms}");
    }
}

#[test]
fn the_newest_known_label_decides_and_fraud_wins_equal_times() {
    let mut desk = desk();
    desk.pay("x", 0);
    desk.label("x", true, Issuer, 5_000);
    desk.label("x", false, Analyst, 6_000);
    desk.label("x", true, Customer, 7_000);
    desk.label("x", false, Chargeback, 7_000);
    for (time_ms, expected) in [(5_999, 1), (6_000, 0), (6_999, 0), (7_000, 1), (9_999, 1)] {
        assert_eq!(desk.frauds(time_ms), Int(expected), "at {time_ms}");
    }
}

#[test]
fn a_source_that_says_the_same_again_keeps_its_earliest_time() {
    let mut desk = desk();
    desk.pay("x", 0);
    desk.label("x", false, Analyst, 5_000);
    desk.label("x", true, Chargeback, 6_000);
    assert_eq!(desk.label("x", false, Analyst, 7_000), LabelApplied::Duplicate);
    assert_eq!(desk.frauds(8_000), Int(1), "the analyst said nothing new at 7,000");
    // The chargeback was known at 4,000 already: now the analyst's is the newer one.
    assert_eq!(desk.label("x", true, Chargeback, 4_000), LabelApplied::Applied);
    assert_eq!(desk.frauds(4_500), Int(1));
    assert_eq!(desk.frauds(8_001), Int(0));
    assert_eq!(desk.label("x", true, Chargeback, 4_000), LabelApplied::Duplicate);
}

#[test]
fn the_order_in_which_labels_come_does_not_matter() {
    let all =
        [(true, Issuer, 3), (false, Analyst, 4), (true, Customer, 5), (false, Issuer, 5), (true, Issuer, 2)];
    let expected = [0, 1, 1, 0, 1].map(Int);
    let mut orders = 0;
    let mut permute = |order: &[usize]| {
        let mut desk = desk();
        desk.pay("x", 0);
        for place in order {
            let (fraud, source, time) = all[*place];
            desk.label("x", fraud, source, time * 1_000);
        }
        let found: Vec<_> = (1..=5).map(|second| desk.frauds(second * 1_000)).collect();
        assert_eq!(found, expected, "{order:?}");
        orders += 1;
    };
    for code in 0..5_usize.pow(5) {
        let order: Vec<usize> = (0..5).map(|place| code / 5_usize.pow(place) % 5).collect();
        if (0..5).all(|label| order.contains(&label)) {
            permute(&order);
        }
    }
    assert_eq!(orders, 120);
}

#[test]
fn the_ratio_is_of_the_payments_in_its_window() {
    let mut desk = desk();
    assert_eq!(desk.pay("a", 0).1[1], Null);
    for (id, time) in [("b", 100), ("c", 200), ("d", 1_000)] {
        desk.pay(id, time);
    }
    desk.label("a", true, Issuer, 300);
    desk.label("c", true, Issuer, 300);
    // (0, 1,000] less a millisecond of delay: b, c and d.
    assert_eq!(desk.pay("e", 1_001).1[1], Real(1.0 / 3.0));
    assert_eq!(desk.pay("f", 9_000).1[1], Null);
}

#[test]
fn labels_wait_for_their_payment_through_every_kind_of_ending() {
    let mut desk = desk();
    desk.pay("first", 0);
    assert_eq!(desk.label("x", true, Issuer, 5_000), LabelApplied::Waiting);
    assert_eq!(desk.label("x", false, Analyst, 6_000), LabelApplied::Waiting);
    assert_eq!(desk.label("x", false, Analyst, 6_000), LabelApplied::Waiting, "the same again");
    assert_eq!(desk.world.enricher.waiting(), (2, 0));
    desk.world.checkpoint(b"owner");
    desk.world = desk.world.reopened().killed(|_| {});
    assert_eq!(desk.world.enricher.waiting(), (2, 0));
    desk.pay("x", 1_000);
    assert_eq!(desk.world.enricher.waiting(), (0, 0));
    assert_eq!((desk.frauds(5_500), desk.frauds(6_000)), (Int(1), Int(0)));
}

#[test]
fn i16_labels_wait_within_a_bound_and_the_one_known_longest_makes_room() {
    let mut desk = Desk::open(1_000, 3);
    for (id, time_ms) in [("a", 10), ("b", 30), ("a", 40), ("c", 20)] {
        desk.label(id, true, Issuer, time_ms);
    }
    // The label of 10 went; the newer one of the same payment did not.
    assert_eq!(desk.world.enricher.waiting(), (3, 1));
    desk.label("a", true, Analyst, 40);
    assert_eq!(desk.world.enricher.waiting(), (3, 2));
    desk.world.checkpoint(b"");
    desk.world = desk.world.reopened();
    assert_eq!(desk.world.enricher.waiting(), (3, 2));
    for id in ["a", "b", "c"] {
        desk.pay(id, 0);
    }
    assert_eq!((desk.frauds(39), desk.frauds(40)), (Int(1), Int(2)), "b at 30, a at 40, c is gone");
}

#[test]
fn a_label_known_longer_ago_than_ids_are_remembered_does_not_wait() {
    let mut desk = desk();
    desk.pay("new", FORGET_MS + 1_000);
    desk.label("x", true, Issuer, 999);
    assert_eq!(desk.world.enricher.waiting(), (0, 1));
    desk.label("x", true, Issuer, 1_000);
    assert_eq!(desk.world.enricher.waiting(), (1, 1));
}

#[test]
fn an_id_is_remembered_by_whole_days_and_its_label_then_waits() {
    let day_ms = 86_400_000;
    let mut desk = desk();
    desk.pay("x", 0);
    // Day 0 ends at day_ms: it is forgotten when the newest event is FORGET_MS behind its end.
    desk.pay("y", day_ms + FORGET_MS - 1);
    assert_eq!(desk.label("x", true, Issuer, FORGET_MS), LabelApplied::Applied);
    desk.pay("z", day_ms + FORGET_MS);
    assert_eq!(desk.label("x", true, Analyst, FORGET_MS), LabelApplied::Waiting);
    let payment = Draft { keys: [Some(0), Some(0), None], amount: 1, ..Draft::default() }.payment("x", 0);
    let again = desk.world.enricher.payment(0, &payment, &mut [Null; 3]).unwrap();
    assert_eq!(again, Applied::Late, "forgotten, and too late to be applied again");
}

#[test]
fn versions_count_every_label_of_a_payment_whatever_is_still_kept() {
    let mut desk = desk();
    assert_eq!(desk.pay("x", 0).0.versions[..], [Some(1), Some(1), None]);
    desk.label("x", true, Issuer, 1);
    desk.label("x", true, Issuer, 1);
    assert_eq!(desk.versions(2), [Some(4), Some(4)]);
    // A hundred seconds later the row is out of every window.
    assert_eq!(desk.versions(100_000), [Some(5), Some(5)]);
    desk.label("x", true, Issuer, 1);
    desk.label("x", false, Issuer, 1);
    assert_eq!(desk.versions(100_001), [Some(8), Some(8)]);
    // A label of another card's payment does not.
    desk.pay_with("other", 100_001, [Some(1), None, None]);
    desk.label("other", true, Issuer, 100_001);
    assert_eq!(desk.versions(100_002), [Some(9), Some(9)]);
}

#[test]
fn versions_count_the_labels_of_a_payment_that_was_folded_at_once() {
    let mut desk = Desk::open(1, 10);
    desk.pay("a", 5_000);
    desk.pay("b", 6_000);
    // Older than all that is kept, and not too late: only a tile takes it.
    let (enriched, _) = desk.pay("x", 4_000);
    assert!(enriched.approximate);
    assert_eq!(desk.label("x", true, Issuer, 6_000), LabelApplied::Applied);
    assert_eq!(desk.versions(6_001), [Some(5), Some(5)]);
    desk.world.checkpoint(b"");
    desk.world = desk.world.reopened();
    assert_eq!(desk.label("x", true, Issuer, 6_000), LabelApplied::Applied);
    assert_eq!(desk.versions(6_002), [Some(7), Some(7)]);
}

#[test]
fn a_label_finds_its_row_among_those_of_one_millisecond_also_when_some_are_folded() {
    let mut desk = Desk::open(3, 10);
    for id in ["a", "b", "c", "d"] {
        desk.pay(id, 1_000);
    }
    // b, c and d are kept.
    assert_eq!(desk.label("c", true, Issuer, 1_000), LabelApplied::Applied);
    desk.world.checkpoint(b"");
    desk.world = desk.world.reopened();
    assert_eq!(desk.label("c", true, Issuer, 1_000), LabelApplied::Duplicate);
    assert_eq!(desk.label("d", true, Issuer, 1_000), LabelApplied::Applied);
    assert_eq!(desk.label("b", true, Issuer, 1_000), LabelApplied::Applied);
    assert_eq!(
        desk.label("a", true, Issuer, 1_000),
        LabelApplied::Applied,
        "folded: it counts as an event only"
    );
    // The asking payment's own row takes the place of b's.
    assert_eq!(desk.frauds(1_001), Int(2));
}
