//! The worker: the thread on which the line runs, from waiting for brokers and registry to the drain at the end.
//!
//! What is not there yet is waited for and named, so that the order in which servers start does not matter; what is
//! wrong ends the worker, and with it the process.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use feature_store::enricher::Enricher;
use feature_store::files::FileOptions;
use feature_store::store::Topic;
use rand::RngExt;
use schemas::contract::Contract;
use tokio::runtime::Handle;

use crate::clock::SystemClock;
use crate::config::Setup;
use crate::emit::{Bound, Emitter};
use crate::pipeline::{DecidersOfNow, Pipeline};
use crate::registry::Schemas;
use crate::registry::client::{RegistryClient, RegistryError, RegistrySource};
use crate::rest::Rest;
use crate::rest::engine::Engine;
use crate::stream::kafka::{KafkaOptions, KafkaTransport};
use crate::stream::line::{Line, LineError, LineLimits, LineState, OutboxLimits, Parts, Watch};
use crate::stream::{Transport, TransportError};

/// A round of the line waits at most this long for something to happen.
const ROUND: Duration = Duration::from_millis(50);
/// While records are on their way out a round is shorter: their acknowledgement is waited for.
const SHORT_ROUND: Duration = Duration::from_millis(2);
/// How often the state is reported.
const REPORT_EVERY: Duration = Duration::from_millis(250);
/// One of so many reports says how much memory the states take.
const RESIDENT_EACH: u32 = 40;
/// What is not there is asked for again after this time.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Of the ten seconds that a drain may take; three are the callers'.
const DRAIN_WITHIN: Duration = Duration::from_secs(7);

/// How the worker stands.
#[derive(Debug)]
pub enum Phase<'a> {
    /// It waits for something that it needs.
    Waiting(&'a str),
    /// The line runs.
    Running(&'a LineState),
}

/// What ends when the worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Records made and not acknowledged in time; a restart sends them.
    pub unacknowledged: usize,
}

/// All that the line needs and the process has.
pub struct Worker {
    /// Config, features, policy.
    pub setup: Setup,
    /// For questions to the registry.
    pub runtime: Handle,
    /// The caller's door, which shares the state.
    pub rest: Arc<Rest>,
    /// What decides.
    pub deciders: DecidersOfNow,
    /// Who this member of the group is.
    pub instance: String,
    /// Who is told of decisions.
    pub watch: Box<dyn Watch>,
    /// Who is told how the worker stands.
    pub report: Box<dyn FnMut(Phase<'_>) + Send>,
    /// Set when it is to end.
    pub stop: Arc<AtomicBool>,
    /// What it said last that it waits for.
    pub waits_for: Option<String>,
}

impl Worker {
    /// Runs until it is told to stop, then drains.
    ///
    /// # Errors
    /// What ended it before.
    pub fn run(mut self) -> anyhow::Result<Drained> {
        let config = &self.setup.config;
        let client = RegistryClient::new(&config.registry.url, config.registry.timeout.std())?;
        let enricher = self.open_store().context("the store cannot be opened")?;
        let clock = SystemClock::default();
        let pipeline = Pipeline::new(enricher, &config.mapping, config.limits.skew)
            .with_accepted(Arc::clone(self.rest.accepted()));
        // From here on callers may be answered: what the state lacks while brokers are waited for makes it stale.
        self.rest.open(Engine::of(&pipeline, Arc::clone(self.rest.accepted())));
        let options = options(&self.setup, self.instance.clone());
        let mut transport = KafkaTransport::new(options, Instant::now())?;
        let Some(partitions) = self.wait_for(|worker| worker.partitions(&mut transport))? else {
            return Ok(Drained { unacknowledged: 0 });
        };
        let Some(emitter) = self.wait_for(|worker| worker.emitter(&client, partitions))? else {
            return Ok(Drained { unacknowledged: 0 });
        };
        let config = &self.setup.config;
        let source = RegistrySource::new(client, self.runtime.clone());
        let negative_ms = config.registry.negative_cache.0;
        let mut parts = Parts {
            transport,
            schemas: Schemas::new(
                source,
                Arc::clone(&config.mapping),
                config.registry.max_schemas,
                negative_ms,
            ),
            pipeline,
            emitter,
            seal: Some(self.rest.seal().clone()),
            deciders: Arc::clone(&self.deciders),
            clock: Box::new(clock),
            watch: std::mem::replace(&mut self.watch, Box::new(())),
            limits: limits(&self.setup),
        };
        loop {
            match Line::start(parts) {
                Ok(line) => return self.turn(line),
                Err(failed) => match *failed {
                    (back, LineError::Transport(TransportError::Unavailable(why))) => {
                        parts = back;
                        if self.pause(&why) {
                            return Ok(Drained { unacknowledged: 0 });
                        }
                    }
                    (_, error) => return Err(error.into()),
                },
            }
        }
    }

