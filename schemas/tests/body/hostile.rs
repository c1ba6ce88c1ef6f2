//! Bodies that nobody writes by mistake, and those that everybody does.

use std::time::{Duration, Instant};

use schemas::codec::{BodyError, FAULT_CODES};
use schemas::reject::RejectCode;

use super::{faults, reader, with};

fn syntax(body: &[u8]) -> String {
    match reader(r#""string""#).read(body) {
        Err(BodyError::Syntax { detail }) => detail,
        other => panic!("expected a syntax error, found {other:?}"),
    }
}

#[test]
fn what_is_not_json_has_a_line_and_a_column() {
    for body in [
        "",
        " ",
        "{",
        "{\"id\":}",
        "{\"id\":1,}",
        "{'id':1}",
        "<html>",
        "{}{}",
        "{\"a\":01}",
        "NaN",
        "\u{feff}{}",
    ] {
        let detail = syntax(body.as_bytes());
        assert!(detail.contains("line 1 column"), "{body}: {detail}");
    }
    assert!(syntax(b"{\"id\":\n  \"\xff\"}").contains("not UTF-8 at line 2 column 4"));
    assert!(syntax(b"{\"id\":\n  tru}").contains("line 2 column"));
    assert!(syntax(b"{\"id\":\"a\nb\"}").contains("line"), "a raw line feed in a string");
}

