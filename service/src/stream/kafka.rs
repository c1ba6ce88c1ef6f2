//! The Kafka transport: one consumer in a group for both input topics, one idempotent producer for the three outputs.
//!
//! Both are polled on the line's thread; librdkafka's own threads do the network. The member is a static one, named by
//! the store's folder: a process that was killed and comes back is the same member, and has its partitions at once
//! instead of after the session's time-out. Offsets are never taken from the broker: the store says where to begin.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use feature_store::store::{Source, Topic};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use super::{Event, Outgoing, Output, Record, Retained, Tail, Transport, TransportError, topic_word};
use crate::emit::is_traceparent;
use crate::made::DECISION_HEADER;

mod context;
mod tail;

pub(crate) use context::log as said;
use context::{Acks, Group, Shared};
use tail::TailReader;

/// How producers of payments choose the partition of a key: as Java's clients do, and not by librdkafka's own hash, so
/// that a card's payments are on one partition whoever sends them. A user's own property of this name wins.
pub const PARTITIONER: (&str, &str) = ("partitioner", "murmur2_random");

/// How long one question to the brokers may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// While no records are wanted the consumer is still asked this often, or the group takes the partitions away.
const IDLE_POLL_EVERY: Duration = Duration::from_millis(500);

/// A commit that has no answer after this time has none: the client itself asks for a minute at most, mostly for seconds.
const COMMIT_WITHIN: Duration = Duration::from_secs(60);

/// Where the brokers are and what the topics are called.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// `bootstrap.servers`.
    pub bootstrap: String,
    /// `group.id`.
    pub group: String,
    /// `group.instance.id`: who this member is, also after a restart.
    pub instance: String,
    /// `session.timeout.ms`.
    pub session_timeout_ms: i64,
    /// The payments and the labels topic, in this order.
    pub inputs: [String; 2],
    /// Decisions, alerts and dead letters, in this order.
    pub outputs: [String; 3],
    /// Further librdkafka properties: TLS, SASL, tuning. They come last and win.
    pub properties: BTreeMap<String, String>,
}

impl KafkaOptions {
    /// What every client of ours has.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", "tripline")
            .set("allow.auto.create.topics", "false")
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    fn with_own(&self, mut config: ClientConfig) -> ClientConfig {
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
    }

    fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", &self.group)
            .set("group.instance.id", &self.instance)
            .set("session.timeout.ms", self.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", (self.session_timeout_ms / 4).max(100).to_string())
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            // Read ahead, all partitions together; memory stays flat whatever comes in.
            .set("queued.max.messages.kbytes", "16384")
            .set("queued.min.messages", "20000")
            // At its default of a second it holds a consumer to 27 k records a second.
            .set("fetch.queue.backoff.ms", "20")
            .set("fetch.wait.max.ms", "5");
        if !self.properties.contains_key("fetch.wait.max.ms") {
            // Brokers answer after that time or with so much: an answer for each record costs them, and us, more than the
            // record. Where a user says how long, it is as he says, and the first record is answered at once.
            config.set("fetch.min.bytes", "262144");
        }
        self.with_own(config)
    }

    /// A reader's without a group, for single records.
    pub fn reader(&self) -> ClientConfig {
        let mut config = self.with_own(self.client());
        config
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "10");
        // Without a group: rdkafka wants none for assign, but librdkafka asks for a name.
        config.set("group.id", format!("{}-tail", self.group));
        config
    }

    /// The idempotent producer's.
    pub fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            // For ever: a record given up would be a gap in the topic. What waits is bounded by the outbox.
            .set("message.timeout.ms", "0")
            .set("linger.ms", "5")
            .set(PARTITIONER.0, PARTITIONER.1)
            .set("queue.buffering.max.kbytes", "262144");
        self.with_own(config)
    }
}

