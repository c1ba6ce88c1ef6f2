//! The contracts that other teams read: documented, able to evolve, and equal to what our types write.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use apache_avro::types::Value;
use schemas::alert::{Alert, alert_id};
use schemas::audit_head::AuditHead;
use schemas::codec::{Encoder, LabelDecoder, SchemaId, check_schema, decode_own, unframe};
use schemas::contract::Contract;
use schemas::correction::{Correction, Moved, correction_id};
use schemas::dead_letter::DeadLetter;
use schemas::decision::{Decision, Door, Feature, Latency, Verdict, decision_id};
use schemas::payment::{AmountMinor, Currency, Label, LabelSource};
use schemas::reason::{EntityVersion, Reason, ReasonSource};
use schemas::reject::{Reject, RejectCode};
use schemas::time::EventTime;
use schemas::transaction::Transaction;
use schemas::value::FeatureValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

const ID: SchemaId = SchemaId(7);

fn reason() -> Reason {
    Reason {
        code: "velocity".into(),
        text: "12 payments in an hour, usual is 1".to_owned(),
        feature: Some("card_count_1h".into()),
        value: Some(12.0),
        norm: Some(1.25),
        contribution: Some(-0.5),
        source: ReasonSource::Rule,
    }
}

fn bare_reason() -> Reason {
    let source = ReasonSource::Model;
    Reason { feature: None, value: None, norm: None, contribution: None, source, ..reason() }
}

fn entity() -> EntityVersion {
    EntityVersion {
        entity: "card".into(),
        key: "411111******1111".to_owned(),
        version: 1 << 40,
        pending: vec!["tx-0".to_owned()],
        applied: 7,
    }
}

fn decision() -> Decision {
    let feature = |name: &str, value| Feature { name: name.into(), value };
    Decision {
        decision_id: decision_id("tx-1"),
        transaction_id: "tx-1".to_owned(),
        event_time: EventTime::from_ms(1_700_000_000_000).unwrap(),
        decided_at_ms: 1_700_000_000_250,
        attempt: 2,
        amount: AmountMinor::new(12_345).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        verdict: Verdict::Challenge,
        hold: true,
        risk_level: "high".into(),
        rules: vec!["night_abroad".into()],
        lists: vec!["block/card".into()],
        segment: Some("online".into()),
        fallback_policy: Some("rules_only".into()),
        door: Door::Rest,
        score: Some(0.875),
        expected_loss_minor: 10_801,
        reasons: vec![reason(), bare_reason()],
        features: vec![
            feature("count", FeatureValue::Int(i64::MIN)),
            feature("mean", FeatureValue::Real(2.0)),
            feature("night", FeatureValue::Flag(true)),
            feature("ratio", FeatureValue::Null),
        ],
        entities: vec![entity()],
        model: Some("gbm/3".into()),
        policy: "p1".into(),
        features_version: "f1".into(),
        schema_id: 4,
        fallback: Some("model_unavailable".into()),
        approximate: true,
        labels_until: vec![7, 0],
        labels_applied: vec![9, 0],
        source_partition: 3,
        source_offset: 1 << 50,
        latency_us: Latency { decode: 1, features: 2, model: 3, policy: 4, total: 10 },
        alert_id: Some(alert_id("tx-1")),
    }
}

fn bare_decision() -> Decision {
    Decision {
        score: None,
        rules: Vec::new(),
        lists: Vec::new(),
        segment: None,
        fallback_policy: None,
        reasons: Vec::new(),
        features: Vec::new(),
        entities: Vec::new(),
        model: None,
        fallback: None,
        alert_id: None,
        ..decision()
    }
}

fn alert() -> Alert {
    Alert {
        alert_id: alert_id("tx-1"),
        decision_id: decision_id("tx-1"),
        transaction_id: "tx-1".to_owned(),
        event_time: EventTime::from_ms(1).unwrap(),
        raised_at_ms: 2,
        attempt: 1,
        verdict: Verdict::Decline,
        hold: true,
        rule: "big".into(),
        score: None,
        amount: AmountMinor::new(1).unwrap(),
        currency: Currency::parse("USD").unwrap(),
        expected_loss_minor: -1,
        entities: vec![entity(), entity()],
        reasons: vec![reason()],
        model: None,
        policy: "p1".into(),
        source_partition: 0,
        source_offset: 0,
    }
}

fn transaction() -> Transaction {
    Transaction {
        transaction_id: "tx-1".to_owned(),
        event_time: EventTime::from_ms(5).unwrap(),
        amount: AmountMinor::new(99).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        card_id: "c".to_owned(),
        merchant_id: Some("m".to_owned()),
        device_id: None,
        merchant_category: Some("5411".to_owned()),
        country: None,
        channel: Some("online".to_owned()),
    }
}

