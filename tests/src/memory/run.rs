//! One run of a seed: lives of the line that end in crashes, and a last one that ends in quiet.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use feature_store::definition::{Definitions, Vocabulary};
use feature_store::enricher::{Enricher, Limits};
use feature_store::files::{FileOptions, FileStep, JournalSync};
use feature_store::store::Batch;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use schemas::codec::{SchemaId, decode_own, unframe};
use schemas::contract::Contract;
use schemas::document::Section;
use schemas::mapping::PaymentMapping;
use schemas::time::DurationMs;
use tempfile::TempDir;
use tripline::clock::StandingClock;
use tripline::emit::{Bound, Emitter};
use tripline::pipeline::{Deciders, Pipeline};
use tripline::policy::{Lists, Policy, Terms as PolicyTerms};
use tripline::registry::{Answer, SchemaSource, Schemas};
use tripline::stream::Output;
use tripline::stream::line::{Line, LineLimits, OutboxLimits, Parts, Watch};
use tripline::stream::memory::{Broker, Faults, MemoryTransport};

use super::inputs::{self, Inputs, LATENESS_MS, REMEMBER_MS, SKEW_MS, Terms};
use crate::checker::{self, Expectations, Seen};

pub const CONFIG: &str = r#"
[payment]
transaction_id = "transaction_id"
event_time = "event_time"
amount = { field = "amount_minor", unit = "minor" }
currency = "currency"
[payment.entities]
card = "card_id"
merchant = "merchant_id"
[payment.fields]
country = { field = "country", kind = "text" }
"#;

pub const FEATURES: &str = r#"
[[feature]]
name = "amount"
request = "amount"
unit = "minor"
[[feature]]
name = "card_count"
entity = "card"
aggregate = "count"
window = "10s"
[[feature]]
name = "card_mean"
entity = "card"
aggregate = "mean"
of = "amount"
window = "60s"
include_current = false
[[feature]]
name = "card_countries"
entity = "card"
aggregate = "distinct"
of = "country"
window = "5m"
[[feature]]
name = "card_since"
entity = "card"
aggregate = "time_since_last"
window = "5m"
[[feature]]
name = "shop_max"
entity = "merchant"
aggregate = "max"
of = "amount"
window = "30s"
delay = "5s"
[[feature]]
name = "shop_fraud"
entity = "merchant"
aggregate = "ratio"
of = "label"
window = "5m"
delay = "1ms"
"#;

pub const POLICY: &str = r#"
[thresholds]
review = 0.5
[fallback]
no_model = "review"
[[alert]]
name = "all"
verdicts = ["review"]
"#;

const TRANSACTION_ID: u32 = 1;
const LABEL_ID: u32 = 2;

/// Wall-clock time of the world, milliseconds.
const NOW_MS: i64 = 1_760_000_000_000;

/// What one run came to.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    pub inputs: usize,
    pub decisions: usize,
    pub dead_letters: usize,
    pub crashes: usize,
    /// What stands in the topics, and what must: for tests of the checker.
    pub seen: Seen,
    pub expected: Expectations,
}

/// Answers after some polls; refuses what it does not know.
struct Registry {
    /// Whether the schema that was unknown is registered by now.
    registered: bool,
    draw: Xoshiro256PlusPlus,
    asked: Vec<SchemaId>,
}

impl SchemaSource for Registry {
    fn request(&mut self, id: SchemaId) {
        self.asked.push(id);
    }

    fn poll(&mut self) -> Option<(SchemaId, Answer)> {
        if self.asked.is_empty() || self.draw.random_bool(0.5) {
            return None;
        }
        let id = self.asked.remove(0);
        if self.draw.random_bool(0.1) {
            return Some((id, Answer::Unavailable("down".to_owned())));
        }
        let answer = match id.0 {
            TRANSACTION_ID => Answer::Text(Contract::Transaction.text().to_owned()),
            LABEL_ID => Answer::Text(Contract::Label.text().to_owned()),
            inputs::UNKNOWN_ID if self.registered => Answer::Text(Contract::Transaction.text().to_owned()),
            _ => Answer::Unknown,
        };
        Some((id, answer))
    }
}

/// Batches in the order in which they were applied for good.
#[derive(Clone, Default)]
struct Order {
    batches: Arc<Mutex<Vec<Batch>>>,
    /// How many more will be known after this life: all, but for those after the moment at which it died.
    heard: Arc<AtomicUsize>,
}

impl Watch for Order {
    fn applied(&mut self, batch: &Batch, again: bool) {
        if self.heard.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.heard.fetch_sub(1, Ordering::Relaxed);
        let mut order = self.batches.lock().unwrap();
        let known = order.iter().any(|known| known.source == batch.source && known.last >= batch.last);
        assert!(again || !known, "{batch:?} was applied twice");
        if !known {
            order.push(batch.clone());
        }
    }
}

