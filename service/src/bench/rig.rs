//! A rig for benches: topics of a real Kafka, a registry, and the service as a process of its own over them.
//!
//! A process of its own, so that what it uses is what it costs. Not the load, and no figures.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use procfs::process::Process;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use schemas::contract::Contract;
use tokio::runtime::Runtime;

use crate::demo::registry::{self, id_of};
use crate::demo::unpack;
use crate::emit::Bound;
use crate::simulate::feed::Feed;
use crate::stream::kafka::PARTITIONER;

/// Partitions of each topic.
pub const PARTITIONS: i32 = 4;
/// How long a bench waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(300);

const TOPICS: [&str; 5] = ["transactions", "labels", "decisions", "alerts", "dead-letters"];

/// See the module.
pub struct Rig<'a> {
    bootstrap: &'a str,
    registry: String,
    folder: &'a Path,
    runtime: &'a Runtime,
    prefix: String,
}

impl<'a> Rig<'a> {
    /// Makes topics with names of their own on this broker, and starts a registry.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn new(
        name: &str,
        bootstrap: &'a str,
        folder: &'a Path,
        runtime: &'a Runtime,
    ) -> anyhow::Result<Self> {
        let prefix = format!("bench-{name}-{}-", std::process::id());
        let registry = start_registry(runtime, &prefix)?;
        let rig = Self { bootstrap, registry, folder, runtime, prefix };
        TOPICS.iter().try_for_each(|topic| rig.make(topic))?;
        Ok(rig)
    }

    /// Makes one more topic.
    ///
    /// # Errors
    /// When the broker does not.
    pub fn make(&self, topic: &str) -> anyhow::Result<()> {
        let admin: AdminClient<_> = self.client().create()?;
        let name = self.topic(topic);
        let new = NewTopic::new(&name, PARTITIONS, TopicReplication::Fixed(1));
        let made = self.runtime.block_on(admin.create_topics([&new], &AdminOptions::new()))?;
        for made in made {
            made.map_err(|(topic, error)| anyhow::anyhow!("{topic}: {error}"))?;
        }
        Ok(())
    }

    /// The whole name of a topic.
    pub fn topic(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// The config of a client.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap).set(PARTITIONER.0, PARTITIONER.1);
        config
    }

    /// A feed of payments and labels.
    ///
    /// # Errors
    /// When no producer can be made.
    pub fn feed(&self) -> anyhow::Result<Feed> {
        let producer = self.client().set("linger.ms", "5").set("enable.idempotence", "true").create()?;
        let bound = |contract| Bound::own(contract, id_of(contract));
        Ok(Feed::new(
            producer,
            (self.topic("transactions"), bound(Contract::Transaction)),
            (self.topic("labels"), bound(Contract::Label)),
        ))
    }

    /// Records of a topic.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn records(&self, topic: &str) -> anyhow::Result<i64> {
        let consumer: BaseConsumer = self.client().set("group.id", "bench").create()?;
        let (topic, within) = (self.topic(topic), Duration::from_secs(10));
        let end = |partition| consumer.fetch_watermarks(&topic, partition, within).map(|(_, end)| end);
        Ok((0..PARTITIONS).map(end).sum::<Result<i64, _>>()?)
    }

    /// The service as a process, with the demo's features and model.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn serve(&self, more: &[String]) -> anyhow::Result<Service> {
        let config = unpack(self.folder)?;
        let mut sets = vec![
            format!("kafka.bootstrap=\"{}\"", self.bootstrap),
            format!("kafka.group=\"{}\"", self.topic("transactions")),
            format!("registry.url=\"{}\"", self.registry),
            "models.path=\"models\"".to_owned(),
            "http.listen=\"127.0.0.1:0\"".to_owned(),
            "log.level=\"warn\"".to_owned(),
        ];
        for topic in TOPICS {
            sets.push(format!("kafka.{}=\"{}\"", topic.replace('-', "_"), self.topic(topic)));
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg("--config").arg(config);
        sets.iter().chain(more).for_each(|set| _ = command.arg("--set").arg(set));
        Ok(Service(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?))
    }
}

/// The service; it is killed when this is dropped.
pub struct Service(Child);

impl Service {
    /// # Errors
    /// It does not run any more.
    pub fn still_runs(&mut self) -> anyhow::Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the service ended: {status}"),
        }
    }

    /// Ends it as an orchestrator would.
    ///
    /// # Errors
    /// When it ends badly.
    pub fn end(&mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status()?;
        let status = self.0.wait()?;
        if status.success() { Ok(()) } else { bail!("the service ended badly: {status}") }
    }

    /// CPU seconds used, and resident MiB.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn usage(&self) -> anyhow::Result<(f64, f64)> {
        let process = Process::new(i32::try_from(self.0.id())?)?;
        let stat = process.stat()?;
        let cpu = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
        let resident = process.statm()?.resident * procfs::page_size();
        Ok((cpu, resident as f64 / f64::from(1 << 20)))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_registry(runtime: &Runtime, prefix: &str) -> anyhow::Result<String> {
    let subjects = TOPICS.into_iter().zip(Contract::ALL);
    let subjects = subjects.map(|(topic, contract)| (format!("{prefix}{topic}-value"), contract)).collect();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let url = format!("http://{}", listener.local_addr()?);
    runtime.spawn(async move {
        let _ = axum::serve(listener, registry::router(Arc::new(subjects))).await;
    });
    Ok(url)
}
