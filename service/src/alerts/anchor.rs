//! The anchors: where the audit log ended, now and then, in a topic of its own.
//!
//! Who can write the database can cut the log's end off, or compute all of it anew; both are found by what the topic
//! kept. So what was sent is never taken back: an end that contradicts one before is sent too, and named. Of several
//! processes on one database each sends; the same twice says nothing new. `tripline audit verify` reads them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use queue::Anchor;
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::audit_head::AuditHead;
use schemas::codec::{CheckedSchema, SchemaId, check_schema, decode_own, unframe};
use schemas::contract::Contract;
use schemas::time::EventTime;
use tokio::runtime::Handle;

use super::fault::bounded;
use super::{AGAIN_AFTER, Desk, pause};
use crate::clock::{Clock, SystemClock};
use crate::config::{AnchorConfig, RegistryConfig};
use crate::emit::Bound;
use crate::indexer::Progress;
use crate::indexer::reader::{Reader, Retained, Taken, UNHURRIED};
use crate::registry::Answer;
use crate::registry::client::RegistryClient;
use crate::stream::kafka::KafkaOptions;

/// How often it is looked where the log ends.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The brokers' time for a record; then the end of that moment is sent instead.
const SENT_WITHIN: Duration = Duration::from_secs(10);

/// The same when the process ends.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// Newest anchors of a partition that are compared: at one a minute some ten weeks. An older one can be given by hand.
const MOST: i64 = 100_000;

/// How long the topic is read.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// Records polled at once, and how long they may be collected.
const BATCH: (usize, Duration) = (2_000, Duration::from_millis(100));

/// Where the ends of the log are.
pub struct Heads {
    /// The topic.
    pub topic: String,
    /// The brokers.
    pub kafka: KafkaOptions,
    /// `[registry]`.
    pub registry: RegistryConfig,
    /// When they are sent.
    pub config: AnchorConfig,
}

/// Sends them.
pub struct Anchorer {
    heads: Heads,
    client: RegistryClient,
    producer: FutureProducer,
    bound: Option<Bound>,
    /// What the topic has of this process, and when the log was first seen to have moved on from it.
    sent: Option<Anchor>,
    moved: Option<Instant>,
    failed: bool,
    desk: Arc<Desk>,
    runtime: Handle,
    stop: Arc<AtomicBool>,
}

impl Anchorer {
    /// One for this topic.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn new(
        heads: Heads,
        desk: Arc<Desk>,
        runtime: Handle,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let client = RegistryClient::new(&heads.registry.url, heads.registry.timeout.std())?;
        let mut settings = heads.kafka.producer();
        // A later end says more than one that could not be sent: none is kept for ever.
        settings
            .set("enable.idempotence", "false")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("message.timeout.ms", SENT_WITHIN.as_millis().to_string());
        let producer = {
            let _inside = runtime.enter();
            settings.create().context("kafka producer of the audit log's ends")?
        };
        let (bound, sent, moved) = (None, None, None);
        Ok(Self { heads, client, producer, bound, sent, moved, failed: false, desk, runtime, stop })
    }

    /// Runs until it is told to stop; then the last end is sent, if it can be at once.
    pub fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            self.turn(SENT_WITHIN, false);
            pause(&self.stop, LOOK_EVERY);
        }
        self.turn(LAST_WITHIN, true);
    }

    fn turn(&mut self, within: Duration, is_last: bool) {
        let Some(queue) = self.desk.queue.load_full() else { return };
        // The database's own trouble is said by those who look at it.
        let runtime = self.runtime.clone();
        let asked = async { tokio::time::timeout(within, bounded(queue.audit_head())).await };
        let Ok(Ok(Some(head))) = runtime.block_on(asked) else { return };
        if !self.is_due(&head, is_last) {
            return;
        }
        let sent = async { tokio::time::timeout(within, self.send(&head)).await };
        let sent = runtime.block_on(sent).unwrap_or_else(|_| Err(anyhow!("no answer in time")));
        match sent {
            Ok(()) => {
                self.desk.standing.anchored(head.seq);
                (self.sent, self.moved, self.failed) = (Some(head), None, false);
            }
            Err(error) if !self.failed => {
                self.failed = true;
                tracing::warn!(%error, topic = self.heads.topic, "the audit log's end is not anchored; it is tried again");
                pause(&self.stop, AGAIN_AFTER);
            }
            Err(_) => pause(&self.stop, AGAIN_AFTER),
        }
    }

    /// Whether this end is to be sent now.
    fn is_due(&mut self, head: &Anchor, is_last: bool) -> bool {
        let before = self.sent.as_ref().map_or(0, |sent| sent.seq);
        if self.sent.as_ref() == Some(head) {
            self.moved = None;
            return false;
        }
        if self.sent.as_ref().is_some_and(|sent| head.seq <= sent.seq) {
            tracing::error!(
                seq = head.seq,
                before,
                "audit_log_went_back: the audit log ends before where it ended"
            );
            return true;
        }
        let moved = *self.moved.get_or_insert_with(Instant::now);
        is_last
            || moved.elapsed() >= self.heads.config.every.std()
            || head.seq - before >= self.heads.config.entries
    }

    async fn send(&mut self, head: &Anchor) -> anyhow::Result<()> {
        let bound = match &mut self.bound {
            Some(bound) => bound,
            None => {
                let register = self.heads.registry.register;
                let bound = self.client.bind(Contract::AuditHead, &self.heads.topic, register).await?;
                self.bound.insert(bound)
            }
        };
        let now_ms = SystemClock::default().now().wall_ms;
        let at = EventTime::from_ms(now_ms).context("the clock")?;
        let mut value = Vec::with_capacity(128);
        bound.encoder.encode(
            bound.id,
            &AuditHead { seq: head.seq, hash: head.hash.clone(), at },
            &mut value,
        )?;
        let record: FutureRecord<'_, (), _> = FutureRecord::to(&self.heads.topic).payload(&value);
        let delivery = self.producer.send_result(record).map_err(|(error, _)| error)?;
        delivery.await?.map_err(|(error, _)| error)?;
        Ok(())
    }
}

