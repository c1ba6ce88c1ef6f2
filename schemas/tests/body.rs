//! The REST door's body: JSON in the fields of the user's schema becomes the Avro record that the topic gets and the
//! payment that the stream makes of it; everything else is refused with a pointer and a code, and nothing panics.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use schemas::codec::{Aliases, Body, BodyError, BodyReader, check_schema};
use schemas::document::Section;
use schemas::mapping::PaymentMapping;

#[path = "body/checker.rs"]
mod checker;
#[path = "body/described.rs"]
mod described;
#[path = "body/hostile.rs"]
mod hostile;
#[path = "body/kinds.rs"]
mod kinds;
#[path = "body/payments.rs"]
mod payments;
#[path = "body/random.rs"]
mod random;

/// A payment schema with one more field `x`; its attributes follow the type.
fn schema(x: &str) -> String {
    let x = if x.is_empty() { String::new() } else { format!(r#",{{"name":"x","type":{x}}}"#) };
    format!(
        r#"{{"type":"record","name":"P","namespace":"shop","doc":"One payment.","fields":[
        {{"name":"id","type":"string","doc":"Its identity."}},
        {{"name":"when","type":{{"type":"long","logicalType":"timestamp-millis"}}}},
        {{"name":"cents","type":"long"}},
        {{"name":"card","type":["null","string"],"default":null}}{x}]}}"#
    )
}

const MAPPING: &str = r#"
transaction_id = "id"
event_time = "when"
amount = { field = "cents", unit = "minor" }
currency = { value = "EUR" }
[entities]
card = "card"
"#;

fn mapping(text: &str) -> Arc<PaymentMapping> {
    let (section, sink) = Section::open("test", text);
    let mapping = PaymentMapping::read(section);
    assert!(sink.problems().0.is_empty(), "{}", sink.problems());
    Arc::new(mapping.unwrap())
}

fn reader_of(schema: &str, text: &str) -> BodyReader {
    BodyReader::new(mapping(text), &check_schema(schema).unwrap(), &Aliases::new()).unwrap()
}

fn reader(x: &str) -> BodyReader {
    reader_of(&schema(x), MAPPING)
}

/// A body with this `x`.
fn with(x: &str) -> String {
    format!(r#"{{"id":"tx-1","when":1700000000123,"cents":1250,"card":"c-1","x":{x}}}"#)
}

fn read_avro(schema: &str, avro: &[u8]) -> Value {
    let schema = Schema::parse_str(schema).unwrap();
    let mut rest = avro;
    let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut rest).unwrap();
    assert!(rest.is_empty(), "{} bytes left", rest.len());
    value
}

fn field(value: Value, name: &str) -> Value {
    let Value::Record(fields) = value else { panic!("no record") };
    fields.into_iter().find(|(known, _)| known == name).unwrap().1
}

/// What another reader of Avro finds in `x`.
fn taken(x_type: &str, x: &str) -> Value {
    let body = reader(x_type).read(with(x).as_bytes());
    let body: Body = body.unwrap_or_else(|error| panic!("{x_type} {x}: {error:?}"));
    field(read_avro(&schema(x_type), &body.avro), "x")
}

fn faults(result: Result<Body, BodyError>) -> Vec<(String, &'static str)> {
    match result {
        Err(BodyError::Meaning(faults)) => {
            assert!((1..=20).contains(&faults.len()));
            faults.into_iter().map(|fault| (fault.pointer, fault.code)).collect()
        }
        other => panic!("expected faults, found {other:?}"),
    }
}

/// The one fault of a body with this `x`.
fn refused(x_type: &str, x: &str) -> (String, &'static str) {
    let mut faults = faults(reader(x_type).read(with(x).as_bytes()));
    assert_eq!(faults.len(), 1, "{x_type} {x}: {faults:?}");
    faults.remove(0)
}

/// The code of the one fault, which stands at `/x`.
fn code(x_type: &str, x: &str) -> &'static str {
    let (pointer, code) = refused(x_type, x);
    assert_eq!(pointer, "/x", "{x_type} {x}");
    code
}
