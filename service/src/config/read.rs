//! The overlaid table, read key by key into a [`Config`].
//!
//! Every key is `required`: the default file lies under the user's, so a key that is missing has been forgotten
//! there, and a test says so.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use feature_store::files::JournalSync;
use schemas::document::Section;
use schemas::mapping::PaymentMapping;
use schemas::problem::{Problem, Problems};
use schemas::time::{DAY_MS, DurationMs, HOUR_MS, MINUTE_MS, SECOND_MS};
use toml::{Table, Value};

use super::access::AccessConfig;
use super::archive::ArchiveConfig;
use super::decisions::DecisionsConfig;
use super::http::HttpConfig;
use super::kafka::KafkaConfig;
use super::layers::Layers;
use super::queue::QueueConfig;
use super::reconcile::ReconcileConfig;
use super::rest::RestConfig;
use super::{
    Config, DEFAULTS, LimitsConfig, LogConfig, LogFormat, ModelsConfig, RegistryConfig, StoreConfig, text,
};

pub(super) const MIB: i64 = 1 << 20;

/// What came of the config file, for the files that it names.
pub(super) struct Read {
    /// The configuration, when each key is right.
    pub config: Option<Config>,
    /// The entities and fields of `[payment]`, when those are right.
    pub names: Option<PaymentMapping>,
    /// The features file: its name for the user, and its text.
    pub features: Option<(String, String)>,
    /// The policy file.
    pub policy: Option<(String, String)>,
    /// What is wrong.
    pub problems: Problems,
}

/// Reads the config file and what is laid over it, and the texts of the files that it names.
pub(super) fn config(path: &Path, sets: &[String], env: &[(String, String)]) -> Read {
    over(defaults(), path, sets, env)
}

/// The same over any defaults.
pub(super) fn over(default: Table, path: &Path, sets: &[String], env: &[(String, String)]) -> Read {
    let name = path.display().to_string();
    let mut layers = Layers::over(default);
    let mut problems = Vec::new();
    match text::read(path) {
        Ok(text) => {
            let (table, errors) = parsed(&name, &text);
            problems.extend(errors);
            layers.file(&name, table);
        }
        Err(found) => problems.push(Problem::new(&name, "--config", found, "a TOML file in UTF-8")),
    }
    if !problems.is_empty() {
        // Of an empty config every required key is missing: that would only hide what is wrong.
        return Read {
            config: None,
            names: None,
            features: None,
            policy: None,
            problems: Problems(problems),
        };
    }
    layers.environment(env);
    layers.sets(sets);
    let (mut root, sink) = Section::from_table(&name, layers.table.clone());
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let features = named_file(&mut root, "features", folder);
    let policy = named_file(&mut root, "policy", folder);
    let paths = features.as_ref().zip(policy.as_ref());
    let paths = paths.map(|(features, policy)| (features.0.clone(), policy.0.clone()));
    let mut more = Problems::default();
    let config = resolved(&mut root, path, folder, env, paths, &mut more);
    drop(root);
    problems.append(&mut layers.problems);
    problems.extend(sink.problems().0.into_iter().map(|problem| match layers.origin(&problem.key) {
        Some(origin) => Problem { file: origin.to_owned(), ..problem },
        None => problem,
    }));
    problems.append(&mut more.0);
    let for_user = |(path, text): (PathBuf, String)| (path.display().to_string(), text);
    Read {
        config,
        names: names(&layers.table),
        features: features.map(for_user),
        policy: policy.map(for_user),
        problems: Problems(problems),
    }
}

/// The default file's table. It is compiled in, and a test reads it.
pub(super) fn defaults() -> Table {
    DEFAULTS.parse().unwrap_or_default()
}

fn parsed(name: &str, text: &str) -> (Table, Vec<Problem>) {
    match text.parse::<Table>() {
        Ok(table) => (table, Vec::new()),
        // Read once more for the error with its line and column.
        Err(_) => (Table::new(), Section::open(name, text).1.problems().0),
    }
}

/// Reads every section. `files` are the features file and the policy file, where they can be read; what is wrong with
/// other files that a section names goes to `more`.
fn resolved(
    root: &mut Section,
    path: &Path,
    folder: &Path,
    env: &[(String, String)],
    files: Option<(PathBuf, PathBuf)>,
    more: &mut Problems,
) -> Option<Config> {
    let mapping = if root.has("payment") {
        PaymentMapping::read(root.section("payment"))
    } else {
        root.report(
            "payment",
            "nothing",
            "a table [payment] that says where your record keeps what a payment has",
        );
        None
    };
    let policy_watch = time(&mut root.section("policies"), "watch", 100..=HOUR_MS);
    let models = models(root.section("models"), folder);
    let kafka = KafkaConfig::read(root.section("kafka"), env);
    let registry = registry(root.section("registry"));
    let store = store(root.section("store"), folder);
    let limits = limits(root.section("limits"));
    let http = HttpConfig::read(root.section("http"), folder);
    let access = AccessConfig::read(root.section("access"), folder, more);
    let rest = RestConfig::read(root.section("rest"), mapping.as_ref());
    let decisions = DecisionsConfig::read(root.section("decisions"), folder, limits.as_ref());
    let queue = QueueConfig::read(root.section("queue"), folder, mapping.as_ref());
    let archive = ArchiveConfig::read(root.section("archive"), folder, mapping.as_ref());
    let is_archived = archive.as_ref().is_none_or(|archive| archive.enabled);
    let reconcile = ReconcileConfig::read(root.section("reconcile"), folder, is_archived);
    let log = log(root.section("log"));
    let (features, policy) = files?;
    Some(Config {
        file: path.to_owned(),
        folder: folder.to_owned(),
        mapping: Arc::new(mapping?),
        features,
        policy,
        policy_watch: policy_watch?,
        models: models?,
        kafka: kafka?,
        registry: registry?,
        store: store?,
        limits: limits?,
        http: http?,
        rest: rest?,
        decisions: decisions?,
        archive: archive?,
        reconcile: reconcile?,
        queue: queue?,
        access: access?,
        log: log?,
    })
}

