//! From the archive to a model and back: a simulated world is decided, archived and exported, the example trains LightGBM
//! on it, the running service takes the model, and its scores are ONNX Runtime's. Then payments that have changed are
//! reconciled against what the model was trained on: what has drifted is named, and what has not is not.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use feature_store::store::{Source, Topic};
use harness::kafka::{World, read};
use harness::process::{ENDS_WITHIN, Process, binary, until};
use harness::servers::{Servers, root};
use schemas::codec::{Encoder, SchemaId};
use schemas::contract::Contract;
use schemas::decision::Decision;
use schemas::payment::AmountMinor;
use serde_json::{Value, json};
use tripline::clock::{Clock, SystemClock};
use tripline::simulate::{SimulatedEvent, Simulation, World as Simulated, feed};

use crate::batch::tripline;
use crate::reload::version;

const DAYS: i64 = 55;
const PAYMENTS: usize = 11_000;
/// Of these after the training; they are for more money.
const LATER: usize = 600;

/// What ONNX Runtime says of vectors.
const BY_ONNX: &str = "
import json, sys
import numpy, onnxruntime
vectors = numpy.array([[float('nan') if one is None else one for one in row] for row in json.load(sys.stdin)], numpy.float32)
session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
print(json.dumps([float(score) for score in session.run(None, {'X': vectors})[1][:, 1]]))
";

fn world() -> World {
    let example =
        |name: &str| std::fs::read_to_string(root().join("deploy/examples/demo").join(name)).unwrap();
    let config = example("tripline.toml");
    let payment = &config[config.find("[payment]").unwrap()..config.find("[kafka]").unwrap()];
    let config = format!(
        "[models]\npath = \"models\"\nlive = \"demo\"\nwatch = \"200ms\"\n[archive]\naddress = \"archive\"\n{payment}"
    );
    // Without a number for where there is nothing to look at: trees take what is undefined.
    let features = example("features.toml");
    let features = features.replacen("window = \"30d\"\nempty = 2_592_000_000\n", "window = \"1d\"\n", 1);
    let world = World::of(Servers::shared(), "training", 1, &config, &features, &example("policy.toml"));
    version(&world.path("models"), "1", false);
    world
}

/// Payments and labels onto their topics, up to so many payments; amounts times `times`.
fn send(world: &World, events: &mut Simulation, payments: usize, times: i64) {
    let (mut transactions, mut labels) = (Encoder::new(Contract::Transaction), Encoder::new(Contract::Label));
    let (mut value, mut paid) = (Vec::new(), 0);
    while paid < payments {
        value.clear();
        match events.next().unwrap() {
            SimulatedEvent::Label(label) => {
                labels.encode(SchemaId(world.ids[1]), &feed::label(&label).unwrap(), &mut value).unwrap();
                world.send(Source { topic: Topic::Labels, partition: 0 }, b"", &value);
            }
            SimulatedEvent::Payment(payment) => {
                let mut transaction = feed::transaction(&payment).unwrap();
                transaction.amount = AmountMinor::new(transaction.amount.minor() * times).unwrap();
                transactions.encode(SchemaId(world.ids[0]), &transaction, &mut value).unwrap();
                world.send_by_key(transaction.card_id.as_bytes(), &value);
                paid += 1;
            }
        }
    }
    world.flush();
}

fn decide(world: &World, process: &mut Process) {
    until("all is committed", Duration::from_secs(60), || {
        assert_eq!(process.ended(), None, "{}", process.log_tail());
        world.is_committed()
    });
}

/// A program that ends well; what it said.
fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn train(world: &World, training: &Path) {
    let said = done(
        Command::new(root().join("deploy/local/train"))
            .arg(root().join("deploy/examples/train/train.py"))
            .arg("--training")
            .arg(training)
            .arg("--models")
            .arg(world.path("models"))
            .arg("--tripline")
            .arg(binary())
            .args(["--name", "demo", "--version", "2", "--test-days", "7", "--a-day", "10"]),
    );
    println!("{said}");
    let number = |before: &str| -> f64 {
        let rest = said.split_once(before).unwrap_or_else(|| panic!("{before}: {said}")).1;
        rest.split([' ', ')', '%', ',', '\n']).next().unwrap().parse().unwrap()
    };
    assert!(number("AUC-PR ") > 5.0 * number("(by chance "), "it ranks: {said}");
    assert!(number("precision ") > 30.0, "{said}");
    let checked = done(Command::new(binary()).args(["model", "check"]).arg(world.path("models/demo/2")));
    assert!(checked.contains("demo/2, trees"), "{checked}");
}

