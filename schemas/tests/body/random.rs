//! Random schemas and values: what is written in JSON is what another reader finds in the bytes, and fits the JSON
//! Schema that is given out for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use apache_avro::types::Value;
use apache_avro::{Decimal, Uuid};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use proptest::prelude::*;
use schemas::codec::BodyError;

use super::checker::check;
use super::{field, read_avro, reader, schema, with};

/// A type. Named ones carry a number, given once the whole is made.
#[derive(Debug, Clone)]
enum Type {
    Plain(&'static str),
    Logical(&'static str, &'static str),
    Decimal(u32, u32),
    Fixed(usize, u32),
    FixedDecimal(u32),
    FixedUuid(u32),
    Enum(usize, u32),
    Array(Box<Type>),
    Map(Box<Type>),
    Nullable(Box<Type>),
    /// Branches of different kinds.
    Several(Vec<Type>),
    Record(Vec<Type>, u32),
}

/// A value as JSON, and as another reader of Avro should find it.
type Sample = (String, Value);

fn leaf() -> impl Strategy<Value = Type> {
    let plain = ["boolean", "int", "long", "float", "double", "string", "bytes"];
    let logical = [
        ("int", "date"),
        ("int", "time-millis"),
        ("long", "time-micros"),
        ("long", "timestamp-millis"),
        ("long", "timestamp-micros"),
        ("long", "timestamp-nanos"),
        ("long", "local-timestamp-millis"),
        ("long", "local-timestamp-micros"),
        ("long", "local-timestamp-nanos"),
        ("string", "uuid"),
    ];
    prop_oneof![
        5 => proptest::sample::select(plain.to_vec()).prop_map(Type::Plain),
        5 => proptest::sample::select(logical.to_vec()).prop_map(|(of, name)| Type::Logical(of, name)),
        1 => (1..=30_u32).prop_flat_map(|all| (Just(all), 0..=all)).prop_map(|(all, scale)| Type::Decimal(all, scale)),
        1 => (0..9_usize).prop_map(|size| Type::Fixed(size, 0)),
        1 => Just(Type::FixedDecimal(0)),
        1 => Just(Type::FixedUuid(0)),
        1 => (1..5_usize).prop_map(|symbols| Type::Enum(symbols, 0)),
    ]
}

fn of_type() -> impl Strategy<Value = Type> {
    let several = |of: BoxedStrategy<Type>| {
        let others = (prop_oneof![leaf(), of.clone()], of).prop_map(|(first, second)| vec![first, second]);
        others.prop_filter_map("branches of one kind", |branches| {
            let mut kinds: Vec<_> = branches.iter().map(kind).collect();
            kinds.sort_unstable();
            kinds.dedup();
            let is_union = |of: &Type| matches!(of, Type::Nullable(_) | Type::Several(_));
            (kinds.len() == branches.len() && !branches.iter().any(is_union))
                .then_some(Type::Several(branches))
        })
    };
    leaf().prop_recursive(3, 24, 4, move |of| {
        let of = of.boxed();
        let not_union = of
            .clone()
            .prop_filter("a union in a union", |of| !matches!(of, Type::Nullable(_) | Type::Several(_)));
        prop_oneof![
            of.clone().prop_map(|of| Type::Array(Box::new(of))),
            of.clone().prop_map(|of| Type::Map(Box::new(of))),
            not_union.prop_map(|of| Type::Nullable(Box::new(of))),
            several(of.clone()),
            prop::collection::vec(of, 0..5).prop_map(|fields| Type::Record(fields, 0)),
        ]
    })
}

/// What no union may hold twice.
fn kind(of: &Type) -> String {
    match of {
        Type::Plain(of) | Type::Logical(of, _) => (*of).to_owned(),
        Type::Decimal(..) => "bytes".to_owned(),
        Type::Array(_) => "array".to_owned(),
        Type::Map(_) => "map".to_owned(),
        named => format!("{named:?}"),
    }
}

fn number(of: &mut Type, next: &mut u32) {
    let mut take = |number: &mut u32| {
        *next += 1;
        *number = *next;
    };
    match of {
        Type::Plain(_) | Type::Logical(..) | Type::Decimal(..) => {}
        Type::Fixed(_, own) | Type::FixedDecimal(own) | Type::FixedUuid(own) | Type::Enum(_, own) => {
            take(own)
        }
        Type::Array(of) | Type::Map(of) | Type::Nullable(of) => number(of, next),
        Type::Several(all) => all.iter_mut().for_each(|of| number(of, next)),
        Type::Record(all, own) => {
            take(own);
            all.iter_mut().for_each(|of| number(of, next));
        }
    }
}

fn avsc(of: &Type) -> String {
    let list = |all: &[Type]| all.iter().map(avsc).collect::<Vec<_>>().join(",");
    match of {
        Type::Plain(of) => format!("\"{of}\""),
        Type::Logical(of, name) => format!(r#"{{"type":"{of}","logicalType":"{name}"}}"#),
        Type::Decimal(all, scale) => {
            format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{all},"scale":{scale}}}"#)
        }
        Type::Fixed(size, own) => format!(r#"{{"type":"fixed","name":"N{own}","size":{size}}}"#),
        Type::FixedDecimal(own) => format!(
            r#"{{"type":"fixed","name":"N{own}","size":8,"logicalType":"decimal","precision":18,"scale":3}}"#
        ),
        Type::FixedUuid(own) => {
            format!(r#"{{"type":"fixed","name":"N{own}","size":16,"logicalType":"uuid"}}"#)
        }
        Type::Enum(symbols, own) => {
            let symbols: Vec<_> = (0..*symbols).map(|n| format!("\"S{n}\"")).collect();
            format!(r#"{{"type":"enum","name":"N{own}","symbols":[{}]}}"#, symbols.join(","))
        }
        Type::Array(of) => format!(r#"{{"type":"array","items":{}}}"#, avsc(of)),
        Type::Map(of) => format!(r#"{{"type":"map","values":{}}}"#, avsc(of)),
        Type::Nullable(of) => format!(r#"["null",{}]"#, avsc(of)),
        Type::Several(all) => format!("[{}]", list(all)),
        Type::Record(all, own) => {
            let fields = all.iter().enumerate();
            let fields: Vec<_> =
                fields.map(|(n, of)| format!(r#"{{"name":"f{n}","type":{}}}"#, avsc(of))).collect();
            format!(r#"{{"type":"record","name":"N{own}","fields":[{}]}}"#, fields.join(","))
        }
    }
}

/// The name of a branch in Avro's JSON form.
fn branch(of: &Type) -> String {
    match of {
        Type::Fixed(_, own)
        | Type::FixedDecimal(own)
        | Type::FixedUuid(own)
        | Type::Enum(_, own)
        | Type::Record(_, own) => format!("shop.N{own}"),
        other => kind(other),
    }
}

/// A string's JSON, some characters escaped that need not be.
fn written(text: &str, escape: bool) -> String {
    if !escape {
        return serde_json::to_string(text).unwrap();
    }
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{units}\"")
}

fn text() -> impl Strategy<Value = (String, String)> {
    (any::<String>(), any::<bool>()).prop_map(|(text, escape)| {
        let text = text.replace('\0', "0");
        (written(&text, escape), text)
    })
}

fn in_base64(bytes: &[u8]) -> String {
    format!("\"{}\"", STANDARD.encode(bytes))
}

fn big_endian(unscaled: i128) -> Vec<u8> {
    let bytes = unscaled.to_be_bytes();
    let shorter = |from: usize| {
        let value = Decimal::from(&bytes[from..]);
        num(&value) == unscaled
    };
    bytes[(0..16).rev().find(|from| shorter(*from)).unwrap()..].to_vec()
}

fn num(decimal: &Decimal) -> i128 {
    let bytes: Vec<u8> = decimal.try_into().unwrap();
    bytes.iter().skip(1).fold(i128::from(bytes[0].cast_signed()), |sum, byte| sum << 8 | i128::from(*byte))
}

fn plain_notation(unscaled: i128, scale: u32) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale as usize + 1);
    let (whole, places) = digits.split_at(digits.len() - scale as usize);
    if places.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{places}") }
}

fn decimal_of(precision: u32, scale: u32) -> impl Strategy<Value = (String, Vec<u8>)> {
    let limit = 10_i128.pow(precision);
    (1 - limit..limit)
        .prop_map(move |unscaled| (format!("\"{}\"", plain_notation(unscaled, scale)), big_endian(unscaled)))
}

fn plain(of: &str) -> BoxedStrategy<Sample> {
    match of {
        "boolean" => any::<bool>().prop_map(|x| (x.to_string(), Value::Boolean(x))).boxed(),
        "int" => any::<i32>().prop_map(|x| (x.to_string(), Value::Int(x))).boxed(),
        "long" => any::<i64>().prop_map(|x| (x.to_string(), Value::Long(x))).boxed(),
        "float" => proptest::num::f32::NORMAL.prop_map(|x| (x.to_string(), Value::Float(x))).boxed(),
        "double" => proptest::num::f64::NORMAL.prop_map(|x| (format!("{x:e}"), Value::Double(x))).boxed(),
        "string" => text().prop_map(|(json, text)| (json, Value::String(text))).boxed(),
        _ => any::<Vec<u8>>().prop_map(|x| (in_base64(&x), Value::Bytes(x))).boxed(),
    }
}

fn time(of: i64, nanos: i64, shift: i32) -> String {
    let instant = Timestamp::from_nanosecond(i128::from(of) * i128::from(nanos)).unwrap();
    if shift == 0 {
        return format!("\"{instant}\"");
    }
    let offset = jiff::tz::Offset::from_seconds(shift * 60).unwrap();
    format!("\"{}\"", instant.display_with_offset(offset))
}

fn logical(name: &'static str) -> BoxedStrategy<Sample> {
    let unit = match name.rsplit('-').next() {
        Some("millis") => 1_000_000,
        Some("micros") => 1_000,
        _ => 1,
    };
    let value: fn(i64) -> Value = match name {
        "date" => |x| Value::Date(i32::try_from(x).unwrap()),
        "time-millis" => |x| Value::TimeMillis(i32::try_from(x).unwrap()),
        "time-micros" => Value::TimeMicros,
        "timestamp-millis" => Value::TimestampMillis,
        "timestamp-micros" => Value::TimestampMicros,
        "timestamp-nanos" => Value::TimestampNanos,
        "local-timestamp-millis" => Value::LocalTimestampMillis,
        "local-timestamp-micros" => Value::LocalTimestampMicros,
        _ => Value::LocalTimestampNanos,
    };
    let day = 86_400_000_000_000_i64;
    let range = match name {
        "uuid" => return uuid().prop_map(|(json, uuid)| (json, Value::Uuid(uuid))).boxed(),
        "date" => -700_000..2_900_000,
        _ if name.starts_with("time-") => 0..day / unit,
        // The years 1678 to 2262, which nanoseconds hold too.
        _ => i64::MIN / 1_000_000 * (1_000_000 / unit) + 1..i64::MAX / 1_000_000 * (1_000_000 / unit),
    };
    (range, 0..3, -1_439..1_440_i32)
        .prop_map(move |(x, way, shift)| {
            let at = |from: usize, to: usize| {
                let text = time(x, unit, 0);
                format!("\"{}\"", &text[from..text.len() - to])
            };
            let json = match (way, name) {
                (0, _) => x.to_string(),
                (_, "date") => {
                    let day = Timestamp::from_second(x * 86_400).unwrap().to_string();
                    format!("\"{}\"", &day[..10])
                }
                (_, name) if name.starts_with("time-") => at(12, 2),
                (_, name) if name.starts_with("local") => at(1, 2),
                (1, _) => time(x, unit, 0),
                _ => time(x, unit, shift),
            };
            (json, value(x))
        })
        .boxed()
}

fn uuid() -> impl Strategy<Value = (String, Uuid)> {
    (any::<u128>(), any::<bool>()).prop_map(|(x, upper)| {
        let uuid = Uuid::from_u128(x);
        let text = uuid.to_string();
        (format!("\"{}\"", if upper { text.to_uppercase() } else { text }), uuid)
    })
}

fn sample(of: &Type) -> BoxedStrategy<Sample> {
    match of.clone() {
        Type::Plain(of) => plain(of),
        Type::Logical(_, name) => logical(name),
        Type::Decimal(all, scale) => {
            decimal_of(all, scale).prop_map(|(json, x)| (json, Value::Decimal(x.into()))).boxed()
        }
        Type::Fixed(size, _) => prop::collection::vec(any::<u8>(), size)
            .prop_map(move |x| (in_base64(&x), Value::Fixed(size, x)))
            .boxed(),
        Type::FixedDecimal(_) => decimal_of(18, 3)
            .prop_map(|(json, short)| {
                let sign = if short[0] & 0x80 == 0 { 0 } else { 0xff };
                let mut all = vec![sign; 8 - short.len()];
                all.extend(short);
                (json, Value::Decimal(all.into()))
            })
            .boxed(),
        Type::FixedUuid(_) => uuid().prop_map(|(json, uuid)| (json, Value::Uuid(uuid))).boxed(),
        Type::Enum(symbols, _) => (0..symbols)
            .prop_map(|n| (format!("\"S{n}\""), Value::Enum(u32::try_from(n).unwrap(), format!("S{n}"))))
            .boxed(),
        Type::Array(of) => prop::collection::vec(sample(&of), 0..4)
            .prop_map(|items| {
                let (json, values): (Vec<_>, _) = items.into_iter().unzip();
                (format!("[ {} ]", json.join(" , ")), Value::Array(values))
            })
            .boxed(),
        Type::Map(of) => prop::collection::vec((text(), sample(&of)), 0..4).prop_map(map).boxed(),
        Type::Nullable(of) => prop_oneof![
            Just(("null".to_owned(), Value::Union(0, Box::new(Value::Null)))),
            sample(&of).prop_map(|(json, value)| (json, Value::Union(1, Box::new(value)))),
        ]
        .boxed(),
        Type::Several(all) => (0..all.len())
            .prop_flat_map(move |at| {
                let name = branch(&all[at]);
                sample(&all[at]).prop_map(move |(json, value)| {
                    let at = u32::try_from(at).unwrap();
                    (format!(r#"{{"{name}":{json}}}"#), Value::Union(at, Box::new(value)))
                })
            })
            .boxed(),
        Type::Record(all, _) => record(&all),
    }
}

fn map(entries: Vec<((String, String), Sample)>) -> Sample {
    let (mut json, mut values) = (Vec::new(), HashMap::new());
    for ((name_json, name), (value_json, value)) in entries {
        if let Entry::Vacant(place) = values.entry(name) {
            place.insert(value);
            json.push(format!("{name_json}:{value_json}"));
        }
    }
    (format!("{{{}}}", json.join(",")), Value::Map(values))
}

/// The fields in any order; those that can be null left out now and then.
fn record(all: &[Type]) -> BoxedStrategy<Sample> {
    let samples: Vec<_> = all.iter().map(sample).collect();
    let orders = Just((0..all.len()).collect::<Vec<_>>()).prop_shuffle();
    let nullable: Vec<_> = all.iter().map(|of| matches!(of, Type::Nullable(_))).collect();
    (samples, orders, prop::collection::vec(any::<bool>(), all.len()))
        .prop_map(move |(mut samples, order, left_out)| {
            let mut json = Vec::new();
            for at in order {
                if nullable[at] && left_out[at] {
                    samples[at].1 = Value::Union(0, Box::new(Value::Null));
                } else {
                    json.push(format!("\"f{at}\" : {}", samples[at].0));
                }
            }
            let values = samples.into_iter().enumerate().map(|(at, (_, value))| (format!("f{at}"), value));
            (format!("{{{}}}", json.join(",")), Value::Record(values.collect()))
        })
        .boxed()
}

fn typed() -> impl Strategy<Value = (String, Sample)> {
    of_type().prop_flat_map(|mut of| {
        number(&mut of, &mut 0);
        (Just(avsc(&of)), sample(&of))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_written_is_what_is_read((of, (json, expected)) in typed()) {
        let reader = reader(&of);
        let body = with(&json);
        let read = reader.read(body.as_bytes());
        prop_assert!(read.is_ok(), "{} {}: {:?}", of, json, read);
        let value = field(read_avro(&schema(&of), &read.unwrap().avro), "x");
        prop_assert_eq!(value, expected, "{} {}", of, json);
        let fits = check(&reader.json_schema(), &serde_json::from_str(&body).unwrap());
        prop_assert_eq!(fits, Ok(()), "{}", of);
        let example = reader.example();
        prop_assert_eq!(check(&reader.json_schema(), &example), Ok(()), "{}", of);
        prop_assert!(reader.read(example.to_string().as_bytes()).is_ok(), "{} {}", of, example);
    }

    #[test]
    fn a_cut_is_a_syntax_error_and_junk_is_no_panic((of, (json, _)) in typed(), cut in any::<prop::sample::Index>(), junk in any::<Vec<u8>>()) {
        let (reader, body) = (reader(&of), with(&json));
        let result = reader.read(&body.as_bytes()[..cut.index(body.len())]);
        prop_assert!(matches!(result, Err(BodyError::Syntax { .. })), "taken");
        let (head, tail) = body.as_bytes().split_at(cut.index(body.len()));
        let _ = reader.read(&[head, &junk, tail].concat());
    }

    #[test]
    fn a_value_of_another_type_is_refused_or_read((of, _) in typed(), (_, (json, _)) in typed()) {
        let reader = reader(&of);
        match reader.read(with(&json).as_bytes()) {
            Ok(body) => {
                read_avro(&schema(&of), &body.avro);
            }
            Err(BodyError::Meaning(faults)) => prop_assert!(faults.iter().all(|fault| fault.pointer.starts_with("/x"))),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
