//! `[queue]`: the analysts' queue.

use std::collections::BTreeMap;
use std::path::Path;

use queue::{Exchange, LabelClock, Rules};
use schemas::document::Section;
use schemas::mapping::PaymentMapping;
use schemas::payment::Currency;
use schemas::time::{DAY_MS, DurationMs, HOUR_MS, MINUTE_MS, SECOND_MS};

use super::read::{time, whole};
use crate::access::{ROLES, Scope};

/// What a SQLite file can have, about: 16 TiB.
const MOST_MIB: i64 = 16 << 20;

/// Units of a currency for one of another: beyond these it is a slip of the pen.
const RATES: std::ops::RangeInclusive<f64> = 1e-9..=1e9;

/// The analysts' queue.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueConfig {
    /// Whether there is one here.
    pub enabled: bool,
    /// Its database, `sqlite:PATH` with a whole path, or `postgres://...`.
    pub url: String,
    /// Times and bounds.
    pub rules: Rules,
    /// When the end of the audit log goes to its topic.
    pub anchors: AnchorConfig,
}

/// When the end of the audit log goes to its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnchorConfig {
    /// So long after it moved.
    pub every: DurationMs,
    /// Or earlier, after so many entries.
    pub entries: i64,
}

impl QueueConfig {
    /// Reads the section, whose problems are reported to its sink.
    pub(super) fn read(
        mut section: Section,
        folder: &Path,
        mapping: Option<&PaymentMapping>,
    ) -> Option<Self> {
        let enabled: Option<bool> = section.required("enabled");
        let url = url(&mut section, folder);
        let entity = entity(&mut section, mapping);
        let minor: Option<i64> = section.optional("second_person_minor");
        let bulk: Option<i64> = section.optional("second_person_bulk");
        for (key, value) in [("second_person_minor", minor), ("second_person_bulk", bulk)] {
            if let Some(value) = value.filter(|value| *value < 1) {
                section.report(key, value.to_string(), "1 or more; leave it out for none");
            }
        }
        let clock: Option<String> = section.required("label_clock");
        let label_clock = clock.and_then(|word| match word.as_str() {
            "wall" => Some(LabelClock::Wall),
            "stream" => Some(LabelClock::Stream),
            _ => {
                section.report("label_clock", format!("\"{word}\""), "\"wall\" or \"stream\"");
                None
            }
        });
        let due = time(&mut section, "due", MINUTE_MS..=365 * DAY_MS);
        let due_hold = time(&mut section, "due_hold", SECOND_MS..=365 * DAY_MS);
        let half_life = time(&mut section, "half_life", SECOND_MS..=365 * DAY_MS);
        let hold_weight = whole(&mut section, "hold_weight", 1..=1_000);
        let exchange = exchange(&mut section);
        let lease = time(&mut section, "lease", SECOND_MS..=DAY_MS);
        let undo = time(&mut section, "undo", SECOND_MS..=HOUR_MS);
        let idle = time(&mut section, "session_idle", MINUTE_MS..=30 * DAY_MS);
        let absolute = time(&mut section, "session_absolute", MINUTE_MS..=30 * DAY_MS);
        let lockout_after = whole(&mut section, "lockout_after", 1..=1_000);
        let lockout = time(&mut section, "lockout", SECOND_MS..=DAY_MS);
        let every = time(&mut section, "anchor_every", SECOND_MS..=DAY_MS);
        let entries = whole(&mut section, "anchor_entries", 1..=1_000_000);
        let max_mib: Option<i64> = section.optional("max_mib");
        if let Some(mib) = max_mib.filter(|mib| !(1..=MOST_MIB).contains(mib)) {
            section.report("max_mib", mib.to_string(), format!("1 to {MOST_MIB}; leave it out for no bound"));
        }
        let rules = Rules {
            entity: entity?,
            blockable: mapping?.entities.iter().map(|entity| entity.name.clone()).collect(),
            due_ms: due?.0,
            due_hold_ms: due_hold?.0,
            half_life_ms: half_life?.0,
            hold_weight: u32::try_from(hold_weight?).ok()?,
            exchange: exchange?,
            workers: workers(),
            lease_ms: lease?.0,
            undo_ms: undo?.0,
            label_clock: label_clock?,
            second_person_minor: minor,
            second_person_bulk: bulk.and_then(|bulk| usize::try_from(bulk).ok()),
            session_idle_ms: idle?.0,
            session_absolute_ms: absolute?.0,
            lockout_after: u32::try_from(lockout_after?).ok()?,
            lockout_ms: lockout?.0,
            max_bytes: max_mib.and_then(|mib| u64::try_from(mib.min(MOST_MIB) << 20).ok()),
        };
        let anchors = AnchorConfig { every: every?, entries: i64::try_from(entries?).ok()? };
        Some(Self { enabled: enabled?, url: url?, rules, anchors })
    }
}

/// Words of the roles that work alerts, by the one table.
fn workers() -> Vec<String> {
    let roles = ROLES.into_iter().filter(|(.., scopes)| scopes.has(Scope::Work));
    roles.map(|(word, ..)| word.to_owned()).collect()
}

/// `currency`, and `[queue.rates]` beside it. A variable of the environment has no case: codes are read in capitals.
fn exchange(section: &mut Section) -> Option<Exchange> {
    let expected = "three letters of ISO 4217, such as \"USD\"";
    let said: Option<String> = section.required("currency");
    let currency = said.filter(|code| {
        let is_one = Currency::parse(code).is_some();
        if !is_one {
            section.report("currency", format!("\"{code}\""), expected);
        }
        is_one
    });
    let mut table = section.section("rates");
    let mut rates = BTreeMap::new();
    for key in table.remaining_keys() {
        let code = key.to_ascii_uppercase();
        let rate: Option<f64> = table.optional(&key);
        if Currency::parse(&code).is_none() {
            table.report(&key, "no currency", expected);
        } else if currency.as_ref() == Some(&code) {
            table.report(&key, "a rate of queue.currency itself", "rates of others: one unit of it is one");
        } else if let Some(rate) = rate.filter(|rate| !RATES.contains(rate)) {
            let expected = "units for one of queue.currency, above 0 and at most 1000000000";
            table.report(&key, rate.to_string(), expected);
        } else if let Some(rate) = rate {
            rates.insert(code, rate);
        }
    }
    Some(Exchange { currency: currency?, rates })
}

/// A path is relative to the config's folder, as everywhere.
fn url(section: &mut Section, folder: &Path) -> Option<String> {
    let url: String = section.required("url")?;
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.trim_start_matches("//").is_empty() => {
            Some(format!("sqlite:{}", folder.join(path.trim_start_matches("//")).display()))
        }
        Some(("postgres" | "postgresql", _)) => Some(url),
        // The text is not told: it may hold a password.
        _ => {
            section.report(
                "url",
                "another kind of address",
                "sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE",
            );
            None
        }
    }
}

/// The entity whose alerts are one; the first of the mapping where none is said.
fn entity(section: &mut Section, mapping: Option<&PaymentMapping>) -> Option<String> {
    let said: Option<String> = section.optional("entity");
    let names: Vec<_> = mapping?.entities.iter().map(|entity| entity.name.clone()).collect();
    match said {
        Some(said) if !names.contains(&said) => {
            section.report(
                "entity",
                format!("\"{said}\""),
                format!("an entity of [payment.entities]: {}", names.join(", ")),
            );
            None
        }
        Some(said) => Some(said),
        None => Some(names.into_iter().next().unwrap_or_else(|| "transaction".to_owned())),
    }
}
