//! The JSON Schema of a body takes what the reader takes and refuses what it can say, and the example is taken.

use serde_json::{Value, json};

use super::checker::check;
use super::{MAPPING, reader, reader_of, schema};

const EVERY: &str = r#"{"type":"record","name":"R","doc":"All kinds.","fields":[
  {"name":"a","type":"boolean"},{"name":"b","type":"int"},{"name":"c","type":"float"},{"name":"d","type":"double"},
  {"name":"e","type":"bytes"},{"name":"f","type":{"type":"fixed","name":"F","size":5}},
  {"name":"g","type":{"type":"enum","name":"E","symbols":["X","Y"]}},
  {"name":"h","type":{"type":"array","items":{"type":"map","values":["null","int"]}}},
  {"name":"i","type":["null","long","string","F"]},
  {"name":"j","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":4}},
  {"name":"k","type":{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}},
  {"name":"l","type":{"type":"string","logicalType":"uuid"}},
  {"name":"m","type":{"type":"int","logicalType":"date"}},
  {"name":"n","type":{"type":"int","logicalType":"time-millis"}},
  {"name":"o","type":{"type":"long","logicalType":"time-micros"}},
  {"name":"p","type":{"type":"long","logicalType":"local-timestamp-nanos"}},
  {"name":"q","type":{"type":"long","logicalType":"timestamp-micros"}},
  {"name":"r","type":"null"},{"name":"s","type":["null"]},
  {"name":"t","type":{"type":"bytes","logicalType":"decimal","precision":2,"scale":2}}]}"#;

#[test]
fn the_example_is_taken_and_fits() {
    for x in ["", EVERY, r#"["null","int","long","string"]"#] {
        let reader = reader(x);
        let example = reader.example();
        let read = reader.read(example.to_string().as_bytes());
        assert!(read.is_ok(), "{example}: {read:?}");
        check(&reader.json_schema(), &example).unwrap();
    }
}

#[test]
fn the_example_suits_the_mapping() {
    for (time, unit, amount, amount_unit, ccy) in [
        (r#""long""#, "s", r#""double""#, "minor", r#""string""#),
        (r#"["null","long"]"#, "us", r#""double""#, "major", r#"["null","string"]"#),
        (r#""int""#, "s", r#""int""#, "minor", r#"{"type":"enum","name":"C","symbols":["x","USD"]}"#),
        (
            r#"{"type":"long","logicalType":"timestamp-nanos"}"#,
            "ns",
            r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":1}"#,
            "major",
            r#""string""#,
        ),
    ] {
        let text = format!(
            r#"{{"type":"record","name":"P","fields":[{{"name":"id","type":["null","long","string"]}},
            {{"name":"t","type":{time}}},{{"name":"m","type":{amount}}},{{"name":"ccy","type":{ccy}}},
            {{"name":"flag","type":"int"}},{{"name":"n","type":["null","double"]}},
            {{"name":"card","type":["null",{{"type":"record","name":"C1","fields":[
                {{"name":"no","type":"string"}}]}}]}}]}}"#
        );
        let mapping = format!(
            "transaction_id = \"id\"\nevent_time = {{ field = \"t\", unit = \"{unit}\" }}\n\
             amount = {{ field = \"m\", unit = \"{amount_unit}\" }}\ncurrency = \"ccy\"\n\
             [entities]\ncard = [\"card.no\", \"ccy\"]\n[fields]\n\
             flag = {{ field = \"flag\", kind = \"flag\" }}\nn = {{ field = \"n\", kind = \"decimal\", scale = 3 }}\n"
        );
        let reader = reader_of(&text, &mapping);
        let (example, schema) = (reader.example(), reader.json_schema());
        let read = reader.read(example.to_string().as_bytes());
        assert!(read.is_ok(), "{example}: {read:?}");
        check(&schema, &example).unwrap();
        // What a payment cannot do without is required, and null is no way to write it.
        assert_eq!(schema["required"], json!(["id", "t", "m", "ccy", "flag"]));
        for name in ["id", "t", "m", "ccy"] {
            let mut body = example.clone();
            body[name] = Value::Null;
            assert!(check(&schema, &body).is_err(), "{name}");
            assert!(reader.read(body.to_string().as_bytes()).is_err(), "{name}");
        }
    }
}

