//! What a problem looks like from outside, and that the table and its page say the same.

use axum::body::to_bytes;
use serde_json::{Value, json};

use super::code::Facts;
use super::*;
use crate::access::{Flaw, Scope};

struct Seen {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Value,
}

impl Seen {
    fn all(&self, name: HeaderName) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }
}

fn seen(problem: Problem) -> Seen {
    let response = problem.into_response();
    let (parts, body) = response.into_parts();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let bytes = runtime.block_on(to_bytes(body, 1 << 20)).unwrap();
    Seen {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap(),
    }
}

#[test]
fn every_code_is_in_the_docs_with_its_status_and_its_words() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md")).unwrap();
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<_> = Code::ALL
        .iter()
        .map(|code| {
            let Facts { status, word, title, meaning } = code.facts();
            format!("| `{word}` | {} | {title} | {meaning} |", status.as_u16())
        })
        .collect();
    assert_eq!(rows, expected, "the rows should be:\n{}", expected.join("\n"));
    let mut words: Vec<_> = Code::ALL.iter().map(|code| code.facts().word).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Code::ALL.len(), "a word twice");
}

#[test]
fn a_problem_is_what_rfc_9457_has() {
    let fault =
        Fault { pointer: "/amount".to_owned(), code: "missing".into(), detail: "is missing".to_owned() };
    let problem = Problem::of(Code::InvalidPayment).detail("One field.").errors([fault]).trace("4bf9");
    let seen = seen(problem);
    let expected = json!({
        "type": "/problems/invalid_payment",
        "title": "The payment does not fit the schema",
        "status": 422,
        "code": "invalid_payment",
        "detail": "One field.",
        "errors": [{"pointer": "/amount", "code": "missing", "detail": "is missing"}],
        "trace_id": "4bf9",
    });
    assert_eq!((seen.status, &seen.body), (422, &expected));
    assert_eq!(seen.all(header::CONTENT_TYPE), ["application/problem+json"]);
    let plain = self::seen(Problem::of(Code::InFlight).retry_after(1));
    assert_eq!(plain.status, 409);
    assert_eq!(plain.all(header::RETRY_AFTER), ["1"]);
    assert_eq!(plain.body["detail"], Code::InFlight.facts().meaning);
    assert_eq!(plain.body.as_object().unwrap().len(), 5, "{}", plain.body);
    let allow = self::seen(Problem::of(Code::MethodNotAllowed).allow(&["GET", "HEAD"]));
    assert_eq!(allow.all(header::ALLOW), ["GET, HEAD"]);
}

#[test]
fn faults_are_bounded_and_card_numbers_in_them_masked() {
    let fault = |n: usize| Fault {
        pointer: format!("/4111111111111111/{n}"),
        code: "unknown_field".into(),
        detail: "4111 1111 1111 1111 is no field".to_owned(),
    };
    let problem =
        Problem::of(Code::InvalidPayment).detail("card 4111111111111111").errors((0..20).map(fault));
    let seen = seen(problem.errors((20..10_000).map(fault)));
    assert_eq!(seen.body["errors"].as_array().unwrap().len(), 32);
    let text = seen.body.to_string();
    assert!(text.contains("/411111******1111/31") && text.contains("card 411111******1111"), "{text}");
    assert!(!text.contains("4111111111111111") && !text.contains("4111 1111 1111 1111"), "{text}");
}

#[test]
fn each_denial_has_its_status_its_code_and_its_challenge() {
    let bearer = "Bearer realm=\"tripline\"";
    let cases = [
        (Denied::Missing, 401, "unauthenticated", String::new()),
        (Denied::Malformed(Flaw::Checksum), 401, "key_malformed", ", error=\"invalid_request\"".to_owned()),
        (Denied::Unknown, 401, "key_unknown", ", error=\"invalid_token\"".to_owned()),
        (Denied::Expired, 401, "key_expired", ", error=\"invalid_token\"".to_owned()),
        (
            Denied::Lacks { needs: Scope::Lists },
            403,
            "forbidden",
            ", error=\"insufficient_scope\"".to_owned(),
        ),
    ];
    for (denied, status, code, error) in cases {
        let program = seen(Problem::denied(denied, false));
        assert_eq!((program.status, &program.body["code"]), (status, &code.into()));
        assert_eq!(program.all(header::WWW_AUTHENTICATE), [format!("{bearer}{error}")]);
        let page = seen(Problem::denied(denied, true));
        let challenges = page.all(header::WWW_AUTHENTICATE);
        assert_eq!(challenges.len(), if status == 401 { 2 } else { 1 }, "{challenges:?}");
        // A browser that is asked again and again for a key that is good would never show what is wrong.
        assert_eq!(challenges[0].starts_with("Basic realm="), status == 401, "{challenges:?}");
    }
    let forbidden = seen(Problem::denied(Denied::Lacks { needs: Scope::Lists }, false));
    assert!(forbidden.body["detail"].as_str().unwrap().contains("\"lists\""), "{}", forbidden.body);
    let wait = seen(Problem::denied(Denied::TooOften(Excess::Wait { seconds: 7 }), false));
    assert_eq!((wait.status, wait.all(header::RETRY_AFTER)), (429, vec!["7"]));
    assert!(wait.all(header::WWW_AUTHENTICATE).is_empty());
    let large = seen(Problem::excess(Excess::TooMuch { burst: 400 }));
    assert_eq!((large.status, large.all(header::RETRY_AFTER).len()), (413, 0));
    assert!(large.body["detail"].as_str().unwrap().contains("400"), "{}", large.body);
}
