//! The topic's door: what is exactly one record of its schema becomes a payment, everything else is refused with
//! its code, quickly, and nothing panics.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Schema};
use proptest::prelude::*;
use schemas::codec::{Aliases, PaymentDecoder, check_schema};
use schemas::document::Section;
use schemas::mapping::PaymentMapping;
use schemas::payment::{FieldValue, Payment};
use schemas::reject::RejectCode;

const RICH: &str = r#"{"type":"record","name":"P","namespace":"shop-a.pay","fields":[
  {"name":"id","type":{"type":"string","avro.java.string":"String"}},
  {"name":"note","type":["null","string"],"default":null},
  {"name":"when","type":{"type":"long","logicalType":"timestamp-micros"}},
  {"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":12,"scale":2}},
  {"name":"ccy","type":{"type":"enum","name":"Ccy","symbols":["EUR","USD"]}},
  {"name":"merchant","type":{"type":"record","name":"M","fields":[
     {"name":"name","type":"string"},
     {"name":"country","type":["null","string"]},
     {"name":"ccy","type":"Ccy"},
     {"name":"geo","type":{"type":"record","name":"G","fields":[{"name":"lat","type":"double"},{"name":"lon","type":"float"}]}}]}},
  {"name":"tags","type":{"type":"array","items":"string"}},
  {"name":"attrs","type":{"type":"map","values":"long"}},
  {"name":"items","type":{"type":"array","items":{"type":"record","name":"I","fields":[
     {"name":"sku","type":"string"},{"name":"qty","type":"int"}]}}},
  {"name":"raw","type":"bytes"},
  {"name":"hash","type":{"type":"fixed","name":"H","size":8}},
  {"name":"fee","type":{"type":"fixed","name":"Fee","size":5,"logicalType":"decimal","precision":10,"scale":3}},
  {"name":"flag","type":"boolean"},
  {"name":"device","type":["null","long","string"]},
  {"name":"account","type":["null",{"type":"record","name":"A","fields":[{"name":"no","type":"long"}]}]}]}"#;

const RICH_MAPPING: &str = r#"
transaction_id = "id"
event_time = "when"
amount = { field = "amount", unit = "major", scale = 2 }
currency = "ccy"
[entities]
merchant = ["merchant.name", "merchant.country"]
device = "device"
[fields]
lat = { field = "merchant.geo.lat", kind = "decimal", scale = 4 }
fee = { field = "fee", kind = "decimal", scale = 3 }
online = { field = "flag", kind = "flag" }
account = { field = "account.no", kind = "integer" }
"#;

fn mapping(text: &str) -> Arc<PaymentMapping> {
    let (section, sink) = Section::open("test", text);
    let mapping = PaymentMapping::read(section);
    assert!(sink.problems().0.is_empty(), "{}", sink.problems());
    Arc::new(mapping.unwrap())
}

fn decoder(schema: &str, text: &str) -> PaymentDecoder {
    PaymentDecoder::new(mapping(text), &check_schema(schema).unwrap(), &Aliases::new()).unwrap()
}