#[test]
fn names_docs_and_defaults_are_told() {
    let schema = reader(r#"{"type":"bytes"},"default":"abcd""#).json_schema();
    assert_eq!((&schema["title"], &schema["description"]), (&json!("shop.P"), &json!("One payment.")));
    assert_eq!(schema["properties"]["id"]["description"], json!("Its identity."));
    assert_eq!(schema["required"], json!(["id", "when", "cents"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["properties"]["card"]["type"], json!(["string", "null"]));
    assert_eq!(schema["properties"]["card"]["default"], Value::Null);
    assert!(schema["properties"]["card"].get("default").is_some());
    // Avro writes "abcd" for four bytes, a body for three: it is no default to copy.
    assert!(schema["properties"]["x"].get("default").is_none());
    let schema = reader(r#""int","default":3"#).json_schema();
    assert_eq!(schema["properties"]["x"]["default"], json!(3));
}

#[test]
fn what_the_reader_refuses_does_not_fit() {
    let reader = reader(EVERY);
    let (schema, example) = (reader.json_schema(), reader.example());
    for (pointer, wrong) in [
        ("/more", json!(1)),
        ("/x/more", json!(1)),
        ("/id", json!(1)),
        ("/id", json!("")),
        ("/id", json!("x".repeat(257))),
        ("/id", json!("a\0")),
        ("/when", json!(-1)),
        ("/when", json!(i64::MAX)),
        ("/when", json!("2026-01-02T03:04:05")),
        ("/when", json!("2026-01-02T03:04:05.0001Z")),
        ("/when", json!("1926-01-02T03:04:05Z")),
        ("/cents", json!(1.5)),
        ("/cents", json!(-1)),
        ("/cents", json!(1_000_000_000_000_001_i64)),
        ("/x/a", json!(1)),
        ("/x/b", json!(2_147_483_648_i64)),
        ("/x/c", json!(1e39)),
        ("/x/e", json!("AAA")),
        ("/x/e", json!("AAB=")),
        ("/x/f", json!("AAAA")),
        ("/x/g", json!("Z")),
        ("/x/h", json!([{ "k": true }])),
        ("/x/i", json!({ "long": "5" })),
        ("/x/i", json!(true)),
        ("/x/j", json!("100000")),
        ("/x/j", json!("1e2")),
        ("/x/j", json!("1.00000")),
        ("/x/j", json!(1)),
        ("/x/k", json!("f81d4fae")),
        ("/x/l", json!("f81d4fae")),
        ("/x/m", json!("2026-13-01")),
        ("/x/n", json!("24:00:00")),
        ("/x/o", json!("00:00")),
        ("/x/p", json!("2026-01-02T03:04:05Z")),
        ("/x/q", json!("2026-01-02T03:04:05.1234567Z")),
        ("/x/r", json!(0)),
        ("/x/t", json!("1.00")),
    ] {
        let mut body = example.clone();
        let (above, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(above).unwrap()[name] = wrong.clone();
        assert!(check(&schema, &body).is_err(), "{pointer} {wrong} fits");
        assert!(reader.read(body.to_string().as_bytes()).is_err(), "{pointer} {wrong} is taken");
    }
}

#[test]
fn our_own_contract_is_described() {
    let text = schemas::contract::Contract::Transaction.text();
    let mapping = MAPPING.replace("\"id\"", "\"transaction_id\"").replace("\"when\"", "\"event_time\"");
    let mapping = mapping.replace("\"cents\"", "\"amount_minor\"").replace("\"card\"", "\"card_id\"");
    let mapping = mapping.replace("{ value = \"EUR\" }", "\"currency\"");
    let reader = reader_of(text, &mapping);
    let schema = reader.json_schema();
    assert_eq!(schema["properties"]["currency"]["pattern"], json!("^[A-Z]{3}$"));
    assert_eq!(schema["properties"]["amount_minor"]["maximum"], json!(1_000_000_000_000_000_i64));
    check(&schema, &reader.example()).unwrap();
    reader.read(reader.example().to_string().as_bytes()).unwrap();
}

#[test]
fn a_description_is_bounded_as_the_schema_is() {
    // Ten records of ten records of ten fields.
    let record = |name: &str, of: &str| {
        let fields: Vec<_> = (0..10).map(|n| format!(r#"{{"name":"f{n}","type":{of}}}"#)).collect();
        format!(r#"{{"type":"record","name":"{name}","fields":[{}]}}"#, fields.join(","))
    };
    let inner = record("C", r#""int""#);
    let middle = record("B", r#""C""#).replacen(r#""C""#, &inner, 1);
    let outer = record("A", r#""B""#).replacen(r#""B""#, &middle, 1);
    let reader = reader_of(&schema(&outer), MAPPING);
    assert!(reader.json_schema().to_string().len() < 1 << 20);
    reader.read(reader.example().to_string().as_bytes()).unwrap();
}
