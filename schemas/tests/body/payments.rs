//! The payment of a body is the payment of the same record on the topic, and refusals point at the mapped field.

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use schemas::codec::{Aliases, PaymentDecoder, check_schema};
use schemas::mapping::{Raw, TimeUnit};
use schemas::payment::FieldValue;

use super::{faults, mapping, reader_of};

const SHOP: &str = r#"{"type":"record","name":"P","namespace":"shop","fields":[
  {"name":"id","type":"string"},
  {"name":"time","type":"long"},
  {"name":"total","type":{"type":"bytes","logicalType":"decimal","precision":20,"scale":3}},
  {"name":"ccy","type":["null","string"]},
  {"name":"merchant","type":["null",{"type":"record","name":"M","fields":[
     {"name":"name","type":"string"},
     {"name":"country","type":["null","string"],"default":null}]}],"default":null},
  {"name":"device","type":["null","long","string"],"default":null},
  {"name":"installments","type":"double","default":1},
  {"name":"online","type":"int","default":0}]}"#;

const SHOP_MAPPING: &str = r#"
transaction_id = "id"
event_time = { field = "time", unit = "ms" }
amount = { field = "total", unit = "major", scale = 2 }
currency = "ccy"
[entities]
merchant = ["merchant.name", "merchant.country"]
device = "device"
[fields]
parts = { field = "installments", kind = "integer" }
online = { field = "online", kind = "flag" }
"#;

const GOOD: &str = r#"{
  "online": 1, "total": "12.345", "id": "tx-1", "device": "4a | b", "ccy": "EUR",
  "merchant": {"country": "FR", "name": "Café \\"}, "time": 1700000000123, "installments": 3.0
}"#;

#[test]
fn a_body_is_what_the_topic_would_have_brought() {
    let body = reader_of(SHOP, SHOP_MAPPING).read(GOOD.as_bytes()).unwrap();
    let some = |at, value| Value::Union(at, Box::new(value));
    let text = |text: &str| Value::String(text.to_owned());
    let record = |fields: Vec<(&str, Value)>| {
        Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let merchant = record(vec![("name", text("Café \\")), ("country", some(1, text("FR")))]);
    let value = record(vec![
        ("id", text("tx-1")),
        ("time", Value::Long(1_700_000_000_123)),
        ("total", Value::Decimal(apache_avro::Decimal::from(12_345_i16.to_be_bytes()))),
        ("ccy", some(1, text("EUR"))),
        ("merchant", some(1, merchant)),
        ("device", some(2, text("4a | b"))),
        ("installments", Value::Double(3.0)),
        ("online", Value::Int(1)),
    ]);
    let schema = Schema::parse_str(SHOP).unwrap();
    let on_topic = GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(value).unwrap();
    assert_eq!(body.avro, on_topic);
    let decoder =
        PaymentDecoder::new(mapping(SHOP_MAPPING), &check_schema(SHOP).unwrap(), &Aliases::new()).unwrap();
    assert_eq!(body.payment, decoder.decode(&on_topic).unwrap());
    assert_eq!((&*body.payment.transaction_id, body.payment.amount.minor()), ("tx-1", 1_234));
    assert!(body.payment.fields.contains(&FieldValue::Int(3)));
}

#[test]
fn the_order_of_fields_and_white_space_change_nothing() {
    let reader = reader_of(SHOP, SHOP_MAPPING);
    let other = r#"{"id":"tx-1","time":1700000000123,"total":"12.345","ccy":"EUR","merchant":
        {"name":"Caf\u00e9 \\","country":"FR"},"device":{"string":"4a | b"},"installments":3,"online":1}"#;
    assert_eq!(reader.read(GOOD.as_bytes()), reader.read(other.as_bytes()));
}