fn written(schema: &str, value: Value) -> Vec<u8> {
    let schema = Schema::parse_str(&schema.replace("shop-a", "shop")).unwrap();
    GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(value).unwrap()
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn record(fields: Vec<(&str, Value)>) -> Value {
    Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn some(branch: u32, value: Value) -> Value {
    Value::Union(branch, Box::new(value))
}

fn rich() -> Vec<u8> {
    let merchant = record(vec![
        ("name", text("Café | \\ Ünder")),
        ("country", some(1, text("FR"))),
        ("ccy", Value::Enum(1, "USD".to_owned())),
        ("geo", record(vec![("lat", Value::Double(48.8566)), ("lon", Value::Float(2.35))])),
    ]);
    let item = |sku: &str| record(vec![("sku", text(sku)), ("qty", Value::Int(2))]);
    let fields = vec![
        ("id", text("tx-1")),
        ("note", some(1, text("gift"))),
        ("when", Value::TimestampMicros(1_700_000_000_123_456)),
        ("amount", Value::Decimal(Decimal::from(12_345_i32.to_be_bytes()))),
        ("ccy", Value::Enum(0, "EUR".to_owned())),
        ("merchant", merchant),
        ("tags", Value::Array(vec![text("a"), text("b")])),
        ("attrs", Value::Map([("k".to_owned(), Value::Long(300))].into())),
        ("items", Value::Array(vec![item("s1"), item("s2")])),
        ("raw", Value::Bytes(vec![0xff, 0, 1])),
        ("hash", Value::Fixed(8, vec![9; 8])),
        ("fee", Value::Decimal(Decimal::from([0xff, 0xff, 0xff, 0xfe, 0x0c]))),
        ("flag", Value::Boolean(true)),
        ("device", some(1, Value::Long(77))),
        ("account", some(1, record(vec![("no", Value::Long(-5))]))),
    ];
    written(RICH, record(fields))
}

#[test]
fn a_rich_record_becomes_a_payment() {
    let payment = decoder(RICH, RICH_MAPPING).decode(&rich()).unwrap();
    assert_eq!(&*payment.transaction_id, "tx-1");
    assert_eq!(payment.event_time.ms(), 1_700_000_000_123);
    assert_eq!((payment.amount.minor(), payment.currency.as_str()), (12_345, "EUR"));
    let keys: Vec<_> = payment.entities.iter().map(|key| key.as_deref()).collect();
    // In the order of the mapping's keys, whichever that is.
    assert!(keys.contains(&Some("77")) && keys.contains(&Some("Café \\| \\\\ Ünder|FR")), "{keys:?}");
    for value in
        [FieldValue::Int(488_566), FieldValue::Int(-500), FieldValue::Flag(true), FieldValue::Int(-5)]
    {
        assert!(payment.fields.contains(&value), "{value:?} not in {:?}", payment.fields);
    }
}

#[test]
fn every_truncation_is_malformed_and_every_tail_is_trailing() {
    let (decoder, body) = (decoder(RICH, RICH_MAPPING), rich());
    for cut in 0..body.len() {
        let reject = decoder.decode(&body[..cut]).unwrap_err();
        assert_eq!(reject.code, RejectCode::Malformed, "cut at {cut}: {reject}");
    }
    for tail in [&b"\0"[..], b"junk", &body] {
        let long = [body.as_slice(), tail].concat();
        assert_eq!(decoder.decode(&long).unwrap_err().code, RejectCode::TrailingBytes);
    }
}

#[test]
fn a_flipped_byte_never_panics_and_never_invents_a_length() {
    let (decoder, body) = (decoder(RICH, RICH_MAPPING), rich());
    for at in 0..body.len() {
        for bit in 0..8 {
            let mut flipped = body.clone();
            flipped[at] ^= 1 << bit;
            let _ = decoder.decode(&flipped);
        }
    }
}

const MINIMAL: &str = r#"
transaction_id = "id"
event_time = { field = "t", unit = "ms" }
amount = { field = "a", unit = "minor" }
currency = { value = "EUR" }
[entities]
card = "c"
"#;

/// A schema with the minimal mapping's fields, and one more of this type before them.
fn with_skipped(skipped: &str) -> String {
    format!(
        r#"{{"type":"record","name":"P","fields":[{{"name":"x","type":{skipped}}},
        {{"name":"id","type":"string"}},{{"name":"t","type":"long"}},{{"name":"a","type":"long"}},
        {{"name":"c","type":["null","string"]}}]}}"#
    )
}

/// id "i", t 1, a 2, c null.
const MINIMAL_BODY: &[u8] = &[2, b'i', 2, 4, 0];

