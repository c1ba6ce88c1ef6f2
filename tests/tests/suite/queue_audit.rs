//! The audit log against its topic: an end that was cut off and a log that was made anew are found by what the topic
//! kept, and by nothing else.

use std::process::{Command, Stdio};
use std::time::Duration;

use harness::caller::{address, client, open};
use harness::database::Database;
use harness::kafka::{World, read};
use harness::process::{ENDS_WITHIN, binary, until};
use schemas::audit_head::AuditHead;
use schemas::contract::Contract;
use serde_json::{Value, json};

use crate::queue::{payment, raise, tell, world};

const SETS: [&str; 3] = ["queue.entity=\"card\"", "queue.anchor_every=\"1s\"", "queue.anchor_entries=3"];

/// `tripline audit verify`: whether it finds the log good, and what it says.
pub fn verify(world: &World, sets: &[&str]) -> (bool, Value) {
    let mut command = Command::new(binary());
    command.args(["audit", "verify", "--json", "--config"]).arg(world.path("tripline.toml"));
    sets.iter().for_each(|set| _ = command.args(["--set", set]));
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    let value = serde_json::from_str(&said);
    let value = value.unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&out.stderr)));
    (out.status.success(), value)
}

fn findings(said: &Value) -> Vec<&str> {
    said["findings"].as_array().unwrap().iter().map(|one| one["finding"].as_str().unwrap()).collect()
}

/// What the topic kept, in its order.
fn heads(world: &World) -> Vec<AuditHead> {
    read(Contract::AuditHead, &world.servers.read(&world.topic("audit-heads")))
}

/// Serves for a while, with so many more alerts and claims; the topic has the log's end afterwards.
fn worked(world: &World, from: usize, claims: usize) {
    let mut process = world.serve(&SETS, &[]);
    let (base, client) = (address(&process), client());
    open(&base, &World::key(), &payment("dry"));
    raise(&base, from, claims);
    let mut held = Value::Null;
    for _ in 0..claims {
        let (status, alert) = tell(&client, &base, "POST", "/v1/alerts/claim-next", None, None).unwrap();
        assert_eq!(status, 200, "{alert}");
        held = alert;
    }
    let (_, page) = tell(&client, &base, "GET", "/v1/audit?limit=1", None, None).unwrap();
    until("the end of the log is in the topic", Duration::from_secs(60), || {
        let heads = heads(world);
        heads.last().is_some_and(|head| page["entries"][0]["hash"] == head.hash.as_str())
    });
    // One more, and the process ends before the second is over: its last end is sent all the same.
    let path = format!("/v1/alerts/{}/release", held["alert_id"].as_str().unwrap());
    let (status, _) = tell(&client, &base, "POST", &path, None, held["version"].as_i64()).unwrap();
    assert_eq!(status, 200);
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
}

/// Works until a process that ended sent the log's last end; how many entries there are. It has two seconds for that,
/// which a busy machine may miss.
fn worked_to_its_end(world: &World) -> i64 {
    for (from, claims) in [(0, 8), (8, 1), (9, 1)] {
        worked(world, from, claims);
        let (is_good, said) = verify(world, &SETS);
        assert!(is_good, "{said}");
        let entries = said["entries"].as_i64().unwrap();
        if heads(world).last().unwrap().seq == entries {
            assert!(said["anchors"].as_u64() >= Some(2), "{said}");
            return entries;
        }
    }
    panic!("the last end was not sent when the process ended");
}

#[test]
fn what_was_cut_off_and_what_was_made_anew_is_found_through_the_topic() {
    if crate::fast() {
        return;
    }
    let world = world("queue-anchors");
    let before = worked_to_its_end(&world);
    let away = [SETS.as_slice(), &["kafka.bootstrap=\"127.0.0.1:1\""]].concat();
    // Without brokers the log is compared with itself, and that is said.
    let (is_good, said) = verify(&world, &away);
    assert!(is_good && said["anchored"]["not_compared"].is_string(), "{said}");
    let queue = world.path("queue.db");
    {
        let mut database = Database::open(&format!("sqlite:{}", queue.display()));
        assert_eq!(database.number("SELECT COUNT(*) FROM audit"), before);
        database.run("DELETE FROM audit WHERE seq > 4");
        database.run("UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)");
    }
    let (is_good, said) = verify(&world, &away);
    assert!(is_good && said["entries"] == json!(4), "who cuts well is not found by the log itself: {said}");
    let (is_good, said) = verify(&world, &SETS);
    assert!(!is_good && findings(&said).contains(&"truncated"), "{said}");
    println!("4 of {before} entries left: {said}");
    // A log made anew, longer than the one before, and served: its own ends come to the topic too.
    for file in ["queue.db", "queue.db-wal", "queue.db-shm"] {
        let _ = std::fs::remove_file(world.path(file));
    }
    for n in 0..before + 2 {
        let mut user = Command::new(binary());
        user.args(["user", "add", &format!("user{n}"), "--role", "viewer", "--generate", "--config"]);
        let done = user.arg(world.path("tripline.toml")).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(done.unwrap().success());
    }
    let (is_good, _) = verify(&world, &away);
    assert!(is_good, "who makes it anew is not found by the log itself");
    let told = heads(&world).len();
    let mut process = world.serve(&SETS, &[]);
    until("the new log's end is in the topic", Duration::from_secs(60), || heads(&world).len() > told);
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
    let (is_good, said) = verify(&world, &SETS);
    assert!(!is_good && findings(&said).contains(&"forged"), "{said}");
}
