//! The window: records go to librdkafka when it can send them, and wait here otherwise.
//!
//! An idempotent producer has at most five records of a partition on their way in more than one request
//! (`RD_KAFKA_IDEMP_MAX_INFLIGHT`). What it is handed beyond waits inside it, and while something waits whose
//! `linger.ms` is over, its thread spins: a whole core, measured. So only a few records are handed over one by one.
//! While they are on their way more gather here, and go together, a request a partition, once those are acknowledged:
//! what is sent, and when, is the same, without the spinning and with fewer requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, ProducerContext};
use tokio::sync::oneshot;

use crate::stream::kafka::said;
use crate::turn::Turn;

/// Records on their way before others wait for them.
const WINDOW: usize = 5;

/// The longest that the polling thread sleeps.
const POLL: Duration = Duration::from_millis(100);

/// A record to be sent.
pub struct Letter {
    /// The topic.
    pub topic: Arc<str>,
    /// The record's key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// Its headers.
    pub headers: OwnedHeaders,
}

/// Told when the brokers have the record; dropped when they will not have it.
pub type Delivery = oneshot::Receiver<()>;

/// See the module. It ends when it is dropped.
pub struct Window {
    producer: Arc<BaseProducer<Acks>>,
    gate: Arc<Gate>,
}

/// What is on its way, and what waits.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    producer: OnceLock<Weak<BaseProducer<Acks>>>,
}

#[derive(Default)]
struct State {
    on_their_way: usize,
    waiting: VecDeque<(Letter, oneshot::Sender<()>)>,
}

/// The producer's context.
struct Acks(Arc<Gate>);

impl Window {
    /// A window for this producer.
    ///
    /// # Errors
    /// A property that librdkafka refuses, or no thread.
    pub fn new(config: &ClientConfig) -> anyhow::Result<Self> {
        let gate = Arc::new(Gate::default());
        let (config, acks) = (config.clone(), Acks(Arc::clone(&gate)));
        // librdkafka's threads have the turn of whoever makes the client, and callers wait for these.
        let made = Turn::First
            .spawn("recorder", move || config.create_with_context::<_, BaseProducer<Acks>>(acks))?
            .join();
        let producer = Arc::new(made.map_err(|_| anyhow::anyhow!("the producer's thread failed"))??);
        let polled = Arc::downgrade(&producer);
        // The first: it is new.
        let _ = gate.producer.set(Weak::clone(&polled));
        let poll = move || {
            while let Some(producer) = polled.upgrade() {
                producer.poll(POLL);
            }
        };
        Turn::First.spawn("recorder", poll)?;
        Ok(Self { producer, gate })
    }

    /// Sends a record, now or with those that wait.
    pub fn send(&self, letter: Letter) -> Delivery {
        let (tell, delivery) = oneshot::channel();
        let mut state = self.gate.state();
        state.waiting.push_back((letter, tell));
        if state.on_their_way < WINDOW {
            state.send(&self.producer);
        }
        delivery
    }

    /// Sends all that waits: what is on its way takes too long to be waited for.
    pub fn open(&self) {
        self.gate.state().send(&self.producer);
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn send(&mut self, producer: &BaseProducer<Acks>) {
        for (letter, tell) in self.waiting.drain(..) {
            let record = BaseRecord::with_opaque_to(&letter.topic, Box::new(tell))
                .key(&letter.key)
                .payload(&letter.value)
                .headers(letter.headers);
            // Refused: its sender is dropped, and who waits offers it again.
            self.on_their_way += usize::from(producer.send(record).is_ok());
        }
    }
}

impl ClientContext for Acks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        said(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for Acks {
    type DeliveryOpaque = Box<oneshot::Sender<()>>;

    fn delivery(&self, result: &DeliveryResult<'_>, tell: Box<oneshot::Sender<()>>) {
        if result.is_ok() {
            // Gone: nobody waits for it any more.
            let _ = tell.send(());
        }
        let mut state = self.0.state();
        state.on_their_way = state.on_their_way.saturating_sub(1);
        if state.on_their_way < WINDOW
            && !state.waiting.is_empty()
            // The polling thread, which this is, holds it.
            && let Some(producer) = self.0.producer.get().and_then(Weak::upgrade)
        {
            state.send(&producer);
        }
    }
}
