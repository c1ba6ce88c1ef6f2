//! The queue's database stopped, locked and full: payments are decided all the same, their alerts wait in the topic and
//! arrive afterwards, once; pages, API, health and metrics say so; nothing is told to be saved that was not.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use harness::caller::{address, ask, client, open};
use harness::database::Database;
use harness::kafka::World;
use harness::postgres::{Postgres, query};
use harness::process::{ENDS_WITHIN, Process, until};
use harness::servers::Servers;
use harness::small::Small;
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

use crate::queue::{payment, raise, tell, world};

/// Alerts before the fault, and raised while it lasts: more than there is room for in pages that are begun.
const BEFORE: usize = 5;
const MEANWHILE: usize = 40;

/// People who ask at once while it lasts: as many as there are connections, so that each has met it.
const PEOPLE: usize = 12;

/// The longest text that is taken, 16 kB, and no two characters of it alike: it fits into no page that is begun.
fn long() -> String {
    ('\u{20000}'..).take(4_000).collect()
}

/// A queue with alerts, one of them claimed.
struct Desk {
    world: World,
    process: Process,
    base: String,
    client: Client,
    claimed: Value,
    sets: Vec<String>,
}

impl Desk {
    fn open(name: &str, sets: &[&str]) -> Desk {
        let world = world(name);
        let sets: Vec<String> =
            sets.iter().chain(&["queue.entity=\"card\""]).map(|set| (*set).to_owned()).collect();
        let process = world.serve(&sets.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
        let (base, client) = (address(&process), client());
        open(&base, &World::key(), &payment("dry"));
        raise(&base, 0, BEFORE);
        let (_, claimed) = tell(&client, &base, "POST", "/v1/alerts/claim-next", None, None).unwrap();
        Desk { world, process, base, client, claimed, sets }
    }

    fn tell(&self, method: &str, path: &str, body: Option<&Value>, version: Option<i64>) -> (u16, Value) {
        tell(&self.client, &self.base, method, path, body, version).unwrap()
    }

    fn get(&self, path: &str) -> Response {
        let url = format!("http://{}{path}", self.base);
        self.client.get(url).bearer_auth(World::key()).send().unwrap()
    }

    fn sqlite(&self) -> Database {
        Database::open(&format!("sqlite:{}", self.world.path("queue.db").display()))
    }

    /// The claimed alert's verdict, with a note that needs room.
    fn resolve(&self) -> (u16, Value) {
        let id = self.claimed["alert_id"].as_str().unwrap();
        let body = json!({ "disposition": "fraud", "reason": "card_copied", "note": long() });
        self.tell("POST", &format!("/v1/alerts/{id}/resolve"), Some(&body), self.claimed["version"].as_i64())
    }

    fn queue_part(&self) -> Value {
        let ready: Value = self.get("/readyz").json().unwrap();
        ready["parts"].as_array().unwrap().iter().find(|part| part["part"] == "queue").unwrap().clone()
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text().unwrap();
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or_else(|| panic!("{name}"))
    }

    /// While the fault lasts: who acts is refused, and all the rest goes on.
    fn during(&self, reason: &str, is_read: bool) {
        until("the queue's part says so", Duration::from_secs(20), || {
            let part = self.queue_part();
            part["ready"] == json!(false) && part["reason"].as_str().unwrap().contains(reason)
        });
        // The line may be at a rebalance on a busy machine.
        until("payments are decided", Duration::from_secs(20), || self.get("/readyz").status() == 200);
        let board: Value = self.get("/v1/board").json().unwrap();
        assert!(board["readiness"]["parts"].to_string().contains(reason), "{}", board["readiness"]);
        // Payments are decided, and their alerts wait in the topic.
        for n in BEFORE..BEFORE + MEANWHILE {
            let told = ask(&self.client, &self.base, &World::key(), "", &payment(&format!("t{n}")), None);
            assert_eq!(told.unwrap().status, 200);
        }
        std::thread::scope(|scope| {
            let people: Vec<_> = (0..PEOPLE).map(|_| scope.spawn(|| self.resolve())).collect();
            for person in people {
                let (status, problem) = person.join().unwrap();
                assert_eq!((status, &problem["code"]), (503, &json!("queue_unavailable")), "{problem}");
            }
        });
        let id = self.claimed["alert_id"].as_str().unwrap();
        let url = format!("http://{}/v1/alerts/{id}/notes", self.base);
        let version = format!("\"{}\"", self.claimed["version"]);
        let asked = self.client.post(url).bearer_auth(World::key()).header("if-match", version);
        let refused = asked.json(&json!({ "text": long() })).send().unwrap();
        let after = refused.headers().get("retry-after").unwrap().to_str().unwrap().parse::<u32>().unwrap();
        assert!(after >= 1 && refused.status() == 503, "{refused:?}");
        let page = self.get("/queue");
        let (status, has_after) = (page.status().as_u16(), page.headers().contains_key("retry-after"));
        let text = page.text().unwrap();
        if is_read {
            let banner = text.split("id=\"database\"").nth(1).unwrap().split('>').next().unwrap();
            assert!(status == 200 && !banner.contains("hidden"), "{status} {banner}");
        } else {
            assert!(status == 503 && has_after && text.contains("does not answer"), "{status} {text}");
        }
        until("the metrics say so", Duration::from_secs(20), || {
            self.metric("tripline_queue_up") == 0.0
                && self.metric("tripline_queue_lag_messages{topic=\"alerts\"}") > 0.0
        });
    }

    /// After it: everything arrives once, and what was refused had not been done.
    fn after(mut self) {
        let all = (BEFORE + MEANWHILE) as u64;
        until("the alerts are in the queue", Duration::from_secs(60), || {
            let (status, board) = self.tell("GET", "/v1/dashboard", None, None);
            status == 200 && board["open"].as_u64() >= Some(all)
        });
        let (_, list) = self.tell("GET", "/v1/alerts?limit=200", None, None);
        let hits: Vec<_> = list["alerts"].as_array().unwrap().iter().map(|alert| &alert["hits"]).collect();
        assert_eq!(hits, vec![&json!(1); all as usize], "each once");
        let id = self.claimed["alert_id"].as_str().unwrap();
        let (_, now) = self.tell("GET", &format!("/v1/alerts/{id}"), None, None);
        let actions: Vec<_> =
            now["history"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
        assert_eq!(
            (&now["version"], actions, &now["notes"]),
            (&self.claimed["version"], vec![json!("claim")], &json!([]))
        );
        let (status, done) = self.resolve();
        assert_eq!((status, &done["state"]), (200, &json!("resolved")), "{done}");
        // As many at once as there are connections: none was left unusable.
        std::thread::scope(|scope| {
            let claim = || self.tell("POST", "/v1/alerts/claim-next", None, None).0;
            let people: Vec<_> = (0..PEOPLE).map(|_| scope.spawn(claim)).collect();
            assert!(people.into_iter().all(|person| person.join().unwrap() == 200));
        });
        until("all is said to be well", Duration::from_secs(20), || {
            self.queue_part()["ready"] == json!(true)
                && self.metric("tripline_queue_up") == 1.0
                && self.metric("tripline_queue_lag_messages{topic=\"alerts\"}") == 0.0
                && self.metric("tripline_queue_open_alerts") == (all - 1) as f64
                && self.metric("tripline_queue_outbox_waiting") == 1.0
                && self.metric("tripline_queue_audit_entries") >= 2.0 + PEOPLE as f64
        });
        assert!(self.metric("tripline_queue_oldest_alert_seconds") >= 1.0);
        self.process.signal("TERM");
        assert!(self.process.wait(ENDS_WITHIN).success(), "{}", self.process.log_tail());
        let sets: Vec<_> = self.sets.iter().map(String::as_str).collect();
        let (is_good, said) = crate::queue_audit::verify(&self.world, &sets);
        assert!(is_good && said["findings"] == json!([]), "{said}");
    }
}

#[test]
fn sqlite_locked() {
    if crate::fast() {
        return;
    }
    let desk = Desk::open("queue-locked", &[]);
    let mut other = desk.sqlite();
    other.run("BEGIN IMMEDIATE");
    desk.during("locked", true);
    other.run("ROLLBACK");
    desk.after();
}

#[test]
fn sqlite_full() {
    if crate::fast() {
        return;
    }
    let desk = Desk::open("queue-full", &["queue.max_mib=1"]);
    let mut other = desk.sqlite();
    // The bound is each connection's own: this one may fill the file beyond it.
    other.run("CREATE TABLE junk (bytes BLOB); INSERT INTO junk VALUES (zeroblob(2097152))");
    desk.during("full", true);
    other.run("DROP TABLE junk");
    desk.after();
}

#[test]
fn postgres_locked() {
    if crate::fast() {
        return;
    }
    let url = Servers::postgres().create_database("locked");
    let desk = Desk::open("queue-locked-postgres", &[&format!("queue.url=\"{url}\"")]);
    let mut other = Database::open(&url);
    other.run("BEGIN");
    other.run("LOCK TABLE alerts IN ACCESS EXCLUSIVE MODE");
    desk.during("lock timeout", false);
    other.run("ROLLBACK");
    desk.after();
}

#[test]
fn postgres_full() {
    if crate::fast() {
        return;
    }
    let own = Postgres::start();
    let Some(small) = Small::mount(own.dir.join("small")) else {
        return println!("left out: a full Postgres, since no file system can be mounted here");
    };
    let server = own.dir.join("postgres/data").metadata().unwrap();
    std::os::unix::fs::chown(&small.0, Some(server.uid()), Some(server.gid())).unwrap();
    let folder = small.0.display();
    query(&own.url, &format!("create tablespace small location '{folder}'"));
    query(&own.url, "create database small tablespace small");
    let url = format!("{}/small", own.url.rsplit_once('/').unwrap().0);
    let desk = Desk::open("queue-full-postgres", &[&format!("queue.url=\"{url}\"")]);
    small.fill();
    desk.during("No space left", true);
    small.clear();
    desk.after();
    own.stop("TERM");
}

#[test]
fn postgres_stopped() {
    if crate::fast() {
        return;
    }
    let own = Postgres::start();
    let url = own.create_database("queue");
    let desk = Desk::open("queue-stopped", &[&format!("queue.url=\"{url}\"")]);
    own.stop("KILL");
    desk.during("database", false);
    own.again();
    desk.after();
}