fn label() -> Label {
    Label {
        transaction_id: "tx-1".into(),
        fraud: true,
        label_time: EventTime::from_ms(123_456).unwrap(),
        source: LabelSource::Chargeback,
    }
}

fn dead_letter() -> DeadLetter {
    DeadLetter::new("tx", 1, 2, b"abc", &Reject::new(RejectCode::Late, "three days"), 4)
}

/// The body of a framed record.
fn encoded(contract: Contract, value: &impl Serialize) -> Vec<u8> {
    let mut out = b"before".to_vec();
    Encoder::new(contract).encode(ID, value, &mut out).unwrap();
    let (id, body) = unframe(&out[6..]).unwrap();
    assert_eq!(id, ID);
    body.to_vec()
}

/// Written, read back, and read by apache-avro to the same values.
fn round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(contract: Contract, value: &T) {
    let body = encoded(contract, value);
    let schema = contract.schema().unwrap();
    assert_eq!(&decode_own::<T>(schema, &body).unwrap(), value);
    let long = [body.as_slice(), b"x"].concat();
    assert_eq!(decode_own::<T>(schema, &long).unwrap_err().code, RejectCode::TrailingBytes);
    for cut in 0..body.len() {
        assert_eq!(decode_own::<T>(schema, &body[..cut]).unwrap_err().code, RejectCode::Malformed);
    }
    // JSON is the third opinion: what the page shows is what the topic holds.
    assert_eq!(json(&by_apache(contract, &body)), serde_json::to_value(value).unwrap());
    assert_eq!(&serde_json::from_value::<T>(serde_json::to_value(value).unwrap()).unwrap(), value);
}

fn by_apache(contract: Contract, body: &[u8]) -> Value {
    let schema = Schema::parse_str(contract.text()).unwrap();
    let mut rest = body;
    let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut rest).unwrap();
    assert!(rest.is_empty());
    value
}

fn json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Long(value) | Value::TimestampMillis(value) => (*value).into(),
        Value::Double(value) => (*value).into(),
        Value::String(value) => value.as_str().into(),
        Value::Union(_, value) => json(value),
        Value::Array(items) => items.iter().map(json).collect(),
        Value::Record(fields) => fields.iter().map(|(name, value)| (name.clone(), json(value))).collect(),
        other => panic!("{other:?} is not in our contracts"),
    }
}

fn correction() -> Correction {
    let decision = decision();
    Correction {
        correction_id: correction_id("run_1", &decision.decision_id),
        run: "run_1".to_owned(),
        decision_id: decision.decision_id,
        transaction_id: decision.transaction_id,
        event_time: decision.event_time,
        amount: decision.amount,
        currency: decision.currency,
        decided: Verdict::Approve,
        should_be: Verdict::Decline,
        score: Some(0.1),
        score_should_be: None,
        missed_alert: true,
        fraud: Some(true),
        features: vec![Moved {
            name: "n".to_owned(),
            seen: FeatureValue::Int(1),
            should_be: FeatureValue::Null,
            class: "late".to_owned(),
        }],
    }
}

#[test]
fn our_types_write_our_contracts() {
    round_trip(Contract::Transaction, &transaction());
    round_trip(Contract::Decision, &decision());
    round_trip(Contract::Decision, &bare_decision());
    round_trip(Contract::Alert, &alert());
    round_trip(Contract::DeadLetter, &dead_letter());
    round_trip(Contract::Correction, &correction());
    let head = AuditHead { seq: 7, hash: "ab".repeat(32), at: EventTime::from_ms(123_456).unwrap() };
    round_trip(Contract::AuditHead, &head);
}

#[test]
fn every_feature_value_keeps_its_type_in_the_union() {
    let values =
        [FeatureValue::Null, FeatureValue::Int(2), FeatureValue::Real(2.0), FeatureValue::Flag(false)];
    for (branch, value) in (0_u32..).zip(values) {
        let one = Decision { features: vec![Feature { name: "f".into(), value }], ..bare_decision() };
        let body = encoded(Contract::Decision, &one);
        let back: Decision = decode_own(Contract::Decision.schema().unwrap(), &body).unwrap();
        assert!(back.features[0].value.same_bits(value));
        let Value::Record(fields) = by_apache(Contract::Decision, &body) else { panic!("not a record") };
        let features = &fields.iter().find(|(name, _)| name == "features").unwrap().1;
        let Value::Array(features) = features else { panic!("not an array") };
        let Value::Record(feature) = &features[0] else { panic!("not a record") };
        assert!(matches!(&feature[1].1, Value::Union(at, _) if *at == branch), "{:?}", feature[1]);
    }
}