fn varint(value: i64) -> Vec<u8> {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    let mut out = Vec::new();
    while zigzag >= 0x80 {
        out.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
    out
}

/// The refusal (or not) of a record whose first, skipped field has these bytes.
fn skipped(schema: &str, bytes: &[u8]) -> Result<Payment, RejectCode> {
    let decoder = decoder(&with_skipped(schema), MINIMAL);
    decoder.decode(&[bytes, MINIMAL_BODY].concat()).map_err(|reject| reject.code)
}

#[test]
fn skipped_values_are_checked_like_wanted_ones() {
    let malformed = |schema: &str, bytes: &[u8]| {
        assert_eq!(skipped(schema, bytes), Err(RejectCode::Malformed), "{schema} {bytes:?}");
    };
    assert!(skipped(r#""string""#, &[4, b'o', b'k']).is_ok());
    malformed(r#""string""#, &[4, 0xff, 0xfe]);
    malformed(r#""string""#, &varint(-1));
    malformed(r#""bytes""#, &varint(i64::MAX));
    malformed(r#""boolean""#, &[2]);
    malformed(r#""int""#, &varint(1 << 33));
    malformed(r#"["null","string"]"#, &varint(2));
    malformed(r#"["null","string"]"#, &varint(-1));
    malformed(r#"{"type":"enum","name":"E","symbols":["A"]}"#, &varint(1));
    malformed(r#"{"type":"enum","name":"E","symbols":["A"]}"#, &varint(-1));
    malformed(r#"{"type":"map","values":"null"}"#, &[2, 2, 0xff, 0]);
    malformed(r#"{"type":"array","items":"string"}"#, &[2, 2, 0xff, 0]);
    // A block may say how many bytes it has; the items are read all the same.
    assert!(skipped(r#"{"type":"array","items":"string"}"#, &[1, 4, 2, b'a', 0]).is_ok());
    malformed(r#"{"type":"array","items":"string"}"#, &[1, 4, 2, 0xff, 0]);
    // Eleven bytes, and ten that overflow 64 bits.
    malformed(r#""long""#, &[[0x80; 10].as_slice(), &[0]].concat());
    malformed(r#""long""#, &[[0xff; 9].as_slice(), &[2]].concat());
}

#[test]
fn bombs_are_refused_quickly() {
    let wide =
        (0..1_900).map(|i| format!(r#"{{"name":"f{i}","type":"null"}}"#)).collect::<Vec<_>>().join(",");
    let nulls = format!(r#"{{"type":"record","name":"N","fields":[{wide}]}}"#);
    let array = |items: &str| format!(r#"{{"type":"array","items":{items}}}"#);
    let inner: Vec<u8> = [varint(100_000), vec![0]].concat();
    let many = [varint(5_000), inner.repeat(5_000), vec![0]].concat();
    let started = Instant::now();
    for (schema, bytes) in [
        (array(r#""null""#), [varint(1 << 40), vec![0]].concat()),
        (array(r#""null""#), [varint(i64::MIN), varint(0), vec![0]].concat()),
        (array(r#""null""#), [varint(-(1 << 40)), varint(1), vec![0]].concat()),
        (array(r#""string""#), varint(i64::MAX)),
        (array(&array(r#""null""#)), many.clone()),
        (array(&nulls), [varint(60_000), vec![0]].concat()),
        (array(r#"{"type":"fixed","name":"Z","size":0}"#), [varint(1 << 40), vec![0]].concat()),
        (r#"{"type":"map","values":"null"}"#.to_owned(), varint(1 << 40)),
        (r#"{"type":"fixed","name":"Z","size":9223372036854775807}"#.to_owned(), vec![0; 64]),
    ] {
        assert_eq!(skipped(&schema, &bytes), Err(RejectCode::Malformed), "{schema:.60}");
    }
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    // A few nulls are no bomb.
    assert!(skipped(&array(r#""null""#), &[varint(50), vec![0]].concat()).is_ok());
}

#[test]
fn field_order_and_further_fields_do_not_change_the_payment() {
    let body = |schema: &str, extra: bool| {
        let mut fields =
            vec![("id", text("i")), ("t", Value::Long(1)), ("a", Value::Long(2)), ("c", some(1, text("k")))];
        if extra {
            fields.push(("x", text("more")));
        }
        written(schema, record(fields))
    };
    let old = r#"{"type":"record","name":"P","fields":[{"name":"id","type":"string"},{"name":"t","type":"long"},
        {"name":"a","type":"long"},{"name":"c","type":["null","string"]}]}"#;
    let new = r#"{"type":"record","name":"P","fields":[{"name":"c","type":["null","string"]},{"name":"x","type":"string"},
        {"name":"a","type":"long"},{"name":"t","type":"long"},{"name":"id","type":"string"}]}"#;
    let first = decoder(old, MINIMAL).decode(&body(old, false)).unwrap();
    let second = decoder(new, MINIMAL).decode(&body(new, true)).unwrap();
    assert_eq!(first, second);
    assert_eq!(first.content, second.content);
    // A key's field that is gone is null; a required one is a mismatch that names it.
    let less = r#"{"type":"record","name":"P","fields":[{"name":"id","type":"string"},{"name":"t","type":"long"},
        {"name":"a","type":"long"}]}"#;
    let third = decoder(less, MINIMAL).decode(&[2, b'i', 2, 4]).unwrap();
    assert_eq!(third.entities.as_slice(), [None]);
    for (schema, says) in [
        (less.replace(r#""a""#, r#""b""#), "amount: the schema has no field \"a\""),
        (
            less.replace(r#""a","type":"long""#, r#""a","type":"string""#),
            "amount: the field \"a\" is a string",
        ),
        (less.replace(r#""a","type":"long""#, r#""a","type":"null""#), "amount: the field \"a\" is null"),
        (
            less.replace(r#""id","type":"string""#, r#""id","type":["null","bytes"]"#),
            "transaction_id: the field \"id\" is bytes",
        ),
        (
            with_skipped("\"int\"").replace(r#"["null","string"]"#, r#"{"type":"map","values":"int"}"#),
            "card: the field \"c\" is a map",
        ),
    ] {
        let refusal = PaymentDecoder::new(mapping(MINIMAL), &check_schema(&schema).unwrap(), &Aliases::new());
        let reject = refusal.unwrap_err();
        assert_eq!(reject.code, RejectCode::SchemaMismatch);
        assert!(reject.detail.starts_with(says), "{reject}");
    }
    let unit = MINIMAL.replace(r#"{ field = "t", unit = "ms" }"#, r#""t""#);
    let refusal = PaymentDecoder::new(mapping(&unit), &check_schema(less).unwrap(), &Aliases::new());
    assert!(refusal.unwrap_err().detail.contains("event_time: the field \"t\" is a long without"));
}

#[test]
fn a_renamed_field_is_found_whichever_name_the_mapping_has() {
    let base = r#"{"type":"record","name":"P","fields":[{"name":"id","type":"string"},{"name":"t","type":"long"},
        {"name":"w","type":["null",{"type":"record","name":"W","fields":[AMOUNT]}]},{"name":"c","type":"string"}]}"#;
    let old = base.replace("AMOUNT", r#"{"name":"amt","type":"long"}"#);
    let new = base.replace("AMOUNT", r#"{"name":"amount","aliases":["amt"],"type":"long"}"#);
    let body = [2, b'i', 2, 2, 84, 2, b'k'];
    let (old, new) = (check_schema(&old).unwrap(), check_schema(&new).unwrap());
    let mut learned = Aliases::new();
    learned.learn(&old);
    learned.learn(&new);
    let by = |name: &str| mapping(&MINIMAL.replace(r#"field = "a""#, &format!(r#"field = "w.{name}""#)));
    for name in ["amt", "amount"] {
        for schema in [&old, &new] {
            let payment = PaymentDecoder::new(by(name), schema, &learned).unwrap().decode(&body).unwrap();
            assert_eq!(payment.amount.minor(), 42, "{name}");
        }
    }
    // Without having met the new schema, nothing says that "amount" was once "amt".
    let refusal = PaymentDecoder::new(by("amount"), &old, &Aliases::new());
    assert_eq!(refusal.unwrap_err().code, RejectCode::SchemaMismatch);
}

/// The payment (or code) of a record whose amount has this type and these bytes.
fn amount(schema: &str, unit: &str, bytes: &[u8]) -> Result<i64, RejectCode> {
    let schema = with_skipped("\"null\"").replace(r#""a","type":"long""#, &format!(r#""a","type":{schema}"#));
    let mapping = MINIMAL.replace(r#"unit = "minor""#, unit);
    let body = [&[2, b'i', 2], bytes, &[0]].concat();
    decoder(&schema, &mapping)
        .decode(&body)
        .map(|payment| payment.amount.minor())
        .map_err(|reject| reject.code)
}

#[test]
fn amounts_of_every_type() {
    let (minor, major) = (r#"unit = "minor""#, r#"unit = "major", scale = 2"#);
    let real = |value: f64| value.to_le_bytes();
    assert_eq!(amount(r#""int""#, minor, &varint(1_234)), Ok(1_234));
    assert_eq!(amount(r#""double""#, major, &real(12.345)), Ok(1_234));
    assert_eq!(amount(r#""float""#, major, &12.5_f32.to_le_bytes()), Ok(1_250));
    assert_eq!(amount(r#"["null","int","double"]"#, major, &[&[4][..], &real(0.01)].concat()), Ok(1));
    for wild in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1.0] {
        assert_eq!(amount(r#""double""#, major, &real(wild)), Err(RejectCode::AmountOutOfRange), "{wild}");
    }
    assert_eq!(amount(r#""double""#, major, &real(-0.0)), Ok(0));
    assert_eq!(amount(r#""long""#, minor, &varint(i64::MIN)), Err(RejectCode::AmountOutOfRange));
    assert_eq!(amount(r#"["null","long"]"#, minor, &[0]), Err(RejectCode::FieldMissing));
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":60,"scale":3}"#;
    assert_eq!(amount(decimal, major, &[4, 0x30, 0x39]), Ok(1_234)); // 12.345, half to even
    assert_eq!(amount(decimal, major, &[2, 0xff]), Ok(0)); // -0.001
    assert_eq!(amount(decimal, major, &[[40].as_slice(), &[0; 18], &[0x30, 0x39]].concat()), Ok(1_234));
    assert_eq!(
        amount(decimal, major, &[[34].as_slice(), &[0; 1], &[0x80; 16]].concat()),
        Err(RejectCode::AmountOutOfRange)
    );
    assert_eq!(
        amount(decimal, major, &[[40].as_slice(), &[1; 20]].concat()),
        Err(RejectCode::AmountOutOfRange)
    );
    assert_eq!(amount(decimal, major, &[0]), Err(RejectCode::Malformed));
    let whole = r#"{"type":"bytes","logicalType":"decimal","precision":6}"#;
    assert_eq!(amount(whole, major, &[2, 7]), Ok(700));
    // A union's branch that no mapping can take.
    assert_eq!(amount(r#"["long","bytes"]"#, minor, &[2, 2, 7]), Err(RejectCode::FieldInvalid));
}

/// The key of a record whose card has this type and these bytes.
fn key(schema: &str, bytes: &[u8]) -> Result<Option<String>, RejectCode> {
    let schema = with_skipped("\"null\"").replace(r#"["null","string"]"#, schema);
    let payment = decoder(&schema, MINIMAL).decode(&[&[2, b'i', 2, 4], bytes].concat());
    payment.map(|payment| payment.entities[0].as_deref().map(str::to_owned)).map_err(|reject| reject.code)
}

#[test]
fn keys_and_times_of_every_type() {
    let enumeration = r#"{"type":"enum","name":"E","symbols":["VISA","MC"]}"#;
    assert_eq!(key(enumeration, &[2]), Ok(Some("MC".to_owned())));
    assert_eq!(key(enumeration, &[4]), Err(RejectCode::Malformed));
    assert_eq!(key(enumeration, &[1]), Err(RejectCode::Malformed));
    assert_eq!(key(&format!(r#"["string",{enumeration}]"#), &[2, 0]), Ok(Some("VISA".to_owned())));
    assert_eq!(key(r#""long""#, &varint(i64::MIN)), Ok(Some(i64::MIN.to_string())));
    assert_eq!(key(r#"{"type":"string","logicalType":"uuid"}"#, &[2, b'u']), Ok(Some("u".to_owned())));
    let uuid = r#"{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}"#;
    let text = "00112233-4455-6677-8899-aabbccddeeff".to_owned();
    assert_eq!(key(uuid, &(0..16).map(|i| i * 0x11).collect::<Vec<u8>>()), Ok(Some(text)));
    assert_eq!(key(r#""string""#, &[0]), Err(RejectCode::FieldMissing));
    // A length of three, and U+0000 between two letters: Postgres has no such text.
    assert_eq!(key(r#""string""#, &[6, b'a', 0, b'b']), Err(RejectCode::FieldInvalid));
    assert_eq!(key(r#""string""#, &[2, 0xc3]), Err(RejectCode::Malformed));
    assert_eq!(key(r#"["null","boolean"]"#, &[2, 1]), Err(RejectCode::FieldInvalid));
    assert_eq!(key(r#"["null","string"]"#, &[0]), Ok(None));
    for (logical, value) in
        [("timestamp-millis", 5_i64), ("local-timestamp-micros", 5_999), ("timestamp-nanos", 5_999_999)]
    {
        let time = format!(r#""t","type":{{"type":"long","logicalType":"{logical}"}}"#);
        let schema = with_skipped("\"null\"").replace(r#""t","type":"long""#, &time);
        let body = [&[2, b'i'], varint(value).as_slice(), &[4, 0]].concat();
        // The schema's unit counts, not the mapping's.
        let payment = decoder(&schema, &MINIMAL.replace("\"ms\"", "\"s\"")).decode(&body).unwrap();
        assert_eq!(payment.event_time.ms(), 5, "{logical}");
    }
}

#[test]
fn branches_of_records_go_by_their_own_plan() {
    let schema = with_skipped("\"null\"").replace(
        r#"["null","string"]"#,
        r#"["null",{"type":"record","name":"Card","fields":[{"name":"x","type":"int"},{"name":"no","type":"string"}]},
           {"type":"record","name":"Iban","fields":[{"name":"no","type":"string"},{"name":"bic","type":"string"}]}]"#,
    );
    let decoder = decoder(&schema, &MINIMAL.replace(r#""c""#, r#""c.no""#));
    let key = |bytes: &[u8]| {
        let payment = decoder.decode(&[&[2, b'i', 2, 4], bytes].concat()).unwrap();
        payment.entities[0].as_deref().map(str::to_owned)
    };
    assert_eq!(key(&[0]), None);
    assert_eq!(key(&[2, 9, 2, b'k']), Some("k".to_owned()));
    assert_eq!(key(&[4, 2, b'i', 2, b'b']), Some("i".to_owned()));
}

#[test]
fn the_deepest_schema_that_is_taken_is_decoded() {
    // Flat text, deep types: each record holds the one before. 60 records, an int, and the top.
    let chain = (1..60).fold(
        r#"{"name":"f0","type":{"type":"record","name":"R0","fields":[{"name":"f","type":"int"}]}}"#
            .to_owned(),
        |fields, i| {
            let inner =
                format!(r#"{{"type":"record","name":"R{i}","fields":[{{"name":"f","type":"R{}"}}]}}"#, i - 1);
            format!(r#"{fields},{{"name":"f{i}","type":{inner}}}"#)
        },
    );
    let schema = with_skipped("\"null\"").replace(r#""fields":["#, &format!(r#""fields":[{chain},"#));
    let deep = decoder(&schema, MINIMAL);
    assert!(deep.decode(&[&[1; 60], MINIMAL_BODY].concat()).is_ok());
    assert_eq!(deep.decode(&[1; 30]).unwrap_err().code, RejectCode::Malformed);
}

#[test]
fn decoders_are_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&decoder(RICH, RICH_MAPPING));
    shared(&check_schema(RICH).unwrap());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decoder(RICH, RICH_MAPPING).decode(&body);
        let _ = schemas::codec::unframe(&body);
    }

    #[test]
    fn random_damage_never_panics(at in 0_usize..200, bytes in proptest::collection::vec(any::<u8>(), 1..12)) {
        let mut body = rich();
        let at = at % body.len();
        let end = (at + bytes.len()).min(body.len());
        body.splice(at..end, bytes);
        let _ = decoder(RICH, RICH_MAPPING).decode(&body);
    }
}
