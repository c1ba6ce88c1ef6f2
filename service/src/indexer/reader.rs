//! A topic of ours: all its partitions, read from given offsets without a group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, Statistics, TopicPartitionList};

use super::STEP;
use super::progress::Progress;
use crate::made::DECISION_HEADER;
use crate::stream::kafka::KafkaOptions;

/// How long one question to the brokers may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A batch ends when nothing has come for so long: whoever waits for a decision does not wait for others.
const PAUSE: Duration = Duration::from_millis(5);

/// Records of this time come together where nobody waits for one.
pub(crate) const UNHURRIED: Duration = Duration::from_millis(50);

/// The same where somebody may: a repeated request waits for its decision in the index.
pub(crate) const HURRIED: Duration = Duration::from_millis(5);

/// A record.
pub(crate) struct Record {
    pub partition: i32,
    pub offset: i64,
    pub value: Vec<u8>,
    /// Time in the topic, milliseconds.
    pub timestamp_ms: i64,
    /// The decision that travels with a payment, sealed.
    pub made: Option<Vec<u8>>,
}

/// What a partition holds: its first offset, and the one behind its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retained {
    pub first: i64,
    pub next: i64,
}

/// What came of taking records.
pub(crate) enum Taken {
    /// Records, or none.
    Records,
    /// A partition no longer has its next record, and is read no further.
    OutOfRange,
    /// The client tries again by itself.
    Trouble(String),
}

/// A consumer outside of any group.
pub(crate) struct Reader {
    consumer: Arc<BaseConsumer<Ends>>,
    topic: String,
    /// Partitions that were read to their end.
    at_end: Mutex<BTreeSet<i32>>,
}

/// Hears from the client where the partitions end.
struct Ends {
    topic: String,
    progress: Arc<Progress>,
}

impl ClientContext for Ends {
    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(&self.topic) else { return };
        let known = topic.partitions.values().filter(|partition| partition.hi_offset >= 0);
        self.progress.ends(known.map(|partition| (partition.partition, partition.hi_offset)));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka consumer of the indexer");
    }
}

impl ConsumerContext for Ends {}

impl Reader {
    pub fn new(
        options: &KafkaOptions,
        topic: &str,
        name: &str,
        progress: Arc<Progress>,
        together: Duration,
    ) -> Result<Self, KafkaError> {
        let topic = topic.to_owned();
        let mut config = options.client();
        config
            // rdkafka wants none for assign, but librdkafka asks for a name.
            .set("group.id", format!("{}-{name}", options.group))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            // Read ahead; a backlog waits at the brokers.
            .set("queued.max.messages.kbytes", "8192")
            .set("queued.min.messages", "5000")
            .set("fetch.queue.backoff.ms", "20")
            // What comes within this time comes together: an answer for each record costs the brokers more than it.
            .set("fetch.min.bytes", "262144")
            .set("fetch.wait.max.ms", together.as_millis().to_string())
            .set("statistics.interval.ms", "1000");
        for (key, value) in &options.properties {
            config.set(key, value);
        }
        // Nobody's to change: a drain ends by it.
        config.set("enable.partition.eof", "true");
        let consumer = Arc::new(config.create_with_context(Ends { topic: topic.clone(), progress })?);
        Ok(Self { consumer, topic, at_end: Mutex::default() })
    }

    /// What each partition holds. The brokers are asked on another thread, since a question cannot be broken off.
    pub fn retained(&self, stopped: impl Fn() -> bool) -> Result<BTreeMap<i32, Retained>, String> {
        let (tell, told) = channel();
        let (consumer, topic) = (Arc::clone(&self.consumer), self.topic.clone());
        let ask = move || {
            // Nobody listens any more when the indexer has ended.
            let _ = tell.send(retained(&consumer, &topic));
        };
        let asked = std::thread::Builder::new().name("index-ask".to_owned()).spawn(ask);
        asked.map_err(|error| format!("a thread: {error}"))?;
        loop {
            match told.recv_timeout(STEP) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) if !stopped() => {}
                Err(_) => return Err("no answer from kafka".to_owned()),
            }
        }
    }

    /// Reads these partitions from these offsets on.
    pub fn assign(&self, from: &BTreeMap<i32, i64>) -> Result<(), String> {
        self.at_end().clear();
        let mut list = TopicPartitionList::with_capacity(from.len());
        let mut added = from.iter().map(|(partition, offset)| {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))
        });
        added
            .try_for_each(|added| added)
            .and_then(|()| self.consumer.assign(&list))
            .map_err(|e| e.to_string())
    }

    /// Whether a partition was read to its end at some time since it was assigned, also where what stands last are no
    /// records but marks of transactions.
    pub fn came_to_end(&self, partition: i32) -> bool {
        self.at_end().contains(&partition)
    }

    fn at_end(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.at_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in records until there are so many, none came for a moment, or the time is over.
    pub fn take(&self, most: usize, within: Duration, records: &mut Vec<Record>) -> Taken {
        let began = Instant::now();
        let mut wait = STEP;
        while records.len() < most && began.elapsed() < within {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => records.push(Record {
                    partition: message.partition(),
                    offset: message.offset(),
                    value: message.payload().unwrap_or_default().to_vec(),
                    timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
                    made: message.headers().and_then(made),
                }),
                // It is no record: whoever waits for one still does.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.at_end().insert(partition);
                    continue;
                }
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                        return Taken::OutOfRange;
                    }
                    _ => return Taken::Trouble(format!("kafka: {error}")),
                },
            }
            wait = PAUSE;
        }
        Taken::Records
    }
}

fn made(headers: &impl Headers) -> Option<Vec<u8>> {
    let found = headers.iter().find(|header| header.key == DECISION_HEADER)?;
    found.value.map(<[u8]>::to_vec)
}

fn retained(consumer: &BaseConsumer<Ends>, topic: &str) -> Result<BTreeMap<i32, Retained>, String> {
    let failed = |error: KafkaError| format!("kafka: {error}");
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_WITHIN).map_err(failed)?;
    let found = metadata.topics().iter().find(|known| known.name() == topic);
    let partitions = found.map(|topic| topic.partitions()).unwrap_or_default();
    if partitions.is_empty() {
        return Err(format!("topic_missing: there is no topic \"{topic}\""));
    }
    let mut retained = BTreeMap::new();
    for partition in partitions {
        let (first, next) =
            consumer.fetch_watermarks(topic, partition.id(), ANSWER_WITHIN).map_err(failed)?;
        retained.insert(partition.id(), Retained { first, next });
    }
    Ok(retained)
}
