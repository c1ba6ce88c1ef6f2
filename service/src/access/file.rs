//! The keys file: who has which key, read whole with every problem collected.
//!
//! ```toml
//! [[caller]]
//! name = "checkout"
//! role = "scorer"                       # or scopes = ["score", "read"]
//! keys = ["sha256:9f86...", { hash = "sha256:60303...", expires = 2027-01-31 }]
//! rate = "200/s"                        # else access.rate
//! burst = 400                           # requests at once; else two seconds' worth
//! ```
//! Two keys at most: the one in use and the next one, for an exchange without a gap. Nothing of `keys` is quoted back to
//! the user: what stands there by mistake is a secret.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::num::NonZeroU32;
use std::sync::Arc;

use schemas::document::{FromToml, Section};
use schemas::problem::Problems;
use toml::Value;

use super::instant::Instant;
use super::key::{KeyHash, PREFIX};
use super::rate::{Limiter, MOST};
use super::scope::{Role, Scope, Scopes};
use super::{Caller, Callers, Entry, Terms};

/// Most callers of one file: a thousand times what a house has.
const MOST_CALLERS: usize = 10_000;

/// Keys of one caller.
const MOST_KEYS: usize = 2;

/// Longest name, characters.
const MOST_NAME_CHARS: usize = 64;

const KEYS: &str =
    "a list of one or two hashes, [\"sha256:...\"]; `tripline key new` makes a key and prints its hash";
const HASH: &str = "\"sha256:\" and 64 hexadecimal digits; `tripline key new` prints it beside a new key";

pub(super) fn read(
    file: &str,
    text: &str,
    terms: Terms,
    before: Option<&Callers>,
) -> Result<Callers, Problems> {
    let (mut root, sink) = Section::open(file, text);
    let broken = sink.problems();
    if !broken.0.is_empty() {
        // Of a file that cannot be read every caller is missing: that would only hide what is wrong.
        return Err(broken);
    }
    let mut callers = Callers::nobody(terms.anonymous);
    let mut names = HashMap::new();
    let sections = root.sections("caller");
    if !(1..=MOST_CALLERS).contains(&sections.len()) {
        let found = format!("{} callers", sections.len());
        root.report("caller", found, format!("1 to {MOST_CALLERS} tables [[caller]]"));
    }
    for (place, mut section) in sections.into_iter().take(MOST_CALLERS).enumerate() {
        let keys = keys(&mut section);
        let caller = caller(&mut section, terms, before);
        let Some((caller, keys)) = caller.zip(keys) else { continue };
        if let Some(other) = names.insert(caller.name.clone(), place) {
            section.report("name", format!("\"{}\", which caller[{other}] has too", caller.name), NAME);
        }
        for (hash, expires_ms) in keys {
            let entry = Entry { caller: Arc::clone(&caller), expires_ms };
            match callers.by_hash.entry(hash) {
                Place::Vacant(place) => _ = place.insert(entry),
                Place::Occupied(place) => {
                    let found = format!("a key that {} has too", place.get().caller.name);
                    section.report("keys", found, "a key of its own, else nobody knows who came");
                }
            }
        }
    }
    drop(root);
    sink.problems().or(Some(callers))
}

fn caller(section: &mut Section, terms: Terms, before: Option<&Callers>) -> Option<Arc<Caller>> {
    let name = name(section);
    let scopes = scopes(section);
    let rate = section.or("rate", terms.rate);
    let burst = section.integer_within("burst", i64::from(rate.usual_burst().get()), 1..=i64::from(MOST));
    let burst = u32::try_from(burst).ok().and_then(NonZeroU32::new)?;
    let name = name?;
    let limiter = before.and_then(|before| before.limiter(&name, rate, burst));
    let limiter = limiter.unwrap_or_else(|| Arc::new(Limiter::new(rate, burst)));
    Some(Arc::new(Caller { name, scopes: scopes?, limiter }))
}

/// What a name should be, for an error.
pub(crate) const NAME: &str =
    "a name of its own, at most 64 of the characters a-z 0-9 . _ -, beginning with a letter";

