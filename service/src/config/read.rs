//! The config resolved: every key read, checked, and checked against the others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use feature_store::enricher::Limits;
use feature_store::files::JournalSync;
use schemas::document::{Section, quoted};
use schemas::mapping::PaymentMapping;
use schemas::problem::Problems;
use schemas::time::{DAY_MS, DurationMs, HOUR_MS, MINUTE_MS, SECOND_MS};
use toml::{Table, Value};

use super::{
    Config, KafkaConfig, LimitsConfig, LogFormat, ModelsConfig, Overrides, RegistryConfig, StoreConfig,
};

/// Stands where a default is missing from `config.default.toml`; a test shows that none is.
const NO_DEFAULT: &str = "";

pub(super) fn config(
    file: &Path,
    folder: &Path,
    table: Table,
    overrides: &Overrides,
) -> Result<Config, Problems> {
    let (mut root, sink) = Section::from_table(&file.display().to_string(), table);
    let mapping = if root.has("payment") {
        PaymentMapping::read(root.section("payment"))
    } else {
        root.report("payment", "nothing", "the table [payment] that maps your schema");
        root.raw("payment");
        None
    };
    let features: Option<String> = root.required("features");
    let policy: Option<String> = root.required("policy");
    let models = models(root.section("models"), folder);
    let kafka = kafka(root.section("kafka"), overrides);
    let registry = registry(root.section("registry"));
    let store = store(root.section("store"), folder);
    let limits = limits(root.section("limits"));
    let mut http = root.section("http");
    let listen: String = http.or("listen", NO_DEFAULT.to_owned());
    let address = listen.parse();
    if address.is_err() {
        http.report("listen", format!("\"{listen}\""), "an address and a port, such as \"127.0.0.1:8080\"");
    }
    drop(http);
    let mut log = root.section("log");
    let log_format = log.word("format", &[("human", LogFormat::Human), ("json", LogFormat::Json)]);
    let levels = ["error", "warn", "info", "debug", "trace"].map(|level| (level, level));
    let log_level = log.word("level", &levels);
    drop(log);
    drop(root);
    let config = || {
        Some(Config {
            mapping: Arc::new(mapping?),
            features: folder.join(features?),
            policy: folder.join(policy?),
            models,
            kafka,
            registry,
            store,
            limits,
            listen: address.ok()?,
            log_format: log_format?,
            log_level: log_level?.to_owned(),
        })
    };
    sink.problems().or(config())
}

/// A duration within bounds.
fn duration(section: &mut Section, key: &str, least_ms: i64, most_ms: i64) -> DurationMs {
    let value = section.or(key, DurationMs(least_ms));
    if (least_ms..=most_ms).contains(&value.0) {
        return value;
    }
    let expected = format!("{} to {}", DurationMs(least_ms), DurationMs(most_ms));
    section.report(key, format!("\"{value}\""), expected);
    DurationMs(least_ms)
}

fn count(section: &mut Section, key: &str, least: i64, most: i64) -> usize {
    usize::try_from(section.integer_within(key, least, least..=most)).unwrap_or(0)
}

fn models(mut section: Section, folder: &Path) -> Option<ModelsConfig> {
    let watch = duration(&mut section, "watch", 100, HOUR_MS);
    let load_timeout = duration(&mut section, "load_timeout", 100, HOUR_MS);
    if !section.has("live") && !section.has("path") {
        return None;
    }
    let (path, live): (Option<String>, Option<String>) = (section.required("path"), section.required("live"));
    Some(ModelsConfig { path: folder.join(path?), live: live?, watch, load_timeout })
}

fn kafka(mut section: Section, overrides: &Overrides) -> KafkaConfig {
    let mut text = |key: &str| section.or(key, NO_DEFAULT.to_owned());
    let (bootstrap, group) = (text("bootstrap"), text("group"));
    let topics =
        ["transactions", "labels", "decisions", "alerts", "dead_letters"].map(|key| (key, text(key)));
    let mut names = BTreeSet::new();
    for (key, name) in &topics {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.len() > 249 || !name.chars().all(legal) {
            section.report(key, format!("\"{name}\""), "1 to 249 letters, digits, \".\", \"_\" or \"-\"");
        } else if !names.insert(name.clone()) {
            section.report(key, format!("\"{name}\" a second time"), "a topic of its own");
        }
    }
    let session_timeout = duration(&mut section, "session_timeout", SECOND_MS, 5 * MINUTE_MS);
    let properties = properties(section.section("properties"), overrides);
    let [transactions, labels, decisions, alerts, dead_letters] = topics.map(|(_, name)| name);
    KafkaConfig {
        bootstrap,
        group,
        transactions,
        labels,
        decisions,
        alerts,
        dead_letters,
        session_timeout,
        properties,
    }
}

