//! The recorder: puts what was decided for a caller into the topic of payments, and labels into theirs.
//!
//! An idempotent producer that never gives a record up. A caller waits for the acknowledgement as long as his deadline
//! allows; what comes later is kept on disk until it is there. While the brokers do not answer nobody waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::message::{Header, OwnedHeaders};
use schemas::payment::Payment;
use tokio::time::{Instant, timeout_at};

use super::kept::{Entry, Kept};
use super::window::{Delivery, Letter, Window};
use crate::accepted::Accepted;
use crate::made::DECISION_HEADER;
use crate::stream::kafka::KafkaOptions;

/// A record that could not be handed over is offered again after this time.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What waits for others to be acknowledged goes anyway after this time: theirs may be another broker.
const PATIENT_FOR: Duration = Duration::from_millis(20);

/// So many waits in vain, one after the other, and nobody waits any more until something is acknowledged.
const PATIENCE: usize = 8;

/// What became of a record by its caller's deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The brokers have it.
    Yes,
    /// It is kept and will be sent.
    Kept,
    /// It is neither: the disk does not take it. It is still being sent as long as this process lives.
    No,
}

/// Whose record it is: who waits for it is told what becomes of it.
pub struct Of {
    /// Where they wait.
    pub accepted: Arc<Accepted>,
    /// The payment.
    pub payment: Arc<Payment>,
}

/// See the module.
#[derive(Clone)]
pub struct Recorder {
    window: Arc<Window>,
    transactions: Arc<str>,
    labels: Arc<str>,
    kept: Arc<Kept>,
    in_vain: Arc<AtomicUsize>,
    adrift: Arc<AtomicUsize>,
}

impl Recorder {
    /// A recorder for these topics.
    ///
    /// # Errors
    /// A property that librdkafka refuses, or no thread.
    pub fn new(options: &KafkaOptions, kept: Kept) -> anyhow::Result<Self> {
        let mut config = options.producer();
        config.set("linger.ms", "0");
        Ok(Self {
            window: Arc::new(Window::new(&config)?),
            transactions: options.inputs[0].as_str().into(),
            labels: options.inputs[1].as_str().into(),
            kept: Arc::new(kept),
            in_vain: Arc::default(),
            adrift: Arc::default(),
        })
    }

    /// Records that the brokers do not have yet and that are kept on disk.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Records that neither the brokers have nor the disk: while there are any, nobody else is to be answered.
    pub fn adrift(&self) -> usize {
        self.adrift.load(Ordering::Relaxed)
    }

    /// Whether the brokers do not answer.
    pub fn is_stuck(&self) -> bool {
        self.in_vain.load(Ordering::Relaxed) >= PATIENCE
    }

    /// Sends a payment's record and waits for its acknowledgement until `by`.
    pub async fn record(&self, entry: Entry, by: Instant, of: Of) -> Recorded {
        let by = if self.is_stuck() { Instant::now() } else { by };
        let mut sent = self.offer(&entry);
        let outcome = self.wait(&mut sent, by).await;
        if outcome == Some(true) {
            self.in_vain.store(0, Ordering::Relaxed);
            of.accepted.recorded(&of.payment);
            return Recorded::Yes;
        }
        let sent = outcome.is_none().then_some(sent);
        self.in_vain.fetch_add(1, Ordering::Relaxed);
        let kept = self.kept.put(&entry);
        if let Err(error) = &kept {
            tracing::error!(%error, "a payment that was answered cannot be kept: nobody is answered until it is");
            self.adrift.fetch_add(1, Ordering::Relaxed);
        }
        let is_kept = kept.is_ok();
        if is_kept {
            of.accepted.kept(&of.payment);
        }
        tokio::spawn(self.clone().deliver(entry, sent, is_kept, Some(of)));
        if is_kept { Recorded::Kept } else { Recorded::No }
    }

    /// Sends what a process before this one kept; without whose it is where nobody can tell any more.
    pub fn send_again(&self, entry: Entry, of: Option<Of>) {
        tokio::spawn(self.clone().deliver(entry, None, true, of));
    }

    /// A payment that a process before this one kept is in the topic.
    pub fn forget(&self, entry: &Entry) {
        self.kept.remove(&entry.decision_id);
    }

    /// Sends a label, and waits for its acknowledgement until `by`.
    pub async fn label(&self, transaction_id: &str, value: &[u8], by: Instant) -> bool {
        let letter = Letter {
            topic: Arc::clone(&self.labels),
            key: Some(transaction_id.as_bytes().to_vec()),
            value: value.to_vec(),
            headers: OwnedHeaders::new(),
        };
        self.wait(&mut self.window.send(letter), by).await == Some(true)
    }

    fn offer(&self, entry: &Entry) -> Delivery {
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new_with_capacity(2)
            .insert(header(DECISION_HEADER, entry.decision.as_slice()))
            .insert(header("traceparent", entry.traceparent.as_bytes()));
        let key = Some(entry.key.clone()).filter(|key| !key.is_empty());
        let (topic, value) = (Arc::clone(&self.transactions), entry.value.clone());
        self.window.send(Letter { topic, key, value, headers })
    }

    /// Whether the brokers have it; `None` when it is not known by then.
    async fn wait(&self, sent: &mut Delivery, by: Instant) -> Option<bool> {
        match timeout_at(by.min(Instant::now() + PATIENT_FOR), &mut *sent).await {
            Ok(delivered) => Some(delivered.is_ok()),
            Err(_) => {
                self.window.open();
                timeout_at(by, sent).await.ok().map(|delivered| delivered.is_ok())
            }
        }
    }

    /// Until the brokers have it; what is not kept yet is, as soon as the disk takes it.
    async fn deliver(self, entry: Entry, sent: Option<Delivery>, mut is_kept: bool, of: Option<Of>) {
        let offer = || {
            let sent = self.offer(&entry);
            self.window.open();
            sent
        };
        let mut sent = sent.unwrap_or_else(offer);
        loop {
            let mut again = tokio::time::interval(AGAIN_AFTER);
            let delivered = loop {
                tokio::select! {
                    delivered = &mut sent => break delivered,
                    _ = again.tick(), if !is_kept => {
                        is_kept = self.kept.put(&entry).is_ok();
                        self.adrift.fetch_sub(usize::from(is_kept), Ordering::Relaxed);
                        if let Some(of) = of.as_ref().filter(|_| is_kept) {
                            of.accepted.kept(&of.payment);
                        }
                    }
                }
            };
            if delivered.is_ok() {
                break;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
            sent = offer();
        }
        self.in_vain.store(0, Ordering::Relaxed);
        self.adrift.fetch_sub(usize::from(!is_kept), Ordering::Relaxed);
        self.kept.remove(&entry.decision_id);
        if let Some(of) = of {
            of.accepted.recorded(&of.payment);
        }
    }
}