#[test]
fn every_cut_of_a_good_body_is_a_syntax_error() {
    let of = r#"{"type":"array","items":["null","double","string",{"type":"map","values":"boolean"}]}"#;
    let (reader, body) = (reader(of), with(r#"[null, -1.5e-3, "é\ud83d\ude00\n", {"k": true, "l": false}]"#));
    reader.read(body.as_bytes()).unwrap();
    for cut in 0..body.len() {
        let result = reader.read(&body.as_bytes()[..cut]);
        assert!(matches!(result, Err(BodyError::Syntax { .. })), "cut at {cut}: {result:?}");
    }
}

#[test]
fn flipped_bytes_never_panic_and_what_is_taken_is_a_record() {
    let of = r#"["null","long","string",{"type":"array","items":"double"}]"#;
    let (reader, body) = (reader(of), with(r#"{"array":[1.5,2]}"#));
    for at in 0..body.len() {
        for byte in 0..=255 {
            let mut bytes = body.clone().into_bytes();
            bytes[at] = byte;
            if let Ok(body) = reader.read(&bytes) {
                super::read_avro(&super::schema(of), &body.avro);
            }
        }
    }
}

#[test]
fn another_value_than_an_object_is_refused_at_the_top() {
    for body in ["null", "[]", "[1]", "1", "\"x\"", "true", "[[\"tx\",0,0,null,\"x\"]]", " [] "] {
        let found = faults(reader(r#""string""#).read(body.as_bytes()));
        assert_eq!(found, [(String::new(), "wrong_type")], "{body}");
    }
}

#[test]
fn names_are_strict() {
    let of = |body: &str| faults(reader("").read(body.as_bytes()));
    let at = |pointer: &str, code: &'static str| (pointer.to_owned(), code);
    assert_eq!(of(r#"{"id":"t","when":0,"cents":1,"more":null}"#), [at("/more", "unknown_field")]);
    assert_eq!(of(r#"{"id":"t","when":0,"cents":1,"id":"t"}"#), [at("/id", "duplicate_field")]);
    assert_eq!(of(r#"{"id":"t","when":0,"cents":1,"\u0069d":"u"}"#), [at("/id", "duplicate_field")]);
    assert_eq!(of(r#"{"id":"t","when":0,"cents":1,"\ud800":1}"#), [at("", "invalid_text")]);
    assert_eq!(
        of(r#"{"ID":"t","when":0,"cents":1}"#),
        [at("/ID", "unknown_field"), at("/id", "missing_field")]
    );
    let three = [at("/id", "missing_field"), at("/when", "missing_field"), at("/cents", "missing_field")];
    assert_eq!(of("{}"), three);
}

#[test]
fn all_faults_at_once_but_not_without_end() {
    let many: Vec<_> = (0..1_000).map(|n| format!("\"n{n}\":1")).collect();
    let found = faults(reader("").read(format!("{{{}}}", many.join(",")).as_bytes()));
    assert_eq!(found.len(), 20);
    let of = r#"{"type":"array","items":"int"}"#;
    assert_eq!(
        faults(reader(of).read(with(&format!("[{}]", vec!["true"; 1_000].join(","))).as_bytes())).len(),
        20
    );
    let mixed = r#"{"id":1,"when":"then","cents":1.5,"card":2,"x":[1,"2",3.0],"y":0}"#;
    let found = faults(reader(of).read(mixed.as_bytes()));
    let pointers: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/y", "/id", "/when", "/cents", "/card", "/x/1", "/x/2"]);
}

#[test]
fn faults_quote_no_content() {
    let card = "4111111111111111";
    let body = format!(
        r#"{{"id":"t","when":"{card}","cents":{card}00000000000,"{card}":"{card}","{}":1,"card":{card}}}"#,
        "k".repeat(60_000)
    );
    let Err(BodyError::Meaning(found)) = reader("").read(body.as_bytes()) else { panic!("taken") };
    let text = format!("{found:?}");
    assert!(!text.contains(card) && text.len() < 5_000, "{text}");
    assert!(text.contains("411111******1111"), "{text}");
    assert!(!syntax(format!("{{\"{card}\": {card}x").as_bytes()).contains(card));
}

#[test]
fn codes_are_told() {
    let words = RejectCode::ALL.iter().map(|code| code.as_str());
    let all: Vec<_> = FAULT_CODES.iter().copied().chain(words).collect();
    let mut once = all.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), all.len(), "a code means one thing");
}

/// Generous: it tells a scan from one that is quadratic or overflows its stack.
fn quickly<T>(of: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = of();
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
    result
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let deep = nested(5 << 20);
    assert_eq!(
        faults(quickly(|| reader(r#""string""#).read(deep.as_bytes()))),
        [(String::new(), "wrong_type")]
    );
    let result = quickly(|| reader(r#""string""#).read("[".repeat(10 << 20).as_bytes()));
    assert!(matches!(result, Err(BodyError::Syntax { .. })));
    for (x_type, code) in [
        (r#""string""#, "wrong_type"),
        (r#"["null","string",{"type":"map","values":"int"}]"#, "wrong_type"),
        (r#"{"type":"map","values":{"type":"map","values":"int"}}"#, "wrong_type"),
    ] {
        let body = with(&nested(200_000));
        assert_eq!(faults(quickly(|| reader(x_type).read(body.as_bytes()))), [("/x".to_owned(), code)]);
        let body = with(&("{\"a\":".repeat(200_000) + "1" + &"}".repeat(200_000)));
        assert_eq!(faults(quickly(|| reader(x_type).read(body.as_bytes()))).len(), 1);
    }
    // As deep as a schema can be: each level is looked at as often as it is deep.
    let of = (0..20).fold(r#""int""#.to_owned(), |of, _| format!(r#"{{"type":"array","items":{of}}}"#));
    let body = with(&("[".repeat(20) + &vec!["1"; 500_000].join(",") + &"]".repeat(20)));
    quickly(|| reader(&of).read(body.as_bytes())).unwrap();
    let body = with(&nested(21));
    assert_eq!(faults(reader(&of).read(body.as_bytes())), [(format!("/x{}", "/0".repeat(20)), "wrong_type")]);
}

#[test]
fn a_few_bytes_do_not_become_many() {
    // Twenty defaults of four thousand bytes for the two of an empty object.
    let fields: Vec<_> = (0..20)
        .map(|n| format!(r#"{{"name":"f{n}","type":"string","default":"{}"}}"#, "x".repeat(4_000)))
        .collect();
    let of = format!(
        r#"{{"type":"array","items":{{"type":"record","name":"R","fields":[{}]}}}}"#,
        fields.join(",")
    );
    let bodies = |count: usize| with(&format!("[{}]", vec!["{}"; count].join(",")));
    reader(&of).read(bodies(10).as_bytes()).unwrap();
    let found = faults(quickly(|| reader(&of).read(bodies(20_000).as_bytes())));
    assert_eq!(found[0].1, "too_long");
    // Items of no bytes: the topic refuses them too.
    let of = r#"{"type":"array","items":"null"}"#;
    let nulls = |count: usize| with(&format!("[{}]", vec!["null"; count].join(",")));
    reader(of).read(nulls(1_000).as_bytes()).unwrap();
    assert_eq!(faults(reader(of).read(nulls(20_000).as_bytes())), [(String::new(), "malformed")]);
}

#[test]
fn a_batch_has_an_outcome_for_each() {
    let reader = reader(r#""int""#);
    let body = format!("[{}, {}, 5, {}]", with("1"), with("true"), with("2"));
    let outcomes = reader.read_batch(body.as_bytes(), 4).unwrap();
    assert_eq!(outcomes.len(), 4);
    assert_eq!(outcomes[0], reader.read(with("1").as_bytes()));
    assert_eq!(faults(outcomes[1].clone()), [("/x".to_owned(), "wrong_type")]);
    assert_eq!(faults(outcomes[2].clone()), [(String::new(), "wrong_type")]);
    assert_eq!(outcomes[3], reader.read(with("2").as_bytes()));
    let whole = |body: &str, most| match reader.read_batch(body.as_bytes(), most) {
        Err(BodyError::Meaning(faults)) => (faults[0].pointer.clone(), faults[0].code),
        Err(BodyError::Syntax { .. }) => (String::new(), "syntax"),
        Ok(_) => (String::new(), "taken"),
    };
    for (text, most, code) in [
        (body.as_str(), 3, "too_long"),
        ("[]", 3, "too_short"),
        ("{}", 3, "wrong_type"),
        ("null", 3, "wrong_type"),
        (&body[..body.len() - 1], 4, "syntax"),
        ("", 4, "syntax"),
    ] {
        assert_eq!(whole(text, most), (String::new(), code));
    }
    let many = format!("[{}]", vec!["0"; 10_001].join(","));
    assert_eq!(whole(&many, 1_000).1, "too_long");
}
