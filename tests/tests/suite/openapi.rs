//! The REST door against its own description: schemathesis makes requests from `/openapi.json`, good and bad, and
//! every answer must be one that the document states. What it may not know stands in `tests/openapi`.

use std::process::Command;

use harness::caller::{address, open, ready};
use harness::kafka::World;
use harness::process::ENDS_WITHIN;
use harness::servers::{Servers, root};
use serde_json::{Value, json};
use tripline::clock::{Clock, SystemClock};

/// Cases in all, about; `TRIPLINE_OPENAPI_CASES=10000` by hand.
fn cases() -> usize {
    std::env::var("TRIPLINE_OPENAPI_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_500)
}

/// Those of the coverage phase do not depend on how many are asked for, and seven of the operations have no input.
const OF_COVERAGE: usize = 700;
const OPERATIONS: usize = 37;
const OPERATIONS_WITH_INPUT: usize = OPERATIONS - 7;

pub fn payment(id: &str) -> Value {
    let now_ms = SystemClock::default().now().wall_ms;
    json!({"transaction_id": id, "event_time": now_ms, "amount_minor": 1_250, "currency": "EUR",
           "card_id": "card-1", "merchant_id": "shop-1", "country": "DE"})
}

#[test]
fn every_answer_is_one_that_the_document_states() {
    if crate::fast() {
        return;
    }
    let world = World::new(Servers::shared(), "described", 2);
    let mut process = world.serve(&[], &[]);
    let base = address(&process);
    open(&base, &World::key(), &payment("dry"));
    ready(&base, "queue");
    let report = world.path("report.json");
    let each = (cases().saturating_sub(OF_COVERAGE) / OPERATIONS_WITH_INPUT).max(1).to_string();
    let out = Command::new(root().join("deploy/local/schemathesis"))
        .current_dir(root().join("tests/openapi"))
        .args(["run", &format!("http://{base}/openapi.json")])
        .args(["--header", &format!("Authorization: Bearer {}", World::key())])
        .args(["--generation-deterministic", "--phases", "coverage,fuzzing", "--max-examples", &each])
        .args(["--no-color", "--report-json-path", report.to_str().unwrap()])
        // Loopback is nobody's proxy's business, and what a run before found is no part of this one.
        .envs([("NO_PROXY", "*"), ("no_proxy", "*"), ("PYTHONDONTWRITEBYTECODE", "1")])
        .env("HYPOTHESIS_STORAGE_DIRECTORY", world.path("hypothesis"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    let shown: Vec<String> = said.lines().map(|line| line.chars().take(600).collect()).collect();
    assert!(out.status.success(), "{}\n{}", shown.join("\n"), String::from_utf8_lossy(&out.stderr));
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!((&report["failures"], &report["errors"]), (&json!([]), &json!([])));
    let tested = &report["operations"]["tested"];
    assert_eq!(*tested, OPERATIONS - 1, "all but the events, which do not end: {}", report["operations"]);
    assert_eq!(report["operations"]["total"], OPERATIONS, "an operation is not described, or not here");
    let generated = report["test_cases"]["generated"].as_u64().unwrap();
    assert!(generated as usize > cases() / 2, "{generated} cases");
    let client = harness::caller::client();
    let answer =
        harness::caller::ask(&client, &base, &World::key(), "", &payment("afterwards"), None).unwrap();
    assert_eq!((answer.status, &answer.body["decision"]), (200, &json!("review")), "{answer:?}");
    // A 500 would have failed the run; one that was mended by a second try is in the log all the same.
    let log = std::fs::read_to_string(&process.log).unwrap();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
    println!("{generated} cases made from /openapi.json over {OPERATIONS} operations: 0 failures, no 5xx");
}
