//! `bench stream`: the service as a process of its own between topics of a real Kafka, beside a bare loop that consumes
//! and produces the same records in the same run.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use procfs::process::Process;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use schemas::codec::{decode_own, unframe};
use schemas::contract::Contract;
use schemas::decision::Decision;
use tokio::runtime::Runtime;

use super::{Figure, figure};
use crate::demo::registry::{self, id_of};
use crate::demo::unpack;
use crate::emit::Bound;
use crate::simulate::feed::Feed;
use crate::simulate::{SimulatedEvent, Simulation, World};
use crate::telemetry::process_figures;

const PARTITIONS: i32 = 4;
const TOPICS: [&str; 6] = ["transactions", "labels", "decisions", "alerts", "dead-letters", "bare"];
/// Payments at full speed.
const PAYMENTS: u64 = 500_000;
/// The latency run: payments a second, and seconds.
const RATE: f64 = 500.0;
const SECONDS: u64 = 30;
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs it on this broker; it makes topics with names of its own.
///
/// # Errors
/// When the broker does not answer, or the service dies.
pub fn run(bootstrap: &str) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let runtime = Runtime::new()?;
    let prefix = format!("bench-{}-", std::process::id());
    let topics = TOPICS.map(|topic| format!("{prefix}{topic}"));
    create(bootstrap, &topics, &runtime)?;
    let registry = start_registry(&runtime, &prefix)?;
    let bench = Bench { bootstrap, topics, registry, folder: folder.path() };
    let simulation = Simulation::new(World::default());
    let (mut feed, mut events) = (bench.feed()?, simulation.peekable());
    while feed.payments < PAYMENTS {
        let event = events.next().context("a simulated event")?;
        feed.send(&event)?;
    }
    feed.flush(PATIENCE)?;
    let bare = bench.bare()?;
    let (stream, resident) = bench.full_speed()?;
    let mut latencies = bench.latency(&mut feed, &mut events)?;
    latencies.sort_by(f64::total_cmp);
    let at = |q: f64| latencies.get((latencies.len() as f64 * q) as usize).copied().unwrap_or(f64::NAN);
    Ok(vec![
        figure("payments", "payments at full speed", PAYMENTS as f64),
        figure("bare_per_cpu_second", "bare consume-produce loop, records a CPU second", bare),
        figure("stream_per_cpu_second", "service, payments a CPU second", stream),
        figure("bare_over_stream", "the bare loop does so many times as many", bare / stream),
        figure("resident_mib", "service, resident MiB at most", resident),
        figure("p50_ms", "500 payments/s, sent to decision read: median ms", at(0.5)),
        figure("p99_ms", "99 %, ms", at(0.99)),
        figure("p999_ms", "99.9 %, ms", at(0.999)),
    ])
}

struct Bench<'a> {
    bootstrap: &'a str,
    topics: [String; 6],
    registry: String,
    folder: &'a Path,
}