/// Whether a text may be a caller's name: it goes into logs, headers and file names.
pub(crate) fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    (1..=MOST_NAME_CHARS).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(legal)
        && !text.starts_with(PREFIX)
}

fn name(section: &mut Section) -> Option<String> {
    if !section.has("name") {
        return section.required("name");
    }
    let name = section.raw("name")?;
    let name = name.as_str().filter(|name| is_name(name)).map(str::to_owned);
    if name.is_none() {
        // Not quoted back: it may be a key in the wrong place.
        section.report("name", "something else", NAME);
    }
    name
}

fn scopes(section: &mut Section) -> Option<Scopes> {
    let role: Option<String> = section.optional("role");
    let words: Option<Vec<String>> = section.optional("scopes");
    match (role, words) {
        (Some(role), None) => {
            let found = Role::parse(&role);
            if found.is_none() {
                section.report("role", format!("\"{role}\""), format!("one of {}", Role::words()));
            }
            found.map(Role::scopes)
        }
        (None, Some(words)) => {
            let scopes: Vec<_> = words.iter().filter_map(|word| Scope::parse(word)).collect();
            if scopes.is_empty() || scopes.len() != words.len() {
                section.report("scopes", format!("\"{}\"", words.join(" ")), expected_scopes());
                return None;
            }
            Some(Scopes::of(&scopes))
        }
        (Some(_), Some(_)) => {
            section.report("scopes", "both role and scopes", "one of them");
            None
        }
        (None, None) => {
            let roles = Role::words();
            section.report("role", "neither role nor scopes", format!("one of {roles}; or scopes = [...]"));
            None
        }
    }
}

/// What a list of scopes may hold, for an error.
pub(crate) fn expected_scopes() -> String {
    format!("some of {}", Scope::ALL.map(Scope::as_str).join(", "))
}

fn keys(section: &mut Section) -> Option<Vec<(KeyHash, Option<i64>)>> {
    let values = match section.raw("keys") {
        Some(Value::Array(values)) => values,
        None => {
            section.report("keys", "nothing", KEYS);
            return None;
        }
        Some(other) => {
            let found = if is_clear(&other) { CLEAR } else { "something else" };
            section.report("keys", found, KEYS);
            return None;
        }
    };
    if !(1..=MOST_KEYS).contains(&values.len()) {
        let expected =
            "one key, or two while one is exchanged for the other; take out what is not used any more";
        section.report("keys", format!("{} keys", values.len()), expected);
        return None;
    }
    let keys: Vec<_> =
        values.into_iter().enumerate().map(|(place, value)| key(section, place, value)).collect();
    keys.into_iter().collect()
}

const CLEAR: &str = "a key in clear text";

fn is_clear(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim_start().starts_with(PREFIX))
}

fn key(section: &Section, place: usize, value: Value) -> Option<(KeyHash, Option<i64>)> {
    let at = format!("keys[{place}]");
    let (hash, expires) = match value {
        Value::Table(mut table) => {
            let (hash, expires) = (table.remove("hash"), table.remove("expires"));
            if !table.is_empty() {
                section.report(&at, "an unknown key", "hash and expires");
            }
            let Some(hash) = hash else {
                section.report(&at, "a table without hash", HASH);
                return None;
            };
            (hash, expires)
        }
        other => (other, None),
    };
    if is_clear(&hash) {
        let expected = "its hash: whoever can read this file has the key, so make another with `tripline key new`, which \
                        prints key and hash";
        section.report(&at, CLEAR, expected);
        return None;
    }
    let hash = hash.as_str().and_then(KeyHash::parse);
    if hash.is_none() {
        section.report(&at, "something else", HASH);
    }
    let expires_ms = match expires {
        None => None,
        Some(value) => match Instant::from_toml(&value) {
            Some(Instant(ms)) => Some(ms),
            None => {
                section.report(&format!("{at}.expires"), "something else", Instant::EXPECTED);
                return None;
            }
        },
    };
    Some((hash?, expires_ms))
}
