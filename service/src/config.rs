//! The configuration: as written (four layers of TOML, overlaid), then resolved and checked.
//!
//! ```text
//!   --set ─► environment ─► the user's file ─► config.default.toml      (what stands further left wins)
//!      └────────────── Layers ──────────────┘
//!                        │  read key by key, every problem collected
//!                        ▼
//!                     Config ─► features file, policy file ─► Setup
//! ```
//! [`load`] opens no socket and writes nothing: all that is wrong with all the files is known before anything binds.
//! Not here: models, which are checked where they are loaded.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use feature_store::definition::{Definitions, Vocabulary};
use feature_store::enricher::Limits;
use feature_store::files::JournalSync;
use schemas::mapping::PaymentMapping;
use schemas::problem::Problems;
use schemas::time::DurationMs;

use crate::policy::{Policy, Terms};

mod access;
mod archive;
mod decisions;
mod http;
mod kafka;
mod layers;
mod queue;
mod read;
mod reconcile;
mod rest;
#[cfg(test)]
mod tests;
pub(crate) mod text;

pub use access::AccessConfig;
pub use archive::ArchiveConfig;
pub use decisions::DecisionsConfig;
pub use http::{HttpConfig, TlsConfig};
pub use kafka::{KafkaConfig, Properties};
pub use queue::{AnchorConfig, QueueConfig};
pub use reconcile::ReconcileConfig;
pub use rest::{RestConfig, SealKey};

/// Every knob with unit, default and reason: the text that is compiled in.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

/// The configuration, resolved: what stands here is usable as it is.
#[derive(Debug, Clone)]
pub struct Config {
    /// The user's file.
    pub file: PathBuf,
    /// Its folder: paths in it are relative to this.
    pub folder: PathBuf,
    /// `[payment]`.
    pub mapping: Arc<PaymentMapping>,
    /// The features file.
    pub features: PathBuf,
    /// The policy file.
    pub policy: PathBuf,
    /// How often the policy file is looked at.
    pub policy_watch: DurationMs,
    /// `[models]`; `None` when there is no model and the policy's fallback decides.
    pub models: Option<ModelsConfig>,
    /// `[kafka]`.
    pub kafka: KafkaConfig,
    /// `[registry]`.
    pub registry: RegistryConfig,
    /// `[store]`.
    pub store: StoreConfig,
    /// `[limits]`.
    pub limits: LimitsConfig,
    /// `[http]`.
    pub http: HttpConfig,
    /// `[rest]`.
    pub rest: RestConfig,
    /// `[decisions]`.
    pub decisions: DecisionsConfig,
    /// `[archive]`.
    pub archive: ArchiveConfig,
    /// `[reconcile]`.
    pub reconcile: ReconcileConfig,
    /// `[queue]`.
    pub queue: QueueConfig,
    /// `[access]`.
    pub access: AccessConfig,
    /// `[log]`.
    pub log: LogConfig,
}

/// Where models are and which one is live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelsConfig {
    /// The folder with `NAME/VERSION/`.
    pub path: PathBuf,
    /// The name of the model that decides.
    pub live: String,
    /// How often the folder is looked at.
    pub watch: DurationMs,
    /// A model that takes longer is refused.
    pub load_timeout: DurationMs,
}

/// The schema registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryConfig {
    /// Its URL, without a slash at the end.
    pub url: String,
    /// For one request.
    pub timeout: DurationMs,
    /// Whether our contracts are registered at start.
    pub register: bool,
    /// How long a definite "no such schema" is believed.
    pub negative_cache: DurationMs,
    /// Decoders kept.
    pub max_schemas: usize,
}

/// The embedded store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Its folder.
    pub path: PathBuf,
    /// Entities kept decoded.
    pub resident_entities: usize,
    /// When a batch is on the disk itself.
    pub journal_sync: JournalSync,
    /// Time between two checkpoints.
    pub checkpoint_every: DurationMs,
    /// Payments after which one is due earlier.
    pub checkpoint_payments: u64,
    /// Size at which a new segment is begun.
    pub segment_bytes: u64,
}

/// Bounds, each with its reason in `config.default.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// How far a payment may lie behind its partition's newest.
    pub lateness: DurationMs,
    /// How far it may lie in the future.
    pub skew: DurationMs,
    /// How long a transaction id is known.
    pub remember: DurationMs,
    /// Events kept exactly for one entity.
    pub events_per_entity: usize,
    /// Width of the tiles into which older ones fold.
    pub tile: DurationMs,
    /// Labels that wait for their payment.
    pub waiting_labels: usize,
    /// Largest record, bytes.
    pub record_bytes: usize,
    /// Most records of one batch.
    pub batch_records: usize,
    /// Most records sent and not acknowledged.
    pub in_flight_messages: usize,
    /// Most bytes of them.
    pub in_flight_bytes: usize,
}

impl LimitsConfig {
    /// What the feature store is bounded by.
    pub fn state(&self) -> Limits {
        Limits {
            allowed_lateness: self.lateness,
            remember: self.remember,
            max_events: self.events_per_entity,
            tile: self.tile,
            waiting_labels: self.waiting_labels,
        }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

/// The log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// How a line looks.
    pub format: LogFormat,
    /// The least important level that is written.
    pub level: tracing::Level,
}

/// All that a command needs to start: the files read, checked and found to fit each other.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// The features file.
    pub definitions: Arc<Definitions>,
    /// The policy file.
    pub policy: Arc<Policy>,
    /// The words that a policy may use: for when the file changes.
    pub terms: Arc<Terms>,
}

/// The process's environment, for [`load`]. Names and values that are not UTF-8 are read as well as can be.
pub fn environment() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// Reads the config file, what is laid over it, and the files that it names. `sets` are the arguments of `--set`.
///
/// # Errors
/// Every problem of all the files, in the order config, keys, features, policy.
pub fn load(
    config_path: &Path,
    sets: &[String],
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Setup, Problems> {
    let env: Vec<_> = env.into_iter().collect();
    let read = read::config(config_path, sets, &env);
    let mut problems = read.problems;
    // What is wrong with [payment] does not hide what is wrong with the features over it.
    let definitions = read.features.and_then(|(file, text)| {
        let vocabulary = Vocabulary::of(read.names.as_ref()?);
        kept(Definitions::parse(&file, &text, &vocabulary), &mut problems)
    });
    if let (Some(config), Some(definitions)) = (&read.config, &definitions) {
        problems.0.extend(config.archive.is_too_short(config_path, definitions, config.limits.lateness));
    }
    let terms = read.names.as_ref().zip(definitions.as_ref());
    let terms = terms.map(|(names, definitions)| Terms::of(names, definitions));
    let policy = read
        .policy
        .and_then(|(file, text)| kept(Policy::parse(&file, &text, terms.as_ref()?), &mut problems));
    let setup = match (read.config, definitions, policy, terms) {
        (Some(config), Some(definitions), Some(policy), Some(terms)) => Some(Setup {
            config,
            definitions: Arc::new(definitions),
            policy: Arc::new(policy),
            terms: Arc::new(terms),
        }),
        _ => None,
    };
    problems.or(setup)
}

/// The value, or its problems added to the others.
fn kept<T>(read: Result<T, Problems>, problems: &mut Problems) -> Option<T> {
    read.map_err(|more| problems.0.extend(more.0)).ok()
}
