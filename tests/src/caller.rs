//! A caller of the REST door: asks, and keeps what he was told.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::blocking::Client;
use serde_json::Value;

use crate::process::{Process, until};

/// Where a process listens, from its log.
pub fn address(process: &Process) -> String {
    let mut found = None;
    until("it listens", Duration::from_secs(60), || {
        let text = std::fs::read_to_string(&process.log).unwrap_or_default();
        // A log is appended to: the last start's line counts, and it carries the process's number.
        let line = text.lines().rev().find(|line| line.contains("listening"));
        let address = line.and_then(|line| line.split("address=").nth(1)).map(|rest| rest.trim().to_owned());
        found = address.filter(|_| text.matches("listening").count() >= process.started());
        found.is_some()
    });
    found.unwrap()
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Told {
    pub status: u16,
    pub body: Value,
    pub took: Duration,
}

/// Waits until the door answers with decisions.
pub fn open(base: &str, key: &str, dry: &Value) {
    let client = client();
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let told = ask(&client, base, key, "?dry_run=true", dry, None);
        if told.as_ref().is_some_and(|told| told.status == 200) {
            return;
        }
        assert!(Instant::now() < end, "the door of {base} did not open: {told:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until a part of the process is ready, such as the queue, which may be later than the door.
pub fn ready(base: &str, part: &str) {
    let client = client();
    until(&format!("{part} is ready"), Duration::from_secs(60), || {
        let Ok(answer) = client.get(format!("http://{base}/readyz")).send() else { return false };
        let said: Value = answer.json().unwrap_or_default();
        let is_ready = |one: &Value| one["part"] == part && one["ready"] == true;
        said["parts"].as_array().is_some_and(|parts| parts.iter().any(is_ready))
    });
}

/// A client with a connection of its own.
pub fn client() -> Client {
    tripline::http::use_ring();
    Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}

/// Asks for one decision; `None` when there was no answer.
pub fn ask(
    client: &Client,
    base: &str,
    key: &str,
    query: &str,
    body: &Value,
    deadline_ms: Option<u64>,
) -> Option<Told> {
    let mut request = client.post(format!("http://{base}/v1/score{query}")).json(body).bearer_auth(key);
    if let Some(ms) = deadline_ms {
        request = request.header("Tripline-Deadline-Ms", ms);
    }
    let began = Instant::now();
    let response = request.send().ok()?;
    let status = response.status().as_u16();
    let body = response.json().ok()?;
    Some(Told { status, body, took: began.elapsed() })
}

/// Runs `work` for each of the items on so many connections.
pub fn on_connections<T: Sync>(connections: usize, items: &[T], work: impl Fn(&Client, &T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let client = client();
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(&client, item);
                }
            });
        }
    });
}

/// What was told, by transaction id.
#[derive(Default)]
pub struct Answers(pub Mutex<BTreeMap<String, Told>>);

impl Answers {
    pub fn put(&self, id: &str, told: Told) {
        self.0.lock().unwrap().insert(id.to_owned(), told);
    }
}
