//! A world on the real broker: topics of its own, a config, the service, and what is expected of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use feature_store::definition::{Definitions, Vocabulary};
use feature_store::store::{Source, Topic};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use schemas::codec::{decode_own, unframe};
use schemas::contract::Contract;
use schemas::document::Section;
use schemas::mapping::PaymentMapping;
use tempfile::TempDir;
use tripline::access::{Key, RANDOM_BYTES};

use crate::checker::Seen;
use crate::memory::{Applied, CONFIG, FEATURES, LATENESS_MS, POLICY, REMEMBER_MS, SKEW_MS};
use crate::process::Process;
use crate::servers::{Servers, Stored};

/// A keys file.
fn keys(callers: &[(&str, &str, &Key)]) -> String {
    let caller = |(name, role, key): &(&str, &str, &Key)| {
        format!(
            "[[caller]]\nname = \"{name}\"\nrole = \"{role}\"\nkeys = [\"{}\"]\nrate = \"100000/s\"\n",
            key.hash()
        )
    };
    callers.iter().map(caller).collect()
}

/// Topics, a config and a store of its own.
pub struct World {
    pub servers: &'static Servers,
    pub name: String,
    pub dir: TempDir,
    pub ids: [u32; 2],
    pub partitions: i32,
    producer: BaseProducer,
}

impl World {
    /// A world with the tests' own features and policy.
    pub fn new(servers: &'static Servers, name: &str, partitions: i32) -> World {
        let limits = format!(
            "[limits]\nlateness = \"{LATENESS_MS}ms\"\nskew = \"{SKEW_MS}ms\"\nremember = \"{REMEMBER_MS}ms\"\n"
        );
        World::of(servers, name, partitions, &format!("{CONFIG}{limits}"), FEATURES, POLICY)
    }

    /// A world with this config (without kafka, registry, store and http), features and policy.
    pub fn of(
        servers: &'static Servers,
        name: &str,
        partitions: i32,
        config: &str,
        features: &str,
        policy: &str,
    ) -> World {
        let dir = TempDir::new().unwrap();
        let topics = ["transactions", "decisions", "alerts", "dead-letters"]
            .map(|t| (format!("{name}-{t}"), partitions));
        servers.create(
            &[topics.as_slice(), &[(format!("{name}-labels"), 1), (format!("{name}-audit-heads"), 1)]]
                .concat(),
        );
        let ids = servers.register_inputs(&format!("{name}-transactions"), &format!("{name}-labels"));
        let (bootstrap, registry) = (&servers.bootstrap, &servers.registry);
        let text = format!(
            r#"features = "features.toml"
policy = "policy.toml"
{config}
[kafka]
bootstrap = "{bootstrap}"
group = "{name}"
transactions = "{name}-transactions"
labels = "{name}-labels"
decisions = "{name}-decisions"
alerts = "{name}-alerts"
dead_letters = "{name}-dead-letters"
audit_heads = "{name}-audit-heads"
[registry]
url = "{registry}"
register = true
[http]
listen = "127.0.0.1:0"
[access]
keys = "keys.toml"
"#
        );
        let write = |file: &str, text: &str| std::fs::write(dir.path().join(file), text).unwrap();
        let (key, other) = (Key::of([7; RANDOM_BYTES]), Key::of([9; RANDOM_BYTES]));
        write("keys.toml", &keys(&[("tests", "admin", &key), ("checkout", "scorer", &other)]));
        write("tripline.toml", &text);
        write("features.toml", features);
        write("policy.toml", policy);
        World { servers, name: name.to_owned(), dir, ids, partitions, producer: servers.producer() }
    }

