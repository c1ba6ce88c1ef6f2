//! The handbook's payments through the real broker and registry, and a user's own schema that evolves.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use feature_store::store::{Source, Topic};
use harness::kafka::{World, read};
use harness::process::{ENDS_WITHIN, until};
use harness::servers::{Servers, Stored};
use schemas::codec::{Encoder, SchemaId};
use schemas::contract::Contract;
use schemas::decision::Decision;
use schemas::payment::{Label, LabelSource};
use schemas::time::EventTime;
use schemas::value::FeatureValue;

use crate::handbook::{batches, data};

const DAY_MS: i64 = 86_400_000;

/// One month in `make test`; `TRIPLINE_HANDBOOK_DAYS=122` by hand for all four.
fn days() -> i64 {
    std::env::var("TRIPLINE_HANDBOOK_DAYS").ok().and_then(|text| text.parse().ok()).unwrap_or(30)
}

pub const SCHEMA: &str = r#"{"type": "record", "name": "CardPayment", "namespace": "handbook", "fields": [
  {"name": "TRANSACTION_ID", "type": "long"},
  {"name": "TX_DATETIME", "type": {"type": "long", "logicalType": "timestamp-micros"}},
  {"name": "CUSTOMER_ID", "type": "int"},
  {"name": "TERMINAL_ID", "type": "int"},
  {"name": "TX_AMOUNT_CENTS", "type": "long"}]}"#;

/// Avro's zig-zag varint: the one thing needed to write such a record.
pub fn put(out: &mut Vec<u8>, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)) as u64;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

#[derive(Clone)]
pub struct Paid {
    pub id: i64,
    pub time_us: i64,
    pub customer: i32,
    pub terminal: i32,
    pub cents: i64,
    pub fraud: bool,
}

fn payments(batch: &RecordBatch) -> impl Iterator<Item = Paid> {
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let long = |name: &str| column(name).as_primitive::<Int64Type>().clone();
    let int = |name: &str| column(name).as_primitive::<Int32Type>().clone();
    let times = column("TX_DATETIME").as_primitive::<TimestampMicrosecondType>().clone();
    let (ids, cents) = (long("TRANSACTION_ID"), long("TX_AMOUNT_CENTS"));
    let (customers, terminals, frauds) = (int("CUSTOMER_ID"), int("TERMINAL_ID"), int("TX_FRAUD"));
    (0..batch.num_rows()).map(move |row| Paid {
        id: ids.value(row),
        time_us: times.value(row),
        customer: customers.value(row),
        terminal: terminals.value(row),
        cents: cents.value(row),
        fraud: frauds.value(row) == 1,
    })
}

/// The plain loop over one entity's events in the order of their versions.
pub struct Event {
    pub time: i64,
    pub cents: i64,
    pub fraud: bool,
}

fn window(events: &[Event], now: i64, width: i64, delay: i64) -> impl Iterator<Item = &Event> {
    let until = now - delay;
    events.iter().filter(move |event| until - width < event.time && event.time <= until)
}

#[test]
fn i1_i6_i10_the_handbook_through_kafka() {
    let Some(data) = data().filter(|_| !crate::fast()) else { return };
    let example = |name: &str| {
        std::fs::read_to_string(harness::servers::root().join("deploy/examples/handbook").join(name)).unwrap()
    };
    let config = example("tripline.toml");
    let config = &config[config.find("[payment]").unwrap()..];
    let config = format!("{config}\nwaiting_labels = 2_000_000\n");
    let world = World::of(
        Servers::shared(),
        "handbook",
        4,
        &config,
        &example("features.toml"),
        &example("policy.toml"),
    );
    let schema = world.servers.register(&world.topic("own-subject"), SCHEMA);
    // All labels first: they wait in the store, and each is applied right behind its payment.
    send_labels(&world, &data);
    let mut process = world.serve(&[], &[]);
    until("labels are committed", Duration::from_secs(120), || world.is_committed());
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
    let sent = send_payments(&world, &data, schema);
    let mut process = world.serve(&[], &[]);
    until("all is committed", Duration::from_secs(300), || {
        assert_eq!(process.ended(), None, "{}", process.log_tail());
        world.is_committed()
    });
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
    let decisions: Vec<Decision> = read(Contract::Decision, &world.servers.read(&world.topic("decisions")));
    let dead = world.servers.read(&world.topic("dead-letters")).len();
    assert_eq!((decisions.len(), dead), (sent.len(), 0), "one decision for each payment and nothing else");
    check(&decisions, &sent);
    println!(
        "{} handbook payments through Kafka: one decision each, all features equal the oracle's",
        decisions.len()
    );
}

/// The payments of the first days.
pub fn first_days(data: &Path) -> impl Iterator<Item = Paid> + use<> {
    let file = data.join("transactions_2018-04_to_07.parquet");
    let mut first_us = None;
    let all = batches(&file).flat_map(|batch| payments(&batch).collect::<Vec<_>>());
    all.take_while(move |paid| {
        (paid.time_us - *first_us.get_or_insert(paid.time_us)) / 1_000 < days() * DAY_MS
    })
}

