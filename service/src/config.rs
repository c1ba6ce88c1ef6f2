//! The config in two stages: as written (defaults, file, environment, flags laid over each other), then resolved and
//! checked. All errors come at once, before anything binds; unknown keys are refused.
//!
//! Defaults stand in `config.default.toml` and nowhere else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use feature_store::definition::{Definitions, Vocabulary};
use feature_store::enricher::Limits;
use feature_store::files::JournalSync;
use schemas::mapping::PaymentMapping;
use schemas::problem::{Problem, Problems};
use schemas::time::DurationMs;

use crate::policy::Policy;

mod overlay;
mod read;

pub use overlay::{DEFAULTS, Overrides};

/// `[models]`.
#[derive(Debug, Clone)]
pub struct ModelsConfig {
    /// The folder with a folder for each model.
    pub path: PathBuf,
    /// The model that decides.
    pub live: String,
    /// How often its folder is looked at.
    pub watch: DurationMs,
    /// Longest time for loading and checking a version.
    pub load_timeout: DurationMs,
}

/// `[kafka]`.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// Brokers, `host:port` with commas between.
    pub bootstrap: String,
    /// Consumer group.
    pub group: String,
    /// Topic of payments.
    pub transactions: String,
    /// Topic of labels.
    pub labels: String,
    /// Topic of decisions.
    pub decisions: String,
    /// Topic of alerts.
    pub alerts: String,
    /// Topic of dead letters.
    pub dead_letters: String,
    /// Session time-out of the group.
    pub session_timeout: DurationMs,
    /// Further librdkafka properties, resolved.
    pub properties: BTreeMap<String, String>,
}

/// `[registry]`.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// Its address, without a slash at the end.
    pub url: String,
    /// Longest time for one question.
    pub timeout: DurationMs,
    /// Whether our contracts are registered at the start.
    pub register: bool,
    /// How long "no such schema" is believed.
    pub negative_cache: DurationMs,
    /// Most decoders kept.
    pub max_schemas: usize,
}

/// `[store]`.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The folder.
    pub path: PathBuf,
    /// Most states decoded in memory.
    pub resident_entities: usize,
    /// When a journal row is on the disk itself.
    pub journal_sync: JournalSync,
    /// Time between checkpoints.
    pub checkpoint_every: DurationMs,
    /// Records between checkpoints.
    pub checkpoint_payments: u64,
    /// Size of a segment file.
    pub segment_bytes: u64,
}

/// `[limits]`.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// What the feature store is bounded by.
    pub state: Limits,
    /// How far in the future a payment may be.
    pub skew: DurationMs,
    /// Largest record.
    pub record_bytes: usize,
    /// Records of a batch.
    pub batch_records: usize,
    /// Records written and not acknowledged.
    pub in_flight_messages: usize,
    /// Bytes of them.
    pub in_flight_bytes: usize,
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// A JSON object a line.
    Json,
}

/// The config, resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// The user's schema.
    pub mapping: Arc<PaymentMapping>,
    /// The features file.
    pub features: PathBuf,
    /// The policy file.
    pub policy: PathBuf,
    /// The model, if there is one.
    pub models: Option<ModelsConfig>,
    /// Topics.
    pub kafka: KafkaConfig,
    /// Schemas.
    pub registry: RegistryConfig,
    /// State.
    pub store: StoreConfig,
    /// Bounds.
    pub limits: LimitsConfig,
    /// Where the page is.
    pub listen: SocketAddr,
    /// How the log is written.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_level: String,
}

/// The config with the files that it points at.
#[derive(Clone)]
pub struct Setup {
    /// The config.
    pub config: Config,
    /// The features.
    pub definitions: Arc<Definitions>,
    /// The policy.
    pub policy: Arc<Policy>,
}

/// Reads the config and what it points at.
///
/// # Errors
/// Every problem of all files.
pub fn load(file: &Path, overrides: &Overrides) -> Result<Setup, Problems> {
    let (table, mut problems) = overlay::lay(file, overrides);
    if !problems.0.is_empty() {
        // What cannot be read says nothing about its keys.
        return Err(problems);
    }
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let config = match read::config(file, &folder, table, overrides) {
        Ok(config) => config,
        Err(more) => {
            problems.0.extend(more.0);
            return Err(problems);
        }
    };
    let vocabulary = Vocabulary::of(&config.mapping);
    let definitions =
        take(&mut problems, &config.features, |name, text| Definitions::parse(name, text, &vocabulary));
    let policy = take(&mut problems, &config.policy, Policy::parse);
    let setup = definitions.zip(policy).map(|(definitions, policy)| Setup {
        config,
        definitions: Arc::new(definitions),
        policy: Arc::new(policy),
    });
    problems.or(setup)
}

fn take<T>(
    problems: &mut Problems,
    file: &Path,
    parse: impl FnOnce(&str, &str) -> Result<T, Problems>,
) -> Option<T> {
    let name = file.display().to_string();
    let parsed = match std::fs::read_to_string(file) {
        Ok(text) => parse(&name, &text),
        Err(error) => Err(unreadable(&name, &error).into()),
    };
    parsed.map_err(|found| problems.0.extend(found.0)).ok()
}

/// A file that is not there, is a folder, or is no text.
pub fn unreadable(name: &str, error: &std::io::Error) -> Problem {
    Problem::new(name, "the file", error.to_string(), "a file that can be read, as UTF-8 text")
}
