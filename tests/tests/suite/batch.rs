//! The batch path on the real broker: a run with all that makes answers differ from what event time has, archived and
//! computed again: nothing is unexplained, and what was put in comes out under its name. Then the same decisions with a
//! few of them spoilt: exactly those are found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::Duration;

use feature_store::store::{Source, Topic};
use harness::caller::{address, ask, on_connections, open};
use harness::kafka::{World, read};
use harness::process::{ENDS_WITHIN, Process, binary, until};
use harness::servers::{Servers, root};
use schemas::codec::{Encoder, SchemaId, unframe};
use schemas::contract::Contract;
use schemas::correction::Correction;
use schemas::decision::{Decision, Door, decision_id};
use schemas::transaction::Transaction;
use schemas::value::FeatureValue;
use serde_json::{Value, json};
use tripline::clock::{Clock, SystemClock};
use tripline::simulate::{SimulatedEvent, Simulation, World as Simulated, feed};

use crate::handbook::batches;
use crate::reload::version;

#[path = "batch/archives.rs"]
mod archives;

use archives::{at_the_bound, beside, gapped, kept_up, missed, of_other_features, over_rest};

/// What is done with one event.
pub enum Step {
    Topic(Transaction),
    Rest(Transaction),
    Label(Vec<u8>),
    /// Bytes that are no record.
    Garbage,
}

pub fn world(name: &str) -> World {
    let example =
        |name: &str| std::fs::read_to_string(root().join("deploy/examples/demo").join(name)).unwrap();
    let config = example("tripline.toml");
    let payment = &config[config.find("[payment]").unwrap()..config.find("[kafka]").unwrap()];
    let config = format!(
        "[models]\npath = \"models\"\nlive = \"demo\"\nwatch = \"200ms\"\n[policies]\nwatch = \"200ms\"\n\
         [archive]\nenabled = true\naddress = \"archive\"\nrecords_per_file = 300\n{payment}lateness = \"2d\"\n\
         events_per_entity = 64\ntile = \"6h\"\n"
    );
    // Ids are forgotten under way, and some decisions are approximate: of both Spark's job can tell less.
    let config = match name {
        "spark" => config.replace("events_per_entity = 64\n", ""),
        _ => config.replace("\"40d\"", "\"4d\""),
    };
    // What a late payment changes, changes alerts.
    let policy = format!(
        "{}[[rule]]\nname = \"every_fifth\"\nwhen = \"feature.card_payments_30d % 5 == 0\"\naction = \"review\"\n\
         reason = \"every fifth\"\n",
        example("policy.toml")
    );
    // Busy merchants have more events in this window than are kept.
    let features = format!(
        "{}\n[[feature]]\nname = \"merchant_payments_5d\"\nentity = \"merchant\"\naggregate = \"count\"\nwindow = \"5d\"\n",
        example("features.toml")
    );
    let world = World::of(Servers::shared(), name, 4, &config, &features, &policy);
    version(&world.path("models"), "1", false);
    world
}

fn serve(world: &World) -> (Process, String) {
    let process = world.serve(
        &[
            "rest.deadline=\"5s\"",
            "store.checkpoint_every=\"1s\"",
            "decisions.index=false",
            "queue.enabled=false",
        ],
        &[("TRIPLINE_FAULT_FILE", world.path("fault").to_str().unwrap())],
    );
    let base = address(&process);
    (process, base)
}

/// What was put in, to be found again.
#[derive(Default)]
pub struct Injected {
    duplicates: u64,
    dead: u64,
    late: BTreeSet<String>,
}