/// Topics on Kafka.
pub struct KafkaTransport {
    options: KafkaOptions,
    consumer: BaseConsumer<Group>,
    producer: BaseProducer<Acks>,
    shared: Arc<Shared>,
    started: Instant,
    subscribed: bool,
    /// When the consumer was last asked.
    polled: Instant,
    /// All partitions are paused because no records are wanted.
    held: bool,
    /// When a commit was asked for that was not answered yet.
    commit_asked: Option<Instant>,
    tail: Option<TailReader>,
}

impl KafkaTransport {
    /// Makes the clients; nothing is asked of the brokers yet. `started` is the line's zero of monotonic time.
    ///
    /// # Errors
    /// `Fatal` for a property that librdkafka refuses.
    pub fn new(options: KafkaOptions, started: Instant) -> Result<Self, TransportError> {
        let shared = Arc::new(Shared::new(options.inputs.clone()));
        let refused = |error: KafkaError| TransportError::Fatal(format!("kafka: {error}"));
        let group = Group(Arc::clone(&shared));
        let consumer = options.consumer().create_with_context(group).map_err(refused)?;
        let acks = Acks(Arc::clone(&shared));
        let producer = options.producer().create_with_context(acks).map_err(refused)?;
        let polled = Instant::now();
        Ok(Self {
            options,
            consumer,
            producer,
            shared,
            started,
            subscribed: false,
            polled,
            held: false,
            commit_asked: None,
            tail: None,
        })
    }

    fn topic(&self, topic: Topic) -> &str {
        self.options.inputs.get(topic as usize).map_or("", String::as_str)
    }

    fn output(&self, output: Output) -> &str {
        self.options.outputs.get(output as usize).map_or("", String::as_str)
    }

    fn list(&self, sources: &[Source]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(sources.len());
        for source in sources {
            list.add_partition(self.topic(source.topic), source.partition);
        }
        list
    }

    /// Stops or starts the records of everything assigned.
    fn hold(&mut self, held: bool) -> Result<(), TransportError> {
        if self.held == held {
            return Ok(());
        }
        let assignment = self.consumer.assignment().map_err(fatal)?;
        if held {
            self.consumer.pause(&assignment).map_err(fatal)?;
        } else {
            let paused = self.shared.paused();
            let list = self.list(
                &self.shared.assigned().into_iter().filter(|s| !paused.contains(s)).collect::<Vec<_>>(),
            );
            self.consumer.resume(&list).map_err(fatal)?;
        }
        self.held = held;
        Ok(())
    }

    /// Takes in records until `most`, nothing more is here, or the assignment changed.
    fn take(&mut self, most: usize, wait: Duration, records: &mut Vec<Record>) -> Result<(), TransportError> {
        let mut wait = wait;
        let changes = self.shared.changes();
        while records.len() < most.max(1) {
            let polled = self.consumer.poll(wait);
            wait = Duration::ZERO;
            let changed = self.shared.changes() != changes;
            if changed {
                // What was taken before the change may be of a partition that was taken away in it.
                let revoked = self.shared.revoked_since(changes);
                records.retain(|record| !revoked.contains(&record.source));
            }
            match polled {
                None => break,
                Some(Ok(message)) => {
                    if let Some(record) = self.record(&message) {
                        records.push(record);
                    }
                }
                Some(Err(error)) => self.consumer_error(&error)?,
            }
            if changed {
                break;
            }
        }
        self.polled = Instant::now();
        Ok(())
    }

    fn record(&self, message: &rdkafka::message::BorrowedMessage<'_>) -> Option<Record> {
        let topic = self.shared.topic_of(message.topic())?;
        let header = |name: &str| message.headers()?.iter().find(|header| header.key == name)?.value;
        let traceparent = header("traceparent").and_then(|value| {
            let text = std::str::from_utf8(value).ok()?;
            is_traceparent(text).then(|| text.into())
        });
        let decision = header(DECISION_HEADER).map(Into::into);
        Some(Record {
            source: Source { topic, partition: message.partition() },
            offset: message.offset(),
            key: message.key().unwrap_or_default().to_vec(),
            value: message.payload().unwrap_or_default().to_vec(),
            traceparent,
            decision,
            arrived_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
        })
    }

