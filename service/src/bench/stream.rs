//! `bench stream`: the service as a process of its own between topics of a real Kafka, beside a bare loop that consumes
//! and produces the same records in the same run.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use schemas::codec::{decode_own, unframe};
use schemas::contract::Contract;
use schemas::decision::Decision;
use tokio::runtime::Runtime;

use super::rig::{PARTITIONS, PATIENCE, Rig};
use super::{Figure, figure};
use crate::simulate::feed::Feed;
use crate::simulate::{SimulatedEvent, Simulation, World};
use crate::telemetry::process_figures;

/// Payments at full speed.
const PAYMENTS: u64 = 500_000;
/// The latency run: payments a second, and seconds.
const RATE: f64 = 500.0;
const SECONDS: u64 = 30;

/// Runs it on this broker; it makes topics with names of its own.
///
/// # Errors
/// When the broker does not answer, or the service dies.
pub fn run(bootstrap: &str) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let runtime = Runtime::new()?;
    let rig = Rig::new("stream", bootstrap, folder.path(), &runtime)?;
    rig.make("bare")?;
    let bench = Bench { rig };
    let simulation = Simulation::new(World::default());
    let (mut feed, mut events) = (bench.rig.feed()?, simulation.peekable());
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
    rig: Rig<'a>,
}

impl Bench<'_> {
    /// Consumes the payments and produces their bytes; records a CPU second of this process.
    fn bare(&self) -> anyhow::Result<f64> {
        let bare = self.rig.topic("bare");
        let consumer = self.reader("transactions", Offset::Beginning)?;
        let producer: BaseProducer =
            self.rig.client().set("enable.idempotence", "true").set("linger.ms", "5").create()?;
        let before = process_figures().context("what the process used")?.cpu_seconds;
        let (mut count, until) = (0, Instant::now() + PATIENCE);
        while count < PAYMENTS {
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message?;
            let mut record = BaseRecord::<[u8], [u8]>::to(&bare)
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
            .rig
            .client()
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .set("fetch.queue.backoff.ms", "20")
            .set("fetch.wait.max.ms", "10")
            .create()?;
        let topic = self.rig.topic(topic);
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(&topic, partition, from)?;
        }
        consumer.assign(&list)?;
        Ok(consumer)
    }

    /// The service on the payments that are there: payments a CPU second, and its memory in MiB.
    fn full_speed(&self) -> anyhow::Result<(f64, f64)> {
        let mut service = self.rig.serve(&[])?;
        let started = service.usage()?.0;
        let until = Instant::now() + PATIENCE;
        let mut resident = 0.0_f64;
        while self.rig.records("decisions")? < PAYMENTS as i64 {
            service.still_runs()?;
            resident = resident.max(service.usage()?.1);
            if Instant::now() > until {
                bail!("the service did not decide {PAYMENTS} payments in time");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let used = service.usage()?.0 - started;
        service.end()?;
        Ok((PAYMENTS as f64 / used, resident))
    }

    /// Milliseconds from the sending of each payment to the reading of its decision.
    fn latency(
        &self,
        feed: &mut Feed,
        events: &mut std::iter::Peekable<Simulation>,
    ) -> anyhow::Result<Vec<f64>> {
        let mut service = self.rig.serve(&[])?;
        let consumer = self.reader("decisions", Offset::End)?;
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
}

/// How long a payment's decision took, milliseconds.
fn took(value: &[u8], sent: &Mutex<HashMap<String, Instant>>) -> Option<f64> {
    let (_, body) = unframe(value).ok()?;
    let decision: Decision = decode_own(Contract::Decision.schema().ok()?, body).ok()?;
    let at = sent.lock().unwrap_or_else(PoisonError::into_inner).remove(&decision.transaction_id)?;
    Some(at.elapsed().as_secs_f64() * 1_000.0)
}
