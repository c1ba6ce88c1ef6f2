//! Corrections, and alerts that were missed, to their topics: all of a run in one Kafka transaction, whole or not at all. A
//! repetition of the run sends the same ids.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use schemas::alert::Alert;
use schemas::contract::Contract;
use schemas::correction::Correction;
use serde::Serialize;
use tokio::runtime::Runtime;

use super::{CORRECTIONS, MISSED_ALERTS};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::emit::Bound;
use crate::registry::client::RegistryClient;
use crate::stream::kafka::KafkaOptions;

/// How long the brokers may take for one step.
const WITHIN: Duration = Duration::from_secs(60);

/// Where to; what has no topic is not sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlets {
    /// For corrections.
    pub corrections: Option<String>,
    /// For alerts that were missed: the queue takes them in from there.
    pub missed_alerts: Option<String>,
    /// Only those of so much or more, minor units.
    pub missed_minor: i64,
}

impl Outlets {
    /// Whether anything is sent.
    pub fn is_empty(&self) -> bool {
        self.corrections.is_none() && self.missed_alerts.is_none()
    }
}

/// How many of each were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Corrections.
    pub corrections: u64,
    /// Alerts that were missed.
    pub missed_alerts: u64,
}

/// Publishes what is in a run's folder.
///
/// # Errors
/// When the registry or the brokers refuse it: nothing is visible then to a reader of committed records.
pub fn publish(config: &Config, kafka: &KafkaOptions, outlets: &Outlets, out: &Path) -> anyhow::Result<Sent> {
    if outlets.is_empty() {
        return Ok(Sent::default());
    }
    let mut settings = kafka.producer();
    settings.set("transactional.id", format!("{}-corrections", kafka.group));
    let producer: BaseProducer = settings.create().context("kafka")?;
    producer.init_transactions(WITHIN).context("kafka")?;
    producer.begin_transaction().context("kafka")?;
    let sent = send_all(config, &producer, outlets, out);
    match &sent {
        Ok(_) => producer.commit_transaction(WITHIN).context("kafka")?,
        Err(_) => producer.abort_transaction(WITHIN).context("kafka")?,
    }
    sent
}

fn send_all(config: &Config, producer: &BaseProducer, outlets: &Outlets, out: &Path) -> anyhow::Result<Sent> {
    let runtime = Runtime::new().context("the runtime")?;
    let registry = &config.registry;
    let client = RegistryClient::new(&registry.url, registry.timeout.std())?;
    let bind = |contract, topic: &str| runtime.block_on(client.bind(contract, topic, registry.register));
    let mut sent = Sent::default();
    if let Some(topic) = &outlets.corrections {
        let mut bound = bind(Contract::Correction, topic)?;
        for line in lines(&out.join(CORRECTIONS))? {
            let correction: Correction = serde_json::from_str(&line?).context(CORRECTIONS)?;
            send(producer, &mut bound, topic, &correction.decision_id, &correction)?;
            sent.corrections += 1;
        }
    }
    if let Some(topic) = &outlets.missed_alerts {
        let mut bound = bind(Contract::Alert, topic)?;
        let raised_at_ms = SystemClock::default().now().wall_ms;
        for line in lines(&out.join(MISSED_ALERTS))? {
            let alert: Alert = serde_json::from_str(&line?).context(MISSED_ALERTS)?;
            if alert.amount.minor() >= outlets.missed_minor {
                // An analyst's time for it begins when he can know of it.
                let alert = Alert { raised_at_ms, ..alert };
                send(producer, &mut bound, topic, &alert.alert_id, &alert)?;
                sent.missed_alerts += 1;
            }
        }
    }
    Ok(sent)
}

fn lines(path: &Path) -> anyhow::Result<std::io::Lines<BufReader<File>>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    Ok(BufReader::new(file).lines())
}

fn send(
    producer: &BaseProducer,
    bound: &mut Bound,
    topic: &str,
    key: &str,
    what: &impl Serialize,
) -> anyhow::Result<()> {
    let mut value = Vec::with_capacity(512);
    bound.encoder.encode(bound.id, what, &mut value)?;
    let mut record = BaseRecord::to(topic).key(key).payload(&value);
    while let Err((error, back)) = producer.send(record) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
            return Err(anyhow!(error).context(format!("kafka: {topic}")));
        }
        record = back;
        producer.poll(Duration::from_millis(10));
    }
    producer.poll(Duration::ZERO);
    Ok(())
}