    /// A key that may do everything.
    pub fn key() -> String {
        Key::of([7; RANDOM_BYTES]).reveal().to_owned()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// Starts the service on this world's store.
    pub fn serve(&self, sets: &[&str], variables: &[(&str, &str)]) -> Process {
        let (config, order) = (self.path("tripline.toml"), self.path("order"));
        let mut args = vec!["serve", "--config", config.to_str().unwrap()];
        sets.iter().for_each(|set| args.extend(["--set", set]));
        let order = ("TRIPLINE_ORDER_FILE", order.to_str().unwrap());
        Process::start(&args, &[&[order], variables].concat(), &self.path("log"))
    }

    /// Sends a record; it is acknowledged by [`Self::flush`].
    pub fn send(&self, source: Source, key: &[u8], value: &[u8]) {
        let topic = self.topic(crate::kafka::word(source.topic));
        let mut record = BaseRecord::to(&topic).partition(source.partition).key(key).payload(value);
        while let Err((error, back)) = self.producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(rdkafka::types::RDKafkaErrorCode::QueueFull));
            record = back;
            self.producer.poll(Duration::from_millis(10));
        }
        self.producer.poll(Duration::ZERO);
    }

    /// Sends a payment to the partition of its key, as the door does.
    pub fn send_by_key(&self, key: &[u8], value: &[u8]) {
        let topic = self.topic("transactions");
        while let Err((error, _)) = self.producer.send(BaseRecord::to(&topic).key(key).payload(value)) {
            assert_eq!(error.rdkafka_error_code(), Some(rdkafka::types::RDKafkaErrorCode::QueueFull));
            self.producer.poll(Duration::from_millis(10));
        }
        self.producer.poll(Duration::ZERO);
    }

    pub fn flush(&self) {
        self.producer.flush(Duration::from_secs(60)).unwrap();
    }

    /// Whether everything sent was applied and committed.
    pub fn is_committed(&self) -> bool {
        ["transactions", "labels"].iter().all(|topic| {
            let topic = self.topic(topic);
            self.servers.committed(&self.name, &topic) == self.servers.ends(&topic)
        })
    }

    pub fn committed(&self) -> BTreeMap<Source, i64> {
        let mut committed = BTreeMap::new();
        for topic in [Topic::Payments, Topic::Labels] {
            let next = self.servers.committed(&self.name, &self.topic(word(topic)));
            committed.extend((0..).zip(next).map(|(partition, next)| (Source { topic, partition }, next)));
        }
        committed
    }

    /// What stands in the output topics.
    pub fn seen(&self) -> Seen {
        Seen {
            decisions: read(Contract::Decision, &self.servers.read(&self.topic("decisions"))),
            alerts: read(Contract::Alert, &self.servers.read(&self.topic("alerts"))),
            dead_letters: read(Contract::DeadLetter, &self.servers.read(&self.topic("dead-letters"))),
        }
    }

    /// Batches in the order in which they were applied for good.
    pub fn order(&self) -> Vec<Applied> {
        let text = std::fs::read_to_string(self.path("order")).unwrap_or_default();
        let (mut order, mut known) = (Vec::new(), BTreeSet::new());
        for line in text.lines() {
            let words: Vec<_> = line.split(' ').collect();
            let topic = if words[0] == "labels" { Topic::Labels } else { Topic::Payments };
            let number = |place: usize| words[place].parse::<i64>().unwrap();
            let source = Source { topic, partition: number(1) as i32 };
            if known.insert((source, number(3))) {
                order.push((source, number(2)..=number(3)));
            }
        }
        order
    }

    pub fn definitions(&self) -> Arc<Definitions> {
        let text = |name: &str| std::fs::read_to_string(self.path(name)).unwrap();
        let (mut root, sink) = Section::open("world.toml", &text("tripline.toml"));
        let mapping = PaymentMapping::read(root.section("payment")).unwrap();
        drop((root, sink));
        Arc::new(
            Definitions::parse("features.toml", &text("features.toml"), &Vocabulary::of(&mapping)).unwrap(),
        )
    }
}

pub fn word(topic: Topic) -> &'static str {
    match topic {
        Topic::Payments => "transactions",
        Topic::Labels => "labels",
    }
}

/// The records of one of our contracts.
pub fn read<T: serde::de::DeserializeOwned>(contract: Contract, stored: &[Stored]) -> Vec<T> {
    let schema = contract.schema().unwrap();
    let decode = |record: &Stored| decode_own(schema, unframe(&record.value).unwrap().1).unwrap();
    stored.iter().map(decode).collect()
}
