//! What librdkafka tells: assignments and acknowledgements, kept until the line asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use feature_store::store::{Source, Topic};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::{Event, TransportError};

/// What the clients' callbacks and the transport share. All of it runs on the line's thread; the lock is for the
/// compiler's sake.
pub(super) struct Shared {
    inputs: [String; 2],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    begin: BTreeMap<Source, i64>,
    assigned: BTreeSet<Source>,
    paused: BTreeSet<Source>,
    events: Vec<Event>,
    /// Sources taken away, each with the number of the change.
    revoked: Vec<(u64, Source)>,
    changes: u64,
    acknowledged: usize,
    commit_heard: bool,
    undeliverable: Option<String>,
}

impl Shared {
    pub fn new(inputs: [String; 2]) -> Self {
        Self { inputs, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn topic_of(&self, name: &str) -> Option<Topic> {
        let [payments, labels] = &self.inputs;
        if name == payments {
            Some(Topic::Payments)
        } else if name == labels {
            Some(Topic::Labels)
        } else {
            None
        }
    }

    pub fn begin_at(&self, source: Source, offset: i64) {
        self.state().begin.insert(source, offset);
    }

    pub fn push(&self, event: Event) {
        self.state().events.push(event);
    }

    /// Whether a commit was answered, well or not, since it was asked last.
    pub fn take_commit_heard(&self) -> bool {
        std::mem::take(&mut self.state().commit_heard)
    }

    /// Counts assignments and revocations.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    pub fn revoked_since(&self, changes: u64) -> BTreeSet<Source> {
        let state = self.state();
        state.revoked.iter().filter(|(at, _)| *at > changes).map(|(_, source)| *source).collect()
    }

    pub fn assigned(&self) -> BTreeSet<Source> {
        self.state().assigned.clone()
    }

    pub fn paused(&self) -> BTreeSet<Source> {
        self.state().paused.clone()
    }

    pub fn set_paused(&self, sources: &[Source], paused: bool) {
        let mut state = self.state();
        for source in sources {
            if paused {
                state.paused.insert(*source)
            } else {
                state.paused.remove(source)
            };
        }
    }

    /// Hands over what happened.
    pub fn drain(&self, events: &mut Vec<Event>) -> Result<(), TransportError> {
        let mut state = self.state();
        if let Some(why) = state.undeliverable.take() {
            return Err(TransportError::Fatal(format!("kafka producer: {why}")));
        }
        events.append(&mut state.events);
        let acknowledged = std::mem::take(&mut state.acknowledged);
        if acknowledged > 0 {
            events.push(Event::Acknowledged(acknowledged));
        }
        let newest = state.changes;
        state.revoked.retain(|(at, _)| *at > newest);
        Ok(())
    }

    fn sources(&self, list: &TopicPartitionList) -> Vec<Source> {
        let elements = list.elements();
        let source = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            Some(Source { topic: self.topic_of(element.topic())?, partition: element.partition() })
        };
        elements.iter().filter_map(source).collect()
    }

    fn assign(&self, list: &mut TopicPartitionList) {
        let sources = self.sources(list);
        let mut state = self.state();
        for source in &sources {
            let begin = state.begin.get(source).map_or(Offset::Beginning, |next| Offset::Offset(*next));
            let [payments, labels] = &self.inputs;
            let name = if source.topic == Topic::Payments { payments } else { labels };
            if let Err(error) = list.set_partition_offset(name, source.partition, begin) {
                state.undeliverable = Some(format!("an assignment was refused: {error}"));
            }
        }
        state.changes += 1;
        state.assigned.extend(&sources);
        state.events.push(Event::Assigned(sources));
    }

    fn revoke(&self, list: &TopicPartitionList) {
        let sources = self.sources(list);
        let mut state = self.state();
        state.changes += 1;
        let at = state.changes;
        for source in &sources {
            state.assigned.remove(source);
            state.paused.remove(source);
            state.revoked.push((at, *source));
        }
        state.events.push(Event::Revoked(sources));
    }
}

/// The consumer's context.
pub(super) struct Group(pub Arc<Shared>);

impl ConsumerContext for Group {
    /// Assigns at the positions of the store instead of the brokers'.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let done = match (what, cooperative) {
            (RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, _) => {
                self.0.assign(list);
                if cooperative { consumer.incremental_assign(list) } else { consumer.assign(list) }
            }
            (_, true) => {
                self.0.revoke(list);
                consumer.incremental_unassign(list)
            }
            (_, false) => {
                self.0.revoke(list);
                consumer.unassign()
            }
        };
        if let Err(error) = done {
            self.0.push(Event::Trouble(format!("a rebalance went wrong: {error}")));
        }
    }

    fn commit_callback(&self, result: Result<(), KafkaError>, _: &TopicPartitionList) {
        self.0.state().commit_heard = true;
        if let Err(error) = result {
            tracing::warn!(%error, "offsets were not committed and will be again");
            self.0.push(Event::CommitFailed);
        }
    }
}

/// The producer's context.
pub(super) struct Acks(pub Arc<Shared>);

impl ClientContext for Acks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for Acks {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut state = self.0.state();
        match result {
            Ok(_) => state.acknowledged += 1,
            Err((error, _)) => {
                state.undeliverable = Some(format!("a record could not be delivered: {error}"))
            }
        }
    }
}

/// librdkafka's own log lines: warnings are ours to know, the rest is for who looks for it.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, message, "kafka");
        }
        _ => tracing::debug!(facility, message, "kafka"),
    }
}
