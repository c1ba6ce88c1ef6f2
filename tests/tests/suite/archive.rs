//! The archive on the real broker and on a real S3-compatible server: the same files whatever interrupts it, and what is
//! wrong with them is said.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::kafka::World;
use harness::process::{Process, binary, until};
use harness::servers::{Servers, root};
use schemas::codec::{Encoder, SchemaId};
use schemas::contract::Contract;
use tripline::simulate::{SimulatedEvent, Simulation, World as Simulated, feed};

use crate::batch::tripline;

/// Payments of the simulation on the topic, with nobody who decides them.
fn pay(world: &World, count: usize) {
    let mut encoder = Encoder::new(Contract::Transaction);
    let all = Simulation::new(Simulated { payments_per_day: 2_000.0, ..Simulated::default() });
    let payments = all.filter_map(|event| match event {
        SimulatedEvent::Payment(payment) => feed::transaction(&payment),
        SimulatedEvent::Label(_) => None,
    });
    for payment in payments.take(count) {
        let mut value = Vec::new();
        encoder.encode(SchemaId(world.ids[0]), &payment, &mut value).unwrap();
        world.send_by_key(payment.card_id.as_bytes(), &value);
    }
    world.flush();
}

/// Every file below a folder with its bytes; what says how far it is in time is another each time.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, root: &Path, out: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.ends_with("progress") {
                continue;
            } else if path.is_dir() {
                walk(&path, root, out);
            } else {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                out.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(folder, folder, &mut out);
    out
}

/// `archive run` without an end, killed after so long.
fn killed(world: &World, sets: &[String], after: Duration) {
    let config = world.path("tripline.toml");
    let mut words = vec!["archive", "run", "--config", config.to_str().unwrap()];
    sets.iter().for_each(|set| words.extend(["--set", set]));
    let mut process = Process::start(&words, &[], &world.path("archive-log"));
    std::thread::sleep(after);
    process.kill9();
}

/// A server that ends with its owner.
struct S3(std::process::Child, String);

impl S3 {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = root().join("deploy/local/s3");
        let child =
            Command::new(program).arg(port.to_string()).stderr(std::process::Stdio::null()).spawn().unwrap();
        let own = Self(child, format!("http://127.0.0.1:{port}"));
        let client = harness::caller::client();
        until("the S3 server answers", Duration::from_secs(60), || {
            client.put(format!("{}/archive", own.1)).send().is_ok_and(|answer| answer.status().is_success())
        });
        own
    }

    fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ACCESS_KEY_ID", "tests".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "tests".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL", self.1.clone()),
        ]
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_archive_is_the_same_whatever_interrupts_it_and_what_is_wrong_with_it_is_said() {
    if crate::fast() {
        return;
    }
    let world = World::new(Servers::shared(), "archive", 4);
    pay(&world, 12_000);
    let sets = |address: &str| {
        vec!["archive.records_per_file=200".to_owned(), format!("archive.address=\"{address}\"")]
    };
    let (good, said) = tripline(&world, &["archive", "run", "--drain"], &sets("whole"));
    assert!(good, "{said}");
    let whole = files(&world.path("whole"));
    for round in 0..kills() {
        killed(&world, &sets("killed"), Duration::from_millis(60 + round * 67 % 250));
    }
    let broken_off = files(&world.path("killed")).len();
    let (good, said) = tripline(&world, &["archive", "run", "--drain"], &sets("killed"));
    assert!(good, "{said}");
    let after = files(&world.path("killed"));
    assert_eq!(after.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
    assert!(after == whole, "other bytes under the same names");
    let (good, said) = tripline(&world, &["archive", "run", "--drain"], &sets("killed"));
    assert!(good && said.contains("transactions: 0 records"), "nothing is left: {said}");

    let s3 = S3::start();
    let there = |words: &[&str]| {
        let mut command = Command::new(binary());
        command.args(words).arg("--config").arg(world.path("tripline.toml")).envs(s3.variables());
        sets("s3://archive/tests").iter().for_each(|set| _ = command.args(["--set", set]));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    there(&["archive", "run", "--drain"]);
    let (_, here) = tripline(&world, &["archive", "verify", "--json"], &sets("whole"));
    assert_eq!(there(&["archive", "verify", "--json"]), here, "the same files, records and bytes on S3");
    println!(
        "{} files, the same after {} kill -9 (at {broken_off} files) and on S3: {}",
        whole.len(),
        kills(),
        here.trim()
    );
    wrong(&world, &sets("killed"));
}

fn kills() -> u64 {
    std::env::var("TRIPLINE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

/// Each kind of damage, done and said.
fn wrong(world: &World, sets: &[String]) {
    let all = files(&world.path("killed"));
    let payments: Vec<&String> =
        all.keys().filter(|name| name.ends_with(".parquet") && name.contains("part=1")).collect();
    let manifest = |name: &str| {
        let (folder, file) = name.rsplit_once('/').unwrap();
        world.path("killed").join(folder).join(format!("_{}", file.replace(".parquet", ".json")))
    };
    let path = |name: &str| world.path("killed").join(name);
    let mut spoilt = std::fs::read(path(payments[1])).unwrap();
    let middle = spoilt.len() / 2;
    spoilt[middle] ^= 1;
    std::fs::write(path(payments[1]), spoilt).unwrap();
    std::fs::remove_file(path(payments[3])).unwrap();
    std::fs::remove_file(path(payments[5])).unwrap();
    std::fs::remove_file(manifest(payments[5])).unwrap();
    std::fs::remove_file(manifest(payments[7])).unwrap();
    let (good, said) = tripline(world, &["archive", "verify"], sets);
    assert!(!good);
    for expected in
        ["its bytes are not those", "it is gone", "before it are in no file", "it has no manifest"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
