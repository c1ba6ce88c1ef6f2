//! The indexer against a broker on loopback and a registry in memory.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use schemas::codec::Encoder;
use schemas::contract::Contract;
use schemas::decision::{Decision, decision_id};
use schemas::reject::RejectCode;
use schemas::time::{DAY_MS, DurationMs};
use tempfile::TempDir;

use super::*;
use crate::clock::StandingClock;
use crate::index::IndexOptions;
use crate::registry::Answer;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

const TOPIC: &str = "decisions";

/// Answers of a registry, one a question; then it has our contract as 7 and nothing else.
#[derive(Clone, Default)]
struct Registry {
    first: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<SchemaId>>>,
    waiting: VecDeque<SchemaId>,
}

impl SchemaSource for Registry {
    fn request(&mut self, id: SchemaId) {
        self.asked.lock().unwrap().push(id);
        self.waiting.push_back(id);
    }

    fn poll(&mut self) -> Option<(SchemaId, Answer)> {
        let id = self.waiting.pop_front()?;
        let answer = self.first.lock().unwrap().pop_front();
        let ours = || Answer::Text(Contract::Decision.text().to_owned());
        Some((id, answer.unwrap_or_else(|| if id == SchemaId(7) { ours() } else { Answer::Unknown })))
    }
}

/// A broker; it lives in a thread, which it may not leave.
struct Broker {
    bootstrap: String,
    _end: Sender<()>,
    producer: BaseProducer,
}

impl Broker {
    fn start() -> Self {
        let (tell, told) = channel();
        let (end, ended) = channel();
        std::thread::spawn(move || {
            let cluster = MockCluster::new(1).unwrap();
            cluster.create_topic(TOPIC, 2, 1).unwrap();
            tell.send(cluster.bootstrap_servers()).unwrap();
            let _: Result<(), _> = ended.recv();
        });
        let bootstrap = told.recv().unwrap();
        let producer = ClientConfig::new().set("bootstrap.servers", &bootstrap).create().unwrap();
        Self { bootstrap, _end: end, producer }
    }

    fn send(&self, partition: i32, value: &[u8]) {
        let record = BaseRecord::<(), [u8]>::to(TOPIC).partition(partition).payload(value);
        self.producer.send(record).unwrap();
        self.producer.flush(PATIENCE).unwrap();
    }
}

fn value(transaction_id: &str, schema: u32) -> Vec<u8> {
    let json = serde_json::json!({
        "decision_id": decision_id(transaction_id), "transaction_id": transaction_id, "decided_at": DAY_MS,
        "amount_minor": 5, "currency": "EUR", "decision": "approve", "source_partition": 0, "source_offset": 1,
        "event_time": 0,
    });
    let decision: Decision = serde_json::from_value(json).unwrap();
    let mut out = Vec::new();
    Encoder::new(Contract::Decision).encode(SchemaId(schema), &decision, &mut out).unwrap();
    out
}

/// An indexer at work, and what it works with.
struct World {
    broker: Broker,
    dir: TempDir,
    registry: Registry,
}

struct AtWork {
    index: DecisionIndex,
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), IndexerError>>,
}

impl World {
    fn start() -> Self {
        Self { broker: Broker::start(), dir: TempDir::new().unwrap(), registry: Registry::default() }
    }

    fn index(&self) -> DecisionIndex {
        let options = IndexOptions { keep: DurationMs(40 * DAY_MS), cache_bytes: 1 << 20 };
        DecisionIndex::open(self.dir.path(), options).unwrap()
    }

    fn run(&self, index: DecisionIndex) -> AtWork {
        let (progress, stop) = (Arc::new(Progress::default()), Arc::new(AtomicBool::new(false)));
        let indexer = Indexer {
            index: index.clone(),
            kafka: options(&self.broker.bootstrap),
            source: self.registry.clone(),
            clock: Box::new(StandingClock::at(DAY_MS.unsigned_abs())),
            progress: Arc::clone(&progress),
            stop: Arc::clone(&stop),
        };
        AtWork { index, progress, stop, thread: std::thread::spawn(move || indexer.run()) }
    }
}

fn options(bootstrap: &str) -> KafkaOptions {
    KafkaOptions {
        bootstrap: bootstrap.to_owned(),
        group: "test".to_owned(),
        instance: "test".to_owned(),
        session_timeout_ms: 6_000,
        inputs: ["transactions".to_owned(), "labels".to_owned()],
        outputs: [TOPIC.to_owned(), "alerts".to_owned(), "dead-letters".to_owned()],
        properties: [("fetch.wait.max.ms".to_owned(), "5".to_owned())].into(),
    }
}

impl AtWork {
    fn wait_until(&self, next: [i64; 2]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            for (partition, next) in (0..).zip(next) {
                let reached = self.progress.reached(partition, next);
                tokio::time::timeout(PATIENCE, reached).await.expect("not indexed in time");
            }
        });
    }

    fn has(&self, transaction_id: &str) -> bool {
        self.index.get(&decision_id(transaction_id)).unwrap().is_some()
    }

    /// Ends it; gives how it stood.
    fn end(self) -> IndexerState {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap().unwrap();
        self.progress.state()
    }
}

