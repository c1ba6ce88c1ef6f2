//! The caller's door: `POST /v1/score` and what belongs to it. The same decision as the topic's, asked for and
//! answered at once.
//!
//! ```text
//! caller ─► body ─► flow ─► record in the topic of payments, decision in its header ─► answer
//!                     │                          └► the line applies it and emits that decision
//!                     └ reads the state that the line keeps; never writes it
//! ```
//! It joins the line and repeats nothing of it: features by the same code, decisions by the same judge. Every answer
//! is a decision, by the deadline; what was late or failed is replaced by what the policy says, and named.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rdkafka::ClientConfig;
use schemas::mapping::PaymentMapping;
use schemas::name::Name;
use schemas::time::DurationMs;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::accepted::Accepted;
use crate::clock::Clock;
use crate::index::DecisionIndex;
use crate::indexer::Progress;
use crate::lists::ListBook;
use crate::made::Seal;
use crate::pipeline::DecidersOfNow;
use crate::policy_file::PolicyFile;
use crate::registry::client::RegistryClient;
use crate::telemetry::{RestFigures, Telemetry};

pub mod admission;
mod answer;
pub mod desk;
pub mod engine;
pub mod fault;
pub mod flow;
pub mod kept;
pub mod keys;
mod label;
mod manage;
mod open;
pub(crate) mod openapi;
mod read;
mod reconciliations;
pub mod recorder;
mod replay;
pub mod route;
pub mod schema;
mod window;

use admission::Admission;
use desk::Desk;
use engine::{Engine, Freshness};
use keys::Keys;
use label::LabelWriter;
pub use open::Opening;
use recorder::Recorder;
use schema::BodySchema;

/// Bounds of the door.
#[derive(Debug, Clone, Copy)]
pub struct RestLimits {
    /// How far a payment may lie in the future.
    pub skew: DurationMs,
    /// How far behind the stream.
    pub lateness: DurationMs,
    /// Largest record of one, bytes.
    pub record: usize,
    /// The state is stale when the line stood well so long ago.
    pub stale_after: Duration,
    /// Most payments that wait for the brokers.
    pub kept: usize,
    /// A caller's deadline where he gives none, and the longest.
    pub deadline: Duration,
    /// The longest.
    pub max_deadline: Duration,
}

/// The door.
pub struct Rest {
    engine: OnceLock<Engine>,
    /// What a process before this one kept is taken in.
    restored: AtomicBool,
    accepted: Arc<Accepted>,
    admission: Admission,
    bodies: BodySchema,
    keys: Keys,
    batch_bytes: usize,
    /// How far the state is behind.
    pub freshness: Freshness,
    desk: Desk,
    /// The folder with their results.
    reconciliations: PathBuf,
    recorder: Recorder,
    seal: Seal,
    /// Place in the mapping of the entity whose key is the record's.
    key_entity: usize,
    deciders: DecidersOfNow,
    index: Option<DecisionIndex>,
    indexed: Arc<Progress>,
    lists: Arc<ListBook>,
    policies: Arc<PolicyFile>,
    labels: LabelWriter,
    registry: RegistryClient,
    mapping: Arc<PaymentMapping>,
    entities: Vec<String>,
    /// Whether the analysts' routes are here too.
    has_queue: bool,
    /// The folder of models.
    models: Option<PathBuf>,
    /// For one record of the topic of payments.
    reader: ClientConfig,
    /// Who may read one now.
    readers: Semaphore,
    /// Batches that may be worked at.
    batches: Semaphore,
    /// Batches that may be read.
    reading: Semaphore,
    transactions: String,
    clock: Arc<dyn Clock + Sync>,
    limits: RestLimits,
    telemetry: Arc<Telemetry>,
}

/// A caller's deadline, cut into parts.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// When the request came in.
    pub began: Instant,
    /// Features are there, or the fallback decides.
    pub features_by: Instant,
    /// The score is there, or the fallback decides.
    pub model_by: Instant,
    /// The brokers have it, or it is kept.
    pub record_by: Instant,
    /// The answer leaves.
    pub answer_by: Instant,
}

impl Budget {
    /// Of what is left of the deadline: a third each for features and model, what is left of nine tenths for the brokers,
    /// a tenth for the way.
    pub fn new(began: Instant, deadline: Duration) -> Self {
        let now = Instant::now();
        let left = deadline.saturating_sub(now - began);
        Self {
            began,
            features_by: now + left.mul_f64(0.35),
            model_by: now + left.mul_f64(0.65),
            record_by: now + left.mul_f64(0.9),
            answer_by: now + left.mul_f64(0.95),
        }
    }
}

impl Rest {
    /// The engine, once the store is open, all that was in the topics is applied, and what was kept is taken in.
    pub fn engine(&self) -> Option<&Engine> {
        let is_open = self.restored.load(Ordering::Acquire) && self.freshness.has_caught_up();
        self.engine.get().filter(|_| is_open)
    }

    /// Why no decision is made here now, if none is.
    pub fn closed(&self) -> Option<&'static str> {
        if self.engine.get().is_none() {
            return Some("the store is being opened");
        }
        if !self.freshness.has_caught_up() {
            return Some(
                "what was in the topics at the start is still to be applied: an id decided before may be unknown",
            );
        }
        if !self.restored.load(Ordering::Acquire) {
            return Some("payments answered before the restart are being taken in");
        }
        if self.bodies.get().is_none() {
            return Some("the schema registry has not given the payments' schema yet");
        }
        self.takes_no_more()
    }

    /// How the door stands, for metrics.
    pub fn figures(&self) -> RestFigures {
        RestFigures {
            unrecorded: self.recorder.kept() as u64,
            ahead: self.accepted.open() as u64,
            rules_broken: self.engine.get().map_or(0, |engine| engine.judge.broken()),
            index_rows: self.index.as_ref().map_or(0, DecisionIndex::count),
        }
    }

    /// Who is between a caller and the stream.
    pub fn accepted(&self) -> &Arc<Accepted> {
        &self.accepted
    }

    /// Whether nobody more is let in; each yes is one refusal.
    pub fn is_full(&self) -> bool {
        let is_full = self.admission.is_full();
        if is_full {
            self.telemetry.overloaded();
        }
        is_full
    }

    /// The largest body of a batch.
    pub fn batch_bytes(&self) -> u64 {
        u64::try_from(self.batch_bytes).unwrap_or(u64::MAX)
    }

    /// How far clocks of others may be ahead of ours.
    pub fn skew(&self) -> DurationMs {
        self.limits.skew
    }

    /// What alerts can be raised under by the policy of now, by name.
    pub fn alert_rules(&self) -> Vec<String> {
        let policy = self.policies.current();
        let names: BTreeSet<&str> = policy.alert_rules().map(Name::as_str).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// The seal of its decisions.
    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    /// The store is open.
    pub fn open(&self, engine: Engine) {
        // Set once: there is one line.
        let _ = self.engine.set(engine);
    }
}
