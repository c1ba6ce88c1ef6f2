//! States at their bound: never wrong without saying so, approximate exactly when a window reaches what was
//! dropped, then by the stated rule of tiles, and never larger than the bound.

use std::collections::BTreeMap;
use std::sync::Arc;

use feature_store::definition::{Aggregate, Definitions, Number, Windowed};
use feature_store::enricher::{Applied, Limits};
use proptest::prelude::*;
use schemas::time::DurationMs;
use schemas::value::FeatureValue;

use super::oracle::{Oracle, Rules, Said, undefined};
use super::scenario::{Draft, ENTITIES, Record, Scenario, Shape, scenario, vocabulary};
use super::world::{World, check, oracle, random};

fn narrow(partitions: u8) -> impl Strategy<Value = Scenario> {
    let shape = move |max_events, tile_units| Shape { partitions, batches: 24, max_events, tile_units };
    (1..8_usize, 1..7_i64).prop_flat_map(move |(max_events, tile)| scenario(shape(max_events, tile)))
}

#[test]
fn what_is_not_marked_approximate_equals_the_oracles() {
    random("bound", 3_000, &narrow(3), |scenario, tally| {
        let (_, said) = oracle(&scenario);
        let mut world = World::of(&scenario);
        for (logged, said) in scenario.log.iter().zip(&said) {
            for (said, reply) in said.iter().zip(world.apply(logged)) {
                // Its row may have been folded, and its labels with it: only vectors and versions are compared.
                if !matches!(said, Said::Labelled(_)) {
                    check(said, &reply, tally)?;
                }
            }
        }
        Ok(())
    });
}

/// What is left of one entity, kept as simply as can be: places of the oracle's list.
#[derive(Debug, Default)]
struct Left {
    /// By event time, then as applied.
    rows: Vec<usize>,
    folded: Vec<usize>,
    /// Newest event time folded.
    folded_ms: Option<i64>,
}

impl Left {
    fn apply(&mut self, oracle: &Oracle, at: usize, max_events: usize, horizon_ms: impl Fn(i64) -> i64) {
        let time = |place: usize| oracle.payment_at(place).event_time.ms();
        if self.folded_ms.is_some_and(|folded| time(at) < folded) {
            self.folded.push(at);
            return;
        }
        let before = self.rows.partition_point(|row| time(*row) <= time(at));
        self.rows.insert(before, at);
        // Out of every window: forgotten without a trace.
        let horizon = horizon_ms(time(*self.rows.last().unwrap()));
        self.rows.retain(|row| time(*row) > horizon);
        while self.rows.len() > max_events {
            let oldest = self.rows.remove(0);
            self.folded_ms = Some(time(oldest));
            self.folded.push(oldest);
        }
    }
}

struct Model {
    oracle: Oracle,
    limits: Limits,
    left: BTreeMap<(usize, Box<str>), Left>,
}

impl Model {
    fn of(scenario: &Scenario) -> Self {
        let limits = scenario.limits;
        let rules = Rules { lateness_ms: limits.allowed_lateness.0, remember_ms: limits.remember.0 };
        let oracle = Oracle::new(&scenario.features, ENTITIES.len(), rules);
        Self { oracle, limits, left: BTreeMap::new() }
    }

    fn windowed(&self) -> Vec<(usize, Windowed)> {
        let features = self.oracle.features().iter().enumerate();
        features.filter_map(|(i, feature)| feature.windowed().map(|windowed| (i, windowed.clone()))).collect()
    }

    /// Applies the payment that the oracle has just applied; overwrites the values that reach what was dropped and
    /// answers whether there is one.
    fn apply(&mut self, values: &mut [FeatureValue]) -> bool {
        let at = self.oracle.newest_payment();
        let windowed = self.windowed();
        for (entity, key) in self.oracle.payment_at(at).entities.clone().into_iter().enumerate() {
            let own = windowed.iter().filter(|(_, windowed)| windowed.entity == entity);
            let reach = own.map(|(_, windowed)| windowed.window.0 + windowed.delay.0).max();
            if let (Some(key), Some(reach)) = (key, reach) {
                let lateness = self.limits.allowed_lateness.0;
                let left = self.left.entry((entity, key)).or_default();
                left.apply(&self.oracle, at, self.limits.max_events, |newest| newest - reach - lateness);
            }
        }
        let mut approximate = false;
        for (feature, windowed) in windowed {
            let key = self.oracle.payment_at(at).entities[windowed.entity].clone();
            let Some(left) = key.and_then(|key| self.left.get(&(windowed.entity, key))) else { continue };
            let after = self.oracle.payment_at(at).event_time.ms() - windowed.delay.0 - windowed.window.0;
            if left.folded_ms.is_some_and(|folded| after < folded) {
                approximate = true;
                values[feature] = self.folded_value(&windowed, at, left);
            }
        }
        approximate
    }