#[test]
fn decisions_are_indexed_and_a_restart_goes_on_behind_the_last() {
    let world = World::start();
    for n in 0..20 {
        world.broker.send(n % 2, &value(&format!("tx-{n}"), 7));
    }
    let index = world.index();
    let at_work = world.run(index.clone());
    at_work.wait_until([10, 10]);
    assert!((0..20).all(|n| at_work.has(&format!("tx-{n}"))));
    // What comes while it runs.
    world.broker.send(1, &value("tx-20", 7));
    at_work.wait_until([10, 11]);
    assert!(at_work.has("tx-20"));
    assert_eq!(*world.registry.asked.lock().unwrap(), [SchemaId(7)], "once");
    let state = at_work.end();
    assert_eq!((state.rows, state.unreadable, state.waits_for), (21, 0, None));

    world.broker.send(0, &value("tx-21", 7));
    let at_work = world.run(index);
    at_work.wait_until([11, 11]);
    assert!(at_work.has("tx-21"));
    assert_eq!(at_work.end().rows, 1, "nothing is read twice");
}

#[test]
fn what_is_no_decision_is_passed_over_and_counted() {
    let world = World::start();
    let good = value("tx-1", 7);
    let unknown = value("tx-2", 8);
    for bad in [&b""[..], b"\0\0\0\0", b"{}", &good[..good.len() - 1], &unknown] {
        world.broker.send(0, bad);
    }
    world.broker.send(0, &good);
    let at_work = world.run(world.index());
    at_work.wait_until([6, 0]);
    assert!(at_work.has("tx-1") && !at_work.has("tx-2"));
    let state = at_work.end();
    assert_eq!((state.rows, state.unreadable), (1, 5));
}

#[test]
fn a_registry_that_does_not_answer_is_waited_for() {
    let world = World::start();
    let silent = || Answer::Unavailable("no answer in 5 ms".to_owned());
    world.registry.first.lock().unwrap().extend([silent(), silent()]);
    world.broker.send(0, &value("tx-1", 7));
    let at_work = world.run(world.index());
    at_work.wait_until([1, 0]);
    assert_eq!(world.registry.asked.lock().unwrap().len(), 3);
    assert_eq!((at_work.has("tx-1"), at_work.end().unreadable), (true, 0));
}

#[test]
fn a_fence_outside_of_what_the_topic_has_goes_to_its_first_record() {
    let world = World::start();
    for n in 0..3 {
        world.broker.send(0, &value(&format!("tx-{n}"), 7));
    }
    let index = world.index();
    index.set_fence(0, 1_000).unwrap();
    let at_work = world.run(index);
    at_work.wait_until([3, 0]);
    assert!((0..3).all(|n| at_work.has(&format!("tx-{n}"))));
    let fences = at_work.index.fences();
    assert_eq!((fences.get(&0), at_work.end().rows), (Some(&3), 3));

    let retained = Retained { first: 10, next: 20 };
    for (fence, from) in [(None, 10), (Some(9), 10), (Some(10), 10), (Some(20), 20), (Some(21), 10)] {
        assert_eq!(begin_at(fence, retained), from, "{fence:?}");
    }
}

#[test]
fn a_broker_that_is_away_is_said_and_does_not_hold_up_the_end() {
    let dir = TempDir::new().unwrap();
    let options_of = IndexOptions { keep: DurationMs(DAY_MS), cache_bytes: 1 << 20 };
    let (progress, stop) = (Arc::new(Progress::default()), Arc::new(AtomicBool::new(false)));
    let indexer = Indexer {
        index: DecisionIndex::open(dir.path(), options_of).unwrap(),
        // Nobody listens on port 9 of this machine.
        kafka: options("127.0.0.1:9"),
        source: Registry::default(),
        clock: Box::new(StandingClock::at(0)),
        progress: Arc::clone(&progress),
        stop: Arc::clone(&stop),
    };
    let thread = std::thread::spawn(move || indexer.run());
    while progress.state().waits_for.is_none() {
        std::thread::sleep(Duration::from_millis(20));
    }
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap().unwrap();
    assert!(progress.state().waits_for.unwrap().starts_with("kafka: "));
}

#[test]
fn a_refusal_is_believed_for_seconds_and_a_schema_for_good() {
    let registry = Registry::default();
    let mut texts = Texts::new(registry.clone());
    let mut get = |id, now_us| texts.get(SchemaId(id), now_us).unwrap().unwrap();
    assert_eq!(get(8, 0).unwrap_err().code, RejectCode::SchemaUnknown);
    assert!(get(8, texts::BELIEVED_US - 1).is_err() && get(7, 0).is_ok() && get(7, u64::MAX).is_ok());
    assert_eq!(registry.asked.lock().unwrap().len(), 2);
    assert!(get(8, texts::BELIEVED_US).is_err());
    assert_eq!(registry.asked.lock().unwrap().len(), 3);
}
