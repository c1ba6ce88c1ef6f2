//! Page times in a real Chromium over 100,000 open alerts and 1,000,000 resolved ones, on both databases: a bench that
//! anyone can run (`make bench-pages`), no test. The rows are made by SQL in the store's own tables, as the store would
//! have written them; the busiest cards get their payments over REST, so that their pages have a history and links.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::browser::browser;
use harness::caller::{address, ask, on_connections, open};
use harness::database::Database;
use harness::kafka::World;
use harness::postgres::{Postgres, query};
use harness::process::until;
use serde_json::{Value, json};
use tripline::clock::{Clock, SystemClock};

use super::queue::{account, demo_payment, demo_world};

const OPEN: i64 = 100_000;
const RESOLVED: i64 = 1_000_000;
/// Cards whose pages are opened, and payments of each.
const BUSY: usize = 40;
const PAYMENTS: usize = 25;
/// How often each page is opened.
const LOOKS: usize = 40;

/// An alert for each number: the first ones open, the others resolved, one payment each; merchants have hundreds of them,
/// devices three. A loss is a power of two less one, so that its part of the rank is a whole number on every database.
const ROWS: [&str; 5] = [
    "INSERT INTO alerts (alert_id, version, entity, entity_key, rule, state, opened_at, due_at, changed_at, hits, \
     amount_minor, currency, expected_loss_minor, rank_key, score, verdict, hold, why, disposition, reason, resolved_by, \
     resolved_at) NUMBERS SELECT 'alr-' || i, 2, 'card', 'card-' || i, CASE WHEN i % 3 = 0 THEN 'likely_fraud' ELSE \
     'worth_a_look' END, CASE WHEN i <= OPEN THEN 'open' ELSE 'resolved' END, at, at + 86400000, at + 600000, 1, \
     1000 + i % 90000, 'EUR', (CAST(1 AS BIGINT) << CAST(7 + i % 11 AS INTEGER)) - 1, \
     CAST(7 + i % 11 AS DOUBLE PRECISION) - CAST(at + 86400000 AS DOUBLE PRECISION) / 14400000, \
     CAST(i % 97 AS DOUBLE PRECISION) / 97, 'review', 0, '7 payments in 1 h, usually 0.3', \
     CASE WHEN i <= OPEN THEN NULL WHEN i % 4 = 0 THEN 'fraud' ELSE 'legitimate' END, \
     CASE WHEN i <= OPEN THEN NULL WHEN i % 4 = 0 THEN 'card_copied' ELSE 'travel' END, \
     CASE WHEN i <= OPEN THEN NULL ELSE 'analyst-' || i % 20 END, CASE WHEN i <= OPEN THEN NULL ELSE at + 600000 END \
     FROM times",
    "INSERT INTO hits (hit_id, alert_id, decision_id, transaction_id, event_at, raised_at, verdict, hold, score, \
     amount_minor, currency, expected_loss_minor, why, reasons, model, policy) NUMBERS SELECT 'alr-' || i, 'alr-' || i, \
     'dec-' || i, 'tx-' || i, at, at, 'review', 0, CAST(i % 97 AS DOUBLE PRECISION) / 97, 1000 + i % 90000, 'EUR', \
     (CAST(1 AS BIGINT) << CAST(7 + i % 11 AS INTEGER)) - 1, '7 payments in 1 h, usually 0.3', 'REASONS', 'demo/1', \
     'pol_0' FROM times",
    "INSERT INTO hit_entities (hit_id, entity, entity_key, raised_at) NUMBERS SELECT 'alr-' || i, 'card', 'card-' || i, at \
     FROM times",
    "INSERT INTO hit_entities (hit_id, entity, entity_key, raised_at) NUMBERS SELECT 'alr-' || i, 'merchant', \
     'shop-' || i % 2000, at FROM times UNION ALL SELECT 'alr-' || i, 'device', 'device-' || i / 3, at FROM times",
    "INSERT INTO labels (transaction_id, fraud, label_at, source) NUMBERS SELECT 'tx-' || i, \
     CASE WHEN i % 4 = 0 THEN 1 ELSE 0 END, at + 600000, 'analyst' FROM times WHERE i > OPEN",
];

/// Open ones of the last day, resolved ones of two years, one a minute.
const NUMBERS: &str = "WITH RECURSIVE numbers (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM numbers \
     WHERE i < ALL_OF_THEM), times (i, at) AS (SELECT i, CASE WHEN i <= OPEN THEN NOW - i * 7919 % 86400000 \
     ELSE NOW - 86400000 - (i - OPEN) * 60000 END FROM numbers)";

