//! `[kafka]`: brokers, topics and librdkafka's further properties.

use std::collections::BTreeMap;
use std::fmt;

use schemas::document::Section;
use schemas::time::{DurationMs, MINUTE_MS, SECOND_MS};

/// Longest name of a topic, which is a folder of the broker.
const MAX_TOPIC_BYTES: usize = 249;

/// Properties on which "nothing lost, nothing double" rests, or which have a key of their own here.
const OURS: &[(&str, &str)] = &[
    ("bootstrap.servers", "kafka.bootstrap"),
    ("metadata.broker.list", "kafka.bootstrap"),
    ("group.id", "kafka.group"),
    ("session.timeout.ms", "kafka.session_timeout"),
    ("group.instance.id", ""),
    ("enable.auto.commit", ""),
    ("enable.auto.offset.store", ""),
    ("auto.offset.reset", ""),
    ("enable.idempotence", ""),
    ("transactional.id", ""),
    ("acks", ""),
    ("request.required.acks", ""),
    ("message.timeout.ms", ""),
    ("delivery.timeout.ms", ""),
];

/// Where the brokers are and what the topics are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port`, several with commas.
    pub bootstrap: String,
    /// The consumer group.
    pub group: String,
    /// Payments in.
    pub transactions: String,
    /// Labels in.
    pub labels: String,
    /// Decisions out.
    pub decisions: String,
    /// Alerts out.
    pub alerts: String,
    /// Dead letters out.
    pub dead_letters: String,
    /// Ends of the queue's audit log out.
    pub audit_heads: String,
    /// How long a silent instance keeps its partitions.
    pub session_timeout: DurationMs,
    /// Further properties of librdkafka, with the secrets from the environment in them.
    pub properties: Properties,
}

/// Properties of librdkafka by name. Their values may be secrets: they are never printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Properties(pub BTreeMap<String, String>);

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl KafkaConfig {
    /// Reads the section; problems are reported to its sink.
    pub(super) fn read(mut section: Section, env: &[(String, String)]) -> Option<Self> {
        let bootstrap = bootstrap(&mut section);
        let group = section.required("group");
        let mut topics = Topics::default();
        let transactions = topics.name(&mut section, "transactions");
        let labels = topics.name(&mut section, "labels");
        let decisions = topics.name(&mut section, "decisions");
        let alerts = topics.name(&mut section, "alerts");
        let dead_letters = topics.name(&mut section, "dead_letters");
        let audit_heads = topics.name(&mut section, "audit_heads");
        let session_timeout = session_timeout(&mut section);
        let properties = properties(section.section("properties"), env);
        Some(Self {
            bootstrap: bootstrap?,
            group: group?,
            transactions: transactions?,
            labels: labels?,
            decisions: decisions?,
            alerts: alerts?,
            dead_letters: dead_letters?,
            audit_heads: audit_heads?,
            session_timeout: session_timeout?,
            properties,
        })
    }
}

fn session_timeout(section: &mut Section) -> Option<DurationMs> {
    let timeout: DurationMs = section.required("session_timeout")?;
    // librdkafka puts a consumer out after max.poll.interval.ms, 5 minutes, and refuses a longer session.
    if !(SECOND_MS..5 * MINUTE_MS).contains(&timeout.0) {
        section.report("session_timeout", timeout.to_string(), "at least 1s and below 5m");
        return None;
    }
    Some(timeout)
}

fn bootstrap(section: &mut Section) -> Option<String> {
    let text: String = section.required("bootstrap")?;
    if text.contains('@') || text.contains("://") {
        let expected = "host:port without user, password and scheme: those go to [kafka.properties], the password as \
                        \"${NAME}\"";
        section.report("bootstrap", "something other than host:port", expected);
        return None;
    }
    let broker = |broker: &str| {
        let parts = broker.trim().rsplit_once(':');
        parts.is_some_and(|(host, port)| {
            !host.is_empty()
                && !host.contains(char::is_whitespace)
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
    };
    if let Some(wrong) = text.split(',').find(|part| !broker(part)) {
        section.report("bootstrap", format!("\"{wrong}\""), "host:port, several with commas");
        return None;
    }
    Some(text)
}

/// The topics named so far: each key with its topic.
#[derive(Default)]
struct Topics(Vec<(&'static str, String)>);

impl Topics {
    fn name(&mut self, section: &mut Section, key: &'static str) -> Option<String> {
        let topic: String = section.required(key)?;
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if topic.len() > MAX_TOPIC_BYTES || !topic.chars().all(legal) || matches!(topic.as_str(), "." | "..")
        {
            let expected = format!("a topic: at most {MAX_TOPIC_BYTES} of the characters a-z A-Z 0-9 . _ -");
            section.report(key, format!("\"{}\"", topic.chars().take(60).collect::<String>()), expected);
            return None;
        }
        // The brokers refuse two topics that differ only in . and _, since their metrics would collide.
        let folded = topic.replace('.', "_");
        if let Some((other, _)) = self.0.iter().find(|(_, known)| *known == folded) {
            let expected = "a topic of its own (. and _ count as the same)";
            section.report(key, format!("\"{topic}\", which is kafka.{other} too"), expected);
        }
        self.0.push((key, folded));
        Some(topic)
    }
}

fn properties(mut section: Section, env: &[(String, String)]) -> Properties {
    let mut properties = BTreeMap::new();
    for name in section.remaining_keys() {
        // Values are never quoted back: any of them may be a secret.
        let Some(value) = section.raw(&name) else { continue };
        let Some(text) = value.as_str() else {
            section.report(&name, "a value that is not a text", "a text in quotes");
            continue;
        };
        if let Some((_, own)) = OURS.iter().find(|(ours, _)| *ours == name) {
            let expected = if own.is_empty() {
                "nothing: Tripline sets it".to_owned()
            } else {
                format!("the key {own} instead")
            };
            section.report(&name, "a property that is not yours to set", expected);
            continue;
        }
        if is_secret(&name) && variable(text).is_none() {
            let expected = "\"${NAME}\", with the secret in the environment variable NAME";
            section.report(&name, "a secret in plain text", expected);
            continue;
        }
        match filled(text, env) {
            Ok(value) => _ = properties.insert(name, value),
            Err((found, expected)) => section.report(&name, found, expected),
        }
    }
    Properties(properties)
}

/// Whether librdkafka's property holds something that must not be in a file.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    name.ends_with("password") || name.ends_with("secret") || name == "ssl.key.pem"
}

/// The `NAME` of a text that is `${NAME}` and nothing else.
fn variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    (!name.is_empty() && !name.contains(['$', '{', '}'])).then_some(name)
}

/// The text with each `${NAME}` replaced; else what was found and what is expected.
fn filled(text: &str, env: &[(String, String)]) -> Result<String, (String, String)> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        let (reference, after) = match from.find('}') {
            Some(end) => from.split_at(end + 1),
            None => return Err(("\"${\" without \"}\"".to_owned(), "\"${NAME}\"".to_owned())),
        };
        let name = variable(reference)
            .ok_or_else(|| ("\"${...}\" without a name".to_owned(), "\"${NAME}\"".to_owned()))?;
        let value = env.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let value = value.ok_or_else(|| {
            (
                format!("${{{name}}}, which the environment does not have"),
                format!("the variable {name} to be set"),
            )
        })?;
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