    fn consumer_error(&self, error: &KafkaError) -> Result<(), TransportError> {
        let code = error.rdkafka_error_code();
        match (error, code) {
            (KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::FencedInstanceId), _) => {
                Err(TransportError::Fatal(format!(
                    "member_fenced: another process is member \"{}\" of group \"{}\" now: was the store's folder copied? \
                     End one of the two, and remove the file \"member\" from the copy",
                    self.options.instance, self.options.group
                )))
            }
            (KafkaError::MessageConsumptionFatal(code), _) => {
                Err(TransportError::Fatal(format!("kafka: {code}")))
            }
            (_, Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)) => {
                Err(TransportError::Fatal(format!(
                    "offset_out_of_range: a topic no longer has the next record ({error})"
                )))
            }
            _ => {
                self.shared.push(Event::Trouble(error.to_string()));
                Ok(())
            }
        }
    }

    fn ask<A>(&self, answer: Result<A, KafkaError>, what: &str) -> Result<A, TransportError> {
        answer.map_err(|error| TransportError::Unavailable(format!("{what}: {error}")))
    }

    fn partitions(&self, topic: &str) -> Result<i32, TransportError> {
        let metadata =
            self.ask(self.consumer.fetch_metadata(Some(topic), ANSWER_WITHIN), "kafka metadata")?;
        let found = metadata.topics().iter().find(|known| known.name() == topic);
        match found.map(|topic| topic.partitions().len()) {
            Some(count) if count > 0 => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
            _ => Err(TransportError::Unavailable(format!("topic_missing: there is no topic \"{topic}\""))),
        }
    }
}

fn fatal(error: KafkaError) -> TransportError {
    TransportError::Fatal(format!("kafka: {error}"))
}

impl Transport for KafkaTransport {
    fn begin_at(&mut self, source: Source, offset: i64) {
        self.shared.begin_at(source, offset);
    }

    fn poll(
        &mut self,
        most: usize,
        wait: Duration,
        records: &mut Vec<Record>,
        events: &mut Vec<Event>,
    ) -> Result<(), TransportError> {
        if !self.subscribed {
            let [payments, labels] = &self.options.inputs;
            self.consumer.subscribe(&[payments.as_str(), labels.as_str()]).map_err(fatal)?;
            (self.subscribed, self.tail) = (true, None);
        }
        self.producer.poll(Duration::ZERO);
        if most > 0 {
            self.hold(false)?;
            self.take(most, wait, records)?;
        } else if self.polled.elapsed() > IDLE_POLL_EVERY {
            self.hold(true)?;
            self.take(0, Duration::ZERO, records)?;
        } else {
            self.producer.poll(wait.min(Duration::from_millis(2)));
        }
        self.producer.poll(Duration::ZERO);
        if let Some((code, reason)) = self.producer.client().fatal_error() {
            return Err(TransportError::Fatal(format!("kafka producer: {code}: {reason}")));
        }
        if self.shared.take_commit_heard() {
            self.commit_asked = None;
        } else if self.commit_asked.is_some_and(|asked| asked.elapsed() > COMMIT_WITHIN) {
            tracing::warn!("a commit of offsets was never answered and is made again");
            self.commit_asked = None;
            self.shared.push(Event::CommitFailed);
        }
        self.shared.drain(events)
    }

    fn pause(&mut self, sources: &[Source]) -> Result<(), TransportError> {
        self.shared.set_paused(sources, true);
        self.consumer.pause(&self.list(sources)).map_err(fatal)
    }

    fn resume(&mut self, sources: &[Source]) -> Result<(), TransportError> {
        self.shared.set_paused(sources, false);
        if self.held {
            return Ok(());
        }
        self.consumer.resume(&self.list(sources)).map_err(fatal)
    }