/// The scores of decisions against ONNX Runtime's of the vectors that they carry.
fn scores_are_onnx_runtimes(world: &World, decisions: &[Decision]) {
    let vector = |decision: &Decision| -> Vec<Option<f64>> {
        decision.features.iter().map(|feature| feature.value.as_f64()).collect()
    };
    let vectors: Vec<Vec<Option<f64>>> = decisions.iter().map(vector).collect();
    assert!(vectors.iter().flatten().any(Option::is_none), "some are undefined");
    let file = world.path("vectors.json");
    std::fs::write(&file, json!(vectors).to_string()).unwrap();
    let said = done(
        Command::new(root().join("deploy/local/train"))
            .args(["-c", BY_ONNX])
            .arg(world.path("models/demo/2/model.onnx"))
            .stdin(std::fs::File::open(&file).unwrap()),
    );
    let expected: Vec<f64> = serde_json::from_str(said.trim()).unwrap();
    let apart = |(decision, expected): (&Decision, &f64)| (decision.score.unwrap() - expected).abs();
    let most = decisions.iter().zip(&expected).map(apart).fold(0.0, f64::max);
    println!("{} live scores are ONNX Runtime's within {most:.1e}", expected.len());
    assert!(most <= 1e-6);
    let (least, most) =
        expected.iter().fold((1.0_f64, 0.0_f64), |(least, most), one| (least.min(*one), most.max(*one)));
    assert!(most > 2.0 * least, "they are not all the same: {least} to {most}");
}

#[test]
fn a_model_trained_on_the_archive_goes_live_and_drift_from_its_training_is_named() {
    if crate::fast() {
        return;
    }
    let world = world();
    let start = SystemClock::default().now().wall_ms - (DAYS + 1) * 86_400_000;
    let mut events = Simulation::new(Simulated {
        start,
        cards: 150,
        merchants: 40,
        payments_per_day: PAYMENTS as f64 / DAYS as f64,
        fraud_share: 0.06,
        ..Simulated::default()
    });
    let mut process = world
        .serve(&["store.checkpoint_every=\"500ms\"", "decisions.index=false", "queue.enabled=false"], &[]);
    send(&world, &mut events, PAYMENTS - LATER, 1);
    decide(&world, &mut process);
    let (good, said) = tripline(&world, &["archive", "run", "--drain"], &[]);
    assert!(good, "{said}");
    let training = world.path("training.parquet");
    let span = ["--from", "2020-01-01", "--to", "2100-01-01", "--out", training.to_str().unwrap()];
    let (good, said) = tripline(&world, &[&["export-training"], span.as_slice()].concat(), &[]);
    assert!(good, "{said}");
    train(&world, &training);
    let live =
        || std::fs::read_to_string(world.path("log")).unwrap_or_default().contains("another model is live");
    until("the new model is live", Duration::from_secs(20), live);
    send(&world, &mut events, LATER, 3);
    decide(&world, &mut process);
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
    let mut decisions: Vec<Decision> =
        read(Contract::Decision, &world.servers.read(&world.topic("decisions")));
    let later = decisions.split_off(PAYMENTS - LATER);
    assert!(later.iter().all(|decision| decision.model.as_deref() == Some("demo/2")));
    scores_are_onnx_runtimes(&world, &later);
    let (good, said) = tripline(&world, &["archive", "run", "--drain"], &[]);
    assert!(good, "{said}");
    drifts(&world, &training, later[0].event_time.to_string().as_str());
}

/// The later payments against the training's, by option and by config; and what is no reference.
fn drifts(world: &World, training: &Path, from: &str) {
    let out = world.path("out");
    let reconcile = ["reconcile", "--from", from, "--out", out.to_str().unwrap()];
    let against = [reconcile.as_slice(), &["--reference", training.to_str().unwrap()]].concat();
    let (good, said) = tripline(world, &against, &[]);
    println!("{said}");
    assert!(good, "{said}");
    let report =
        || -> Value { serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap() };
    let measured = report();
    let psi: BTreeMap<&str, f64> = measured["drift"]
        .as_array()
        .unwrap()
        .iter()
        .map(|drift| (drift["name"].as_str().unwrap(), drift["psi"].as_f64().unwrap()))
        .collect();
    println!("{psi:#?}");
    assert_eq!(psi.len(), 27, "each feature, and the score of one model");
    assert_eq!(measured["drift"][0]["model"], "demo/2");
    assert!(psi["amount"] > 0.25, "amounts are three times what they were");
    for same in ["night", "card_payments_1h", "card_merchants_1d"] {
        assert!(psi[same] < 0.1, "{same} did not change: {}", psi[same]);
    }
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Lewis 1994") && !page.contains("Not measured"));
    // To be looked at.
    std::fs::create_dir_all(root().join("tests/output")).unwrap();
    std::fs::copy(out.join("report.html"), root().join("tests/output/drift.html")).unwrap();

    let configured = [format!("reconcile.reference=\"{}\"", training.display())];
    let (good, said) = tripline(world, &reconcile, &configured);
    assert!(good && report() == measured, "the same by config: {said}");
    let (good, said) = tripline(world, &reconcile, &[]);
    assert!(good && said.contains("not measured: no reference"), "{said}");
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Not measured: no reference.") && report()["drift"] == json!([]));

    let features = std::fs::read_to_string(world.path("features.toml")).unwrap();
    std::fs::write(world.path("other.toml"), features.replacen("window = \"7d\"", "window = \"6d\"", 1))
        .unwrap();
    let (good, said) = tripline(world, &against, &["features=\"other.toml\"".to_owned()]);
    assert!(!good && said.contains("tripline.features_version: found"), "{said}");
    let none = [reconcile.as_slice(), &["--reference", "Cargo.toml"]].concat();
    let (good, said) = tripline(world, &none, &[]);
    assert!(!good && said.contains("a file of `tripline export-training`"), "{said}");
}
