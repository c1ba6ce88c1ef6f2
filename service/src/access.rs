//! Who may: API keys, what each caller may do, and how often.
//!
//! ```text
//!   keys.toml ─► Callers ◄── may(header, scope, now) ── the door
//!                   │
//!                   └─► Who, or Denied: no key, a bad one (401); not for this (403); too often (429)
//! ```
//! Keys are kept as hashes only. Pure: no clock, no file, no HTTP; time, text and header are handed in. Not here: people
//! who sign in, and what an answer looks like.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use schemas::problem::Problems;

use crate::clock::Now;

mod file;
mod header;
mod instant;
mod key;
mod rate;
mod route;
mod scope;

pub(crate) use file::{NAME, expected_scopes, is_name};
pub use header::Schemes;
pub use key::{Flaw, Key, KeyHash, RANDOM_BYTES};
pub use rate::{Excess, Limiter, People, Rate, Strangers};
pub use route::{Found, Kind, ROUTES, Route, find};
pub use scope::{ROLES, Role, Scope, Scopes};

/// Somebody with a key.
#[derive(Debug)]
pub struct Caller {
    /// Its name in the keys file, for the log and for records of who did what.
    pub name: String,
    /// What it may.
    pub scopes: Scopes,
    limiter: Arc<Limiter>,
}

impl Caller {
    /// Takes `requests` more of its rate: for a batch, whose request counts as one when it comes in.
    ///
    /// # Errors
    /// When to come again, or that so many never may at once.
    pub fn take(&self, requests: NonZeroU32, now: Now) -> Result<(), Excess> {
        self.limiter.take(requests, now.monotonic_us)
    }
}

/// Who was let in.
#[derive(Debug, Clone)]
pub enum Who {
    /// Nobody in particular: the route is open.
    Anybody,
    /// A caller.
    Caller(Arc<Caller>),
    /// Somebody who is signed in.
    Person(Arc<Person>),
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The subject of the session.
    pub name: String,
    /// The words of their roles.
    pub roles: Vec<String>,
    /// What the roles may, together.
    pub scopes: Scopes,
    /// What their pages send with a change.
    pub csrf: String,
}

impl Person {
    /// A person of these roles; a word that is no role (any more) gives nothing.
    pub fn new(name: String, roles: Vec<String>, csrf: String) -> Self {
        let known = roles.iter().filter_map(|word| Role::parse(word));
        let scopes = known.fold(Scopes::NONE, |scopes, role| scopes.and(role.scopes()));
        Self { name, roles, scopes, csrf }
    }
}

impl Who {
    /// Its name for the log.
    pub fn name(&self) -> &str {
        match self {
            Who::Anybody => "anybody",
            Who::Caller(caller) => &caller.name,
            Who::Person(person) => &person.name,
        }
    }

    /// Its name in claims and in the audit log: a key's is told from a person's.
    pub fn actor(&self) -> String {
        match self {
            Who::Anybody => "anybody".to_owned(),
            Who::Caller(caller) => format!("key:{}", caller.name),
            Who::Person(person) => person.name.clone(),
        }
    }

    /// What it may.
    pub fn scopes(&self) -> Scopes {
        match self {
            Who::Anybody => Scopes::NONE,
            Who::Caller(caller) => caller.scopes,
            Who::Person(person) => person.scopes,
        }
    }
}

/// Why somebody was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No key was shown.
    #[error("this needs a key, \"Authorization: Bearer tlk_...\"")]
    Missing,
    /// What was shown is no key.
    #[error("{0}")]
    Malformed(Flaw),
    /// A key that nobody has (any more).
    #[error("nobody has this key, or not any more")]
    Unknown,
    /// A key whose time is over.
    #[error("this key's time is over: ask for another")]
    Expired,
    /// The key is good, but not for this.
    #[error("this key does not have the scope \"{}\"", .needs.as_str())]
    Lacks {
        /// What it would take.
        needs: Scope,
    },
    /// Too often.
    #[error("this key came too often")]
    TooOften(Excess),
}

/// What holds for everybody whom the keys file does not say otherwise of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The rate of a caller that has none of its own.
    pub rate: Rate,
    /// What needs no key.
    pub anonymous: Scopes,
}

impl Terms {
    /// A rate to read a file by when there is none to be had.
    pub(crate) const ANY: Rate = Rate::per_second(NonZeroU32::MIN);
}

