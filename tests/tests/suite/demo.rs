//! The demo as its user meets it: one command, decisions, a page, a queue to work, and a clean end.

use std::time::Duration;

use harness::person::{Person, sent};
use harness::process::{ENDS_WITHIN, Process, until};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take to be there: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn the_demo_decides_shows_and_ends() {
    if crate::fast() {
        return;
    }
    let dir = TempDir::new().unwrap();
    // Free a moment ago; nobody else asks for ports by number here.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let page = format!("127.0.0.1:{port}");
    let args = ["demo", "--listen", &page, "--for", "10m", "--rate", "1000"];
    let mut demo = Process::start(&args, &[], &dir.path().join("log"));
    tripline::http::use_ring();
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let get = |path: &str| client.get(format!("http://{page}{path}")).send().ok()?.text().ok();
    until("payments are decided", PATIENCE, || {
        assert_eq!(demo.ended(), None, "{}", demo.log_tail());
        let board: Option<Value> = get("/v1/board").and_then(|text| serde_json::from_str(&text).ok());
        board.is_some_and(|board| board["totals"]["decided"].as_u64() > Some(1_000))
    });
    assert!(get("/readyz").unwrap().contains("\"ready\":true"));
    assert!(get("/metrics").unwrap().contains("tripline_decisions_total"));
    assert!(get("/").unwrap().contains("Tripline"));
    the_queue_is_worked(&mut demo, &page);
    until("an alert is shown", PATIENCE, || {
        assert_eq!(demo.ended(), None, "{}", demo.log_tail());
        std::fs::read_to_string(&demo.log).unwrap().lines().any(is_alert)
    });
    // As Ctrl-C does.
    demo.signal("INT");
    assert!(demo.wait(ENDS_WITHIN).success(), "{}", demo.log_tail());
    let said = std::fs::read_to_string(&demo.log).unwrap();
    let (before, summary) = said.split_once(" payments decided in ").unwrap();
    assert!(before.contains("the board") && summary.contains("What next: "), "{said}");
    println!("{}", said.lines().find(|line| line.contains("payments decided")).unwrap());
}

/// A line of the terminal for a payment that raised an alert; the summary counts verdicts and has no amounts.
fn is_alert(line: &str) -> bool {
    let verdicts = [" decline ", " review ", " challenge "];
    line.contains(" EUR ") && verdicts.iter().any(|verdict| line.contains(verdict))
}

/// Signs in as the terminal says, looks at the queue, and takes the next alert.
fn the_queue_is_worked(demo: &mut Process, page: &str) {
    let mut said = String::new();
    until("the accounts are printed", PATIENCE, || {
        assert_eq!(demo.ended(), None, "{}", demo.log_tail());
        said = std::fs::read_to_string(&demo.log).unwrap();
        // What stands behind them is there, so they are whole.
        said.contains("the board")
    });
    let account = said.lines().find(|line| line.contains("sign in as analyst")).unwrap();
    let analyst = Person::sign_in(page, "analyst", account.rsplit(' ').next().unwrap());
    until("the list has rows", PATIENCE, || {
        assert_eq!(demo.ended(), None, "{}", demo.log_tail());
        let list = analyst.get("/queue");
        assert_eq!(list.status, 200, "{}", list.text);
        list.text.contains("<tr data-alert=\"")
    });
    let list = analyst.get("/v1/alerts?limit=200").json();
    let alerts = list["alerts"].as_array().unwrap();
    // All are minutes old: what is at risk ranks them, but for those whose payment waits.
    let risks = alerts.iter().filter(|alert| alert["hold"] == false).map(|alert| &alert["expected_loss"]);
    let losses: Vec<i64> = risks.map(|risk| risk["amount_minor"].as_i64().unwrap()).collect();
    // Two hours of 7 days, the half-life, are less than a hundredth.
    let rises = losses.windows(2).any(|pair| 100 * (pair[1] + 1) > 101 * (pair[0] + 1));
    assert!(!alerts.is_empty() && !rises, "{losses:?}");
    let reply = sent(&analyst.asking("POST", "/v1/alerts/claim-next"));
    let claimed = reply.json();
    assert_eq!((reply.status, &claimed["holder"]), (200, &Value::from("analyst")), "{reply:?}");
    let id = claimed["alert_id"].as_str().unwrap();
    let mine = analyst.get("/queue?which=mine");
    assert!(mine.text.contains(&format!("<tr data-alert=\"{id}\"")), "{id} is not in {}", mine.text);
    let alert = analyst.get(&format!("/queue/{id}"));
    assert!(alert.status == 200 && alert.text.contains("data-holder=\"analyst\""), "{}", alert.text);
}