/// The file that a key must name, with its text.
fn named_file(root: &mut Section, key: &str, folder: &Path) -> Option<(PathBuf, String)> {
    if !root.has(key) {
        return root.required::<String>(key).and(None);
    }
    text::named(root, key, folder, "a TOML file in UTF-8")
}

/// The mapping as far as the features file needs it: its entities and fields. What else is wrong with `[payment]` is
/// replaced by something right, so that it does not hide the problems of the features.
fn names(table: &Table) -> Option<PaymentMapping> {
    let mut payment = table.get("payment")?.as_table()?.clone();
    for key in ["transaction_id", "event_time", "currency"] {
        payment.insert(key.to_owned(), Value::String("any".to_owned()));
    }
    let amount = [("field", "any"), ("unit", "minor")];
    let amount = amount.map(|(key, value)| (key.to_owned(), Value::String(value.to_owned())));
    payment.insert("amount".to_owned(), Value::Table(amount.into_iter().collect()));
    let names = ["transaction_id", "event_time", "currency", "amount", "entities", "fields"];
    payment.retain(|key, _| names.contains(&key));
    let (section, sink) = Section::from_table("", payment);
    let mapping = PaymentMapping::read(section);
    sink.problems().or(mapping).ok()
}

fn models(mut section: Section, folder: &Path) -> Option<Option<ModelsConfig>> {
    let path: Option<String> = section.optional("path");
    let live: Option<String> = section.optional("live");
    let watch = time(&mut section, "watch", 100..=HOUR_MS);
    let load_timeout = time(&mut section, "load_timeout", SECOND_MS..=HOUR_MS);
    let (watch, load_timeout) = (watch?, load_timeout?);
    let (path, live) = match (path, live) {
        (None, None) => return Some(None),
        (Some(path), Some(live)) => (path, live),
        (path, _) => {
            let missing = if path.is_none() { "path" } else { "live" };
            section.report(missing, "nothing", "both models.path and models.live, or neither");
            return None;
        }
    };
    Some(Some(ModelsConfig { path: folder.join(path), live, watch, load_timeout }))
}

fn registry(mut section: Section) -> Option<RegistryConfig> {
    let url: Option<String> = section.required("url");
    let url = url.and_then(|url| match registry_url(&url) {
        Ok(url) => Some(url),
        Err((found, expected)) => {
            section.report("url", found, expected);
            None
        }
    });
    let timeout = time(&mut section, "timeout", 10..=MINUTE_MS);
    let register = section.required("register");
    let negative_cache = time(&mut section, "negative_cache", 100..=5 * MINUTE_MS);
    let max_schemas = whole(&mut section, "max_schemas", 1..=100_000);
    Some(RegistryConfig {
        url: url?,
        timeout: timeout?,
        register: register?,
        negative_cache: negative_cache?,
        max_schemas: max_schemas?,
    })
}

/// The URL without a slash at its end; else what was found and what is expected. A password is not quoted back.
fn registry_url(text: &str) -> Result<String, (String, &'static str)> {
    const EXPECTED: &str = "a URL such as \"http://127.0.0.1:8081\"";
    let wrong = |expected| Err((format!("\"{text}\""), expected));
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', '?', '#']).next();
    if authority.is_some_and(|authority| authority.contains('@')) {
        let expected = "a URL without user and password: URLs end in logs. Kafka's own go to [kafka.properties] as \
                        \"${NAME}\"; the registry is asked without";
        return Err(("a URL with a user or a password in it".to_owned(), expected));
    }
    // Checked after the password: a text that is quoted back has none.
    let Ok(url) = text.parse::<reqwest::Url>() else { return wrong(EXPECTED) };
    match url.scheme() {
        "http" if url.query().is_some() || url.fragment().is_some() => wrong("a URL without ? and #"),
        "http" if url.port() == Some(0) => wrong(EXPECTED),
        "http" => Ok(text.trim_end_matches('/').to_owned()),
        "https" => {
            wrong("an http:// URL: this build speaks no TLS; put a proxy on this machine before the registry")
        }
        _ => wrong(EXPECTED),
    }
}

