//! The window: records go to librdkafka when it can send them, and wait here otherwise.
//!
//! An idempotent producer has at most five records of a partition on their way in more than one request
//! (`RD_KAFKA_IDEMP_MAX_INFLIGHT`). What it is handed beyond waits inside it, and while something waits whose
//! `linger.ms` is over, its thread spins: a whole core, measured. So only a few records are handed over one by one.
//! While they are on their way more gather here, and go together, a request a partition, once those are acknowledged:
//! what is sent, and when, is the same, without the spinning and with fewer requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use tokio::sync::oneshot;

use crate::stream::kafka::said;
use crate::turn::Turn;

/// Records on their way before others wait for them.
const WINDOW: usize = 5;

/// The longest that the polling thread sleeps.
const POLL: Duration = Duration::from_millis(100);

/// A producer that has failed for good is followed by another after this time.
const ANEW_AFTER: Duration = Duration::from_secs(1);

type Producer = BaseProducer<Acks>;

/// A record to be sent.
pub struct Letter {
    /// The topic.
    pub topic: Arc<str>,
    /// The record's key; without one it goes to any partition.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Vec<u8>,
    /// Its headers.
    pub headers: OwnedHeaders,
}

/// Told when the brokers have the record; dropped when they will not have it.
pub type Delivery = oneshot::Receiver<()>;

/// See the module. It ends when it is dropped.
pub struct Window(Arc<Gate>);

/// What is on its way, and what waits.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    /// None once the window is dropped.
    producer: ArcSwapOption<Producer>,
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
        let (config, own) = (config.clone(), Arc::clone(&gate));
        let make = move || config.create_with_context::<_, Producer>(Acks(Arc::clone(&own)));
        // librdkafka's threads have the turn of whoever makes the client, and callers wait for these.
        let made = Turn::First.spawn("recorder", move || (make(), make))?.join();
        let (producer, make) = made.map_err(|_| anyhow::anyhow!("the producer's thread failed"))?;
        gate.producer.store(Some(Arc::new(producer?)));
        let polled = Arc::clone(&gate);
        Turn::First.spawn("recorder", move || polled.poll(make))?;
        Ok(Self(gate))
    }

    /// Sends a record, now or with those that wait.
    pub fn send(&self, letter: Letter) -> Delivery {
        let (tell, delivery) = oneshot::channel();
        let mut state = self.0.state();
        state.waiting.push_back((letter, tell));
        if state.on_their_way < WINDOW {
            self.0.send(&mut state);
        }
        delivery
    }

    /// Sends all that waits: what is on its way takes too long to be waited for.
    pub fn open(&self) {
        self.0.send(&mut self.0.state());
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.0.producer.store(None);
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, state: &mut State) {
        if let Some(producer) = self.producer.load_full() {
            state.send(&producer);
        }
    }

    /// Polls until the window is dropped. An idempotent producer may fail for good, as when its id is refused: what it had
    /// is told to be not sent, and offered again to the one that follows.
    fn poll(&self, make: impl Fn() -> Result<Producer, KafkaError>) {
        while let Some(producer) = self.producer.load_full() {
            producer.poll(POLL);
            let Some((code, reason)) = producer.client().fatal_error() else { continue };
            tracing::error!(%code, reason, "the producer of callers' payments failed for good: another one is made");
            std::thread::sleep(ANEW_AFTER);
            match make() {
                Ok(next) => {
                    let next = Arc::new(next);
                    let mut state = self.state();
                    state.on_their_way = 0;
                    // Dropped meanwhile: it stays so.
                    self.producer.rcu(|now| now.as_ref().map(|_| Arc::clone(&next)));
                }
                Err(error) => tracing::error!(%error, "a producer cannot be made"),
            }
        }
    }
}

impl State {
    fn send(&mut self, producer: &Producer) {
        for (letter, tell) in self.waiting.drain(..) {
            let record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&letter.topic, Box::new(tell))
                .payload(&letter.value)
                .headers(letter.headers);
            let record = match &letter.key {
                Some(key) => record.key(key.as_slice()),
                None => record,
            };
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
        if state.on_their_way < WINDOW && !state.waiting.is_empty() {
            self.0.send(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;

    #[tokio::test]
    async fn a_producer_that_failed_for_good_is_followed_by_another() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("payments", 1, 1).unwrap();
        let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
        cluster.request_errors(RDKafkaApiKey::InitProducerId, &[refused]);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("enable.idempotence", "true");
        let window = Window::new(&config).unwrap();
        let letter = || Letter {
            topic: "payments".into(),
            key: None,
            value: b"v".to_vec(),
            headers: OwnedHeaders::new(),
        };
        let mut dropped = 0;
        loop {
            let told = tokio::time::timeout(Duration::from_secs(60), window.send(letter())).await;
            match told.expect("each is told, sent or not") {
                Ok(()) => break,
                Err(_) => dropped += 1,
            }
            assert!(dropped < 3_000, "no other one came in a minute");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(dropped > 0, "the first was not to be had");
    }
}