#[test]
fn labels_are_read_from_our_schema_and_from_others() {
    let body = encoded(Contract::Label, &label());
    let decoder = LabelDecoder::new(Contract::Label.schema().unwrap()).unwrap();
    assert_eq!(decoder.decode(&body), Ok(label()));
    for cut in 0..body.len() {
        assert_eq!(decoder.decode(&body[..cut]).unwrap_err().code, RejectCode::Malformed);
    }
    assert_eq!(decoder.decode(&[&body[..], b"x"].concat()).unwrap_err().code, RejectCode::TrailingBytes);
    let json = by_apache(Contract::Label, &body);
    assert_eq!(self::json(&json), serde_json::to_value(label()).unwrap());
    // Reordered, one field more, one fewer, microseconds, a renamed field.
    let other = r#"{"type":"record","name":"Verdict","fields":[{"name":"fraud","type":"boolean"},
        {"name":"comment","type":["null","string"]},
        {"name":"label_time","type":["null",{"type":"long","logicalType":"timestamp-micros"}]},
        {"name":"tx","aliases":["transaction_id"],"type":"string"}]}"#;
    let decoder = LabelDecoder::new(&check_schema(other).unwrap()).unwrap();
    let mut body = vec![1, 2, 2, b'c', 2];
    body.extend_from_slice(&[0x92, 0xb1, 0xde, 0x75]); // zigzag of 123_456_777
    body.extend_from_slice(&[8, b't', b'x', b'-', b'1']);
    let label = Label { source: LabelSource::Other, ..label() };
    assert_eq!(decoder.decode(&body), Ok(label));
    assert_eq!(
        decoder.decode(&[0, 0, 0, 8, b't', b'x', b'-', b'1']).unwrap_err().code,
        RejectCode::FieldMissing
    );
    let less = check_schema(&other.replace("\"fraud\"", "\"f\"")).unwrap();
    assert_eq!(LabelDecoder::new(&less).unwrap_err().code, RejectCode::SchemaMismatch);
}

#[test]
fn every_record_and_field_is_documented_and_defaults_are_valid() {
    for contract in Contract::ALL {
        // apache-avro checks the defaults.
        Schema::parse_str(contract.text()).unwrap();
        check_schema(contract.text()).unwrap();
        let json = serde_json::from_str(contract.text()).unwrap();
        assert_eq!(undocumented(&json, contract.name()), Vec::<String>::new());
        assert!(
            contract.text().contains("\"namespace\": \"tripline\"") && !contract.text().contains("\"enum\"")
        );
    }
}

/// The records and fields without a doc.
fn undocumented(json: &serde_json::Value, path: &str) -> Vec<String> {
    let mut missing = Vec::new();
    match json {
        serde_json::Value::Object(object) => {
            let needs =
                object.contains_key("fields") || (object.contains_key("name") && object.contains_key("type"));
            let doc = object.get("doc").and_then(serde_json::Value::as_str).unwrap_or_default();
            if needs && doc.len() < 5 {
                missing.push(path.to_owned());
            }
            for (key, value) in object.iter().filter(|(key, _)| *key != "default") {
                missing.extend(undocumented(value, &format!("{path}.{key}")));
            }
        }
        serde_json::Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                missing.extend(undocumented(item, &format!("{path}[{at}]")));
            }
        }
        _ => {}
    }
    missing
}

#[test]
fn any_optional_field_can_be_dropped_and_old_and_new_read_each_other() {
    for contract in Contract::ALL {
        let json: serde_json::Value = serde_json::from_str(contract.text()).unwrap();
        let whole = Schema::parse_str(contract.text()).unwrap();
        for at in 0..json["fields"].as_array().unwrap().len() {
            let mut less = json.clone();
            let field = less["fields"].as_array_mut().unwrap().remove(at);
            let less_text = less.to_string();
            let optional = field.get("default").is_some();
            let mutual = SchemaCompatibility::mutual_read(&whole, &Schema::parse_str(&less_text).unwrap());
            assert_eq!(
                matches!(mutual, Ok(Compatibility::Full)),
                optional,
                "{}: {}",
                contract.name(),
                field["name"]
            );
            assert_eq!(contract.compare(&less_text).is_ok(), optional);
        }
    }
}

