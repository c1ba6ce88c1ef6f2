//! The analysts' queue from outside: its contract on a real Postgres, people who work it while the process is killed,
//! and the pages in a real Chromium.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use harness::browser::browser;
use harness::caller::{address, ask, client, open};
use harness::kafka::{World, read};
use harness::process::{ENDS_WITHIN, Process, binary, until};
use harness::servers::{Servers, root};
use reqwest::blocking::Client;
use schemas::contract::Contract;
use serde::Deserialize;
use serde_json::{Value, json};
use tripline::clock::{Clock, SystemClock};

/// How often the process is killed under those who work the queue, on each database; `TRIPLINE_KILLS=20` by hand.
fn kills() -> usize {
    std::env::var("TRIPLINE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// How long people work between two kills.
const WORKED: Duration = Duration::from_millis(900);

/// A payment that is reviewed, on a card of its own.
pub fn payment(id: &str) -> Value {
    let now_ms = SystemClock::default().now().wall_ms;
    json!({"transaction_id": id, "event_time": now_ms, "amount_minor": 1_250, "currency": "EUR",
           "card_id": format!("card-{id}"), "merchant_id": "shop-1", "country": "DE"})
}

pub fn world(name: &str) -> World {
    World::new(Servers::shared(), name, 2)
}

/// Tells the queue's part of the API something; status and body.
pub fn tell(
    client: &Client,
    base: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
    version: Option<i64>,
) -> Option<(u16, Value)> {
    let url = format!("http://{base}{path}");
    let mut request = client.request(method.parse().unwrap(), url).bearer_auth(World::key());
    if let Some(body) = body {
        request = request.json(body);
    }
    if let Some(version) = version {
        request = request.header("if-match", format!("\"{version}\""));
    }
    let answer = request.send().ok()?;
    let status = answer.status().as_u16();
    let text = answer.text().ok()?;
    Some((status, serde_json::from_str(&text).unwrap_or_default()))
}

/// Decides payments over REST until there are so many alerts.
pub fn raise(base: &str, from: usize, count: usize) {
    let client = client();
    for n in from..from + count {
        let told = ask(&client, base, &World::key(), "", &payment(&format!("t{n}")), None).unwrap();
        assert_eq!(told.status, 200, "{told:?}");
    }
    until("the alerts are in the queue", Duration::from_secs(60), || {
        let board = tell(&client, base, "GET", "/v1/dashboard", None, None);
        board.is_some_and(|(_, board)| board["open"].as_u64() >= Some(count as u64))
    });
}

/// Runs tests of the queue's own on a real Postgres; what they said. Which program has them is found by one of them.
fn on_postgres(program: &str, one_of_them: &str, filter: &str) -> String {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let built = std::fs::read_dir(deps).unwrap().map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(&format!("{program}-")) && path.extension().is_none()
    });
    // The feature store has a contract of its own, and crates may share a name.
    let has_it = |path: &std::path::PathBuf| {
        let listed = Command::new(path).arg("--list").output().unwrap().stdout;
        String::from_utf8_lossy(&listed).contains(one_of_them)
    };
    let newest = built.filter(has_it).max_by_key(|path| path.metadata().unwrap().modified().unwrap());
    let found = newest.expect("the queue's tests are built: cargo build --release --workspace --all-targets");
    let out = Command::new(found)
        .args(["--nocapture", filter])
        .env("TRIPLINE_POSTGRES", Servers::postgres().create_database("contract"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{said}\n{}", String::from_utf8_lossy(&out.stderr));
    said
}

#[test]
fn i9_the_contract_holds_on_postgres() {
    if crate::fast() {
        return;
    }
    let said = on_postgres("contract", "a_hundred_who_claim_at_once", "");
    assert!(said.contains("postgres: "), "it ran on SQLite only:\n{said}");
    said.lines().filter(|line| line.contains(" claims in ")).for_each(|line| println!("{line}"));
}

#[test]
fn the_queries_go_by_indexes_on_postgres_too() {
    if crate::fast() {
        return;
    }
    let said = on_postgres("queue", "every_query_goes_by_an_index", "plans::");
    assert!(said.contains("Postgres: "), "it ran on SQLite only:\n{said}");
    said.lines().filter(|line| line.contains(" plans over ")).for_each(|line| println!("{line}"));
}

#[derive(Deserialize)]
struct Label {
    transaction_id: String,
    fraud: bool,
    label_time: i64,
    source: String,
}

/// What was acknowledged: the disposition by alert.
type Told = Mutex<BTreeMap<String, &'static str>>;

/// Works the queue until it is told to stop: claims the next, and says a verdict on it.
fn work(base: &str, place: usize, stop: &AtomicBool, told: &Told, actions: &AtomicUsize) {
    let client = client();
    while !stop.load(Ordering::Relaxed) {
        let Some((200, alert)) = tell(&client, base, "POST", "/v1/alerts/claim-next", None, None) else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        let (id, version) = (alert["alert_id"].as_str().unwrap(), alert["version"].as_i64().unwrap());
        let (disposition, reason) = [("fraud", "card_copied"), ("legitimate", "travel")][place % 2];
        let body = json!({ "disposition": disposition, "reason": reason });
        let path = format!("/v1/alerts/{id}/resolve");
        if let Some((200, done)) = tell(&client, base, "POST", &path, Some(&body), Some(version)) {
            assert_eq!(done["state"], "resolved", "{done}");
            let before = told.lock().unwrap().insert(id.to_owned(), disposition);
            assert_eq!(before, None, "{id} was given and decided twice");
            actions.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Kills the process under those who work, starts it again, and looks at what they were told.
fn killed(name: &str, sets: &[&str]) {
    let world = world(name);
    let sets = [sets, &["queue.undo=\"1s\"", "queue.lease=\"2s\"", "queue.entity=\"card\""]].concat();
    let (mut process, count) = (world.serve(&sets, &[]), 200 * (kills() + 1));
    let mut base = address(&process);
    open(&base, &World::key(), &payment("dry"));
    raise(&base, 0, count);
    let (told, actions) = (Told::default(), AtomicUsize::new(0));
    for round in 0..=kills() {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for place in 0..4 {
                let (base, stop, told, actions) = (&base, &stop, &told, &actions);
                scope.spawn(move || work(base, place, stop, told, actions));
            }
            std::thread::sleep(WORKED);
            if round < kills() {
                process.kill9();
            }
            stop.store(true, Ordering::Relaxed);
        });
        if round < kills() {
            process = world.serve(&sets, &[]);
            base = address(&process);
            open(&base, &World::key(), &payment("dry"));
        }
    }
    compared(&world, &base, told.into_inner().unwrap());
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
    verified(&world, &sets);
    let verdicts = actions.load(Ordering::Relaxed);
    // Each is a claim and a verdict, which were made while the process was up.
    let rate = 2.0 * verdicts as f64 / (WORKED.as_secs_f64() * (kills() + 1) as f64);
    println!(
        "{name}: {} kills under {rate:.0} actions a second, {verdicts} verdicts acknowledged, none lost",
        kills()
    );
}

/// Each verdict that was acknowledged stands, and its label is in the topic, once or the same again.
fn compared(world: &World, base: &str, told: BTreeMap<String, &'static str>) {
    let client = client();
    let mut wanted = BTreeMap::new();
    for (id, disposition) in &told {
        let (_, alert) = tell(&client, base, "GET", &format!("/v1/alerts/{id}"), None, None).unwrap();
        assert_eq!(
            (&alert["state"], &alert["disposition"]),
            (&json!("resolved"), &json!(disposition)),
            "{id}"
        );
        let verdicts =
            alert["history"].as_array().unwrap().iter().filter(|entry| entry["action"] == "resolve");
        assert_eq!(verdicts.count(), 1, "{id}: {}", alert["history"]);
        let payment = alert["payments"][0]["transaction_id"].as_str().unwrap().to_owned();
        wanted.insert(payment, *disposition == "fraud");
    }
    assert!(wanted.len() > 20, "only {} verdicts", wanted.len());
    let mut found: BTreeMap<String, (bool, i64)> = BTreeMap::new();
    until("all labels are in the topic", Duration::from_secs(60), || {
        found.clear();
        for label in read::<Label>(Contract::Label, &world.servers.read(&world.topic("labels"))) {
            assert_eq!(label.source, "analyst");
            let new = (label.fraud, label.label_time);
            let before = found.insert(label.transaction_id.clone(), new);
            assert!(
                before.is_none_or(|before| before == new),
                "{} was labelled in two ways",
                label.transaction_id
            );
        }
        wanted.keys().all(|id| found.contains_key(id))
    });
    for (id, fraud) in &wanted {
        assert_eq!(found[id].0, *fraud, "{id}");
    }
    // Nor is there one that no verdict stands for, whether its verdict was acknowledged or not.
    for (payment, (fraud, _)) in &found {
        let path = format!("/v1/alerts?text={payment}");
        let (_, list) = tell(&client, base, "GET", &path, None, None).unwrap();
        let alerts = list["alerts"].as_array().unwrap();
        let stands: Vec<_> = alerts.iter().map(|alert| (&alert["state"], &alert["disposition"])).collect();
        let disposition = if *fraud { "fraud" } else { "legitimate" };
        assert_eq!(stands, [(&json!("resolved"), &json!(disposition))], "{payment}");
    }
}

/// `tripline audit verify` finds nothing wrong.
fn verified(world: &World, sets: &[&str]) {
    let mut command = Command::new(binary());
    command.args(["audit", "verify", "--json", "--config"]).arg(world.path("tripline.toml"));
    sets.iter().for_each(|set| _ = command.args(["--set", set]));
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert!(said["entries"].as_u64().unwrap() > 40 && said["findings"] == json!([]), "{said}");
}

#[test]
fn i9_kill_9_under_those_who_work_on_sqlite() {
    if !crate::fast() {
        killed("queue-sqlite", &[]);
    }
}

#[test]
fn i9_kill_9_under_those_who_work_on_postgres() {
    if crate::fast() {
        return;
    }
    let url = format!("queue.url=\"{}\"", Servers::postgres().create_database("queue"));
    killed("queue-postgres", &[&url]);
}

/// The demo's features, policy and model: payments have scores there, so alerts have ranks.
pub fn demo_world(name: &str) -> World {
    let file = |name: &str| std::fs::read_to_string(root().join("deploy/examples/demo").join(name)).unwrap();
    let config = file("tripline.toml");
    let payment = &config[config.find("[payment]").unwrap()..config.find("[kafka]").unwrap()];
    let models = format!("[models]\npath = {:?}\nlive = \"demo\"\n", root().join("models/artifacts"));
    World::of(
        Servers::shared(),
        name,
        2,
        &format!("{models}{payment}"),
        &file("features.toml"),
        &file("policy.toml"),
    )
}

pub fn demo_payment(id: &str) -> Value {
    let mut payment = payment(id);
    payment["device_id"] = json!("device-1");
    payment["channel"] = json!("online");
    payment
}

/// An account, by the command that makes one.
pub fn account(world: &World, name: &str, sets: &[&str]) -> Value {
    let password = format!("a good password of {name}");
    let mut command = Command::new(binary());
    command.args(["user", "add", name, "--role", name, "--config"]).arg(world.path("tripline.toml"));
    sets.iter().for_each(|set| _ = command.args(["--set", set]));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    assert!(child.wait().unwrap().success(), "tripline user add {name}");
    json!({ "name": name, "password": password })
}

fn score(base: &str) -> Value {
    json!({ "url": format!("http://{base}/v1/score"), "key": World::key(), "payment": demo_payment("browser") })
}

#[test]
fn the_pages_in_a_browser() {
    if crate::fast() {
        return;
    }
    let serve = |name: &str, sets: &[&str]| -> (World, Process, String) {
        let world = demo_world(name);
        let process = world.serve(sets, &[]);
        let base = address(&process);
        open(&base, &World::key(), &demo_payment("dry"));
        (world, process, base)
    };
    // What is late is decided by the policy's fallback, which may raise no alert: nothing is late here.
    let in_time = "rest.deadline=\"5s\"";
    let (world, _process, base) = serve("queue-pages", &[in_time]);
    let (short_world, _short, short) = serve(
        "queue-short",
        &[
            in_time,
            "queue.lease=\"15s\"",
            "queue.second_person_minor=100000000",
            "queue.second_person_bulk=3",
        ],
    );
    let (analyst, lead) = (account(&world, "analyst", &[]), account(&world, "lead", &[]));
    account(&short_world, "analyst", &[]);
    account(&short_world, "lead", &[]);
    let knobs = json!({ "base": format!("http://{base}"), "analyst": analyst, "second": lead, "score": score(&base),
        "short": { "base": format!("http://{short}"), "score": score(&short), "lease_ms": 15_000,
                   "second_minor": 100_000_000, "second_bulk": 3 } });
    browser("queue", &knobs, &[]);
}