    /// The rule: what is kept, and where there is neither a filter nor a need to see single events, the tiles whose
    /// last millisecond lies in the window.
    fn folded_value(&self, windowed: &Windowed, at: usize, left: &Left) -> FeatureValue {
        let mut places = self.oracle.window(windowed, at);
        places.retain(|place| left.rows.contains(place));
        let tile = self.limits.tile.0;
        let until = self.oracle.payment_at(at).event_time.ms() - windowed.delay.0;
        let counts = |place: &&usize| {
            let last = self.oracle.payment_at(**place).event_time.ms() / tile * tile + tile - 1;
            until - windowed.window.0 < last && last <= until
        };
        let folded = || left.folded.iter().filter(counts).filter(|_| windowed.filter.is_empty());
        match windowed.aggregate {
            Aggregate::Count
            | Aggregate::Sum(Number::Amount)
            | Aggregate::Mean(Number::Amount)
            | Aggregate::Min(Number::Amount)
            | Aggregate::Max(Number::Amount) => places.extend(folded()),
            Aggregate::FraudRatio => {
                let frauds = Windowed { aggregate: Aggregate::FraudCount, ..windowed.clone() };
                let FeatureValue::Int(frauds) = self.oracle.aggregate(&frauds, at, &places) else { panic!() };
                let payments = places.len() + folded().count();
                return match payments {
                    0 => undefined(windowed),
                    payments => FeatureValue::Real(frauds as f64 / payments as f64),
                };
            }
            _ => {}
        }
        self.oracle.aggregate(windowed, at, &places)
    }
}

#[test]
fn approximate_exactly_when_a_window_reaches_what_was_dropped_and_then_by_the_rule_of_tiles() {
    random("tiles", 3_000, &narrow(1), |scenario, tally| {
        let mut model = Model::of(&scenario);
        let mut world = World::of(&scenario);
        for logged in &scenario.log {
            for (place, record) in logged.records.iter().enumerate() {
                let said = match record {
                    Record::Payment(payment) => model.oracle.payment(0, payment),
                    Record::Label(label) => model.oracle.label(label),
                };
                let reply = world.record(logged, place);
                tally.records += 1;
                let Said::New(vector) = said else { continue };
                let mut values = vector.values;
                let approximate = model.apply(&mut values);
                let (enriched, found) = reply.enriched().unwrap();
                prop_assert_eq!(enriched.approximate, approximate);
                prop_assert!(
                    super::world::same_values(&values, found),
                    "rule {:?} store {:?}",
                    values,
                    found
                );
                tally.new += 1;
                tally.values += values.len() as u64;
                tally.approximate += u64::from(approximate);
            }
        }
        sizes(&scenario, &mut world)
    });
}

/// No state holds more rows than the bound.
fn sizes(scenario: &Scenario, world: &mut World) -> Result<(), TestCaseError> {
    let definitions = scenario.definitions();
    for (entity, plan) in definitions.plans.iter().enumerate().filter(|(_, plan)| plan.is_used()) {
        for key in 0..3 {
            let rows = world.state(entity, &format!("k{key}")).len(plan);
            prop_assert!(rows <= scenario.limits.max_events, "{} rows", rows);
        }
    }
    Ok(())
}

const MERCHANT: &str = r#"
[[feature]]
name = "sum"
entity = "merchant"
aggregate = "sum"
of = "amount"
window = "1d"
[[feature]]
name = "channels"
entity = "merchant"
aggregate = "distinct"
of = "channel"
window = "1h"
[[feature]]
name = "risk"
entity = "merchant"
aggregate = "ratio"
of = "label"
window = "1d"
delay = "1d"
"#;

#[test]
fn i16_a_hot_merchant_stays_within_its_bound_over_two_hundred_thousand_events() {
    let definitions = Arc::new(Definitions::parse("f", MERCHANT, &vocabulary()).unwrap());
    let limits = Limits {
        allowed_lateness: DurationMs(3_600_000),
        remember: DurationMs(3_600_000),
        max_events: 512,
        tile: DurationMs(600_000),
        waiting_labels: 100,
    };
    let mut world = World::start(&definitions, limits, 1 << 20);
    let plan = &definitions.plans[2];
    // Rows with an eighth to grow into; tiles of ten minutes over two days and an hour, twice for doubling.
    let rows = (limits.max_events + 1) * 9 / 8 + 4;
    let tiles = (2 * 86_400 + 3_600) / 600 + 2;
    let most = rows * plan.layout.width * 8 + 2 * tiles * 100 + 12 * limits.max_events * 32;
    let (mut largest, mut approximate) = (0, 0);
    let mut values = [FeatureValue::Null; 3];
    for i in 0..200_000_i64 {
        // About one a second for 55 hours; every seventh is up to an hour late.
        let late = if i % 7 == 0 { i * 7_919 % 3_600_000 } else { 0 };
        let time = (1_500_000_000_000 + i * 1_000 - late).max(0);
        let draft =
            Draft { keys: [None, None, Some(0)], amount: i % 97, channel: Some(0), ..Draft::default() };
        let applied = world.enricher.payment(0, &draft.payment(&format!("t{i}"), time), &mut values).unwrap();
        let Applied::New(enriched) = applied else { panic!("{applied:?}") };
        approximate += u64::from(enriched.approximate);
        for repeat in 0..6 {
            let source = schemas::payment::LabelSource::ALL[repeat];
            let label = super::scenario::label(&format!("t{}", i - 3), i % 2 == 0, source, time.max(3));
            if i % 50 == 3 {
                world.enricher.label(&label).unwrap();
            }
        }
        if i % 1_000 == 999 {
            let state = world.state(2, "k0");
            assert!(state.len(plan) <= limits.max_events);
            largest = largest.max(state.heap_bytes());
        }
    }
    println!("largest state {largest} of {most} bytes, {approximate} of 200,000 vectors approximate");
    assert!(largest <= most, "{largest} over {most}");
    assert!(approximate > 190_000);
}