impl Bench<'_> {
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap);
        config
    }

    fn feed(&self) -> anyhow::Result<Feed> {
        let [transactions, labels, ..] = &self.topics;
        let producer = self.client().set("linger.ms", "5").set("enable.idempotence", "true").create()?;
        let bound = |contract| Bound::own(contract, id_of(contract));
        Ok(Feed::new(
            producer,
            (transactions.clone(), bound(Contract::Transaction)),
            (labels.clone(), bound(Contract::Label)),
            [PARTITIONS, PARTITIONS],
        ))
    }

    /// Consumes the payments and produces their bytes; records a CPU second of this process.
    fn bare(&self) -> anyhow::Result<f64> {
        let [transactions, .., bare] = &self.topics;
        let consumer = self.reader(transactions, Offset::Beginning)?;
        let producer: BaseProducer =
            self.client().set("enable.idempotence", "true").set("linger.ms", "5").create()?;
        let before = process_figures().context("what the process used")?.cpu_seconds;
        let (mut count, until) = (0, Instant::now() + PATIENCE);
        while count < PAYMENTS {
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message?;
            let mut record = BaseRecord::<[u8], [u8]>::to(bare)
                .partition(message.partition())
                .key(message.key().unwrap_or_default())
                .payload(message.payload().unwrap_or_default());
            while let Err((_, back)) = producer.send(record) {
                record = back;
                producer.poll(Duration::from_millis(5));
            }
            count += 1;
            if count % 512 == 0 {
                producer.poll(Duration::ZERO);
            }
            if Instant::now() > until {
                bail!("the bare loop got only {count} records in time");
            }
        }
        producer.flush(PATIENCE)?;
        Ok(PAYMENTS as f64 / (process_figures().context("what the process used")?.cpu_seconds - before))
    }

    fn reader(&self, topic: &str, from: Offset) -> anyhow::Result<BaseConsumer> {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .set("fetch.queue.backoff.ms", "20")
            .set("fetch.wait.max.ms", "10")
            .create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(topic, partition, from)?;
        }
        consumer.assign(&list)?;
        Ok(consumer)
    }

    /// The service on the payments that are there: payments a CPU second, and its memory in MiB.
    fn full_speed(&self) -> anyhow::Result<(f64, f64)> {
        let mut service = self.serve()?;
        let started = usage(&service.0)?.0;
        let consumer: BaseConsumer = self.client().set("group.id", "bench").create()?;
        let [_, _, decisions, ..] = &self.topics;
        let until = Instant::now() + PATIENCE;
        let mut resident = 0.0_f64;
        while ends(&consumer, decisions)? < PAYMENTS as i64 {
            service.still_runs()?;
            resident = resident.max(usage(&service.0)?.1);
            if Instant::now() > until {
                bail!("the service did not decide {PAYMENTS} payments in time");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let used = usage(&service.0)?.0 - started;
        service.end()?;
        Ok((PAYMENTS as f64 / used, resident))
    }

    /// Milliseconds from the sending of each payment to the reading of its decision.
    fn latency(
        &self,
        feed: &mut Feed,
        events: &mut std::iter::Peekable<Simulation>,
    ) -> anyhow::Result<Vec<f64>> {
        let mut service = self.serve()?;
        let consumer = self.reader(&self.topics[2], Offset::End)?;
        // The service and the reader are at the end before the first payment comes.
        let until = Instant::now() + Duration::from_secs(8);
        while Instant::now() < until {
            let _ = consumer.poll(Duration::from_millis(50));
        }
        let sent: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
        let done = Arc::new(AtomicBool::new(false));
        let mut latencies = Vec::new();
        std::thread::scope(|scope| -> anyhow::Result<()> {
            let (told, noted) = (Arc::clone(&done), Arc::clone(&sent));
            let sender = scope.spawn(move || {
                let (began, mut count) = (Instant::now(), 0_u64);
                let paced = (|| {
                    while (count as f64) < RATE * SECONDS as f64 {
                        let event = events.next().context("a simulated event")?;
                        if let SimulatedEvent::Payment(payment) = &event {
                            let due = Duration::from_secs_f64(count as f64 / RATE);
                            std::thread::sleep(due.saturating_sub(began.elapsed()));
                            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                            noted.insert(payment.transaction_id.clone(), Instant::now());
                            count += 1;
                        }
                        feed.send(&event)?;
                    }
                    anyhow::Ok(())
                })();
                told.store(true, Ordering::Relaxed);
                paced
            });
            let mut idle = 0;
            while idle < 20 {
                service.still_runs()?;
                match consumer.poll(Duration::from_millis(100)) {
                    Some(message) => {
                        idle = 0;
                        latencies.extend(took(message?.payload().unwrap_or_default(), &sent));
                    }
                    None if done.load(Ordering::Relaxed) => idle += 1,
                    None => {}
                }
            }
            sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
            Ok(())
        })?;
        service.end()?;
        Ok(latencies)
    }

    /// The service as a process.
    fn serve(&self) -> anyhow::Result<Service> {
        let config = unpack(self.folder)?;
        let [transactions, labels, decisions, alerts, dead_letters, _] = &self.topics;
        let sets = [
            format!("kafka.bootstrap=\"{}\"", self.bootstrap),
            format!("kafka.transactions=\"{transactions}\""),
            format!("kafka.labels=\"{labels}\""),
            format!("kafka.decisions=\"{decisions}\""),
            format!("kafka.alerts=\"{alerts}\""),
            format!("kafka.dead_letters=\"{dead_letters}\""),
            format!("kafka.group=\"{transactions}\""),
            format!("registry.url=\"{}\"", self.registry),
            "models.path=\"models\"".to_owned(),
            "http.listen=\"127.0.0.1:0\"".to_owned(),
            "log.level=\"warn\"".to_owned(),
        ];
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg("--config").arg(config);
        sets.iter().for_each(|set| _ = command.arg("--set").arg(set));
        Ok(Service(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?))
    }
}

struct Service(Child);

impl Service {
    fn still_runs(&mut self) -> anyhow::Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the service ended: {status}"),
        }
    }

    fn end(&mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status()?;
        let status = self.0.wait()?;
        if status.success() { Ok(()) } else { bail!("the service ended badly: {status}") }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CPU seconds and resident MiB of a child.
fn usage(child: &Child) -> anyhow::Result<(f64, f64)> {
    let process = Process::new(i32::try_from(child.id())?)?;
    let stat = process.stat()?;
    let cpu = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
    let resident = process.statm()?.resident * procfs::page_size();
    Ok((cpu, resident as f64 / f64::from(1 << 20)))
}

/// How long a payment's decision took, milliseconds.
fn took(value: &[u8], sent: &Mutex<HashMap<String, Instant>>) -> Option<f64> {
    let (_, body) = unframe(value).ok()?;
    let decision: Decision = decode_own(Contract::Decision.schema().ok()?, body).ok()?;
    let at = sent.lock().unwrap_or_else(PoisonError::into_inner).remove(&decision.transaction_id)?;
    Some(at.elapsed().as_secs_f64() * 1_000.0)
}

fn ends(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<i64> {
    let of =
        |partition| consumer.fetch_watermarks(topic, partition, Duration::from_secs(10)).map(|(_, end)| end);
    Ok((0..PARTITIONS).map(of).sum::<Result<i64, _>>()?)
}

fn create(bootstrap: &str, topics: &[String], runtime: &Runtime) -> anyhow::Result<()> {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let new: Vec<_> =
        topics.iter().map(|topic| NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1))).collect();
    let made = runtime.block_on(admin.create_topics(&new, &AdminOptions::new()))?;
    for made in made {
        made.map_err(|(topic, error)| anyhow::anyhow!("{topic}: {error}"))?;
    }
    Ok(())
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
