//! `tripline simulate`: payments of a made-up world, and their labels, to the topics of a config.

use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use rdkafka::producer::{BaseProducer, Producer};
use schemas::contract::Contract;
use schemas::time::DurationMs;

use crate::cli::{CommandError, ConfigArgs};
use crate::config::Setup;
use crate::registry::client::RegistryClient;
use crate::simulate::feed::Feed;
use crate::simulate::{Simulation, World};

/// Sends at a rate for a time, then says what was sent.
///
/// # Errors
/// When the config is wrong, or brokers or registry do not answer.
pub fn run(args: &ConfigArgs, rate: f64, lasts: DurationMs, seed: u64) -> Result<(), CommandError> {
    let setup = args.load()?;
    let mut feed = connect(&setup).context("simulate")?;
    let (began, until) = (Instant::now(), lasts.std());
    let bar = ProgressBar::new((rate * until.as_secs_f64()) as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} payments, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    feed.run(Simulation::new(World { seed, ..World::default() }), rate, |sent| {
        bar.set_position(sent);
        began.elapsed() >= until
    })
    .context("simulate")?;
    feed.flush(Duration::from_secs(30)).context("the brokers did not acknowledge everything")?;
    bar.finish_and_clear();
    tracing::info!(
        payments = feed.payments,
        labels = feed.labelled,
        seconds = began.elapsed().as_secs_f64(),
        "sent"
    );
    Ok(())
}

/// A feed to the topics of a config.
fn connect(setup: &Setup) -> anyhow::Result<Feed> {
    let (kafka, registry) = (&setup.config.kafka, &setup.config.registry);
    let mut client = rdkafka::ClientConfig::new();
    client.set("bootstrap.servers", &kafka.bootstrap).set("enable.idempotence", "true").set("linger.ms", "5");
    for (key, value) in &kafka.properties.0 {
        client.set(key, value);
    }
    let producer: BaseProducer = client.create()?;
    let partitions = |topic: &str| partitions(&producer, topic);
    let partitions = [partitions(&kafka.transactions)?, partitions(&kafka.labels)?];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = RegistryClient::new(&registry.url, registry.timeout.std())?;
    let bind = |contract, topic: &str| runtime.block_on(client.bind(contract, topic, registry.register));
    let transactions = (kafka.transactions.clone(), bind(Contract::Transaction, &kafka.transactions)?);
    let labels = (kafka.labels.clone(), bind(Contract::Label, &kafka.labels)?);
    Ok(Feed::new(producer, transactions, labels, partitions))
}

fn partitions(producer: &BaseProducer, topic: &str) -> anyhow::Result<i32> {
    let metadata = producer.client().fetch_metadata(Some(topic), Duration::from_secs(10));
    let metadata = metadata.context("the brokers do not answer")?;
    match metadata.topics().first().map_or(0, |topic| topic.partitions().len()) {
        0 => anyhow::bail!("topic_missing: there is no topic \"{topic}\""),
        count => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
    }
}
