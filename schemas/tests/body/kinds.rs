//! Every type and logical type: what is written for it, what another reader finds, what is refused.

use apache_avro::Decimal;
use apache_avro::types::Value;

use super::{code, refused, taken};

fn logical(of: &str, name: &str) -> String {
    format!(r#"{{"type":"{of}","logicalType":"{name}"}}"#)
}

fn decimal(precision: u32, scale: u32) -> String {
    format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":{scale}}}"#)
}

#[test]
fn whole_numbers_are_exact_or_refused() {
    for (x, value) in [("0", 0), ("-0", 0), ("9007199254740993", (1 << 53) + 1), ("-64", -64), ("64", 64)] {
        assert_eq!(taken(r#""long""#, x), Value::Long(value));
    }
    assert_eq!(taken(r#""long""#, &i64::MAX.to_string()), Value::Long(i64::MAX));
    assert_eq!(taken(r#""long""#, &i64::MIN.to_string()), Value::Long(i64::MIN));
    assert_eq!(taken(r#""int""#, "2147483647"), Value::Int(i32::MAX));
    for x in ["1.0", "1e2", "1E2", "0.5", "1e400", "\"1\"", "true", "null", "[1]", "{}"] {
        assert_eq!(code(r#""long""#, x), "wrong_type", "{x}");
        assert_eq!(code(r#""int""#, x), "wrong_type", "{x}");
    }
    for x in ["9223372036854775808", "-9223372036854775809", &"9".repeat(400)] {
        assert_eq!(code(r#""long""#, x), "out_of_range", "{x}");
        assert_eq!(code(r#""int""#, x), "out_of_range", "{x}");
    }
    assert_eq!(code(r#""int""#, "2147483648"), "out_of_range");
    assert_eq!(code(r#""int""#, "-2147483649"), "out_of_range");
}

#[test]
fn floats_are_the_nearest_and_finite() {
    for x in ["0.1", "-0.0", "1e2", "5", "1.7976931348623157e308", "4.9e-324", "0.30000000000000004"] {
        let Value::Double(found) = taken(r#""double""#, x) else { panic!("no double") };
        assert_eq!(found.to_bits(), x.parse::<f64>().unwrap().to_bits(), "{x}");
    }
    // Rounded once: by way of a double it would be the next float down.
    let twice = "1.00000017881393432617187499999";
    assert_eq!(taken(r#""float""#, twice), Value::Float(twice.parse().unwrap()));
    for x in ["1e400", "-1e400", "1e309"] {
        assert_eq!(code(r#""double""#, x), "out_of_range", "{x}");
    }
    assert_eq!(code(r#""float""#, "3.5e38"), "out_of_range");
    for x in ["\"1\"", "true", "null", "\"NaN\"", "\"Infinity\""] {
        assert_eq!(code(r#""double""#, x), "wrong_type", "{x}");
    }
}

#[test]
fn booleans_and_null_are_themselves() {
    assert_eq!(taken(r#""boolean""#, "true"), Value::Boolean(true));
    assert_eq!(taken(r#""boolean""#, "false"), Value::Boolean(false));
    assert_eq!(taken(r#""null""#, "null"), Value::Null);
    for x in ["1", "\"true\"", "null"] {
        assert_eq!(code(r#""boolean""#, x), "wrong_type");
    }
    assert_eq!(code(r#""null""#, "0"), "wrong_type");
}

#[test]
fn texts_are_data_but_for_nul_and_half_characters() {
    let long = "x".repeat(50_000);
    for (x, value) in [
        (r#""""#, ""),
        (r#""</script>\u202e\ud83d\ude00\n""#, "</script>\u{202e}\u{1f600}\n"),
        ("\"\u{202e}é\"", "\u{202e}é"),
        (&format!("\"{long}\""), &long),
    ] {
        assert_eq!(taken(r#""string""#, x), Value::String(value.to_owned()));
    }
    for x in [r#""a\u0000b""#, r#""\ud800""#, r#""\udc00\ud800""#, r#""\ud83d\u0041""#] {
        assert_eq!(code(r#""string""#, x), "invalid_text", "{x}");
    }
    for x in ["1", "true", "null", "[]", "{}"] {
        assert_eq!(code(r#""string""#, x), "wrong_type");
    }
}

#[test]
fn bytes_and_fixed_are_base64() {
    assert_eq!(taken(r#""bytes""#, "\"/wABAg==\""), Value::Bytes(vec![255, 0, 1, 2]));
    assert_eq!(taken(r#""bytes""#, "\"\""), Value::Bytes(vec![]));
    for x in ["\"/wABAg\"", "\"/wABAh==\"", "\"/wAB Ag==\"", "\"_wABAg==\"", "\"é\""] {
        assert_eq!(code(r#""bytes""#, x), "invalid_format", "{x}");
    }
    let fixed = r#"{"type":"fixed","name":"F","size":3}"#;
    assert_eq!(taken(fixed, "\"/wAB\""), Value::Fixed(3, vec![255, 0, 1]));
    assert_eq!(code(fixed, "\"/wABAg==\""), "wrong_length");
    assert_eq!(code(fixed, "\"/wA=\""), "wrong_length");
    assert_eq!(code(fixed, "3"), "wrong_type");
    let vast = r#"{"type":"fixed","name":"F","size":1000000000000,"logicalType":"decimal","precision":9}"#;
    assert_eq!(code(vast, "\"1\""), "too_long");
}

#[test]
fn enums_are_their_symbols() {
    let of = r#"{"type":"enum","name":"E","symbols":["CHIP","ONLINE"]}"#;
    assert_eq!(taken(of, "\"ONLINE\""), Value::Enum(1, "ONLINE".to_owned()));
    assert_eq!(code(of, "\"online\""), "not_in_enum");
    assert_eq!(code(of, "1"), "wrong_type");
}

#[test]
fn timestamps_are_numbers_or_rfc_3339() {
    let millis = logical("long", "timestamp-millis");
    for (x, value) in [
        ("1700000000123", 1_700_000_000_123),
        ("-1", -1),
        (r#""2023-11-14T22:13:20.123Z""#, 1_700_000_000_123),
        (r#""2023-11-14T23:13:20.123000000+01:00""#, 1_700_000_000_123),
        (r#""2023-11-14t22:13:20z""#, 1_700_000_000_000),
        (r#""1969-12-31T23:59:59.999Z""#, -1),
        (r#""1969-12-31T23:00:00-02:30""#, 5_400_000),
    ] {
        assert_eq!(taken(&millis, x), Value::TimestampMillis(value), "{x}");
    }
    for x in [
        "2023-11-14T22:13:20",
        "2023-11-14 22:13:20Z",
        "2023-11-14T22:13Z",
        "2023-11-14",
        "2023-02-30T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "2023-11-14T24:00:00Z",
        "2016-12-31T23:59:60Z",
        "2023-11-14T22:13:20+0100",
        "2023-11-14T22:13:20+24:00",
        "2023-11-14T22:13:20Z[UTC]",
        "2023-11-14T22:13:20.Z",
        "2023-11-14T22:13:20,5Z",
        "20231114T221320Z",
        "12023-11-14T22:13:20Z",
        "+012023-11-14T22:13:20Z",
        "1700000000",
        "",
        "2023-11-14T22:13:20é",
    ] {
        assert_eq!(code(&millis, &format!("\"{x}\"")), "invalid_format", "{x}");
    }
    assert_eq!(code(&millis, r#""2023-11-14T22:13:20.1234Z""#), "too_precise");
    let micros = logical("long", "timestamp-micros");
    let x = r#""2023-11-14T22:13:20.123456Z""#;
    assert_eq!(taken(&micros, x), Value::TimestampMicros(1_700_000_000_123_456));
    let nanos = logical("long", "timestamp-nanos");
    let x = r#""2023-11-14T22:13:20.123456789Z""#;
    assert_eq!(taken(&nanos, x), Value::TimestampNanos(1_700_000_000_123_456_789));
    assert_eq!(code(&nanos, r#""9999-01-01T00:00:00Z""#), "out_of_range");
    assert_eq!(code(&nanos, "1.5"), "wrong_type");
}

#[test]
fn times_without_a_zone_have_no_offset() {
    let local = logical("long", "local-timestamp-micros");
    let x = r#""2023-11-14T22:13:20.5""#;
    assert_eq!(taken(&local, x), Value::LocalTimestampMicros(1_700_000_000_500_000));
    assert_eq!(code(&local, r#""2023-11-14T22:13:20Z""#), "invalid_format");
    let date = logical("int", "date");
    assert_eq!(taken(&date, r#""1969-12-31""#), Value::Date(-1));
    assert_eq!(taken(&date, "20000"), Value::Date(20_000));
    for x in [r#""2023-02-29""#, r#""2023-1-1""#, r#""2023-01-01T00:00:00Z""#] {
        assert_eq!(code(&date, x), "invalid_format", "{x}");
    }
    assert_eq!(taken(&logical("int", "time-millis"), r#""03:04:05.678""#), Value::TimeMillis(11_045_678));
    assert_eq!(taken(&logical("long", "time-micros"), r#""00:00:00.000001""#), Value::TimeMicros(1));
    assert_eq!(code(&logical("int", "time-millis"), r#""00:00:00.0001""#), "too_precise");
    assert_eq!(code(&logical("int", "time-millis"), r#""24:00:00""#), "invalid_format");
    assert_eq!(code(r#""long""#, r#""2023-11-14T22:13:20Z""#), "wrong_type");
}

#[test]
fn decimals_keep_every_digit() {
    let bytes = |of: &[u8]| Value::Decimal(Decimal::from(of));
    let of = decimal(12, 2);
    for (x, value) in [
        ("\"123.45\"", &[0x30, 0x39][..]),
        ("\"123.4\"", &[0x30, 0x34]),
        ("\"-1.28\"", &[0x80]),
        ("\"1.28\"", &[0x00, 0x80]),
        ("\"0\"", &[0]),
        ("\"-0.00\"", &[0]),
        ("\"9999999999.99\"", &[0x00, 0xe8, 0xd4, 0xa5, 0x0f, 0xff]),
    ] {
        assert_eq!(taken(&of, x), bytes(value), "{x}");
    }
    for x in
        ["\"1e2\"", "\"+1\"", "\"01\"", "\".5\"", "\"5.\"", "\"1,5\"", "\" 1\"", "\"\"", "\"-\"", "\"١\""]
    {
        assert_eq!(code(&of, x), "invalid_format", "{x}");
    }
    assert_eq!(code(&of, "\"0.001\""), "too_precise");
    assert_eq!(code(&of, "\"1.000\""), "too_precise");
    assert_eq!(code(&of, "\"10000000000\""), "out_of_range");
    for x in ["true", "1", "12.50", "1e400"] {
        assert_eq!(code(&of, x), "wrong_type", "{x}");
    }
    assert_eq!(code(&decimal(60, 0), &format!("\"{}\"", "9".repeat(60))), "out_of_range");
    let most = 10_i128.pow(38) - 1;
    assert_eq!(taken(&decimal(38, 0), &format!("\"{most}\"")), bytes(&most.to_be_bytes()));
    let fixed = r#"{"type":"fixed","name":"D","size":2,"logicalType":"decimal","precision":9,"scale":1}"#;
    assert_eq!(taken(fixed, "\"-0.2\""), bytes(&[0xff, 0xfe]));
    assert_eq!(code(fixed, "\"3276.8\""), "out_of_range");
}

#[test]
fn uuids_are_checked() {
    let text = "F81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let uuid = Value::Uuid(apache_avro::Uuid::parse_str(text).unwrap());
    let fixed = r#"{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}"#;
    for of in [&logical("string", "uuid"), fixed] {
        assert_eq!(taken(of, &format!("\"{text}\"")), uuid);
        for x in ["", "f81d4fae7dec11d0a76500a0c91e6bf6", &format!("{text}0"), &text.replace('F', "g"), "é"]
        {
            assert_eq!(code(of, &format!("\"{x}\"")), "invalid_format", "{x}");
        }
        assert_eq!(code(of, "1"), "wrong_type");
    }
}

#[test]
fn parts_are_pointed_at() {
    let of = r#"{"type":"array","items":{"type":"map","values":{"type":"record","name":"R","fields":[
        {"name":"n","type":"int"}]}}}"#;
    assert_eq!(taken(of, "[]"), Value::Array(vec![]));
    let inner = Value::Record(vec![("n".to_owned(), Value::Int(5))]);
    let map = Value::Map([("k".to_owned(), inner)].into());
    assert_eq!(taken(of, r#"[{},{"k":{"n":5}}]"#), Value::Array(vec![Value::Map([].into()), map]));
    assert_eq!(refused(of, r#"[{},{"a/b~c":{"n":"5"}}]"#), ("/x/1/a~1b~0c/n".to_owned(), "wrong_type"));
    assert_eq!(refused(of, r#"[{"k":{}}]"#), ("/x/0/k/n".to_owned(), "missing_field"));
    assert_eq!(refused(of, r#"[{"k":{"n":1,"m":2}}]"#), ("/x/0/k/m".to_owned(), "unknown_field"));
    assert_eq!(refused(of, r#"[{"k":{"n":1,"n":1}}]"#), ("/x/0/k/n".to_owned(), "duplicate_field"));
    assert_eq!(refused(of, r#"[{"k":{"n":1},"\u006b":{"n":1}}]"#), ("/x/0/k".to_owned(), "duplicate_field"));
    assert_eq!(refused(of, r#"[{"\u0000":{"n":1}}]"#), ("/x/0".to_owned(), "invalid_text"));
    // serde takes an array for a struct.
    assert_eq!(refused(of, r#"[{"k":[1]}]"#), ("/x/0/k".to_owned(), "wrong_type"));
    assert_eq!(refused(of, r#"[[]]"#), ("/x/0".to_owned(), "wrong_type"));
    assert_eq!(refused(of, r#"{}"#), ("/x".to_owned(), "wrong_type"));
}

#[test]
fn a_union_takes_a_value_that_means_one_branch() {
    let some = |at, value| Value::Union(at, Box::new(value));
    let plain = r#"["null","long"]"#;
    assert_eq!(taken(plain, "5"), some(1, Value::Long(5)));
    assert_eq!(taken(plain, "null"), some(0, Value::Null));
    assert_eq!(code(plain, r#"{"long":5}"#), "wrong_type");
    assert_eq!(code(plain, "1.5"), "wrong_type");
    let several = r#"["null","long","double","string",{"type":"map","values":"long"},
        {"type":"record","name":"R","fields":[{"name":"n","type":"long"}]}]"#;
    assert_eq!(taken(several, "1.5"), some(2, Value::Double(1.5)));
    assert_eq!(taken(several, "\"a\""), some(3, Value::String("a".to_owned())));
    assert_eq!(taken(several, r#"{"long":5}"#), some(1, Value::Long(5)));
    assert_eq!(taken(several, r#"{"double":5}"#), some(2, Value::Double(5.0)));
    assert_eq!(code(several, "5"), "ambiguous_branch");
    let n = |n| Value::Record(vec![("n".to_owned(), Value::Long(n))]);
    assert_eq!(taken(several, r#"{"shop.R":{"n":1}}"#), some(5, n(1)));
    assert_eq!(code(several, r#"{"n":1}"#), "ambiguous_branch");
    let map = |of: [(&str, i64); 2]| Value::Map(of.map(|(k, v)| (k.to_owned(), Value::Long(v))).into());
    assert_eq!(taken(several, r#"{"n":1,"m":2}"#), some(4, map([("n", 1), ("m", 2)])));
    assert_eq!(taken(several, r#"{"n":1,"long":2}"#), some(4, map([("n", 1), ("long", 2)])));
    assert_eq!(code(several, r#"{"n":"1","m":2}"#), "wrong_type");
    assert_eq!(code(several, "true"), "wrong_type");
    assert_eq!(refused(several, r#"{"long":"5"}"#), ("/x/long".to_owned(), "wrong_type"));
    assert_eq!(refused(several, r#"{"shop.R":{}}"#), ("/x/shop.R/n".to_owned(), "missing_field"));
    // Only one branch takes an object: its faults are told where they are.
    let object = r#"["null","string",{"type":"record","name":"R","fields":[{"name":"n","type":"long"}]}]"#;
    assert_eq!(refused(object, r#"{"m":1,"n":1}"#), ("/x/m".to_owned(), "unknown_field"));
    assert_eq!(taken(object, r#"{"n":1}"#), some(2, n(1)));
}

#[test]
fn what_is_left_out_has_the_default_of_the_schema() {
    let left_out = |x: &str| {
        let text = super::schema(x);
        let reader = super::reader_of(&text, super::MAPPING);
        let body = reader.read(br#"{"id":"t","when":0,"cents":0}"#);
        body.map(|body| super::field(super::read_avro(&text, &body.avro), "x"))
    };
    let some = |at, value| Value::Union(at, Box::new(value));
    let text = |text: &str| Value::String(text.to_owned());
    for (x, value) in [
        (r#""string","default":"EUR""#, text("EUR")),
        (r#"["long","null"],"default":-7"#, some(0, Value::Long(-7))),
        (r#"["null","long"],"default":null"#, some(0, Value::Null)),
        (r#"["long","null"]"#, some(1, Value::Null)),
        (r#"["null","long","double"],"default":2"#, some(1, Value::Long(2))),
        (r#""null""#, Value::Null),
        (r#""bytes","default":"\u00ff\u0000""#, Value::Bytes(vec![255, 0])),
        (r#"{"type":"fixed","name":"F","size":2},"default":"\u00ffA""#, Value::Fixed(2, vec![255, 65])),
        (r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2},"default":"\u0080""#, {
            Value::Decimal(Decimal::from(&[0x80_u8][..]))
        }),
        (
            r#"{"type":"array","items":"int"},"default":[1,2]"#,
            Value::Array(vec![Value::Int(1), Value::Int(2)]),
        ),
        (r#"{"type":"enum","name":"E","symbols":["A","B"]},"default":"B""#, Value::Enum(1, "B".to_owned())),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":3}]},"default":{}"#,
            Value::Record(vec![("a".to_owned(), Value::Int(3))]),
        ),
    ] {
        assert_eq!(left_out(x).unwrap(), value, "{x}");
    }
    // No default, one that the type does not take, one that is too long to be written for the asking.
    let long = format!(r#""string","default":"{}""#, "x".repeat(5_000));
    for x in [r#""string""#, r#""int","default":"no""#, r#""int","default":null"#, &long] {
        assert_eq!(super::faults(left_out(x).map(|_| unreachable!())), [("/x".to_owned(), "missing_field")]);
    }
}