    fn send(&mut self, outgoing: Outgoing) -> Result<Option<Outgoing>, TransportError> {
        let (partition, offset) = (outgoing.source.partition.to_string(), outgoing.offset.to_string());
        let header = |key, value| Header { key, value: Some(value) };
        let mut headers = OwnedHeaders::new_with_capacity(5)
            .insert(header("src-topic", topic_word(outgoing.source.topic)))
            .insert(header("src-partition", &partition))
            .insert(header("src-offset", &offset));
        if let Some(id) = &outgoing.decision_id {
            headers = headers.insert(header("decision-id", id));
        }
        if let Some(traceparent) = &outgoing.traceparent {
            headers = headers.insert(header("traceparent", traceparent));
        }
        let topic = self.options.outputs.get(outgoing.output as usize).map_or("", String::as_str);
        let mut record = BaseRecord::<[u8], [u8]>::to(topic)
            .partition(outgoing.partition)
            .payload(outgoing.value.as_slice())
            .headers(headers);
        if !outgoing.key.is_empty() {
            record = record.key(outgoing.key.as_slice());
        }
        let refused = self.producer.send(record).err().map(|(error, _)| error);
        match refused {
            None => Ok(None),
            Some(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => Ok(Some(outgoing)),
            Some(error) => Err(TransportError::Fatal(format!("kafka producer: {error}"))),
        }
    }

    fn commit(&mut self, next: &[(Source, i64)], wait: bool) -> Result<(), TransportError> {
        let assigned = self.shared.assigned();
        let mut list = TopicPartitionList::with_capacity(next.len());
        for (source, offset) in next.iter().filter(|(source, _)| assigned.contains(source)) {
            list.add_partition_offset(self.topic(source.topic), source.partition, Offset::Offset(*offset))
                .map_err(fatal)?;
        }
        if list.count() == 0 {
            return Ok(());
        }
        self.commit_asked = (!wait).then(Instant::now);
        let mode = if wait { CommitMode::Sync } else { CommitMode::Async };
        self.ask(self.consumer.commit(&list, mode), "kafka commit")
    }

    fn sources(&mut self) -> Result<Vec<Source>, TransportError> {
        let mut sources = Vec::new();
        let mut payments = 0;
        for topic in [Topic::Payments, Topic::Labels] {
            let count = self.partitions(self.topic(topic))?;
            if topic == Topic::Payments {
                payments = count;
            }
            sources.extend((0..count).map(|partition| Source { topic, partition }));
        }
        for output in Output::ALL {
            let (name, count) = (self.output(output), self.partitions(self.output(output))?);
            if count != payments {
                return Err(TransportError::Fatal(format!(
                    "partitions_differ: \"{name}\" has {count} partitions, \"{}\" has {payments}; they must be as many",
                    self.topic(Topic::Payments)
                )));
            }
        }
        Ok(sources)
    }

    fn retained(&mut self, source: Source) -> Result<Retained, TransportError> {
        let topic = self.topic(source.topic);
        let (first, next) = self
            .ask(self.consumer.fetch_watermarks(topic, source.partition, ANSWER_WITHIN), "kafka offsets")?;
        Ok(Retained { first, next })
    }

    fn committed(&mut self, source: Source) -> Result<Option<i64>, TransportError> {
        let found = self.consumer.committed_offsets(self.list(&[source]), ANSWER_WITHIN);
        let list = self.ask(found, "kafka committed offsets")?;
        Ok(list.elements().first().and_then(|element| match element.offset() {
            Offset::Offset(next) => Some(next),
            _ => None,
        }))
    }

    fn tail(&mut self, output: Output, partition: i32, most: usize) -> Result<Tail, TransportError> {
        let topic = self.output(output).to_owned();
        let reader = match &self.tail {
            Some(reader) => reader,
            None => self.tail.insert(TailReader::new(&self.options)?),
        };
        reader.read(&topic, partition, most)
    }

    fn close(&mut self) {
        // Polled on: dropping a consumer that was not told can hang.
        self.consumer.unsubscribe();
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until && !self.shared.assigned().is_empty() {
            let _ = self.consumer.poll(Duration::from_millis(20));
        }
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        said(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka consumer");
    }
}