/// What a topic kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// The ends, newest 100,000 of a partition.
    pub anchors: Vec<Anchor>,
    /// Records that are none.
    pub unreadable: usize,
}

/// Reads what the topic kept. To be read before the log is: what is anchored later may not be in what was read of it.
///
/// # Errors
/// Why the topic cannot be read.
pub fn kept(heads: &Heads, runtime: &Handle) -> anyhow::Result<Kept> {
    let began = Instant::now();
    let reader =
        Reader::new(&heads.kafka, &heads.topic, "audit-verify", Arc::new(Progress::default()), UNHURRIED)?;
    let retained = reader.retained(|| began.elapsed() > READ_WITHIN).map_err(|why| anyhow!(why))?;
    let start = |Retained { first, next }: &Retained| (*first).max(next - MOST);
    let from: BTreeMap<i32, i64> = retained.iter().map(|(part, held)| (*part, start(held))).collect();
    let mut left: BTreeMap<i32, i64> = retained
        .iter()
        .filter(|(_, held)| held.next > held.first)
        .map(|(part, held)| (*part, held.next))
        .collect();
    reader.assign(&from).map_err(|why| anyhow!(why))?;
    let client = RegistryClient::new(&heads.registry.url, heads.registry.timeout.std())?;
    let mut schemas: HashMap<SchemaId, CheckedSchema> = HashMap::new();
    let (mut kept, mut records) = (Kept::default(), Vec::new());
    while !left.is_empty() {
        if began.elapsed() > READ_WITHIN {
            return Err(anyhow!("not all of it could be read in {} s", READ_WITHIN.as_secs()));
        }
        records.clear();
        if let Taken::OutOfRange = reader.take(BATCH.0, BATCH.1, &mut records) {
            return Err(anyhow!("its oldest records went while it was read"));
        }
        for record in &records {
            if left.get(&record.partition).is_some_and(|next| record.offset + 1 >= *next) {
                left.remove(&record.partition);
            }
            match head(&record.value, &client, &mut schemas, runtime)? {
                Some(head) => kept.anchors.push(Anchor { seq: head.seq, hash: head.hash }),
                None => kept.unreadable += 1,
            }
        }
    }
    Ok(kept)
}

/// The end of a record; `None` when it is none.
fn head(
    value: &[u8],
    client: &RegistryClient,
    schemas: &mut HashMap<SchemaId, CheckedSchema>,
    runtime: &Handle,
) -> anyhow::Result<Option<AuditHead>> {
    let Ok((id, body)) = unframe(value) else { return Ok(None) };
    let schema = match schemas.entry(id) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => match runtime.block_on(client.ask(id)) {
            Answer::Text(text) => match check_schema(&text) {
                Ok(schema) => place.insert(schema),
                Err(_) => return Ok(None),
            },
            Answer::Unknown => return Ok(None),
            Answer::Unavailable(why) => return Err(anyhow!("the schema registry: {why}")),
        },
    };
    Ok(decode_own(schema, body).ok())
}
