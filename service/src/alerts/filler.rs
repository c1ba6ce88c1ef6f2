//! The filler: a thread for each topic, alerts, labels and alerts that a reconciliation found missed, that takes its
//! records into the queue.
//!
//! The queue's own database says where to go on, in the transaction that took the last records; there is no group and
//! nothing is committed to Kafka. So a record is taken in once, whatever dies; and of several processes on one database
//! each reads all, the first one takes it in, and the others go on behind it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use queue::{Queue, QueueError, Span, Taken};
use schemas::alert::Alert;
use schemas::codec::{CheckedSchema, LabelDecoder, SchemaId, check_schema, decode_own, unframe};
use schemas::payment::Label;
use schemas::reject::{Reject, RejectCode};
use tokio::runtime::Handle;

use super::fault::bounded;
use super::standing::{Filling, Part};
use super::{AGAIN_AFTER, Desk, pause};
use crate::clock::{Clock, SystemClock};
use crate::config::RegistryConfig;
use crate::indexer::begin_at;
use crate::indexer::reader::{Reader, Record, Taken as Polled, UNHURRIED};
use crate::registry::Answer;
use crate::registry::client::RegistryClient;
use crate::stream::kafka::KafkaOptions;

/// Most records of one transaction, and how long they may be collected.
const BATCH: (usize, Duration) = (500, Duration::from_millis(100));

/// Which topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Alerts.
    Alerts,
    /// Labels.
    Labels,
    /// Alerts that a reconciliation found missed.
    Missed,
}

impl Kind {
    /// What it holds.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Alerts => "alerts",
            Kind::Labels => "labels",
            Kind::Missed => "alerts that were missed",
        }
    }

    /// Its thread's name.
    pub fn thread(self) -> &'static str {
        match self {
            Kind::Alerts => "queue-alerts",
            Kind::Labels => "queue-labels",
            Kind::Missed => "queue-missed",
        }
    }
}

/// One topic's filler.
pub struct Filler {
    kind: Kind,
    topic: String,
    reader: Reader,
    registry: RegistryClient,
    schemas: HashMap<SchemaId, Result<Arc<CheckedSchema>, Reject>>,
    desk: Arc<Desk>,
    runtime: Handle,
    clock: SystemClock,
    stop: Arc<AtomicBool>,
    /// The next offset by partition, as the database has it.
    next: BTreeMap<i32, i64>,
    passed_over: u64,
}

