//! Where files end, and what becomes of each Avro type in them.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;

use apache_avro::types::Value;
use apache_avro::{Decimal, Schema};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use batch::archive::{Archived, Cut, Cutter, Finished, KnownSchema, Treatment, Treatments};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const DAY_MS: i64 = 86_400_000;

const EVERY_TYPE: &str = r#"{"type": "record", "name": "P", "fields": [
  {"name": "id", "type": "string"},
  {"name": "count", "type": "int"},
  {"name": "paid_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
  {"name": "day", "type": {"type": "int", "logicalType": "date"}},
  {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
  {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A", "B"]}},
  {"name": "raw", "type": {"type": "fixed", "name": "F", "size": 2}},
  {"name": "shop", "type": ["null", {"type": "record", "name": "Shop", "fields": [
     {"name": "name", "type": "string"}, {"name": "again", "type": ["null", "K"]}]}]},
  {"name": "tags", "type": {"type": "array", "items": "string"}},
  {"name": "extra", "type": {"type": "map", "values": "long"}},
  {"name": "value", "type": ["null", "long", "double", "boolean"]},
  {"name": "card", "type": "string"},
  {"name": "holder", "type": "string"}]}"#;

fn record(count: i32, value: Value) -> Value {
    let shop = Value::Record(vec![
        ("name".to_owned(), Value::String("shop".to_owned())),
        ("again".to_owned(), Value::Union(1, Box::new(Value::Enum(1, "B".to_owned())))),
    ]);
    let text = |text: &str| Value::String(text.to_owned());
    let fields = vec![
        ("id", text("p-1")),
        ("count", Value::Int(count)),
        ("paid_at", Value::TimestampMicros(1_700_000_000_000_001)),
        ("day", Value::Date(19_675)),
        ("amount", Value::Decimal(Decimal::from(vec![0xff, 0x38]))),
        ("kind", Value::Enum(0, "A".to_owned())),
        ("raw", Value::Fixed(2, vec![1, 2])),
        ("shop", Value::Union(1, Box::new(shop))),
        ("tags", Value::Array(vec![text("x"), text("y")])),
        ("extra", Value::Map([("a".to_owned(), Value::Long(7))].into())),
        ("value", value),
        ("card", text("4111")),
        ("holder", text("A. Person")),
    ];
    Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn bytes(schema: &str, value: Value) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    apache_avro::writer::datum::GenericDatumWriter::builder(&schema)
        .build()
        .unwrap()
        .write_value_to_vec(value)
        .unwrap()
}

fn archived(offset: i64, timestamp_ms: i64, value: Vec<u8>, schema: Option<&Arc<KnownSchema>>) -> Archived {
    Archived { offset, timestamp_ms, value, body_from: 0, schema: schema.cloned(), made: None }
}

fn rows(finished: &Finished) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(finished.bytes.clone()).unwrap();
    builder.build().unwrap().next().unwrap().unwrap()
}

const CUT: Cut = Cut { records: 3, bytes: 1_000 };

#[test]
fn each_avro_type_is_parquets_own_and_sensitive_fields_do_not_arrive() {
    let treatments = Treatments {
        fields: BTreeMap::from([
            ("card".to_owned(), Treatment::Hash),
            ("holder".to_owned(), Treatment::Drop),
        ]),
        key: b"0123456789abcdef".to_vec(),
    };
    let schema = Arc::new(KnownSchema::new(7, EVERY_TYPE, &treatments).unwrap());
    let mut cutter = Cutter::new("payments", 2, Cut { records: 100, bytes: 1 << 20 }, 40);
    let values = [Value::Null, Value::Long(5), Value::Double(0.5), Value::Boolean(true)];
    for (place, value) in (0..).zip(values) {
        let value = Value::Union(place as u32, Box::new(value));
        let value = bytes(EVERY_TYPE, record(place, value));
        assert!(cutter.push(archived(40 + i64::from(place), 0, value, Some(&schema))).unwrap().is_none());
    }
    cutter.push(archived(44, 0, b"nothing".to_vec(), Some(&schema))).unwrap();
    let finished = cutter.finish().unwrap().unwrap();
    assert_eq!(finished.place.to_string(), "payments/dt=1970-01-01/part=2/2-40-44.parquet");
    assert_eq!(
        (finished.manifest.records, finished.manifest.undecodable, finished.manifest.follows),
        (5, 1, 40)
    );
    let batch = rows(&finished);
    let column = |name: &str| batch.column_by_name(name).unwrap_or_else(|| panic!("{name}")).clone();
    assert_eq!(column("count").as_primitive::<Int64Type>().values()[..4], [0, 1, 2, 3]);
    let paid_at = column("paid_at");
    assert_eq!(paid_at.data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    assert_eq!(paid_at.as_primitive::<TimestampMicrosecondType>().value(0), 1_700_000_000_000_001);
    assert_eq!(column("day").as_primitive::<Date32Type>().value(0), 19_675);
    let amount = column("amount");
    assert_eq!(amount.data_type(), &DataType::Decimal128(12, 2));
    assert_eq!(amount.as_primitive::<Decimal128Type>().value(0), -200, "minus two");
    assert_eq!(column("kind").as_string::<i32>().value(0), "A");
    assert_eq!(column("raw").as_binary::<i32>().value(0), [1, 2]);
    let shop = column("shop");
    assert_eq!(shop.as_struct().column_by_name("again").unwrap().as_string::<i32>().value(0), "B");
    assert_eq!(column("tags").as_list::<i32>().value(0).len(), 2);
    assert_eq!(column("extra").as_map().value(0).len(), 1);
    let value = column("value");
    let branch = |name: &str| value.as_struct().column_by_name(name).unwrap().clone();
    assert!(value.is_null(0) && branch("long").as_primitive::<Int64Type>().value(1) == 5);
    assert!(branch("boolean").as_boolean().value(3) && branch("double").is_null(3));
    let card = column("card").as_string::<i32>().value(0).to_owned();
    assert!(card.len() == 64 && card == column("card").as_string::<i32>().value(1));
    assert!(batch.column_by_name("holder").is_none(), "it is left out");
    assert!(column("_undecodable").as_boolean().value(4) && column("id").is_null(4));
    assert!(!finished.bytes.windows(8).any(|part| part == b"A. Perso"));
}

const NARROW: &str = r#"{"type": "record", "name": "N", "fields": [{"name": "a", "type": "int"}]}"#;
const WIDE: &str = r#"{"type": "record", "name": "N", "fields": [
  {"name": "a", "type": "long"}, {"name": "b", "type": ["null", "string"], "default": null}]}"#;
