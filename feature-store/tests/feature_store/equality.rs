//! Every value, version and outcome equals the oracle's (I6, I7), for random features and random logs.

use proptest::prelude::*;
use schemas::payment::Payment;
use schemas::time::DurationMs;
use schemas::value::FeatureValue;

use super::oracle::Said;
use super::scenario::{Draft, Scenario, Shape, scenario, text, vocabulary};
use super::world::{World, check, oracle, random};
use feature_store::definition::Definitions;
use feature_store::enricher::{Applied, Limits};

/// Bounds so large that nothing is approximate but what comes behind another partition's clock.
pub const WIDE: Shape = Shape { partitions: 3, batches: 24, max_events: 100_000, tile_units: 1 };

#[test]
fn i6_every_value_version_and_outcome_equals_the_oracles() {
    random("equality", 3_000, &scenario(WIDE), |scenario, tally| {
        parsed_as_meant(&scenario)?;
        let (oracle, said) = oracle(&scenario);
        let mut world = World::of(&scenario);
        for (logged, said) in scenario.log.iter().zip(&said) {
            for (said, reply) in said.iter().zip(world.apply(logged)) {
                check(said, &reply, tally)?;
                if let (Said::New(vector), Some((enriched, _))) = (said, reply.enriched()) {
                    prop_assert!(vector.behind || !enriched.approximate, "approximate without need");
                }
            }
        }
        prop_assert_eq!(world.enricher.waiting(), (oracle.waiting(), world.enricher.waiting().1));
        Ok(())
    });
}

/// What is written in the file is what is computed: the oracle must not follow the reader's mistakes.
fn parsed_as_meant(scenario: &Scenario) -> Result<(), TestCaseError> {
    let parsed = scenario.definitions();
    prop_assert_eq!(parsed.features.len(), scenario.features.len());
    for (meant, read) in scenario.features.iter().zip(&parsed.features) {
        prop_assert_eq!((&meant.name, &meant.kind), (&read.name, &read.kind));
    }
    Ok(())
}

const SPECIMEN: &str = r#"
[[feature]]
name = "count"
entity = "card"
aggregate = "count"
window = "100ms"
[[feature]]
name = "before"
entity = "card"
aggregate = "count"
window = "100ms"
include_current = false
[[feature]]
name = "delayed"
entity = "card"
aggregate = "sum"
of = "amount"
window = "100ms"
delay = "50ms"
[[feature]]
name = "mean"
entity = "card"
aggregate = "mean"
of = "items"
window = "1h"
unit = "major"
scale = 1
empty = -1
[[feature]]
name = "channels"
entity = "card"
aggregate = "distinct"
of = "channel"
window = "1h"
where = { online = true }
[[feature]]
name = "gap"
entity = "card"
aggregate = "time_since_last"
window = "1h"
[[feature]]
name = "smallest"
entity = "device"
aggregate = "min"
of = "amount"
window = "1h"
include_current = false
empty = 0
"#;

fn limits() -> Limits {
    Limits {
        allowed_lateness: DurationMs(40),
        remember: DurationMs(86_400_000),
        max_events: 100,
        tile: DurationMs(1_000),
        waiting_labels: 100,
    }
}

