//! Corrections to their topic, all of a run in one Kafka transaction: whole or not at all. A repetition of the run sends
//! the same correction ids.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use schemas::contract::Contract;
use schemas::correction::Correction;
use tokio::runtime::Runtime;

use crate::config::Config;
use crate::emit::Bound;
use crate::registry::client::RegistryClient;
use crate::stream::kafka::KafkaOptions;

/// How long the brokers may take for one step.
const WITHIN: Duration = Duration::from_secs(60);

/// Publishes the corrections of a run's folder; gives their number.
///
/// # Errors
/// When the registry or the brokers refuse them: nothing is visible then to a reader of committed records.
pub fn publish(config: &Config, kafka: &KafkaOptions, topic: &str, out: &Path) -> anyhow::Result<u64> {
    let runtime = Runtime::new().context("the runtime")?;
    let registry = &config.registry;
    let client = RegistryClient::new(&registry.url, registry.timeout.std())?;
    let mut bound = runtime.block_on(client.bind(Contract::Correction, topic, registry.register))?;
    let mut settings = kafka.producer();
    settings.set("transactional.id", format!("{}-corrections", kafka.group));
    let producer: BaseProducer = settings.create().context("kafka")?;
    producer.init_transactions(WITHIN).context("kafka")?;
    producer.begin_transaction().context("kafka")?;
    let sent = send(&producer, &mut bound, topic, out);
    match &sent {
        Ok(_) => producer.commit_transaction(WITHIN).context("kafka")?,
        Err(_) => producer.abort_transaction(WITHIN).context("kafka")?,
    }
    sent
}

fn send(producer: &BaseProducer, bound: &mut Bound, topic: &str, out: &Path) -> anyhow::Result<u64> {
    let file = File::open(out.join("corrections.jsonl")).context("corrections.jsonl")?;
    let mut sent = 0;
    for line in BufReader::new(file).lines() {
        let correction: Correction = serde_json::from_str(&line?).context("corrections.jsonl")?;
        let mut value = Vec::with_capacity(512);
        bound.encoder.encode(bound.id, &correction, &mut value)?;
        let mut record = BaseRecord::to(topic).key(correction.decision_id.as_str()).payload(&value);
        while let Err((error, back)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(anyhow!(error).context(format!("kafka: {topic}")));
            }
            record = back;
            producer.poll(Duration::from_millis(10));
        }
        producer.poll(Duration::ZERO);
        sent += 1;
    }
    Ok(sent)
}