/// librdkafka's own properties. Secrets come from the environment, never from the file.
fn properties(mut section: Section, overrides: &Overrides) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    for key in section.remaining_keys() {
        let Some(value) = section.raw(&key) else { continue };
        let Value::String(text) = value else {
            section.report(&key, quoted(&value), "a text in quotes");
            continue;
        };
        let variable = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let is_secret = ["password", "secret", "pem"].iter().any(|word| key.contains(word));
        match variable {
            Some(name) => match overrides.variable(name) {
                Some(value) => _ = properties.insert(key, value.to_owned()),
                None => section.report(
                    &key,
                    format!("\"{text}\""),
                    format!("the environment variable {name} to be set"),
                ),
            },
            None if is_secret => {
                section.report(
                    &key,
                    "a secret in plain text",
                    "the name of an environment variable, such as \"${KAFKA_PASSWORD}\"",
                );
            }
            None => _ = properties.insert(key, text),
        }
    }
    properties
}

fn registry(mut section: Section) -> RegistryConfig {
    let url: String = section.or("url", NO_DEFAULT.to_owned());
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    match rest {
        None => {
            section.report("url", format!("\"{url}\""), "an address that begins with http:// or https://")
        }
        Some(rest) if rest.split('/').next().unwrap_or_default().contains('@') => {
            let expected =
                "an address without user and password: put a proxy with credentials before the registry";
            section.report("url", "a password in the address", expected);
        }
        Some(_) => {}
    }
    RegistryConfig {
        url: url.trim_end_matches('/').to_owned(),
        timeout: duration(&mut section, "timeout", 10, MINUTE_MS),
        register: section.or("register", false),
        negative_cache: duration(&mut section, "negative_cache", 0, HOUR_MS),
        max_schemas: count(&mut section, "max_schemas", 1, 100_000),
    }
}

fn store(mut section: Section, folder: &Path) -> StoreConfig {
    let path: String = section.or("path", NO_DEFAULT.to_owned());
    let sync =
        section.word("journal_sync", &[("never", JournalSync::Never), ("always", JournalSync::Always)]);
    StoreConfig {
        path: folder.join(path),
        resident_entities: count(&mut section, "resident_entities", 1, 1_000_000_000),
        journal_sync: sync.unwrap_or(JournalSync::Always),
        checkpoint_every: duration(&mut section, "checkpoint_every", 100, HOUR_MS),
        checkpoint_payments: count(&mut section, "checkpoint_payments", 1, 1_000_000_000) as u64,
        segment_bytes: (count(&mut section, "segment_mib", 1, 65_536) as u64) << 20,
    }
}

fn limits(mut section: Section) -> LimitsConfig {
    let lateness = duration(&mut section, "lateness", 0, 366 * DAY_MS);
    let remember = duration(&mut section, "remember", 0, 3_649 * DAY_MS);
    if remember < lateness {
        let expected =
            format!("at least limits.lateness ({lateness}): a late repetition must still be known");
        section.report("remember", format!("\"{remember}\""), expected);
    }
    LimitsConfig {
        state: Limits {
            allowed_lateness: lateness,
            remember,
            max_events: count(&mut section, "events_per_entity", 16, 10_000_000),
            tile: duration(&mut section, "tile", SECOND_MS, 31 * DAY_MS),
            waiting_labels: count(&mut section, "waiting_labels", 0, 1_000_000_000),
        },
        skew: duration(&mut section, "skew", 0, 3_649 * DAY_MS),
        record_bytes: count(&mut section, "record_bytes", 100, 1 << 30),
        batch_records: count(&mut section, "batch_records", 1, 65_536),
        in_flight_messages: count(&mut section, "in_flight_messages", 1, 10_000_000),
        in_flight_bytes: count(&mut section, "in_flight_mib", 1, 65_536) << 20,
    }
}