fn rows() -> String {
    let reason = |code: &str, value: f64, contribution: f64| {
        json!({ "code": code, "text": format!("{code} is {value}, usually 0.3"), "feature": code, "value": value,
                "norm": 0.3, "contribution": contribution, "source": "model" })
    };
    let reasons = json!([
        reason("card_count_1h", 7.0, 1.9),
        reason("card_sum_1d", 812.0, 0.7),
        reason("new_device", 1.0, 0.4)
    ]);
    let now_ms = SystemClock::default().now().wall_ms;
    let text = ROWS.map(|text| text.replace("NUMBERS", NUMBERS)).join(";\n");
    let text = text.replace("ALL_OF_THEM", &(OPEN + RESOLVED).to_string()).replace("OPEN", &OPEN.to_string());
    text.replace("NOW", &now_ms.to_string()).replace("REASONS", &reasons.to_string())
}

/// Fills a SQLite file; the standard library's own driver is there wherever the other scripts run.
fn fill_sqlite(world: &World) {
    let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as base: base.executescript(sys.stdin.read())";
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(world.path("queue.db")).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), rows().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "the rows");
}

/// What is looked at: the busy cards' alerts, with payments over REST that make them so.
fn busy(base: &str) -> Vec<String> {
    let payments: Vec<Value> = (0..BUSY * PAYMENTS)
        .map(|place| {
            let card = 1 + place % BUSY;
            let mut payment = demo_payment(&format!("busy-{place}"));
            payment["card_id"] = json!(format!("card-{card}"));
            payment["device_id"] = json!(format!("device-{}", card / 3));
            payment["merchant_id"] = json!(format!("shop-{}", card % 4));
            payment
        })
        .collect();
    on_connections(4, &payments, |client, payment| {
        let told = ask(client, base, &World::key(), "", payment, None).unwrap();
        assert_eq!(told.status, 200, "{told:?}");
    });
    (1..=BUSY).map(|card| format!("alr-{card}")).collect()
}

fn measured(name: &str, world: &World, database: &str, sets: &[&str]) {
    let sets = [sets, &["queue.entity=\"card\""]].concat();
    let process = world.serve(&sets, &[]);
    let base = address(&process);
    open(&base, &World::key(), &demo_payment("dry"));
    let mut database = Database::open(database);
    until("all are ranked by the rules of now", Duration::from_secs(600), || {
        database.number("SELECT COUNT(*) FROM alerts WHERE state = 'open' AND ranked_by = ''") == 0
    });
    let alerts = busy(&base);
    let client = harness::caller::client();
    until("the index has the payments", Duration::from_secs(60), || {
        let url = format!("http://{base}/v1/decisions?entity=card&key=card-{BUSY}&limit=100");
        let told: Value = client.get(url).bearer_auth(World::key()).send().unwrap().json().unwrap();
        told["decisions"].as_array().is_some_and(|found| found.len() >= PAYMENTS)
    });
    println!("\n{name}: {OPEN} open alerts, {RESOLVED} resolved");
    let analyst = json!({ "name": "analyst", "password": "a good password of analyst" });
    let knobs = json!({ "base": format!("http://{base}"), "analyst": analyst, "looks": LOOKS, "alerts": alerts,
                        "rule": "likely_fraud" });
    browser("times", &knobs, &[]);
}

#[test]
#[ignore = "a bench of some minutes: make bench-pages"]
fn bench_pages_on_sqlite() {
    let world = demo_world("pages-sqlite");
    account(&world, "analyst", &[]);
    let began = Instant::now();
    fill_sqlite(&world);
    println!("filled in {:.0} s", began.elapsed().as_secs_f64());
    measured("SQLite", &world, &format!("sqlite:{}", world.path("queue.db").display()), &[]);
}

#[test]
#[ignore = "a bench of some minutes: make bench-pages"]
fn bench_pages_on_postgres() {
    let (world, own) = (demo_world("pages-postgres"), Postgres::start());
    let database = own.create_database("pages");
    let url = format!("queue.url=\"{database}\"");
    account(&world, "analyst", &[&url]);
    let began = Instant::now();
    query(&database, &rows());
    // As its own autovacuum does within a minute of so many rows.
    query(&database, "ANALYZE");
    println!("filled in {:.0} s", began.elapsed().as_secs_f64());
    measured("Postgres", &world, &database, &[&url]);
    own.stop("KILL");
}
