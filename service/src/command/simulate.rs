//! `tripline simulate`: payments of a made-up world, and their labels, to the topics of a config.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use rdkafka::producer::{BaseProducer, Producer};
use schemas::contract::Contract;
use schemas::time::DurationMs;

use crate::cli::{CommandError, ConfigArgs, duration, rate};
use crate::config::Setup;
use crate::registry::client::RegistryClient;
use crate::simulate::feed::Feed;
use crate::simulate::{Simulation, World, file};
use crate::stream::kafka::PARTITIONER;

/// What `simulate` is told.
#[derive(Debug, clap::Args)]
pub struct SimulateArgs {
    /// The config file: its topics and its registry
    #[arg(long, value_name = "FILE", required_unless_present = "out")]
    config: Option<PathBuf>,
    /// Lays one value over the config; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Payments a second
    #[arg(long, value_parser = rate, required_unless_present = "out")]
    rate: Option<f64>,
    /// How long
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, required_unless_present = "out")]
    lasts: Option<DurationMs>,
    /// Chooses one of many alike worlds
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Writes payments.parquet and labels.parquet into this folder instead
    #[arg(long, value_name = "DIR", requires = "payments", conflicts_with_all = ["config", "rate", "lasts"])]
    out: Option<PathBuf>,
    /// How many payments are written
    #[arg(long, value_name = "N")]
    payments: Option<usize>,
}

/// Sends at a rate for a time, or writes files; then says what was done.
///
/// # Errors
/// When the config is wrong, brokers or registry do not answer, or a file cannot be written.
pub fn run(args: &SimulateArgs) -> Result<(), CommandError> {
    let simulation = Simulation::new(World { seed: args.seed, ..World::default() });
    match (&args.config, args.rate, args.lasts) {
        (Some(config), Some(rate), Some(lasts)) => {
            let config = ConfigArgs { config: config.clone(), sets: args.sets.clone() };
            send(&config.load()?, simulation, rate, lasts.std())
        }
        _ => {
            let (out, payments) = (args.out.clone().unwrap_or_default(), args.payments.unwrap_or_default());
            file::write(simulation, payments, &out).with_context(|| out.display().to_string())?;
            Ok(())
        }
    }
}

fn send(setup: &Setup, simulation: Simulation, rate: f64, lasts: Duration) -> Result<(), CommandError> {
    let mut feed = connect(setup).context("simulate")?;
    let began = Instant::now();
    let bar = ProgressBar::new((rate * lasts.as_secs_f64()) as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} payments, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    feed.run(simulation, rate, |sent| {
        bar.set_position(sent);
        began.elapsed() >= lasts
    })
    .context("simulate")?;
    feed.flush(Duration::from_secs(30)).context("the brokers did not acknowledge everything")?;
    bar.finish_and_clear();
    let seconds = began.elapsed().as_secs_f64();
    writeln!(
        std::io::stderr(),
        "{} payments and {} labels sent in {seconds:.1} s",
        feed.payments,
        feed.labelled
    )
    .context("standard error")?;
    Ok(())
}

/// A feed to the topics of a config.
fn connect(setup: &Setup) -> anyhow::Result<Feed> {
    let (kafka, registry) = (&setup.config.kafka, &setup.config.registry);
    let mut client = rdkafka::ClientConfig::new();
    client
        .set("bootstrap.servers", &kafka.bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set(PARTITIONER.0, PARTITIONER.1);
    for (key, value) in &kafka.properties.0 {
        client.set(key, value);
    }
    let producer: BaseProducer = client.create()?;
    is_there(&producer, &kafka.transactions)?;
    is_there(&producer, &kafka.labels)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = RegistryClient::new(&registry.url, registry.timeout.std())?;
    let bind = |contract, topic: &str| runtime.block_on(client.bind(contract, topic, registry.register));
    let transactions = (kafka.transactions.clone(), bind(Contract::Transaction, &kafka.transactions)?);
    let labels = (kafka.labels.clone(), bind(Contract::Label, &kafka.labels)?);
    Ok(Feed::new(producer, transactions, labels))
}

fn is_there(producer: &BaseProducer, topic: &str) -> anyhow::Result<()> {
    let metadata = producer.client().fetch_metadata(Some(topic), Duration::from_secs(10));
    let metadata = metadata.context("the brokers do not answer")?;
    match metadata.topics().first().map_or(0, |topic| topic.partitions().len()) {
        0 => anyhow::bail!("topic_missing: there is no topic \"{topic}\""),
        _ => Ok(()),
    }
}