/// The steps: some payments come late, some twice, some with another content; labels late, early and corrected.
pub fn steps(world: &World, payments: usize) -> (Vec<Step>, Injected) {
    let start = SystemClock::default().now().wall_ms - 12 * 86_400_000;
    let simulated = Simulated {
        start,
        cards: 80,
        merchants: 25,
        payments_per_day: 300.0,
        fraud_share: 0.1,
        ..Simulated::default()
    };
    let mut labels = Encoder::new(Contract::Label);
    let mut injected = Injected::default();
    let (mut steps, mut held, mut paid): (Vec<Step>, Vec<(usize, Step)>, usize) = (Vec::new(), Vec::new(), 0);
    for event in Simulation::new(simulated) {
        let place = steps.len();
        while let Some(due) = held.iter().position(|(due, _)| *due <= place) {
            steps.push(held.swap_remove(due).1);
        }
        match event {
            SimulatedEvent::Label(label) => {
                let mut value = Vec::new();
                labels.encode(SchemaId(world.ids[1]), &feed::label(&label).unwrap(), &mut value).unwrap();
                // Some are heard of late.
                let due = if place % 3 == 0 { place + 150 } else { place };
                held.push((due, Step::Label(value)));
            }
            SimulatedEvent::Payment(payment) => {
                let transaction = feed::transaction(&payment).unwrap();
                paid += 1;
                if paid > payments {
                    break;
                }
                if paid % 40 == 0 {
                    injected.late.insert(transaction.transaction_id.clone());
                    held.push((place + 30, Step::Topic(transaction)));
                } else if paid % 2 == 0 {
                    steps.push(Step::Rest(transaction));
                } else {
                    if paid % 51 == 0 {
                        injected.duplicates += 1;
                        held.push((place + 20, Step::Topic(transaction.clone())));
                    }
                    if paid % 151 == 0 {
                        injected.dead += 1;
                        let amount =
                            schemas::payment::AmountMinor::new(transaction.amount.minor() + 1).unwrap();
                        held.push((place + 20, Step::Topic(Transaction { amount, ..transaction.clone() })));
                    }
                    steps.push(Step::Topic(transaction));
                }
                if paid % 301 == 0 {
                    injected.dead += 1;
                    steps.push(Step::Garbage);
                }
            }
        }
    }
    steps.extend(held.into_iter().map(|(_, step)| step));
    // A few labels before their payments.
    let early: Vec<usize> =
        (200..steps.len()).filter(|at| matches!(steps[*at], Step::Label(_)) && at % 7 == 0).collect();
    for at in early {
        let label = steps.remove(at);
        steps.insert(at.saturating_sub(190), label);
    }
    (steps, injected)
}

/// For a while the model fails: a fallback decides for callers.
fn fault_at(at: usize, steps: usize) -> Option<&'static str> {
    let words = [(steps / 8, "model=fail"), (steps / 8 + 150, "")];
    words.into_iter().find(|(when, _)| *when == at).map(|(_, word)| word)
}

fn switch(world: &World, fault: &str) {
    std::fs::write(world.path("fault"), fault).unwrap();
    // It is looked at ten times a second.
    std::thread::sleep(Duration::from_millis(300));
}

pub fn run(world: &World, steps: &[Step]) -> usize {
    let (process, first) = serve(world);
    let Some(Step::Topic(dry)) = steps.iter().find(|step| matches!(step, Step::Topic(_))) else { panic!() };
    open(&first, &World::key(), &json!(dry));
    let encoder = Mutex::new(Encoder::new(Contract::Transaction));
    let (process, base) = (Mutex::new(process), Mutex::new(first));
    let replayed = Mutex::new(0);
    let restart = |at: usize| {
        let mut process = process.lock().unwrap();
        if at == steps.len() / 4 * 2 {
            version(&world.path("models"), "2", false);
            let policy = std::fs::read_to_string(world.path("policy.toml")).unwrap();
            let policy = policy.replace("review = 0.3", "review = 0.25");
            std::fs::write(world.path("policy.toml"), policy).unwrap();
            std::thread::sleep(Duration::from_secs(2));
        } else {
            process.kill9();
            let (again, address) = serve(world);
            *process = again;
            *base.lock().unwrap() = address;
        }
    };
    let work: Vec<(usize, &Step)> = steps.iter().enumerate().collect();
    // Nobody goes on while the service changes: who fell behind would come too late.
    let (gate, is_over) = (RwLock::new(()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| beside(world, &is_over));
        on_connections(8, &work, |client, (at, step)| {
            let passing = gate.read().unwrap();
            let fault = fault_at(*at, steps.len());
            if fault.is_some() || (*at > 0 && at % (steps.len() / 4) == 0) {
                drop(passing);
                let _alone = gate.write().unwrap();
                fault.map_or_else(|| restart(*at), |word| switch(world, word));
            }
            match step {
                Step::Topic(transaction) => {
                    let mut value = Vec::new();
                    encoder.lock().unwrap().encode(SchemaId(world.ids[0]), transaction, &mut value).unwrap();
                    world.send_by_key(transaction.card_id.as_bytes(), &value);
                }
                Step::Label(value) => world.send(Source { topic: Topic::Labels, partition: 0 }, b"", value),
                Step::Garbage => world.send_by_key(b"", b"garbage"),
                Step::Rest(transaction) => {
                    for _ in 0..600 {
                        let base = base.lock().unwrap().clone();
                        // Some callers have no time: a fallback decides.
                        let deadline = (at % 97 == 0).then_some(1);
                        match ask(client, &base, &World::key(), "", &json!(transaction), deadline) {
                            Some(told) if told.status == 200 => {
                                *replayed.lock().unwrap() += usize::from(told.body["replayed"] == true);
                                return;
                            }
                            Some(told) => assert!([409, 503].contains(&told.status), "{told:?}"),
                            None => {}
                        }
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    panic!("{} had no answer", transaction.transaction_id);
                }
            }
        });
        is_over.store(true, Ordering::Relaxed);
    });
    world.flush();
    let mut process = process.into_inner().unwrap();
    until("all is committed", Duration::from_secs(90), || {
        assert_eq!(process.ended(), None, "{}", process.log_tail());
        world.is_committed()
    });
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
    replayed.into_inner().unwrap()
}

