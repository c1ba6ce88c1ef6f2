//! Another model while payments are decided: a good one goes live between two batches, a bad one is refused and the old
//! one serves on; each decision names the one model that scored it.

use std::path::Path;
use std::time::Duration;

use feature_store::store::{Source, Topic};
use harness::kafka::{World, read};
use harness::process::{ENDS_WITHIN, until};
use harness::servers::{Servers, root};
use schemas::codec::{Encoder, SchemaId};
use schemas::contract::Contract;
use schemas::decision::Decision;
use tripline::clock::{Clock, SystemClock};
use tripline::simulate::{SimulatedEvent, Simulation, World as Simulated, feed};

/// A copy of the demo's model as another version.
pub fn version(models: &Path, version: &str, spoil: bool) {
    let (from, to) = (root().join("models/artifacts/demo/1"), models.join("demo").join(version));
    std::fs::create_dir_all(&to).unwrap();
    let mut onnx = std::fs::read(from.join("model.onnx")).unwrap();
    if spoil {
        let middle = onnx.len() / 2;
        onnx[middle] ^= 0x40;
    }
    std::fs::write(to.join("model.onnx"), onnx).unwrap();
    let manifest = std::fs::read_to_string(from.join("manifest.toml")).unwrap();
    let manifest = manifest.replace("version = \"1\"", &format!("version = \"{version}\""));
    std::fs::write(to.join("manifest.toml"), manifest).unwrap();
}

#[test]
fn i8_a_good_model_goes_live_and_a_bad_one_is_refused() {
    if crate::fast() {
        return;
    }
    let example =
        |name: &str| std::fs::read_to_string(root().join("deploy/examples/demo").join(name)).unwrap();
    let config = example("tripline.toml");
    let payment = &config[config.find("[payment]").unwrap()..config.find("[limits]").unwrap()];
    let config = format!("[models]\npath = \"models\"\nlive = \"demo\"\nwatch = \"200ms\"\n{payment}");
    let (features, policy) = (example("features.toml"), example("policy.toml"));
    let world = World::of(Servers::shared(), "reload", 4, &config, &features, &policy);
    let models = world.path("models");
    version(&models, "1", false);
    let start = SystemClock::default().now().wall_ms - 86_400_000;
    let mut payments =
        Simulation::new(Simulated { start, ..Simulated::default() }).filter_map(|event| match event {
            SimulatedEvent::Payment(payment) => feed::transaction(&payment),
            SimulatedEvent::Label(_) => None,
        });
    let mut encoder = Encoder::new(Contract::Transaction);
    let mut process = world.serve(&["store.checkpoint_every=500ms"], &[]);
    let said = |word: &str| std::fs::read_to_string(world.path("log")).unwrap_or_default().contains(word);
    let mut decide = |process: &mut harness::process::Process| {
        for payment in payments.by_ref().take(200) {
            let mut value = Vec::new();
            encoder.encode(SchemaId(world.ids[0]), &payment, &mut value).unwrap();
            world.send(Source { topic: Topic::Payments, partition: 0 }, payment.card_id.as_bytes(), &value);
        }
        world.flush();
        until("they are decided", Duration::from_secs(30), || {
            assert_eq!(process.ended(), None, "{}", process.log_tail());
            world.is_committed()
        });
    };
    decide(&mut process);
    version(&models, "3", true);
    until("the bad one is refused", Duration::from_secs(20), || said("a model was refused"));
    decide(&mut process);
    version(&models, "2", false);
    until("the good one is live", Duration::from_secs(20), || said("another model is live"));
    decide(&mut process);
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
    let decisions: Vec<Decision> = read(Contract::Decision, &world.servers.read(&world.topic("decisions")));
    let models: Vec<_> =
        decisions.iter().map(|decision| decision.model.as_deref().unwrap_or("none")).collect();
    assert_eq!((models.len(), &models[..400]), (600, &["demo/1"; 400][..]));
    assert_eq!(&models[400..], &["demo/2"; 200][..]);
    println!("600 decisions: 400 by demo/1, through a refused demo/3, then 200 by demo/2");
}