fn send_labels(world: &World, data: &Path) {
    let mut labels = Encoder::new(Contract::Label);
    for paid in first_days(data) {
        let label_time = EventTime::from_ms(paid.time_us / 1_000 + 7 * DAY_MS).unwrap();
        let transaction_id = paid.id.to_string().into();
        let label = Label { transaction_id, fraud: paid.fraud, label_time, source: LabelSource::Chargeback };
        let mut value = Vec::new();
        labels.encode(SchemaId(world.ids[1]), &label, &mut value).unwrap();
        world.send(Source { topic: Topic::Labels, partition: 0 }, b"", &value);
    }
    world.flush();
}

fn send_payments(world: &World, data: &Path, schema: u32) -> HashMap<i64, Paid> {
    let mut sent = HashMap::new();
    for paid in first_days(data) {
        let mut value = Vec::new();
        schemas::codec::frame(SchemaId(schema), &mut value);
        for number in [paid.id, paid.time_us, paid.customer.into(), paid.terminal.into(), paid.cents] {
            put(&mut value, number);
        }
        let source = Source { topic: Topic::Payments, partition: paid.customer % 4 };
        world.send(source, paid.customer.to_string().as_bytes(), &value);
        sent.insert(paid.id, paid);
    }
    world.flush();
    sent
}

/// Every feature of every decision against the loop, in the recorded order of entity versions.
fn check(decisions: &[Decision], sent: &HashMap<i64, Paid>) {
    let mut of_entity: BTreeMap<(&str, &str), Vec<(i64, &Decision)>> = BTreeMap::new();
    let mut ids = std::collections::HashSet::new();
    for decision in decisions {
        assert!(ids.insert(&decision.transaction_id), "{} is decided twice", decision.transaction_id);
        for entity in &decision.entities {
            let key = (&*entity.entity, entity.key.as_str());
            of_entity.entry(key).or_default().push((entity.version, decision));
        }
    }
    let mut compared = 0;
    for ((entity, _), mut seen) in of_entity {
        seen.sort_by_key(|(version, _)| *version);
        let mut events: Vec<Event> = Vec::new();
        for (place, (version, decision)) in seen.iter().enumerate() {
            // A payment and its label are two events.
            assert_eq!(*version, 2 * place as i64 + 1, "{entity}: a version is missing or doubled");
            let paid = &sent[&decision.transaction_id.parse::<i64>().unwrap()];
            let now = paid.time_us / 1_000;
            events.push(Event { time: now, cents: paid.cents, fraud: paid.fraud });
            for feature in &decision.features {
                let Some(expected) = expected(entity, &feature.name, &events, now) else { continue };
                compared += 1;
                assert!(
                    expected.same_bits(feature.value),
                    "{} {}: {:?}, the loop says {expected:?}",
                    decision.transaction_id,
                    feature.name,
                    feature.value
                );
            }
        }
    }
    assert_eq!(compared, 12 * decisions.len());
}

pub fn expected(entity: &str, name: &str, events: &[Event], now: i64) -> Option<FeatureValue> {
    let width =
        ["_1DAY", "_7DAY", "_30DAY"].iter().zip([1, 7, 30]).find(|(word, _)| name.contains(**word))?.1
            * DAY_MS;
    let count = |delay| window(events, now, width, delay).count() as i64;
    match entity {
        "customer" if name.starts_with("CUSTOMER_ID_NB") => Some(FeatureValue::Int(count(0))),
        "customer" if name.starts_with("CUSTOMER_ID_AVG") => {
            let sum: i64 = window(events, now, width, 0).map(|event| event.cents).sum();
            Some(FeatureValue::Real(sum as f64 / (count(0) * 100) as f64))
        }
        "terminal" if name.starts_with("TERMINAL_ID_NB") => Some(FeatureValue::Int(count(7 * DAY_MS))),
        "terminal" if name.starts_with("TERMINAL_ID_RISK") => {
            let frauds = window(events, now, width, 7 * DAY_MS).filter(|event| event.fraud).count();
            let all = count(7 * DAY_MS);
            Some(FeatureValue::Real(if all == 0 { 0.0 } else { frauds as f64 / all as f64 }))
        }
        _ => None,
    }
}

const OWN_CONFIG: &str = r#"
[payment]
transaction_id = "ref"
event_time = { field = "when", unit = "s" }
amount = { field = "sum.value", unit = "major", scale = 2 }
currency = "sum.unit"
[payment.entities]
payer = "who"
"#;
const OWN_FEATURES: &str = "[[feature]]\nname = \"n\"\nentity = \"payer\"\naggregate = \"count\"\nwindow = \"1d\"\n\
    [[feature]]\nname = \"s\"\nentity = \"payer\"\naggregate = \"sum\"\nof = \"amount\"\nunit = \"minor\"\nwindow = \"1d\"\n";
const SUM: &str = r#"{"type": "record", "name": "Sum", "fields": [
    {"name": "value", "type": "double"}, {"name": "unit", "type": "string"}]}"#;

