//! `[rest]`: bounds of the callers' door.

use schemas::document::Section;
use schemas::mapping::PaymentMapping;
use schemas::time::{DurationMs, HOUR_MS, MINUTE_MS, SECOND_MS};

use super::read::{MIB, time, whole};

/// Far more than any machine decides at once.
const MOST_INSIDE: i64 = 100_000;

/// The callers' door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestConfig {
    /// Place in the mapping of the entity whose key is the record's key.
    pub key_entity: usize,
    /// The subject whose newest schema callers write in; `None`: by the topic's name.
    pub subject: Option<String>,
    /// How long a caller waits who does not say.
    pub deadline: DurationMs,
    /// The longest that one waits.
    pub max_deadline: DurationMs,
    /// Payments being decided at once; `None`: as many as suit the machine.
    pub in_flight: Option<usize>,
    /// Requests more that may wait at the door.
    pub waiting: usize,
    /// How long one may.
    pub wait: DurationMs,
    /// When the state counts as stale.
    pub stale_after: DurationMs,
    /// Most payments that wait for the brokers.
    pub unrecorded: usize,
    /// Largest body of a batch.
    pub batch_bytes: usize,
    /// What seals decisions in headers; `None`: a key of the store's own.
    pub seal_key: Option<SealKey>,
    /// The one before, which still opens.
    pub seal_key_before: Option<SealKey>,
}

/// A key of the seal. It is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey(pub Vec<u8>);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

/// Shortest key, characters.
const SEAL_KEY: usize = 32;

impl RestConfig {
    /// Reads the section, whose problems are reported to its sink.
    pub(super) fn read(mut section: Section, mapping: Option<&PaymentMapping>) -> Option<Self> {
        let key: Option<String> = section.optional("key");
        let subject: Option<String> = section.optional("subject");
        let deadline = time(&mut section, "deadline", 1..=MINUTE_MS);
        let max_deadline = time(&mut section, "max_deadline", 1..=MINUTE_MS);
        let in_flight: Option<i64> = section.optional("in_flight");
        if let Some(count) = in_flight.filter(|count| !(1..=MOST_INSIDE).contains(count)) {
            let expected = format!("1 to {MOST_INSIDE}; leave it out for what suits the machine");
            section.report("in_flight", count.to_string(), expected);
        }
        let waiting = whole(&mut section, "waiting", 0..=100_000);
        let wait = time(&mut section, "wait", 0..=SECOND_MS);
        let stale_after = time(&mut section, "stale_after", 100..=HOUR_MS);
        let unrecorded = whole(&mut section, "unrecorded", 0..=10_000_000);
        let batch_bytes = whole(&mut section, "batch_bytes", 1_024..=64 * MIB);
        if let (Some(deadline), Some(most)) = (deadline, max_deadline)
            && deadline > most
        {
            section.report("deadline", deadline.to_string(), format!("rest.max_deadline or less, {most}"));
        }
        let mut seal = |name| {
            let key: Option<String> = section.optional(name);
            if key.as_ref().is_some_and(|key| key.len() < SEAL_KEY) {
                // What was found is a secret.
                let expected = format!("{SEAL_KEY} characters or more, best from the environment");
                section.report(name, "a shorter one".to_owned(), expected);
            }
            key.map(|key| SealKey(key.into_bytes()))
        };
        let (seal_key, seal_key_before) = (seal("seal_key"), seal("seal_key_before"));
        let mapping = mapping?;
        let place = |key: &String| mapping.entities.iter().position(|entity| entity.name == *key);
        let key_entity = key.as_ref().map_or(Some(0), place);
        if let (Some(key), None) = (&key, key_entity) {
            let names: Vec<_> = mapping.entities.iter().map(|entity| entity.name.as_str()).collect();
            let expected = format!("an entity of [payment.entities]: {}", names.join(", "));
            section.report("key", format!("\"{key}\""), expected);
        }
        Some(Self {
            key_entity: key_entity?,
            subject,
            deadline: deadline?,
            max_deadline: max_deadline?,
            in_flight: in_flight.and_then(|count| usize::try_from(count).ok()),
            waiting: waiting?,
            wait: wait?,
            stale_after: stale_after?,
            unrecorded: unrecorded?,
            batch_bytes: batch_bytes?,
            seal_key,
            seal_key_before,
        })
    }
}