struct World {
    seed: u64,
    draw: Xoshiro256PlusPlus,
    broker: Broker,
    inputs: Inputs,
    order: Order,
    clock: Arc<StandingClock>,
    mapping: Arc<PaymentMapping>,
    definitions: Arc<Definitions>,
    policy: Arc<Policy>,
    store: TempDir,
    partitions: i32,
    crashes: usize,
    /// From which batch on the unknown schema was registered.
    registered_from: usize,
}

/// A folder in memory, where there is such a place: syncs are not what is tested here.
fn folder() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Runs a seed to its quiet end.
///
/// # Errors
/// Every breach of an invariant.
pub fn run(seed: u64) -> Result<Outcome, Vec<String>> {
    let mut world = World::new(seed);
    let lives = world.draw.random_range(1..6);
    let registered_at = world.draw.random_range(0..2 * lives);
    for life in 0..lives {
        if life == registered_at {
            world.registered_from = world.order.batches.lock().unwrap().len();
        }
        world.live(false)?;
    }
    world.live(true)?;
    let expected = world.expected();
    let seen = world.seen();
    let mut breaches = checker::breaches(&expected, &seen, "transactions");
    if !world.broker.all_committed() {
        breaches.push("I13 not everything was committed in the end".to_owned());
    }
    if !breaches.is_empty() {
        return Err(breaches);
    }
    Ok(Outcome {
        inputs: expected.len(),
        decisions: seen.decisions.len(),
        dead_letters: seen.dead_letters.len(),
        crashes: world.crashes,
        seen,
        expected,
    })
}

impl World {
    fn new(seed: u64) -> Self {
        let mut draw = Xoshiro256PlusPlus::seed_from_u64(seed);
        let partitions = draw.random_range(1..4);
        let (mut root, sink) = Section::open("world.toml", CONFIG);
        let mapping = PaymentMapping::read(root.section("payment"));
        drop(root);
        let mapping = Arc::new(sink.problems().or(mapping).unwrap());
        let terms = Terms { partitions, now_ms: NOW_MS, ids: [TRANSACTION_ID, LABEL_ID] };
        let definitions = Definitions::parse("features.toml", FEATURES, &Vocabulary::of(&mapping)).unwrap();
        let policy_terms = PolicyTerms::of(&mapping, &definitions);
        Self {
            seed,
            broker: Broker::new(partitions, 1),
            inputs: Inputs::of(seed, terms, draw.random_range(5..60)),
            order: Order::default(),
            clock: Arc::new(StandingClock::at(NOW_MS as u64)),
            mapping,
            definitions: Arc::new(definitions),
            policy: Arc::new(Policy::parse("policy.toml", POLICY, &policy_terms).unwrap()),
            store: folder(),
            draw,
            partitions,
            crashes: 0,
            registered_from: usize::MAX,
        }
    }

    /// One life of the line; the last one has no faults and ends when all is quiet.
    fn live(&mut self, last: bool) -> Result<(), Vec<String>> {
        let faults = if last { Faults { seed: self.seed, ..Faults::default() } } else { self.faults() };
        let transport = MemoryTransport::new(self.broker.clone(), faults);
        let breaker = transport.breaker();
        let copied: Arc<Mutex<Option<TempDir>>> = Arc::default();
        let die_at = if last { usize::MAX } else { self.draw.random_range(0..60) };
        let options = self.options(die_at, breaker, &copied);
        let mut line = match Line::start(self.parts(transport, options)) {
            Ok(line) => line,
            Err(failed) => return Err(vec![format!("a line could not start: {}", failed.1)]),
        };
        let mut steps = 0;
        let ended = loop {
            let (count, burst) = (self.draw.random_range(0..6), self.draw.random_bool(0.5));
            if burst || last {
                self.inputs.send(&self.broker, count + usize::from(last));
            }
            self.clock.advance(self.draw.random_range(0..400));
            steps += 1;
            match line.step(Duration::ZERO) {
                Err(error) => break Some(error.to_string()),
                Ok(_) if last && self.inputs.all_sent() && line.is_quiet() && self.broker.all_committed() => {
                    break None;
                }
                Ok(_) if !last && steps > 400 => break None,
                Ok(_) if steps > 5_000 => {
                    return Err(vec![format!("I13 not quiet in time: {:?}", line.state())]);
                }
                Ok(_) => {}
            }
        };
        match ended {
            None if self.draw.random_bool(0.5) => {
                line.drain(Duration::from_secs(1)).map_err(|error| vec![error.to_string()])?;
            }
            _ => {
                self.crashes += 1;
                let mut transport = line.into_transport();
                let was_broken = transport.is_broken();
                transport.crash();
                if let Some(why) = ended.filter(|_| !was_broken) {
                    return Err(vec![format!("the line ended by itself: {why}")]);
                }
            }
        }
        if let Some(copied) = copied.lock().unwrap().take() {
            self.store = copied;
        }
        let committed = self.broker.log().committed.clone();
        let breaches = checker::unsafe_commits(&self.expected(), &self.seen(), &committed);
        if breaches.is_empty() { Ok(()) } else { Err(breaches) }
    }