fn store(mut section: Section, folder: &Path) -> Option<StoreConfig> {
    let path: Option<String> = section.required("path");
    let resident_entities = whole(&mut section, "resident_entities", 1_000..=1_000_000_000);
    required_word(&mut section, "journal_sync");
    let journal_sync =
        section.word("journal_sync", &[("never", JournalSync::Never), ("always", JournalSync::Always)]);
    let checkpoint_every = time(&mut section, "checkpoint_every", 100..=HOUR_MS);
    let checkpoint_payments = whole(&mut section, "checkpoint_payments", 1..=1_000_000_000);
    let segment_mib = whole(&mut section, "segment_mib", 1..=16_384);
    Some(StoreConfig {
        path: folder.join(path?),
        resident_entities: resident_entities?,
        journal_sync: journal_sync?,
        checkpoint_every: checkpoint_every?,
        checkpoint_payments: checkpoint_payments? as u64,
        segment_bytes: segment_mib? as u64 * MIB as u64,
    })
}

fn limits(mut section: Section) -> Option<LimitsConfig> {
    let lateness = time(&mut section, "lateness", 0..=365 * DAY_MS);
    let skew = time(&mut section, "skew", 0..=7 * DAY_MS);
    let remember = time(&mut section, "remember", MINUTE_MS..=730 * DAY_MS);
    let events_per_entity = whole(&mut section, "events_per_entity", 1..=1_000_000);
    let tile = time(&mut section, "tile", SECOND_MS..=31 * DAY_MS);
    let waiting_labels = whole(&mut section, "waiting_labels", 0..=100_000_000);
    let record_bytes = whole(&mut section, "record_bytes", 64..=64 * MIB);
    let batch_records = whole(&mut section, "batch_records", 1..=65_536);
    let in_flight_messages = whole(&mut section, "in_flight_messages", 1..=10_000_000);
    let in_flight_mib = whole(&mut section, "in_flight_mib", 1..=65_536);
    if let (Some(lateness), Some(remember)) = (lateness, remember)
        && remember < lateness
    {
        let expected =
            format!("limits.lateness or more, {lateness}: else a late copy would be decided again");
        section.report("remember", remember.to_string(), expected);
    }
    if let (Some(batch), Some(messages)) = (batch_records, in_flight_messages)
        && messages < batch
    {
        section.report(
            "in_flight_messages",
            messages.to_string(),
            format!("limits.batch_records or more, {batch}"),
        );
    }
    let in_flight_bytes = in_flight_mib.map(|mib| mib * MIB as usize);
    if let (Some(record), Some(bytes)) = (record_bytes, in_flight_bytes)
        && bytes < record
    {
        section.report(
            "in_flight_mib",
            bytes.to_string(),
            format!("limits.record_bytes or more, {record} bytes"),
        );
    }
    Some(LimitsConfig {
        lateness: lateness?,
        skew: skew?,
        remember: remember?,
        events_per_entity: events_per_entity?,
        tile: tile?,
        waiting_labels: waiting_labels?,
        record_bytes: record_bytes?,
        batch_records: batch_records?,
        in_flight_messages: in_flight_messages?,
        in_flight_bytes: in_flight_bytes?,
    })
}

fn log(mut section: Section) -> Option<LogConfig> {
    required_word(&mut section, "format");
    let format = section.word("format", &[("human", LogFormat::Human), ("json", LogFormat::Json)]);
    required_word(&mut section, "level");
    let levels = [
        ("error", tracing::Level::ERROR),
        ("warn", tracing::Level::WARN),
        ("info", tracing::Level::INFO),
        ("debug", tracing::Level::DEBUG),
        ("trace", tracing::Level::TRACE),
    ];
    let level = section.word("level", &levels);
    Some(LogConfig { format: format?, level: level? })
}

/// Reports a word that is missing: `Section::word` takes that as "not chosen".
fn required_word(section: &mut Section, key: &str) {
    if !section.has(key) {
        section.report(key, "nothing", "a word");
    }
}

/// A whole number within bounds.
pub(super) fn whole(section: &mut Section, key: &str, within: RangeInclusive<i64>) -> Option<usize> {
    let value: i64 = section.required(key)?;
    if !within.contains(&value) {
        section.report(key, value.to_string(), format!("{} to {}", within.start(), within.end()));
        return None;
    }
    usize::try_from(value).ok()
}

/// A duration within bounds, milliseconds.
pub(super) fn time(section: &mut Section, key: &str, within: RangeInclusive<i64>) -> Option<DurationMs> {
    let value = section.required(key)?;
    in_bounds(section, key, value, within)
}

/// The same where the key may be left out.
pub(super) fn time_if(section: &mut Section, key: &str, within: RangeInclusive<i64>) -> Option<DurationMs> {
    let value = section.optional(key)?;
    in_bounds(section, key, value, within)
}

fn in_bounds(
    section: &mut Section,
    key: &str,
    value: DurationMs,
    within: RangeInclusive<i64>,
) -> Option<DurationMs> {
    if !within.contains(&value.0) {
        let (from, to) = (DurationMs(*within.start()), DurationMs(*within.end()));
        section.report(key, value.to_string(), format!("{from} to {to}"));
        return None;
    }
    Some(value)
}
