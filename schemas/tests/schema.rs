//! The registry's door: a schema is taken or refused with a reason, and never costs more than its length.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use schemas::codec::{Aliases, check_schema};
use schemas::reject::RejectCode;

fn refused(text: &str) -> String {
    let reject = check_schema(text).unwrap_err();
    assert_eq!(reject.code, RejectCode::SchemaRefused);
    assert!(reject.detail.len() < 2_000);
    reject.detail
}

fn record(name: &str, fields: &str) -> String {
    format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#)
}

fn field(name: &str, of: &str) -> String {
    format!(r#"{{"name":"{name}","type":{of}}}"#)
}

#[test]
fn what_is_not_a_record_of_avro_is_refused() {
    for text in [
        "",
        "{}",
        "null",
        "<html>",
        "[]",
        r#""string""#,
        "{\"type\":\"record\"}",
        r#"{"type":"array","items":"int"}"#,
    ] {
        refused(text);
    }
    let of = |of: &str| refused(&record("A", &field("f", of)));
    assert!(of(r#""Nowhere""#).contains("not defined"));
    assert!(of(r#"["null",["null","int"]]"#).contains("directly inside"));
    assert!(of(r#"["long",{"type":"long","logicalType":"timestamp-millis"}]"#).contains("twice"));
    assert!(of("[]").contains("branches"));
    of("1");
    of(r#"{"type":"fixed","name":"F","size":-1}"#);
    of(r#"{"type":"enum","name":"E","symbols":[1]}"#);
    assert!(
        refused(&record("A", &[field("f", "\"int\""), field("f", "\"int\"")].join(","))).contains("twice")
    );
    let twice = [field("f", r#"{"type":"fixed","name":"A","size":1}"#)].join(",");
    assert!(refused(&record("A", &twice)).contains("defined twice"));
}

#[test]
fn recursion_is_refused_direct_or_through_others() {
    for of in
        [r#""A""#, r#"["null","A"]"#, r#"{"type":"array","items":"A"}"#, r#"{"type":"map","values":"A"}"#]
    {
        assert!(refused(&record("A", &field("next", of))).contains("recursive"));
    }
    let through = record("A", &field("b", &record("B", &field("a", r#"["null","A"]"#))));
    assert!(refused(&through).contains("recursive"));
}

#[test]
fn depth_width_and_length_are_bounded() {
    let started = Instant::now();
    refused(&"[".repeat(1_000_000));
    refused(&"{\"type\":".repeat(100_000));
    refused(&record("A", &field("f", &" ".repeat(1 << 20))));
    let deep = (0..200).rev().fold("\"int\"".to_owned(), |of, i| record(&format!("R{i}"), &field("f", &of)));
    assert!(refused(&deep).contains("deeper"));
    // Flat text, deep types: each record names the one before.
    let chain = (1..100).fold(field("f0", &record("R0", &field("f", "\"int\""))), |fields, i| {
        format!(
            "{fields},{}",
            field(&format!("f{i}"), &record(&format!("R{i}"), &field("f", &format!("\"R{}\"", i - 1))))
        )
    });
    assert!(refused(&record("A", &chain)).contains("nest deeper"));
    // Few lines, endless fields: each record names the one before twice.
    let double = (1..60).fold(field("f0", &record("R0", &field("f", "\"null\""))), |fields, i| {
        let two = [field("a", &format!("\"R{}\"", i - 1)), field("b", &format!("\"R{}\"", i - 1))].join(",");
        format!("{fields},{}", field(&format!("f{i}"), &record(&format!("R{i}"), &two)))
    });
    assert!(refused(&record("A", &double)).contains("unfolds"));
    let wide = |n: usize| {
        (0..n).map(|i| field(&format!("f{i}"), "[\"null\",\"string\"]")).collect::<Vec<_>>().join(",")
    };
    assert!(refused(&record("A", &wide(20_000))).contains("2000 fields"));
    assert!(check_schema(&record("A", &wide(2_000))).is_ok());
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn schemas_of_the_field_are_taken() {
    for text in [
        // A namespace that Java's registry takes, names by reference, nested type objects, defaults, attributes.
        r#"{"type":"record","name":"my-team.pay.P","doc":"d","aliases":["Old"],"fields":[
            {"name":"a","type":{"type":"string","avro.java.string":"String"},"default":"x","order":"ignore"},
            {"name":"b","type":{"type":{"type":"enum","name":"E","symbols":["X"],"default":"X"}}},
            {"name":"c","type":["null","E","my-team.pay.E2"],"default":null}]}"#
            .replace(",\"my-team.pay.E2\"", "")
            .as_str(),
        // Logical types that do not fit their type are ignored.
        &record("A", &field("f", r#"{"type":"string","logicalType":"decimal"}"#)),
        &record("A", &field("f", r#"{"type":"bytes","logicalType":"decimal","precision":0}"#)),
        &record("A", &field("f", r#"{"type":"int","logicalType":"date"}"#)),
        // A string that holds brackets is not nesting.
        &record("A", &format!(r#"{{"name":"f","type":"int","doc":"\"{}"}}"#, "[".repeat(500))),
        // An error of a name without namespace from inside one: Java finds it.
        r#"{"type":"record","name":"P","fields":[{"name":"a","type":{"type":"fixed","name":"F","size":1}},
            {"name":"b","type":{"type":"record","name":"n.Q","fields":[{"name":"f","type":"F"}]}}]}"#,
    ] {
        check_schema(text).unwrap();
    }
    assert_eq!(
        check_schema(r#"{"type":"record","name":"P","namespace":"n","fields":[]}"#).unwrap().name(),
        "n.P"
    );
}

#[test]
fn aliases_do_not_grow_for_ever() {
    let mut aliases = Aliases::new();
    for i in 0..60_000 {
        let text = format!(
            r#"{{"type":"record","name":"P","fields":[{{"name":"f{i}","aliases":["g{i}"],"type":"int"}}]}}"#
        );
        aliases.learn(&check_schema(&text).unwrap());
        aliases.learn(&check_schema(&text).unwrap());
        if i % 20_000 == 0 {
            assert!(format!("{aliases:?}").len() < 2_000_000);
        }
    }
    assert!(format!("{aliases:?}").len() < 2_000_000);
}

proptest! {
    #[test]
    fn random_text_never_panics(text in "\\PC{0,200}", json in "[\\[\\]{}\":,a-z ]{0,200}") {
        let _ = check_schema(&text);
        let _ = check_schema(&json);
    }
}