impl Filler {
    /// A filler for a topic.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn new(
        (kind, topic): (Kind, String),
        kafka: &KafkaOptions,
        registry: &RegistryConfig,
        desk: Arc<Desk>,
        runtime: Handle,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let progress = Arc::clone(&desk.standing.filling(kind).progress);
        Ok(Self {
            kind,
            reader: Reader::new(kafka, &topic, kind.thread(), progress, UNHURRIED)?,
            topic,
            registry: RegistryClient::new(&registry.url, registry.timeout.std())?,
            schemas: HashMap::new(),
            desk,
            runtime,
            clock: SystemClock::default(),
            stop,
            next: BTreeMap::new(),
            passed_over: 0,
        })
    }

    /// Runs until it is told to stop. What is away is waited for.
    pub fn run(mut self) {
        let mut is_reading = false;
        let mut records = Vec::with_capacity(BATCH.0);
        while !self.stopped() {
            self.filling().turns();
            let Some(queue) = self.desk.queue.load_full() else {
                pause(&self.stop, AGAIN_AFTER);
                continue;
            };
            if !is_reading {
                is_reading = self.begin(&queue);
                if !is_reading {
                    pause(&self.stop, AGAIN_AFTER);
                }
                continue;
            }
            records.clear();
            match self.reader.take(BATCH.0, BATCH.1, &mut records) {
                Polled::Records => {}
                Polled::OutOfRange => is_reading = false,
                Polled::Trouble(why) => tracing::debug!(why, topic = self.topic, "the queue's consumer"),
            }
            if !records.is_empty() && !self.take_in(&queue, &records) {
                is_reading = false;
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn filling(&self) -> &Filling {
        self.desk.standing.filling(self.kind)
    }

    /// How the database took it.
    fn met(&self, error: Option<&QueueError>) {
        self.desk.standing.met(Part::Filler(self.kind), error.map(ToString::to_string));
    }

    /// What is waited for beside the database, or nothing.
    fn waits_for(&self, why: Option<&str>) {
        if self.filling().progress.waits_for(why.map(str::to_owned))
            && let Some(why) = why
        {
            tracing::warn!(why, topic = self.topic, "the queue waits");
        }
    }

    /// Begins to read where the database says; `false` when somebody does not answer.
    fn begin(&mut self, queue: &Queue) -> bool {
        let known = match self.runtime.block_on(bounded(queue.offsets(&self.topic))) {
            Ok(known) => known,
            Err(error) => {
                self.met(Some(&error));
                return false;
            }
        };
        self.met(None);
        let retained = match self.reader.retained(|| self.stop.load(Ordering::Relaxed)) {
            Ok(retained) => retained,
            Err(why) => {
                if !self.stopped() {
                    self.waits_for(Some(&why));
                }
                return false;
            }
        };
        self.waits_for(None);
        self.filling().progress.ends(retained.iter().map(|(partition, held)| (*partition, held.next)));
        let mut from = BTreeMap::new();
        for (partition, retained) in &retained {
            let fence = known.get(partition).copied();
            let at = begin_at(fence, *retained);
            if let Some(fence) = fence.filter(|fence| *fence != at) {
                tracing::warn!(
                    partition,
                    fence,
                    at,
                    topic = self.topic,
                    "offset_out_of_range: the next record is not in the topic any more; the queue goes on with the \
                     first that there is"
                );
            }
            from.insert(*partition, at);
        }
        self.filling().progress.indexed(from.clone());
        self.next = known;
        match self.reader.assign(&from) {
            Ok(()) => true,
            Err(why) => {
                tracing::warn!(why, topic = self.topic, "the queue's consumer");
                false
            }
        }
    }

    /// Takes records in, a transaction for each partition; tries again while the database is away. `false` when the
    /// reading has to begin anew.
    fn take_in(&mut self, queue: &Queue, records: &[Record]) -> bool {
        let mut partitions: BTreeMap<i32, Vec<&Record>> = BTreeMap::new();
        for record in records {
            partitions.entry(record.partition).or_default().push(record);
        }
        for (partition, records) in partitions {
            let Some(last) = records.last().map(|record| record.offset) else { continue };
            let Some(found) = self.read(&records) else { return false };
            loop {
                let topic = self.topic.clone();
                let from = self.next.get(&partition).copied();
                let span = Span { topic: &topic, partition, from, next: last + 1 };
                match self.apply(queue, &span, &found) {
                    Ok(Taken::Now) => {
                        self.met(None);
                        self.next.insert(partition, last + 1);
                        self.filling().progress.indexed([(partition, last + 1)].into());
                        break;
                    }
                    Ok(Taken::Elsewhere(next)) => {
                        self.met(None);
                        tracing::debug!(next, partition, topic, "another process has taken it in");
                        return false;
                    }
                    Err(error) => {
                        self.met(Some(&error));
                        self.look_at_ends();
                        pause(&self.stop, AGAIN_AFTER);
                    }
                }
                if self.stopped() {
                    return false;
                }
            }
        }
        true
    }

    /// Looks how far it is behind: the consumer, which says it otherwise, is not polled while the database is away.
    fn look_at_ends(&self) {
        self.filling().turns();
        if let Ok(retained) = self.reader.retained(|| self.stopped()) {
            self.filling().progress.ends(retained.iter().map(|(partition, held)| (*partition, held.next)));
        }
    }

    fn apply(&self, queue: &Queue, span: &Span<'_>, found: &Found) -> Result<Taken, QueueError> {
        let now_ms = self.clock.now().wall_ms;
        self.runtime.block_on(bounded(async {
            match found {
                Found::Alerts(alerts) => queue.take_alerts(span, alerts, now_ms).await,
                Found::Labels(labels) => queue.take_labels(span, labels, now_ms).await,
            }
        }))
    }

    /// What the records say; `None` when it is to stop.
    fn read(&mut self, records: &[&Record]) -> Option<Found> {
        let mut found = match self.kind {
            Kind::Alerts | Kind::Missed => Found::Alerts(Vec::new()),
            Kind::Labels => Found::Labels(Vec::new()),
        };
        for record in records {
            let read = match unframe(&record.value) {
                Ok((id, body)) => self.schema(id)?.and_then(|schema| found.add(&schema, body)),
                Err(reject) => Err(reject),
            };
            if let Err(reject) = read {
                self.passed_over += 1;
                if self.passed_over == 1 {
                    let (partition, offset, code) = (record.partition, record.offset, reject.code);
                    tracing::error!(
                        partition,
                        offset,
                        ?code,
                        topic = self.topic,
                        "a record is not what this topic holds and is passed over; more of them are not named"
                    );
                }
            }
        }
        Some(found)
    }

    /// A schema by its id, waited for; `None` when it is to stop.
    fn schema(&mut self, id: SchemaId) -> Option<Result<Arc<CheckedSchema>, Reject>> {
        loop {
            if let Some(known) = self.schemas.get(&id) {
                return Some(known.clone());
            }
            match self.runtime.block_on(self.registry.ask(id)) {
                Answer::Text(text) => {
                    self.waits_for(None);
                    self.schemas.insert(id, check_schema(&text).map(Arc::new));
                }
                Answer::Unknown => {
                    return Some(Err(Reject::new(RejectCode::SchemaUnknown, format!("no schema {}", id.0))));
                }
                Answer::Unavailable(why) => {
                    self.waits_for(Some(&format!("the schema registry: {why}")));
                    self.filling().turns();
                    pause(&self.stop, AGAIN_AFTER);
                }
            }
            if self.stopped() {
                return None;
            }
        }
    }
}

enum Found {
    Alerts(Vec<Alert>),
    Labels(Vec<Label>),
}

impl Found {
    fn add(&mut self, schema: &CheckedSchema, body: &[u8]) -> Result<(), Reject> {
        match self {
            Found::Alerts(alerts) => alerts.push(decode_own(schema, body)?),
            Found::Labels(labels) => labels.push(LabelDecoder::new(schema)?.decode(body)?),
        }
        Ok(())
    }
}