const OTHER: &str = r#"{"type": "record", "name": "N", "fields": [{"name": "a", "type": "string"}]}"#;

#[test]
fn a_file_ends_by_its_records_alone() {
    let known = |id, text| Arc::new(KnownSchema::new(id, text, &Treatments::default()).unwrap());
    let (narrow, wide, other) = (known(1, NARROW), known(2, WIDE), known(3, OTHER));
    let int = || bytes(NARROW, Value::Record(vec![("a".to_owned(), Value::Int(1))]));
    let long = || {
        let b = Value::Union(1, Box::new(Value::String("b".to_owned())));
        bytes(WIDE, Value::Record(vec![("a".to_owned(), Value::Long(2)), ("b".to_owned(), b)]))
    };
    let text = || bytes(OTHER, Value::Record(vec![("a".to_owned(), Value::String("t".to_owned()))]));
    let all = [
        // Full after three: a field that was widened and one that came later are one column each.
        archived(0, 5, int(), Some(&narrow)),
        archived(1, 5, long(), Some(&wide)),
        archived(2, 5, int(), Some(&narrow)),
        // A later day ends a file, an earlier one does not.
        archived(3, 5, int(), Some(&narrow)),
        archived(4, DAY_MS, int(), Some(&narrow)),
        archived(5, 5, int(), Some(&narrow)),
        // What does not go together ends one.
        archived(6, DAY_MS, text(), Some(&other)),
        // So many bytes end one.
        archived(9, DAY_MS, vec![0; 1_000], None),
        archived(10, DAY_MS, int(), Some(&narrow)),
    ];
    let cut = |records: &[Archived], mut cutter: Cutter| {
        let mut files: Vec<Finished> =
            records.iter().filter_map(|record| cutter.push(record.clone()).unwrap()).collect();
        assert!(cutter.is_over(2 * DAY_MS) && !cutter.is_over(DAY_MS), "its day is over tomorrow");
        files.extend(cutter.finish().unwrap());
        assert!(!cutter.is_over(i64::MAX) && cutter.finish().unwrap().is_none(), "nothing waits");
        files
    };
    let files = cut(&all, Cutter::new("t", 0, CUT, 0));
    let bounds: Vec<_> =
        files.iter().map(|file| (file.place.first, file.place.last, file.manifest.follows)).collect();
    assert_eq!(bounds, [(0, 2, 0), (3, 3, 3), (4, 5, 4), (6, 9, 6), (10, 10, 10)]);
    let first = rows(&files[0]);
    assert_eq!(first.column_by_name("a").unwrap().as_primitive::<Int64Type>().values()[..], [1, 2, 1]);
    assert_eq!(first.column_by_name("b").unwrap().null_count(), 2);
    // Begun again behind any file, the rest is the same to the byte.
    for (at, from) in [(3, 3), (4, 4), (6, 6)] {
        let again = cut(&all[at..], Cutter::new("t", 0, CUT, from));
        let rest = &files[files.len() - again.len()..];
        assert!(
            again
                .iter()
                .zip(rest)
                .all(|(one, other)| one.bytes == other.bytes && one.manifest == other.manifest)
        );
    }
}
