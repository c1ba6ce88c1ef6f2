//! Feed: sends simulated events to the topics, in the contracts' Avro, at a pace of the clock.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use schemas::payment::{AmountMinor, Currency, Label, LabelSource};
use schemas::time::EventTime;
use schemas::transaction::Transaction;

use super::event::{SimulatedEvent, SimulatedLabel, SimulatedPayment};
use crate::emit::Bound;

/// Why events cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The producer.
    #[error("kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// A simulated event outside the contract: a bug of the simulation.
    #[error("a simulated event does not fit its contract: {0}")]
    Event(String),
}

/// Sends events.
pub struct Feed {
    producer: BaseProducer,
    transactions: (String, Bound),
    labels: (String, Bound),
    buffer: Vec<u8>,
    /// Payments sent.
    pub payments: u64,
    /// Labels sent.
    pub labelled: u64,
}

impl Feed {
    /// A feed of two topics; payments go to the partition of their card.
    pub fn new(producer: BaseProducer, transactions: (String, Bound), labels: (String, Bound)) -> Self {
        Self { producer, transactions, labels, buffer: Vec::new(), payments: 0, labelled: 0 }
    }

    /// Sends one event, waiting while the producer is full.
    ///
    /// # Errors
    /// When the producer is broken.
    pub fn send(&mut self, event: &SimulatedEvent) -> Result<(), FeedError> {
        self.buffer.clear();
        let encoding = |error: schemas::codec::EncodeError| FeedError::Event(error.to_string());
        let (topic, key) = match event {
            SimulatedEvent::Payment(payment) => {
                let record =
                    transaction(payment).ok_or_else(|| FeedError::Event(payment.transaction_id.clone()))?;
                let bound = &mut self.transactions.1;
                bound.encoder.encode(bound.id, &record, &mut self.buffer).map_err(encoding)?;
                self.payments += 1;
                (&self.transactions.0, payment.card_id.as_str())
            }
            SimulatedEvent::Label(label) => {
                let record =
                    self::label(label).ok_or_else(|| FeedError::Event(label.transaction_id.clone()))?;
                let bound = &mut self.labels.1;
                bound.encoder.encode(bound.id, &record, &mut self.buffer).map_err(encoding)?;
                self.labelled += 1;
                (&self.labels.0, label.transaction_id.as_str())
            }
        };
        let mut record = BaseRecord::to(topic).key(key).payload(self.buffer.as_slice());
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(10));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    /// Sends events at `rate` payments a second of the clock until `until` says so; labels go with them.
    ///
    /// # Errors
    /// When the producer is broken.
    pub fn run(
        &mut self,
        events: impl Iterator<Item = SimulatedEvent>,
        rate: f64,
        mut until: impl FnMut(u64) -> bool,
    ) -> Result<(), FeedError> {
        let (began, sent_before) = (Instant::now(), self.payments);
        for event in events {
            let sent = self.payments - sent_before;
            if until(sent) {
                break;
            }
            let due = Duration::from_secs_f64(sent as f64 / rate.max(0.001));
            // In steps, so that a slow rate still ends at once when it is told to.
            while let Some(early) = due.checked_sub(began.elapsed()).filter(|early| !early.is_zero()) {
                self.producer.poll(Duration::ZERO);
                std::thread::sleep(early.min(Duration::from_millis(50)));
                if until(sent) {
                    return Ok(());
                }
            }
            self.send(&event)?;
        }
        Ok(())
    }

    /// Waits until everything sent is acknowledged.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn flush(&self, within: Duration) -> Result<(), FeedError> {
        Ok(self.producer.flush(within)?)
    }
}

/// A simulated payment in our own schema.
pub fn transaction(payment: &SimulatedPayment) -> Option<Transaction> {
    Some(Transaction {
        transaction_id: payment.transaction_id.clone(),
        event_time: EventTime::from_ms(payment.event_time_ms)?,
        amount: AmountMinor::new(payment.amount_minor)?,
        currency: Currency::parse(payment.currency)?,
        card_id: payment.card_id.clone(),
        merchant_id: Some(payment.merchant_id.clone()),
        device_id: Some(payment.device_id.clone()),
        merchant_category: Some(payment.merchant_category.to_owned()),
        country: Some(payment.country.to_owned()),
        channel: Some(payment.channel.to_owned()),
    })
}

/// A simulated label in ours.
pub fn label(label: &SimulatedLabel) -> Option<Label> {
    Some(Label {
        transaction_id: label.transaction_id.as_str().into(),
        fraud: label.fraud,
        label_time: EventTime::from_ms(label.label_time_ms)?,
        source: LabelSource::parse(label.source.as_str()),
    })
}
