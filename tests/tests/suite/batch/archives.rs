//! The same run with other archives, features and topics: merged, lacking a file, under other definitions, and what was
//! missed handed to the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::caller::address;
use harness::kafka::{World, read};
use harness::process::{ENDS_WITHIN, until};
use schemas::contract::Contract;
use schemas::decision::Decision;
use schemas::value::FeatureValue;
use serde_json::{Value, json};

use super::{classes, findings, seen, serve, tripline};

/// Reconciles what is archived so far, again and again: never is anything unexplained.
pub fn beside(world: &World, is_over: &AtomicBool) {
    let (out, mut runs) = (world.path("beside"), 0);
    while !is_over.load(Ordering::Relaxed) {
        let (good, said) = tripline(world, &["reconcile", "--out", out.to_str().unwrap()], &[]);
        let unexplained: Vec<_> =
            findings(&out).into_iter().filter(|finding| finding["class"] == "unexplained").take(5).collect();
        assert!(good, "{said} {unexplained:#?}");
        runs += 1;
        println!("beside live traffic: {}", said.split_whitespace().take(3).collect::<Vec<_>>().join(" "));
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(runs > 1);
}

/// The archive in a folder of its own.
fn copied(world: &World, name: &str) -> String {
    let done =
        Command::new("cp").arg("-r").arg(world.path("archive")).arg(world.path(name)).status().unwrap();
    assert!(done.success());
    format!("archive.address=\"{name}\"")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Its small files merged into large ones: the reconciliation comes to the same.
pub fn kept_up(world: &World, out: &Path) {
    let address = copied(world, "tended");
    // Of days that are over: two where it was midnight meanwhile.
    for topic in std::fs::read_dir(world.path("tended")).unwrap() {
        let entries = std::fs::read_dir(topic.unwrap().path()).unwrap().map(|entry| entry.unwrap().path());
        let mut days: Vec<_> = entries.filter(|path| path.is_dir()).collect();
        days.sort();
        for (place, day) in days.iter().enumerate() {
            std::fs::rename(day, day.with_file_name(format!("dt=2026-01-0{}", place + 1))).unwrap();
        }
    }
    let sets = [address, "archive.records_per_file=100000".to_owned()];
    let parquet =
        || files(&world.path("tended")).iter().filter(|path| path.extension().unwrap() == "parquet").count();
    let before = parquet();
    for _ in 0..2 {
        let (good, said) = tripline(world, &["archive", "upkeep"], &sets);
        assert!(good, "{said}");
        println!("{}", said.lines().last().unwrap_or_default());
    }
    assert!(parquet() < before, "{} of {before} files", parquet());
    let (good, said) = tripline(world, &["archive", "verify"], &sets);
    assert!(good, "{said}");
    let again = world.path("tended-out");
    let (good, said) = tripline(world, &["reconcile", "--out", again.to_str().unwrap()], &sets);
    assert!(good, "{said}");
    let of = |folder: &Path| std::fs::read_to_string(folder.join("findings.jsonl")).unwrap();
    assert_eq!(of(out), of(&again));
}

/// A busy merchant has more events in a window than are kept, and the decision says that it is approximate: by the plain
/// words, each count that is not the count of what was applied before is found under that name, and no other.
pub fn at_the_bound(world: &World, found: &[Value]) {
    const FEATURE: &str = "merchant_payments_5d";
    const WINDOW_MS: i64 = 5 * 86_400_000;
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let told: BTreeMap<String, String> = found
        .iter()
        .filter(|finding| finding["class"] == "approximate" && finding["field"] == FEATURE)
        .map(|finding| (text(finding, "transaction_id"), text(finding, "computed")))
        .collect();
    let decisions: Vec<Decision> = read(Contract::Decision, &world.servers.read(&world.topic("decisions")));
    let merchants: Vec<_> = decisions.iter().map(|decision| seen(decision, "merchant")).collect();
    let mut expected = BTreeMap::new();
    for (decision, (key, _, state, pending)) in decisions.iter().zip(&merchants) {
        let feature = decision.features.iter().find(|feature| &*feature.name == FEATURE).unwrap();
        let FeatureValue::Int(recorded) = feature.value else { continue };
        let now = decision.event_time.ms();
        let before = decisions.iter().zip(&merchants).filter(|(other, (other_key, applied, ..))| {
            let is_before = applied <= state || pending.contains(&other.transaction_id);
            let is_other = other.transaction_id != decision.transaction_id;
            let is_in = (now - WINDOW_MS + 1..=now).contains(&other.event_time.ms());
            other_key == key && is_other && is_before && is_in
        });
        let counted = 1 + before.count() as i64;
        if counted != recorded {
            assert!(
                decision.approximate,
                "{}: {recorded}, and {counted} were applied",
                decision.transaction_id
            );
            expected.insert(decision.transaction_id.clone(), counted.to_string());
        }
    }
    assert!(!expected.is_empty(), "nothing was at its bound");
    assert_eq!(told, expected);
    let says = decisions.iter().filter(|decision| decision.approximate).count();
    println!(
        "{says} decisions say that they are approximate, in {} the count is another: each is found",
        told.len()
    );
}

/// A file of payments is gone: what depends on it says so, and nothing is called a bug.
pub fn gapped(world: &World) {
    let address = copied(world, "gapped");
    let mut payments = files(&world.path("gapped").join(world.topic("transactions")));
    payments.retain(|path| path.to_str().unwrap().contains("part=1"));
    payments.sort();
    let first = payments.iter().find(|path| path.extension().unwrap() == "parquet").unwrap();
    let name = first.file_stem().unwrap().to_str().unwrap();
    std::fs::remove_file(first.with_file_name(format!("_{name}.json"))).unwrap();
    std::fs::remove_file(first).unwrap();
    let out = world.path("gapped-out");
    let sets = [address];
    let (good, said) = tripline(world, &["reconcile", "--out", out.to_str().unwrap()], &sets);
    let found = findings(&out);
    let unexplained: Vec<_> =
        found.iter().filter(|finding| finding["class"] == "unexplained").take(5).collect();
    assert!(good, "{said} {unexplained:#?}");
    for check in ["conservation", "versions", "features_as_of_log"] {
        assert!(classes(&found, check).contains_key("archive_gap"), "{check}: {:?}", classes(&found, check));
    }
}

/// Another features file: nothing of the old one is computed by it.
pub fn of_other_features(world: &World) {
    let text = std::fs::read_to_string(world.path("features.toml")).unwrap();
    std::fs::write(world.path("other.toml"), text.replacen("window = \"1h\"", "window = \"2h\"", 1)).unwrap();
    let out = world.path("other-out");
    let sets = ["features=\"other.toml\"".to_owned()];
    let (_, said) = tripline(world, &["reconcile", "--out", out.to_str().unwrap()], &sets);
    let found = findings(&out);
    assert_eq!(
        classes(&found, "features_as_of_log"),
        [("features_changed".to_owned(), 3_000)].into(),
        "{said}"
    );
}

/// Alerts that should have been raised reach the queue, once, however often they are published.
pub fn missed(world: &World, out: &Path) {
    let topic = world.topic("missed-alerts");
    world.servers.create(&[(topic.clone(), 1)]);
    let text = std::fs::read_to_string(out.join("missed_alerts.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let least = lines.iter().map(|alert| alert["amount_minor"].as_i64().unwrap()).min().unwrap() + 1;
    let expected: BTreeSet<&str> = lines
        .iter()
        .filter(|alert| alert["amount_minor"].as_i64() >= Some(least))
        .map(|alert| alert["transaction_id"].as_str().unwrap())
        .collect();
    assert!(!expected.is_empty() && expected.len() < lines.len(), "{} missed", lines.len());
    let sets = [format!("reconcile.missed_alerts=\"{topic}\""), format!("reconcile.missed_minor={least}")];
    let again = world.path("missed-out");
    for _ in 0..2 {
        let words = ["reconcile", "--out", again.to_str().unwrap(), "--missed-alerts", &topic];
        let (good, said) = tripline(world, &words, &sets);
        let count = expected.len();
        assert!(good && said.contains(&format!("{count} alerts that were missed")), "{said}");
    }
    // The stream's own alerts are not looked at.
    let quiet = world.topic("quiet");
    world.servers.create(&[(quiet.clone(), 4)]);
    let alerts = format!("kafka.alerts=\"{quiet}\"");
    let mut process = world.serve(&[&sets[0], &alerts], &[]);
    let base = address(&process);
    let client = harness::caller::client();
    let get = |path: &str| -> Value {
        client.get(format!("http://{base}{path}")).bearer_auth(World::key()).send().unwrap().json().unwrap()
    };
    let mut hits = BTreeMap::new();
    until("each is in the queue", Duration::from_secs(30), || {
        let alerts = get("/v1/alerts?limit=200");
        for alert in alerts["alerts"].as_array().into_iter().flatten() {
            let id = alert["alert_id"].as_str().unwrap();
            for hit in get(&format!("/v1/alerts/{id}"))["payments"].as_array().unwrap() {
                let why = hit["reasons"][0]["text"].as_str().unwrap().to_owned();
                hits.insert(hit["transaction_id"].as_str().unwrap().to_owned(), why);
            }
        }
        expected.iter().all(|id| hits.contains_key(*id))
    });
    for id in &expected {
        assert!(hits[*id].starts_with("Missed: decided "), "{}", hits[*id]);
    }
    println!(
        "{} alerts that were missed are in the queue: {}",
        expected.len(),
        hits[*expected.first().unwrap()]
    );
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
}

/// The result of a day, as those who have no shell see it.
pub fn over_rest(world: &World, out: &Path) {
    let day = world.path("reconciliations/2026-11-25");
    std::fs::create_dir_all(&day).unwrap();
    for name in ["report.json", "report.html"] {
        std::fs::copy(out.join(name), day.join(name)).unwrap();
    }
    let (mut process, base) = serve(world);
    let client = harness::caller::client();
    let get =
        |path: &str| client.get(format!("http://{base}{path}")).bearer_auth(World::key()).send().unwrap();
    let listed: Value = get("/v1/reconciliations").json().unwrap();
    let first = &listed["reconciliations"][0];
    assert_eq!((&first["day"], &first["unexplained"]), (&json!("2026-11-25"), &json!(0)), "{listed}");
    assert!(first["records"]["payments"].as_u64() > Some(3_000), "{listed}");
    let page = get("/v1/reconciliations/2026-11-25/report");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("sha256-") && page.text().unwrap().contains("unexplained"), "{policy}");
    for nothing in ["2026-11-24", "..", "x", "%2e%2e%2f2026-11-25"] {
        assert_eq!(get(&format!("/v1/reconciliations/{nothing}/report")).status().as_u16(), 404, "{nothing}");
    }
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
}