/// A command of ours; whether it ended well, and what it said.
pub fn tripline(world: &World, words: &[&str], sets: &[String]) -> (bool, String) {
    let mut command = Command::new(binary());
    command.args(words).arg("--config").arg(world.path("tripline.toml"));
    sets.iter().for_each(|set| _ = command.args(["--set", set]));
    let output = command.output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), said)
}

pub fn findings(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out.join("findings.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn classes(findings: &[Value], check: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding["check"] == check) {
        *counts.entry(finding["class"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn i6_to_i14_nothing_is_unexplained_and_what_was_spoilt_is_found() {
    if crate::fast() {
        return;
    }
    let world = world("batch");
    let (steps, injected) = steps(&world, 3_000);
    run(&world, &steps);
    let (good, said) = tripline(&world, &["archive", "run", "--drain"], &[]);
    assert!(good, "{said}");
    let (good, said) = tripline(&world, &["archive", "verify"], &[]);
    assert!(good, "{said}");
    let out = world.path("out");
    let (good, said) = tripline(&world, &["reconcile", "--out", out.to_str().unwrap()], &[]);
    println!("{said}");
    // To be looked at.
    let pictures = root().join("tests/output");
    std::fs::create_dir_all(&pictures).unwrap();
    std::fs::copy(out.join("report.html"), pictures.join("reconciliation.html")).unwrap();
    let found = findings(&out);
    for finding in found.iter().filter(|finding| finding["class"] == "unexplained").take(20) {
        println!("{finding}");
    }
    assert!(good, "{said}");
    let conservation = classes(&found, "conservation");
    assert_eq!(conservation.get("dead_letter"), Some(&injected.dead));
    assert!(conservation["duplicate"] >= injected.duplicates, "{conservation:?}");
    let by_event_time = classes(&found, "features_by_event_time");
    for class in ["late", "in_flight", "label_after", "label_forgotten"] {
        assert!(by_event_time.contains_key(class), "{by_event_time:?}");
    }
    assert!(classes(&found, "scores").contains_key("fallback"), "{:?}", classes(&found, "scores"));
    let late = to_the_record(&world, &found);
    println!(
        "{late} decisions saw another count of their card's payments than event time has: each is found, and no other"
    );
    at_the_bound(&world, &found);
    commands(&world, &out);
    over_rest(&world, &out);
    kept_up(&world, &out);
    gapped(&world);
    of_other_features(&world);
    missed(&world, &out);
    spoilt(&world);
}

/// What else is made of the archive: the same again, corrections in their topic, a backtest, a training file.
fn commands(world: &World, out: &Path) {
    let topic = world.topic("corrections");
    world.servers.create(&[(topic.clone(), 1)]);
    let again = world.path("again");
    let words = ["reconcile", "--out", again.to_str().unwrap(), "--publish", &topic];
    for _ in 0..2 {
        let (good, said) = tripline(world, &words, &[]);
        assert!(good && said.contains("corrections published"), "{said}");
    }
    for name in ["findings.jsonl", "corrections.jsonl", "report.json", "report.html"] {
        let of = |folder: &Path| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(of(out), of(&again), "{name}: the same archive gives the same");
    }
    let published: Vec<Correction> = read(Contract::Correction, &world.servers.read(&topic));
    let ids: BTreeSet<&str> = published.iter().map(|one| one.correction_id.as_str()).collect();
    let lines = std::fs::read_to_string(out.join("corrections.jsonl")).unwrap().lines().count();
    assert_eq!((published.len(), ids.len()), (2 * lines, lines), "a repetition has the same ids");

    let policy = std::fs::read_to_string(world.path("policy.toml")).unwrap();
    let strict = world.path("strict.toml");
    std::fs::write(&strict, policy.replace("review = 0.25", "review = 0.0001")).unwrap();
    let (good, said) = tripline(world, &["backtest", "--json", "--policy", strict.to_str().unwrap()], &[]);
    assert!(good, "{said}");
    let result: Value = serde_json::from_str(&said).unwrap();
    let count = |side: &str, what: &str| result[side][what]["count"].as_u64().unwrap();
    assert_eq!(result["payments"], 3_000);
    assert_eq!(
        count("before", "caught") + count("before", "missed"),
        count("after", "caught") + count("after", "missed")
    );
    assert!(count("after", "missed") < count("before", "missed"), "{said}");
    assert!(count("after", "false_alarms") > count("before", "false_alarms"), "{said}");

    let file = world.path("training.parquet");
    let span = ["--from", "2020-01-01", "--to", "2100-01-01", "--out", file.to_str().unwrap()];
    let (good, said) = tripline(world, &[&["export-training"], span.as_slice()].concat(), &[]);
    assert!(good && said.starts_with("3000 rows of 3000 payments"), "{said}");
    let rows: usize = batches(&file).map(|batch| batch.num_rows()).sum();
    let columns = batches(&file).next().unwrap().num_columns();
    assert_eq!((rows, columns), (3_000, 6 + 2 * 27));
    let sampled =
        [&["export-training", "--sample", "100", "--labels-known-until", "2020-01-01"], span.as_slice()];
    let (good, said) = tripline(world, &sampled.concat(), &[]);
    assert!(good && said.starts_with("100 rows") && said.contains("100 without a label"), "{said}");
}

/// Where a decision saw an entity: its key, the version at which the payment was applied, the version that it saw, and
/// who was ahead.
fn seen(decision: &Decision, entity: &str) -> (String, i64, i64, Vec<String>) {
    let seen = decision.entities.iter().find(|seen| &*seen.entity == entity).unwrap().clone();
    let (version, pending) = (seen.version, seen.pending.len() as i64);
    match decision.door {
        Door::Rest => (seen.key, seen.applied, version - 1 - pending, seen.pending),
        Door::Topic => (seen.key, version, version - 1, Vec::new()),
    }
}

/// One feature in full: how many payments of its card a decision did not see, by the plain words, against what was
/// found. Both ways: each that is there, and no other.
fn to_the_record(world: &World, found: &[Value]) -> usize {
    const FEATURE: &str = "card_payments_30d";
    let decisions: Vec<Decision> = read(Contract::Decision, &world.servers.read(&world.topic("decisions")));
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let told: BTreeMap<String, String> = found
        .iter()
        .filter(|finding| finding["check"] == "features_by_event_time" && finding["field"] == FEATURE)
        .map(|finding| (text(finding, "transaction_id"), text(finding, "computed")))
        .collect();
    let cards: Vec<_> = decisions.iter().map(|decision| seen(decision, "card")).collect();
    let mut expected = BTreeMap::new();
    for (decision, (key, applied, state, pending)) in decisions.iter().zip(&cards) {
        let missed = decisions.iter().zip(&cards).filter(|(other, (other_key, other_applied, ..))| {
            let place = |applied: &i64, decision: &Decision| (decision.event_time, *applied);
            other_key == key
                && other.transaction_id != decision.transaction_id
                && other_applied > state
                && !pending.contains(&other.transaction_id)
                && place(other_applied, other) < place(applied, decision)
        });
        let missed = missed.count() as i64;
        let feature = decision.features.iter().find(|feature| &*feature.name == FEATURE).unwrap();
        let FeatureValue::Int(seen) = feature.value else {
            // A fallback that had no features: it has a class of its own.
            println!("{} decided by {:?}", decision.transaction_id, decision.fallback);
            assert!(decision.fallback.is_some(), "{feature:?}");
            continue;
        };
        if missed > 0 {
            expected.insert(decision.transaction_id.clone(), (seen + missed).to_string());
        }
    }
    assert_eq!(told, expected);
    expected.len()
}

const SPOILT_FEATURES: usize = 5;

/// Sends the decisions once more to a topic, some of them spoilt; gives payment and field of these.
fn spoil(world: &World, topic: &str) -> BTreeSet<(String, String)> {
    world.servers.create(&[(topic.to_owned(), 4)]);
    let stored = world.servers.read(&world.topic("decisions"));
    let decisions: Vec<Decision> = read(Contract::Decision, &stored);
    let id = SchemaId(unframe(&stored[0].value).unwrap().0.0);
    let scored = |at: &usize| {
        let decision = &decisions[*at];
        decision.model.is_some() && decision.fallback.is_none() && !decision.approximate
    };
    let some: Vec<usize> = (0..decisions.len()).filter(scored).collect();
    let pick = |part: usize| some[some.len() * part / 10];
    let mut expected: BTreeSet<(String, String)> = BTreeSet::new();
    let mut encoder = Encoder::new(Contract::Decision);
    let producer = world.servers.producer();
    let send = |partition: i32, decision: &Decision, encoder: &mut Encoder| {
        let mut value = Vec::new();
        encoder.encode(id, decision, &mut value).unwrap();
        let record = rdkafka::producer::BaseRecord::<[u8], _>::to(topic).partition(partition).payload(&value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.poll(Duration::ZERO);
    };
    for (at, (stored, decision)) in stored.iter().zip(&decisions).enumerate() {
        let mut decision = decision.clone();
        let own = decision.transaction_id.clone();
        if let Some(part) = (1..=SPOILT_FEATURES).find(|part| pick(*part) == at) {
            let mut ints =
                decision.features.iter_mut().filter(|one| matches!(one.value, FeatureValue::Int(_)));
            let feature = ints.nth(part).unwrap();
            let FeatureValue::Int(value) = feature.value else { panic!() };
            feature.value = FeatureValue::Int(value + 1);
            expected.insert((own, feature.name.to_string()));
        } else if pick(7) == at {
            expected.insert((own, "decision".to_owned()));
            continue;
        } else if pick(8) == at {
            decision.score = decision.score.map(|score| f64::from_bits(score.to_bits() ^ 1));
            expected.insert((own, "score".to_owned()));
        } else if pick(9) == at {
            let invented = "tx_invented".to_owned();
            let invented = Decision {
                decision_id: decision_id(&invented),
                transaction_id: invented,
                ..decision.clone()
            };
            expected.insert((invented.transaction_id.clone(), "payment".to_owned()));
            send(stored.partition, &invented, &mut encoder);
        }
        send(stored.partition, &decision, &mut encoder);
    }
    rdkafka::producer::Producer::flush(&producer, Duration::from_secs(10)).unwrap();
    expected
}

/// The decisions in a topic where some are spoilt: exactly these are found.
fn spoilt(world: &World) {
    let topic = world.topic("spoilt");
    let expected = spoil(world, &topic);
    let sets = [format!("kafka.decisions=\"{topic}\""), "archive.address=\"spoilt\"".to_owned()];
    let policies = world.path("spoilt/policies");
    std::fs::create_dir_all(&policies).unwrap();
    for policy in std::fs::read_dir(world.path("archive/policies")).unwrap() {
        let policy = policy.unwrap();
        std::fs::copy(policy.path(), policies.join(policy.file_name())).unwrap();
    }
    let (good, said) = tripline(world, &["archive", "run", "--drain"], &sets);
    assert!(good, "{said}");
    let out = world.path("spoilt-out");
    let (good, said) = tripline(world, &["reconcile", "--out", out.to_str().unwrap()], &sets);
    assert!(!good && said.contains("unexplained"), "{said}");
    let found = findings(&out);
    let named = |finding: &&Value| finding["class"] == "unexplained";
    let unexplained: Vec<_> = found.iter().filter(named).collect();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let spoilt: BTreeSet<_> =
        unexplained.iter().map(|finding| (text(finding, "transaction_id"), text(finding, "field"))).collect();
    assert_eq!(spoilt, expected, "{unexplained:#?}");
    assert_eq!(unexplained.len(), SPOILT_FEATURES + 3);
    println!("{} decisions or parts of them were spoilt, and found", spoilt.len());
}