/// One value of a record.
enum Piece {
    Text(&'static str),
    Long(i64),
    /// An amount with its unit.
    Sum(f64),
}

fn encoded(id: u32, pieces: &[Piece]) -> Vec<u8> {
    let mut out = Vec::new();
    schemas::codec::frame(SchemaId(id), &mut out);
    let text = |out: &mut Vec<u8>, text: &str| {
        put(out, text.len() as i64);
        out.extend_from_slice(text.as_bytes());
    };
    for piece in pieces {
        match piece {
            Piece::Text(word) => text(&mut out, word),
            Piece::Long(value) => put(&mut out, *value),
            Piece::Sum(value) => {
                out.extend_from_slice(&value.to_le_bytes());
                text(&mut out, "CHF");
            }
        }
    }
    out
}

/// A record type that shares no field name with ours; it evolves twice while the service runs.
#[test]
fn a_users_own_schema_that_evolves() {
    use Piece::{Long, Sum, Text};
    if crate::fast() {
        return;
    }
    let world =
        World::of(Servers::shared(), "own", 2, OWN_CONFIG, OWN_FEATURES, "[thresholds]\nreview = 0.5\n");
    let record = |fields: &str| format!(r#"{{"type": "record", "name": "Order", "fields": [{fields}]}}"#);
    let first = record(&format!(
        r#"{{"name": "ref", "type": "string"}}, {{"name": "when", "type": "long"}}, {{"name": "sum", "type": {SUM}}},
        {{"name": "who", "type": "string"}}"#
    ));
    // Reordered, one field more with a default, one renamed by alias.
    let second = record(&format!(
        r#"{{"name": "note", "type": ["null", "string"], "default": null}},
        {{"name": "payer", "type": "string", "aliases": ["who"]}}, {{"name": "sum", "type": {SUM}}},
        {{"name": "ref", "type": "string"}}, {{"name": "when", "type": "long"}}"#
    ));
    // The note is gone again, another field comes.
    let third = record(&format!(
        r#"{{"name": "ref", "type": "string"}}, {{"name": "when", "type": "long"}},
        {{"name": "payer", "type": "string", "aliases": ["who"]}}, {{"name": "shop", "type": "int", "default": 0}},
        {{"name": "sum", "type": {SUM}}}"#
    ));
    let now = tripline::clock::Clock::now(&tripline::clock::SystemClock::default()).wall_ms / 1_000;
    let steps = [
        (&first, vec![Text("a"), Long(now), Sum(1.005), Text("p")]),
        (&second, vec![Long(1), Text("hello"), Text("p"), Sum(2.5), Text("b"), Long(now + 1)]),
        (&third, vec![Text("c"), Long(now + 2), Text("p"), Long(9), Sum(3.0)]),
        // The first schema is still read.
        (&first, vec![Text("d"), Long(now + 3), Sum(4.0), Text("p")]),
    ];
    let mut process = world.serve(&[], &[]);
    for ((schema, pieces), count) in steps.iter().zip(1..) {
        let id = world.servers.register(&world.topic("own-subject"), schema);
        world.send(Source { topic: Topic::Payments, partition: 1 }, b"p", &encoded(id, pieces));
        world.flush();
        until("it is decided", Duration::from_secs(30), || {
            assert_eq!(process.ended(), None, "{}", process.log_tail());
            world.servers.ends(&world.topic("decisions")).iter().sum::<i64>() == count
        });
    }
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
    let stored = world.servers.read(&world.topic("decisions"));
    let decisions: Vec<Decision> = read(Contract::Decision, &stored);
    stored
        .iter()
        .zip(&decisions)
        .zip(0..)
        .for_each(|((record, decision), offset)| headers(record, decision, offset));
    let features =
        decisions.iter().map(|d| (d.transaction_id.as_str(), d.features[0].value, d.features[1].value));
    let int = FeatureValue::Int;
    // 1.005 is a little below its name in binary, so it rounds to 100 cents.
    let expected = [("a", 1, 100), ("b", 2, 350), ("c", 3, 650), ("d", 4, 1_050)];
    assert_eq!(features.collect::<Vec<_>>(), expected.map(|(id, count, sum)| (id, int(count), int(sum))));
    assert!(decisions.iter().all(|decision| decision.currency.as_str() == "CHF"));
    println!("three schemas of a user's own, none with a name of ours: 4 of 4 decided");
}

/// What consumers rely on beside the value: partition and key of the input, and our headers.
fn headers(record: &Stored, decision: &Decision, offset: i64) {
    let header =
        |key: &str| record.headers.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    assert_eq!((record.partition, record.key.as_slice()), (1, &b"p"[..]));
    assert_eq!(
        (header("src-partition"), header("src-offset")),
        (Some("1"), Some(offset.to_string().as_str()))
    );
    assert_eq!(header("decision-id"), Some(decision.decision_id.as_str()));
    assert!(header("traceparent").is_some_and(tripline::emit::is_traceparent));
}