#[test]
fn records_of_an_older_contract_are_read_with_the_defaults() {
    let contract = Contract::Decision;
    let json: serde_json::Value = serde_json::from_str(contract.text()).unwrap();
    let mut old = json.clone();
    old["fields"].as_array_mut().unwrap().retain(|field| field.get("default").is_none());
    let writer = check_schema(&old.to_string()).unwrap();
    // The newer writer also has a field that this version does not know.
    let schema = Schema::parse_str(&old.to_string()).unwrap();
    let fields = serde_json::to_value(decision()).unwrap();
    let Schema::Record(record) = &schema else { panic!("not a record") };
    let values = record.fields.iter().map(|field| {
        let value = &fields[field.name.as_str()];
        let value = match (&field.schema, value.as_i64(), value.as_str()) {
            (Schema::Int, Some(value), _) => Value::Int(value as i32),
            (Schema::TimestampMillis, Some(value), _) => Value::TimestampMillis(value),
            (_, Some(value), _) => Value::Long(value),
            (_, _, Some(text)) => Value::String(text.to_owned()),
            other => panic!("{other:?}"),
        };
        (field.name.clone(), value)
    });
    let value = Value::Record(values.collect());
    let writing = apache_avro::writer::datum::GenericDatumWriter::builder(&schema).build().unwrap();
    let body = writing.write_value_to_vec(value).unwrap();
    let back: Decision = decode_own(&writer, &body).unwrap();
    assert_eq!((back.attempt, back.latency_us, back.approximate), (1, Latency::default(), false));
    assert_eq!(back.source_offset, decision().source_offset);
}

#[test]
fn a_registered_schema_is_compared_parsed() {
    for contract in Contract::ALL {
        let json: serde_json::Value = serde_json::from_str(contract.text()).unwrap();
        assert_eq!(contract.compare(&json.to_string()), Ok(()));
        for other in
            ["", "{}", "\"string\"", Contract::ALL[(contract as usize + 1) % Contract::ALL.len()].text()]
        {
            assert!(contract.compare(other).is_err());
        }
        assert!(
            contract
                .compare(
                    &contract
                        .text()
                        .replace("\"transaction_id\"", "\"tx\"")
                        .replace("\"offset\"", "\"o\"")
                        .replace("\"hash\"", "\"h\"")
                )
                .is_err()
        );
    }
    // What other teams' tools may do to it: docs and order of attributes do not matter.
    let label = r#"{"name":"tripline.Label","type":"record","fields":[{"name":"transaction_id","type":"string"},
        {"name":"fraud","type":"boolean"},{"name":"label_time","type":"long"},{"type":{"type":"string"},"name":"source"}]}"#;
    assert_eq!(Contract::Label.compare(label), Ok(()));
    // Null where we would not expect it.
    let partial = label.replace(r#""fraud","type":"boolean""#, r#""fraud","type":["null","boolean"]"#);
    assert!(Contract::Label.compare(&partial).is_err());
}

#[test]
fn under_a_registered_id_the_bytes_are_the_registered_schemas() {
    let registered = r#"{"type":"record","name":"Label","namespace":"tripline","fields":[
        {"name":"team","type":["null","string"],"default":null},
        {"name":"source","type":"string","default":"other"},
        {"name":"transaction_id","type":"string"},{"name":"fraud","type":"boolean"},
        {"name":"label_time","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#;
    assert_eq!(Contract::Label.compare(registered), Ok(()));
    let mut out = Vec::new();
    Encoder::registered(Contract::Label, registered).unwrap().encode(ID, &label(), &mut out).unwrap();
    let decoder = LabelDecoder::new(&check_schema(registered).unwrap()).unwrap();
    assert_eq!(decoder.decode(&out[5..]), Ok(label()));
    for (from, to, says) in [
        (r#"{"name":"source","type":"string","default":"other"},"#, "", "no field \"source\""),
        (r#"["null","string"],"default":null"#, r#""string","default":"""#, "\"team\" is not ours"),
    ] {
        let error = Encoder::registered(Contract::Label, &registered.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_value_of_another_shape_leaves_nothing_behind() {
    let mut out = b"before".to_vec();
    let error = Encoder::new(Contract::Decision).encode(ID, &label(), &mut out).unwrap_err();
    assert!(error.to_string().starts_with("decision: "));
    assert_eq!(out, b"before");
}

#[test]
fn our_own_payments_need_no_more_than_a_mapping() {
    let mapping = r#"
transaction_id = "transaction_id"
event_time = "event_time"
amount = { field = "amount_minor", unit = "minor" }
currency = "currency"
[entities]
card = "card_id"
merchant = "merchant_id"
device = "device_id"
"#;
    let (section, sink) = schemas::document::Section::open("test", mapping);
    let mapping = schemas::mapping::PaymentMapping::read(section).unwrap();
    assert!(sink.problems().0.is_empty());
    let schema = Contract::Transaction.schema().unwrap();
    let decoder = schemas::codec::PaymentDecoder::new(mapping.into(), schema, &Default::default()).unwrap();
    let payment = decoder.decode(&encoded(Contract::Transaction, &transaction())).unwrap();
    assert_eq!((&*payment.transaction_id, payment.amount), ("tx-1", transaction().amount));
}