#[test]
fn what_the_mapping_refuses_is_pointed_at_all_at_once() {
    let reader = reader_of(SHOP, SHOP_MAPPING);
    let with = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        faults(reader.read(GOOD.replace(from, to).as_bytes()))
    };
    let at = |pointer: &str, code: &'static str| vec![(pointer.to_owned(), code)];
    assert_eq!(with("\"EUR\"", "\"eur\""), at("/ccy", "currency_invalid"));
    assert_eq!(with("\"EUR\"", "null"), at("/ccy", "field_missing"));
    assert_eq!(with("\"tx-1\"", "\"\""), at("/id", "field_missing"));
    assert_eq!(with("\"tx-1\"", &format!("\"{}\"", "x".repeat(257))), at("/id", "field_invalid"));
    assert_eq!(with("\"12.345\"", "\"-1\""), at("/total", "amount_out_of_range"));
    assert_eq!(with("\"12.345\"", "\"10000000000001\""), at("/total", "amount_out_of_range"));
    assert_eq!(with("1700000000123", "-1"), at("/time", "event_time_out_of_range"));
    assert_eq!(with("1700000000123", "1700000000123000"), at("/time", "event_time_out_of_range"));
    assert_eq!(with("\"FR\"", "\"\""), at("/merchant/country", "field_missing"));
    assert_eq!(with("3.0", "3.5"), at("/installments", "field_invalid"));
    assert_eq!(with("\"online\": 1", "\"online\": 2"), at("/online", "field_invalid"));
    let all = GOOD.replace("\"EUR\"", "\"E\"").replace("\"12.345\"", "\"-1\"").replace("\"tx-1\"", "\"\"");
    let found = faults(reader.read(all.as_bytes()));
    let expected =
        [("/id", "field_missing"), ("/total", "amount_out_of_range"), ("/ccy", "currency_invalid")];
    assert_eq!(found, expected.map(|(pointer, code)| (pointer.to_owned(), code)));
    // Left out and null are one: the schema lets both pass, the mapping neither.
    assert_eq!(with("\"ccy\": \"EUR\",", ""), at("/ccy", "field_missing"));
}

#[test]
fn a_branch_that_no_mapping_takes_is_pointed_at() {
    let schema = SHOP.replace(r#"["null","long","string"]"#, r#"["null","bytes","string"]"#);
    let body = GOOD.replace("\"4a | b\"", r#"{"bytes":"AAAA"}"#);
    let found = faults(reader_of(&schema, SHOP_MAPPING).read(body.as_bytes()));
    assert_eq!(found, [("/device".to_owned(), "field_invalid")]);
}

#[test]
fn a_field_that_was_renamed_is_named_as_in_the_schema() {
    let schema = SHOP.replace(r#""name":"ccy""#, r#""name":"currency_code","aliases":["ccy"]"#);
    let reader = reader_of(&schema, SHOP_MAPPING);
    let body = |name: &str, of: &str| GOOD.replace("\"ccy\": \"EUR\"", &format!("\"{name}\": {of}"));
    reader.read(body("currency_code", "\"EUR\"").as_bytes()).unwrap();
    let found = faults(reader.read(body("currency_code", "\"eur\"").as_bytes()));
    assert_eq!(found, [("/currency_code".to_owned(), "currency_invalid")]);
    let found = faults(reader.read(body("ccy", "\"EUR\"").as_bytes()));
    assert_eq!(found, [("/ccy".to_owned(), "unknown_field")]);
}

fn raw() -> impl Strategy<Value = Raw<'static>> {
    prop_oneof![
        2 => Just(Raw::Null),
        4 => (0..3_i64).prop_map(Raw::Int),
        2 => any::<i64>().prop_map(Raw::Int),
        1 => any::<f64>().prop_map(Raw::Real),
        2 => (0..2_000_000_000_000_i64).prop_map(|ms| Raw::Time(ms, TimeUnit::Milli)),
        4 => prop_oneof![Just(""), Just("EUR"), Just("x")].prop_map(|text| Raw::Text(text.into())),
        1 => any::<bool>().prop_map(Raw::Flag),
        1 => (any::<i64>(), 0..5_u32).prop_map(|(value, scale)| Raw::Decimal(value.into(), scale)),
    ]
}

/// Mostly what stands there in a good payment, so that one refusal is as frequent as many.
fn raws() -> impl Strategy<Value = Vec<Raw<'static>>> {
    let good = [
        Raw::Text("id".into()),
        Raw::Int(1_700_000_000_000),
        Raw::Int(5),
        Raw::Text("EUR".into()),
        Raw::Text("m".into()),
        Raw::Null,
        Raw::Int(4),
        Raw::Int(1),
        Raw::Int(1),
    ];
    let each: Vec<_> =
        good.into_iter().map(|good| prop_oneof![9 => Just(good), 1 => raw()].boxed()).collect();
    each
}

proptest! {
    #[test]
    fn refusals_are_those_of_assembling(raws in raws()) {
        let mapping = mapping(SHOP_MAPPING);
        prop_assert_eq!(mapping.paths().len(), raws.len());
        let refusals = mapping.refusals(&raws);
        let first = refusals.first().map(|(_, reject)| reject.clone());
        prop_assert_eq!(mapping.assemble(&raws).err(), first);
    }
}