#[derive(Debug, Clone)]
struct Entry {
    caller: Arc<Caller>,
    expires_ms: Option<i64>,
}

/// Everybody who has a key.
#[derive(Debug, Clone, Default)]
pub struct Callers {
    by_hash: HashMap<KeyHash, Entry>,
    anonymous: Scopes,
}

impl Callers {
    /// Nobody: what is not anonymous is closed.
    pub fn nobody(anonymous: Scopes) -> Self {
        Self { by_hash: HashMap::new(), anonymous }
    }

    /// The demo's one caller, who may everything with this key; the page is open to whoever runs the demo.
    pub fn demo(key: &Key) -> Self {
        const RATE: Rate = Rate::per_second(NonZeroU32::MIN.saturating_add(99_999));
        let scopes = Scopes::of(&Scope::ALL);
        let limiter = Arc::new(Limiter::new(RATE, RATE.usual_burst()));
        let caller = Arc::new(Caller { name: "demo".to_owned(), scopes, limiter });
        let entry = Entry { caller, expires_ms: None };
        Self {
            by_hash: HashMap::from([(key.hash(), entry)]),
            anonymous: Scopes::of(&[Scope::Board, Scope::Metrics, Scope::Docs]),
        }
    }

    /// Reads a keys file. A caller that `before` has at the same rate goes on with what it has used of it, so that
    /// reading the file again forgives nobody.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn read(file: &str, text: &str, terms: Terms, before: Option<&Callers>) -> Result<Self, Problems> {
        file::read(file, text, terms, before)
    }

    /// Who shows this `Authorization` header.
    ///
    /// # Errors
    /// Why it is nobody: 401.
    pub fn who(
        &self,
        authorization: Option<&str>,
        schemes: Schemes,
        wall_ms: i64,
    ) -> Result<Arc<Caller>, Denied> {
        let key = header::key(authorization.ok_or(Denied::Missing)?, schemes).map_err(Denied::Malformed)?;
        let entry = self.by_hash.get(&key.hash()).ok_or(Denied::Unknown)?;
        if entry.expires_ms.is_some_and(|expires_ms| expires_ms <= wall_ms) {
            return Err(Denied::Expired);
        }
        Ok(Arc::clone(&entry.caller))
    }

    /// Whether the one who shows this header may use this route now; counts the request against its rate.
    ///
    /// # Errors
    /// Why not.
    pub fn may(&self, authorization: Option<&str>, route: &Route, now: Now) -> Result<Who, Denied> {
        let Some(needs) = route.needs else { return Ok(Who::Anybody) };
        if authorization.is_none() && self.anonymous.has(needs) {
            return Ok(Who::Anybody);
        }
        // A browser that is told its key sends it with what other sites make it ask for: only to what changes nothing.
        let is_page = needs == Scope::Board && route.method == "GET";
        let schemes = if is_page { Schemes::BearerOrBasic } else { Schemes::Bearer };
        let caller = self.who(authorization, schemes, now.wall_ms)?;
        // Counted before the scope: asking for what it may not have is no way around a caller's rate.
        caller.take(NonZeroU32::MIN, now).map_err(Denied::TooOften)?;
        if !caller.scopes.has(needs) {
            return Err(Denied::Lacks { needs });
        }
        Ok(Who::Caller(caller))
    }

    /// Callers and keys, and how many of the keys are good at this time.
    pub fn census(&self, wall_ms: i64) -> Census {
        let mut names: Vec<_> = self.by_hash.values().map(|entry| entry.caller.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let expired = |entry: &&Entry| entry.expires_ms.is_some_and(|expires_ms| expires_ms <= wall_ms);
        Census {
            callers: names.len(),
            keys: self.by_hash.len(),
            expired: self.by_hash.values().filter(expired).count(),
            anonymous: self.anonymous,
        }
    }

    /// The limiter of a caller, if it is still the same limit.
    fn limiter(&self, name: &str, rate: Rate, burst: NonZeroU32) -> Option<Arc<Limiter>> {
        let caller = self.by_hash.values().map(|entry| &entry.caller).find(|caller| caller.name == name)?;
        caller.limiter.is(rate, burst).then(|| Arc::clone(&caller.limiter))
    }
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Callers.
    pub callers: usize,
    /// Keys of all of them.
    pub keys: usize,
    /// Of those, the ones whose time is over.
    pub expired: usize,
    /// What needs no key.
    pub anonymous: Scopes,
}

#[cfg(test)]
mod tests;