    /// Rounds of the line until the end.
    fn turn(&mut self, mut line: Line<KafkaTransport, RegistrySource>) -> anyhow::Result<Drained> {
        let (mut reported, mut reports): (Option<Instant>, u32) = (None, 0);
        while !self.stop.load(Ordering::Relaxed) {
            if reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
                reported = Some(Instant::now());
                let mut state = line.state();
                if reports % RESIDENT_EACH == 0 {
                    let bytes = line.pipeline().enricher().store().resident_bytes();
                    state.resident_bytes = Some(bytes);
                }
                reports += 1;
                self.rest.freshness.line(&state);
                (self.report)(Phase::Running(&state));
            }
            let wait = if line.is_busy() { SHORT_ROUND } else { ROUND };
            line.step(wait)?;
        }
        let began = Instant::now();
        let unacknowledged = line.drain(DRAIN_WITHIN)?;
        (self.report)(Phase::Running(&line.state()));
        tracing::info!(seconds = began.elapsed().as_secs_f64(), unacknowledged, "drained");
        Ok(Drained { unacknowledged })
    }

    fn open_store(&self) -> anyhow::Result<Enricher> {
        let store = &self.setup.config.store;
        let options =
            FileOptions { journal_sync: store.journal_sync, segment_bytes: store.segment_bytes, probe: None };
        let limits = self.setup.config.limits.state();
        let definitions = Arc::clone(&self.setup.definitions);
        let began = Instant::now();
        let (enricher, _) =
            Enricher::open(&store.path, options, definitions, limits, store.resident_entities)?;
        let (entities, _, _) = enricher.store().counts();
        tracing::info!(
            entities,
            batches_to_replay = enricher.store().recovering().count(),
            seconds = began.elapsed().as_secs_f64(),
            "store opened"
        );
        Ok(enricher)
    }

    fn partitions(&self, transport: &mut KafkaTransport) -> Result<i32, Waiting> {
        let sources = transport.sources().map_err(|error| match error {
            TransportError::Unavailable(why) => Waiting::For(why),
            error @ TransportError::Fatal(_) => Waiting::Never(error.into()),
        })?;
        let payments = sources.iter().filter(|source| source.topic == Topic::Payments).count();
        Ok(i32::try_from(payments).unwrap_or(i32::MAX))
    }

    fn emitter(&self, client: &RegistryClient, partitions: i32) -> Result<Emitter, Waiting> {
        let (kafka, register) = (&self.setup.config.kafka, self.setup.config.registry.register);
        let bind = |contract: Contract, topic: &str| -> Result<Bound, Waiting> {
            self.runtime.block_on(client.bind(contract, topic, register)).map_err(|error| match error {
                RegistryError::Unavailable(_) => Waiting::For(error.to_string()),
                RegistryError::Refused(_) => Waiting::Never(error.into()),
            })
        };
        Ok(Emitter::new(
            bind(Contract::Decision, &kafka.decisions)?,
            bind(Contract::Alert, &kafka.alerts)?,
            bind(Contract::DeadLetter, &kafka.dead_letters)?,
            partitions,
            [kafka.transactions.clone(), kafka.labels.clone()],
        ))
    }

    /// Asks again and again, until there is an answer or the worker is to stop (`None`).
    fn wait_for<A>(&mut self, mut ask: impl FnMut(&Self) -> Result<A, Waiting>) -> anyhow::Result<Option<A>> {
        loop {
            match ask(self) {
                Ok(answer) => return Ok(Some(answer)),
                Err(Waiting::Never(error)) => return Err(error),
                Err(Waiting::For(why)) => {
                    if self.pause(&why) {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Says what is waited for and waits a little; `true` when the worker is to stop.
    fn pause(&mut self, why: &str) -> bool {
        if self.waits_for.as_deref() != Some(why) {
            tracing::warn!(why, "waiting");
            self.waits_for = Some(why.to_owned());
        }
        (self.report)(Phase::Waiting(why));
        std::thread::sleep(AGAIN_AFTER);
        self.stop.load(Ordering::Relaxed)
    }
}

enum Waiting {
    For(String),
    Never(anyhow::Error),
}

/// The brokers and the topics of a config.
pub fn options(setup: &Setup, instance: String) -> KafkaOptions {
    let kafka = setup.config.kafka.clone();
    KafkaOptions {
        bootstrap: kafka.bootstrap,
        group: kafka.group,
        instance,
        session_timeout_ms: kafka.session_timeout.0,
        inputs: [kafka.transactions, kafka.labels],
        outputs: [kafka.decisions, kafka.alerts, kafka.dead_letters],
        properties: kafka.properties.0,
    }
}

fn limits(setup: &Setup) -> LineLimits {
    let (limits, store) = (&setup.config.limits, &setup.config.store);
    LineLimits {
        batch_records: limits.batch_records,
        // Two batches behind the one that is worked on.
        waiting_records: 3 * limits.batch_records,
        waiting_bytes: 16 << 20,
        record_bytes: limits.record_bytes,
        // The other half is for what one batch spans.
        align_ms: limits.lateness.0 / 2,
        outbox: OutboxLimits { messages: limits.in_flight_messages, bytes: limits.in_flight_bytes },
        checkpoint_every_ms: store.checkpoint_every.0.unsigned_abs(),
        checkpoint_records: store.checkpoint_payments,
        checkpoint_waits: false,
    }
}

/// Who the store's owner is in the consumer group, also after a restart: a name kept in the store's folder.
///
/// # Errors
/// When the file cannot be read or written.
pub fn instance(store: &Path) -> std::io::Result<String> {
    let file = store.join("member");
    match std::fs::read_to_string(&file) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let name = format!("tripline-{:016x}", rand::rng().random::<u64>());
    std::fs::write(&file, &name)?;
    Ok(name)
}