/// Payments with what the words of the semantics give for them, worked out by hand: id, time, amount, items, channel,
/// online, device, then the seven features; `None` for what is not applied.
type Row = (&'static str, i64, i64, Option<i64>, u8, bool, Option<u8>, Option<[Value; 7]>);
type Value = FeatureValue;

fn by_hand() -> Vec<Row> {
    use FeatureValue::{Int, Null, Real};
    let row = |count, before, delayed, mean, channels, gap, smallest| {
        Some([Int(count), Int(before), Int(delayed), Real(mean), Int(channels), gap, smallest])
    };
    vec![
        ("a", 1_000, 500, Some(30), 0, true, Some(1), row(1, 0, 0, 3.0, 1, Null, Int(0))),
        // The same time: only what was applied before counts, and the gap is 0.
        ("b", 1_000, 700, None, 1, true, Some(1), row(2, 1, 0, 3.0, 2, Int(0), Int(500))),
        // Right closed: at 1,050 the delayed window ends at 1,000 and holds both.
        ("c", 1_050, 1, Some(15), 1, false, None, row(3, 2, 1_200, 2.25, 2, Int(50), Int(0))),
        // Left open: at 1,100 the events of 1,000 are out.
        ("d", 1_100, 9, None, 0, true, Some(1), row(2, 1, 1_201, 2.25, 2, Int(50), Int(500))),
        // 41 ms late is too late, 40 is not; it is put where it belongs, and those behind it are not asked.
        ("e", 1_059, 9, None, 0, true, Some(1), None),
        ("f", 1_060, 8, None, 2, true, Some(1), row(4, 3, 1_200, 2.25, 3, Int(10), Int(500))),
        // At 1,150 the window (1,050, 1,150] has f, d and itself; the delayed one (1,000, 1,100] c, f and d.
        ("g", 1_150, 0, None, 0, false, Some(2), row(3, 2, 18, 2.25, 3, Int(50), Int(0))),
        // The same again, and the same id with another amount: not applied, and not counted at the next.
        ("g", 1_150, 0, None, 0, false, Some(2), None),
        ("g", 1_150, 1, None, 0, false, Some(2), None),
        ("h", 1_150, 3, None, 0, false, Some(2), row(4, 3, 18, 2.25, 3, Int(0), Int(0))),
    ]
}

#[test]
fn a_log_worked_out_by_hand() {
    let definitions = std::sync::Arc::new(Definitions::parse("f", SPECIMEN, &vocabulary()).unwrap());
    let mut world = World::start(&definitions, limits(), 300);
    let mut oracle = super::oracle::Oracle::new(
        &definitions.features,
        3,
        super::oracle::Rules { lateness_ms: 40, remember_ms: 86_400_000 },
    );
    for (id, time, amount, items, channel, online, device, expected) in by_hand() {
        let keys = [Some(0), device, None];
        let draft =
            Draft { keys, amount, channel: Some(channel), items, online: Some(online), ..Draft::default() };
        let payment: Payment = draft.payment(id, time);
        let mut values = vec![FeatureValue::Null; 7];
        let applied = world.enricher.payment(0, &payment, &mut values).unwrap();
        let said = oracle.payment(0, &payment);
        match (expected, said) {
            (Some(expected), Said::New(vector)) => {
                assert!(matches!(applied, Applied::New(_)), "{id} {applied:?}");
                assert_eq!(vector.values, expected, "the oracle of {id}");
                assert_eq!(values, expected, "the store of {id}");
            }
            (None, Said::Late) => assert_eq!(applied, Applied::Late),
            (None, Said::Duplicate) => assert_eq!(applied, Applied::Duplicate),
            (None, Said::Conflict) => assert_eq!(applied, Applied::Conflict),
            (expected, said) => panic!("{id}: by hand {expected:?}, oracle {said:?}"),
        }
    }
}

/// Payments that are looked at before any of them is applied, each behind those accepted before it, see what they see
/// when they are applied one after the other.
#[test]
fn a_look_behind_what_was_accepted_sees_what_the_stream_will() {
    let definitions = std::sync::Arc::new(Definitions::parse("f", SPECIMEN, &vocabulary()).unwrap());
    let mut world = World::start(&definitions, limits(), 300);
    let accepted: Vec<_> = by_hand()
        .into_iter()
        .filter(|row| row.7.is_some())
        .map(|(id, time, amount, items, channel, online, device, _)| {
            let keys = [Some(0), device, None];
            let online = Some(online);
            let draft = Draft { keys, amount, channel: Some(channel), items, online, ..Draft::default() };
            std::sync::Arc::new(draft.payment(id, time))
        })
        .collect();
    let mut looks = Vec::new();
    for (place, payment) in accepted.iter().enumerate() {
        let ahead = (0..payment.entities.len()).map(|entity| {
            let same =
                |before: &&std::sync::Arc<Payment>| before.entities[entity] == payment.entities[entity];
            accepted[..place].iter().filter(same).cloned().collect()
        });
        let mut values = vec![FeatureValue::Null; 7];
        let glimpse = world.enricher.glimpse(payment).unwrap();
        let enriched = glimpse.see(&definitions, payment, &ahead.collect(), &mut values);
        looks.push((Applied::New(enriched), values));
    }
    assert_eq!(world.enricher.store().counts().0, 0, "a look remembers nobody");
    for (payment, look) in accepted.iter().zip(looks) {
        let mut values = vec![FeatureValue::Null; 7];
        let applied = world.enricher.payment(0, payment, &mut values).unwrap();
        assert_eq!((applied, values), look, "{}", payment.transaction_id);
    }
}

#[test]
fn what_was_accepted_is_applied_however_late_it_comes() {
    let definitions = std::sync::Arc::new(Definitions::parse("f", SPECIMEN, &vocabulary()).unwrap());
    let mut world = World::start(&definitions, limits(), 300);
    let mut values = vec![FeatureValue::Null; 7];
    let draft = Draft { keys: [Some(0), None, None], ..Draft::default() };
    world.enricher.payment(0, &draft.payment("new", 1_000), &mut values).unwrap();
    let late = draft.payment("late", 900);
    assert!(world.enricher.is_late(900) && !world.enricher.is_late(960));
    assert_eq!(world.enricher.payment(0, &late, &mut values).unwrap(), Applied::Late);
    assert!(matches!(world.enricher.accepted_payment(0, &late, &mut values).unwrap(), Applied::New(_)));
    assert_eq!(world.enricher.accepted_payment(0, &late, &mut values).unwrap(), Applied::Duplicate);
    assert_eq!(world.enricher.known("late"), Some(late.content));
}

#[test]
fn the_text_of_a_definition_reads_back() {
    let definitions = Definitions::parse("f", SPECIMEN, &vocabulary()).unwrap();
    let again = Definitions::parse("f", &text(&definitions.features), &vocabulary()).unwrap();
    assert_eq!((&definitions.features, &definitions.version), (&again.features, &again.version));
}
