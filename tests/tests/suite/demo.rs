//! The demo as its user meets it: one command, decisions, a page, and a clean end.

use std::time::Duration;

use harness::process::{Process, until};
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn the_demo_decides_shows_and_ends() {
    if crate::fast() {
        return;
    }
    let dir = TempDir::new().unwrap();
    // Free a moment ago; nobody else asks for ports by number here.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let page = format!("127.0.0.1:{port}");
    let args = ["demo", "--listen", &page, "--for", "10s", "--rate", "1000"];
    let mut demo = Process::start(&args, &[], &dir.path().join("log"));
    tripline::http::use_ring();
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let get = |path: &str| client.get(format!("http://{page}{path}")).send().ok()?.text().ok();
    until("payments are decided", Duration::from_secs(300), || {
        assert_eq!(demo.ended(), None, "{}", demo.log_tail());
        let board: Option<Value> = get("/v1/board").and_then(|text| serde_json::from_str(&text).ok());
        board.is_some_and(|board| board["totals"]["decided"].as_u64() > Some(1_000))
    });
    assert!(get("/readyz").unwrap().contains("\"ready\":true"));
    assert!(get("/metrics").unwrap().contains("tripline_decisions_total"));
    assert!(get("/").unwrap().contains("Tripline"));
    assert!(demo.wait(Duration::from_secs(600)).success(), "{}", demo.log_tail());
    let said = std::fs::read_to_string(&demo.log).unwrap();
    assert!(said.contains("payments decided") && said.contains("the board"), "{said}");
    let alerts = said.lines().filter(|line| line.contains(" decline ") || line.contains(" review ")).count();
    assert!(alerts > 0, "no alert was shown:\n{said}");
    println!("{}", said.lines().find(|line| line.contains("payments decided")).unwrap());
}