    fn faults(&mut self) -> Faults {
        let mut sometimes =
            |most: f64| if self.draw.random_bool(0.5) { self.draw.random_range(0.0..most) } else { 0.0 };
        let (refuse, delay) = (sometimes(0.5), sometimes(0.9));
        let (redeliver, revoke, commit_lost) = (sometimes(0.2), sometimes(0.1), sometimes(0.5));
        let break_at = self.draw.random_range(1..200);
        Faults {
            seed: self.draw.random_range(0..u64::MAX),
            refuse,
            delay,
            redeliver,
            revoke,
            commit_lost,
            break_at,
        }
    }

    /// At the so many-th step of the store's files the folder is copied, as kill -9 would leave it, and the link
    /// breaks before anything else can happen.
    fn options(
        &self,
        die_at: usize,
        breaker: Arc<std::sync::atomic::AtomicBool>,
        copied: &Arc<Mutex<Option<TempDir>>>,
    ) -> FileOptions {
        let (count, copied) = (AtomicUsize::new(0), Arc::clone(copied));
        let dir: PathBuf = self.store.path().to_owned();
        self.order.heard.store(usize::MAX, Ordering::Relaxed);
        let heard = Arc::clone(&self.order.heard);
        let probe = move |step: FileStep| {
            if count.fetch_add(1, Ordering::Relaxed) == die_at {
                let place = folder();
                copy(&dir, place.path());
                *copied.lock().unwrap() = Some(place);
                breaker.store(true, Ordering::Relaxed);
                heard.store(usize::from(step == FileStep::JournalWritten), Ordering::Relaxed);
            }
        };
        FileOptions { journal_sync: JournalSync::Never, segment_bytes: 4_096, probe: Some(Arc::new(probe)) }
    }

    fn parts(
        &mut self,
        transport: MemoryTransport,
        options: FileOptions,
    ) -> Parts<MemoryTransport, Registry> {
        let limits = Limits {
            allowed_lateness: DurationMs(LATENESS_MS),
            remember: DurationMs(REMEMBER_MS),
            max_events: 1_000,
            tile: DurationMs(1_000),
            waiting_labels: 1_000,
        };
        let (enricher, _) =
            Enricher::open(self.store.path(), options, Arc::clone(&self.definitions), limits, 1).unwrap();
        let registry = Registry {
            registered: self.registered_from != usize::MAX,
            draw: Xoshiro256PlusPlus::seed_from_u64(self.draw.random_range(0..u64::MAX)),
            asked: Vec::new(),
        };
        let deciders =
            Deciders { model: None, policy: Arc::clone(&self.policy), lists: Arc::new(Lists::empty()) };
        let id = |place| {
            Bound::own([Contract::Decision, Contract::Alert, Contract::DeadLetter][place], place as u32 + 3)
        };
        Parts {
            transport,
            schemas: Schemas::new(registry, Arc::clone(&self.mapping), 10, 2_000),
            pipeline: Pipeline::new(enricher, &self.mapping, DurationMs(SKEW_MS)),
            emitter: Emitter::new(
                id(0),
                id(1),
                id(2),
                self.partitions,
                ["transactions".into(), "labels".into()],
            ),
            seal: None,
            deciders: Arc::new(move || deciders.clone()),
            clock: Box::new(Arc::clone(&self.clock)),
            watch: Box::new(self.order.clone()),
            limits: LineLimits {
                batch_records: self.draw.random_range(1..9),
                waiting_records: self.draw.random_range(1..13),
                waiting_bytes: 100_000,
                record_bytes: 10_000,
                align_ms: [LATENESS_MS / 2, i64::MAX][self.draw.random_range(0..2)],
                outbox: OutboxLimits { messages: self.draw.random_range(1..20), bytes: 20_000 },
                checkpoint_every_ms: [300, 5_000][self.draw.random_range(0..2)],
                checkpoint_records: self.draw.random_range(1..40),
                checkpoint_waits: true,
            },
        }
    }

    /// What the oracle says of every input applied so far, in the order in which they were.
    fn expected(&self) -> Expectations {
        let order: Vec<_> =
            self.order.batches.lock().unwrap().iter().map(|b| (b.source, b.first..=b.last)).collect();
        inputs::expected(&self.inputs, &self.definitions, &order, self.registered_from)
    }

    fn seen(&self) -> Seen {
        let log = self.broker.log();
        let mut seen = Seen::default();
        for ((output, _), records) in &log.outputs {
            for record in records {
                let (_, body) = unframe(&record.value).unwrap();
                match output {
                    Output::Decisions => seen.decisions.push(read(Contract::Decision, body)),
                    Output::Alerts => seen.alerts.push(read(Contract::Alert, body)),
                    Output::DeadLetters => seen.dead_letters.push(read(Contract::DeadLetter, body)),
                }
            }
        }
        seen
    }
}

fn read<T: serde::de::DeserializeOwned>(contract: Contract, body: &[u8]) -> T {
    decode_own(contract.schema().unwrap(), body).unwrap()
}
