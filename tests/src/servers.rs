//! The real broker and registry of the tests, started once for the test process by the project's own scripts, and
//! what is asked of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use schemas::contract::Contract;
use serde_json::Value;

/// A running broker and registry.
pub struct Servers {
    pub bootstrap: String,
    pub registry: String,
    pub dir: PathBuf,
    runtime: tokio::runtime::Runtime,
}

/// A record as it stands in a topic.
#[derive(Debug, Clone)]
pub struct Stored {
    pub partition: i32,
    pub offset: i64,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub headers: Vec<(String, String)>,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Runs a script of `deploy/local`.
pub fn script(name: &str, args: &[&str]) -> String {
    let out = Command::new(root().join("deploy/local").join(name))
        .args(args)
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("deploy/local/{name}: {error}"));
    assert!(out.status.success(), "deploy/local/{name} {args:?} failed");
    String::from_utf8(out.stdout).unwrap()
}

impl Servers {
    /// The servers that all tests of this process share. A watcher ends them when the process ends, however it does.
    pub fn shared() -> &'static Servers {
        static SERVERS: OnceLock<Servers> = OnceLock::new();
        SERVERS.get_or_init(Servers::start)
    }

    /// Servers of one's own, to be stopped and started again.
    pub fn start() -> Servers {
        let dir = tempfile::Builder::new().prefix("tripline-test-").tempdir().unwrap().keep();
        std::fs::remove_dir(&dir).unwrap();
        let parent = std::process::id().to_string();
        let text = script("up", &["--json", "--dir", dir.to_str().unwrap(), "--parent", &parent]);
        let said: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let word = |server: &str, key: &str| said[server][key].as_str().unwrap().to_owned();
        Servers {
            bootstrap: word("kafka", "bootstrap"),
            registry: word("registry", "url"),
            dir,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    /// Makes topics with so many partitions each.
    pub fn create(&self, topics: &[(String, i32)]) {
        let admin: AdminClient<_> = self.client().create().unwrap();
        let new = topics.iter().map(|(name, count)| NewTopic::new(name, *count, TopicReplication::Fixed(1)));
        let new: Vec<_> = new.collect();
        let made = self.runtime.block_on(admin.create_topics(&new, &AdminOptions::new())).unwrap();
        made.into_iter().for_each(|made| _ = made.unwrap());
    }

    /// Registers a schema under a topic's subject; gives its id.
    pub fn register(&self, topic: &str, text: &str) -> u32 {
        tripline::http::use_ring();
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/subjects/{topic}-value/versions", self.registry);
        let body = serde_json::json!({ "schema": text, "schemaType": "AVRO" });
        let answer = client.post(url).json(&body).send().unwrap();
        let (status, text) = (answer.status(), answer.text().unwrap());
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str::<Value>(&text).unwrap()["id"].as_u64().unwrap() as u32
    }

    /// Registers the two contracts of the input topics.
    pub fn register_inputs(&self, transactions: &str, labels: &str) -> [u32; 2] {
        [
            self.register(transactions, Contract::Transaction.text()),
            self.register(labels, Contract::Label.text()),
        ]
    }

    pub fn producer(&self) -> rdkafka::producer::BaseProducer {
        let mut config = self.client();
        let (partitioner, by) = tripline::stream::kafka::PARTITIONER;
        config.set("enable.idempotence", "true").set("linger.ms", "5").set(partitioner, by).create().unwrap()
    }

    /// Everything that a topic holds, partition by partition.
    pub fn read(&self, topic: &str) -> Vec<Stored> {
        let mut config = self.client();
        config
            .set("group.id", "reader")
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().unwrap();
        let within = Duration::from_secs(10);
        let metadata = consumer.fetch_metadata(Some(topic), within).unwrap();
        let mut list = TopicPartitionList::new();
        let mut left = 0;
        for partition in metadata.topics()[0].partitions() {
            let (low, high) = consumer.fetch_watermarks(topic, partition.id(), within).unwrap();
            left += usize::from(high > low);
            list.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let (mut stored, mut eofs) = (Vec::new(), 0);
        let until = Instant::now() + Duration::from_secs(120);
        while eofs < metadata.topics()[0].partitions().len() && (left > 0 || eofs > 0) {
            assert!(Instant::now() < until, "reading {topic} took too long");
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => stored.push(Stored {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key().unwrap_or_default().to_vec(),
                    value: message.payload().unwrap_or_default().to_vec(),
                    headers: headers(&message),
                }),
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => eofs += 1,
                Some(Err(error)) => panic!("reading {topic}: {error}"),
                None => {}
            }
        }
        stored.sort_by_key(|record| (record.partition, record.offset));
        stored
    }

    /// The end of each partition of a topic.
    pub fn ends(&self, topic: &str) -> Vec<i64> {
        let consumer: BaseConsumer = self.client().create().unwrap();
        let within = Duration::from_secs(10);
        let metadata = consumer.fetch_metadata(Some(topic), within).unwrap();
        let partitions = metadata.topics()[0].partitions();
        partitions.iter().map(|p| consumer.fetch_watermarks(topic, p.id(), within).unwrap().1).collect()
    }

    /// The committed next offset of each partition of a topic, 0 where none is.
    pub fn committed(&self, group: &str, topic: &str) -> Vec<i64> {
        let mut config = self.client();
        let consumer: BaseConsumer = config.set("group.id", group).create().unwrap();
        let mut list = TopicPartitionList::new();
        (0..self.ends(topic).len()).for_each(|p| _ = list.add_partition(topic, p as i32));
        // A broker that has just started does not know its groups yet.
        let Ok(found) = consumer.committed_offsets(list, Duration::from_secs(10)) else { return Vec::new() };
        let next = |offset| if let Offset::Offset(next) = offset { next } else { 0 };
        found.elements().iter().map(|element| next(element.offset())).collect()
    }
}

fn headers(message: &impl Message) -> Vec<(String, String)> {
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    let headers =
        message.headers().map(|headers| headers.iter().map(|h| (h.key.to_owned(), text(h.value))).collect());
    headers.unwrap_or_default()
}
