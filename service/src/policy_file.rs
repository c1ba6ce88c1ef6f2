//! The policy file, watched. A file that has changed is read and checked beside the line, and swapped in between two
//! batches; a bad one is refused with its problems, once, and the policy before it goes on.
//!
//! The file is tried when two looks have found the same text: whoever copies it is done by then, and half a policy can
//! be a good one with fewer rules. What is compared is the text, not a time stamp.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use schemas::name::Name;
use schemas::problem::{Problem, Problems};

use crate::clock::Clock;
use crate::policy::{Policy, Terms};

/// Largest policy file: two hundred rules take a quarter of it.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// Versions that are remembered, the live one among them: enough to see what a day's work did.
const MAX_VERSIONS: usize = 50;

/// How often a waiting thread looks whether it should stop.
const STEP: Duration = Duration::from_millis(100);

/// What happened to the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyEvent {
    /// Another version is live now.
    Swapped {
        /// The one before.
        from: Name,
        /// The one now.
        to: Name,
    },
    /// The file was refused; what was live stays.
    Refused {
        /// Everything that is wrong, with line and column.
        problems: Problems,
    },
}

/// A version that was live.
#[derive(Debug, Clone)]
pub struct SeenPolicy {
    /// The policy, with its version and its text.
    pub policy: Arc<Policy>,
    /// Since when, milliseconds since 1970. A version that came back is there once for each time.
    pub since_ms: i64,
}

/// A file that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Everything that is wrong.
    pub problems: Problems,
}

/// What there is to tell of the file since the start.
#[derive(Debug, Clone, Default)]
pub struct PolicyRecord {
    /// Versions that were live, oldest first; the last is live.
    pub seen: VecDeque<SeenPolicy>,
    /// The last refusal. It still stands while `standing`.
    pub refusal: Option<Refusal>,
    /// Whether the file as it is now is the one that was refused.
    pub standing: bool,
}

/// What a look found: the text, or why there is none.
type Found = Result<String, String>;

/// What the watcher remembers from look to look.
#[derive(Debug)]
struct Looks {
    /// What was tried last.
    tried: Found,
    /// What the last look found, where it is not that.
    waiting: Option<Found>,
}

/// A policy file. Readers take what is current.
#[derive(Debug)]
pub struct PolicyFile {
    path: PathBuf,
    terms: Terms,
    live: ArcSwap<Policy>,
    record: Mutex<PolicyRecord>,
    looks: Mutex<Looks>,
}

impl PolicyFile {
    /// Reads the file. `at_ms` is now.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn open(path: &Path, terms: Terms, at_ms: i64) -> Result<Self, Problems> {
        let found = read(path);
        let policy = Arc::new(parse(path, &found, &terms)?);
        let seen = VecDeque::from([SeenPolicy { policy: Arc::clone(&policy), since_ms: at_ms }]);
        Ok(Self {
            path: path.to_owned(),
            terms,
            live: ArcSwap::new(policy),
            record: Mutex::new(PolicyRecord { seen, ..PolicyRecord::default() }),
            looks: Mutex::new(Looks { tried: found, waiting: None }),
        })
    }

    /// The policy that is live: one atomic load.
    pub fn current(&self) -> Arc<Policy> {
        self.live.load_full()
    }

    /// What there is to tell since the start.
    pub fn record(&self) -> PolicyRecord {
        self.recorded().clone()
    }

    /// Looks at the file again and again until told to stop.
    pub fn watch(
        &self,
        every: Duration,
        clock: &dyn Clock,
        stop: &AtomicBool,
        mut tell: impl FnMut(PolicyEvent),
    ) {
        while !stop.load(Ordering::Relaxed) {
            if let Some(event) = self.look(clock) {
                tell(event);
            }
            // In steps, so that a long interval does not hold up the end.
            let mut left = every;
            while !left.is_zero() && !stop.load(Ordering::Relaxed) {
                let step = left.min(STEP);
                std::thread::sleep(step);
                left -= step;
            }
        }
    }

    /// One look.
    fn look(&self, clock: &dyn Clock) -> Option<PolicyEvent> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let found = read(&self.path);
        if found == looks.tried {
            looks.waiting = None;
            return None;
        }
        if looks.waiting.as_ref() != Some(&found) {
            looks.waiting = Some(found);
            return None;
        }
        looks.waiting = None;
        looks.tried = found;
        self.tried(parse(&self.path, &looks.tried, &self.terms), clock.now().wall_ms)
    }

    fn tried(&self, policy: Result<Policy, Problems>, at_ms: i64) -> Option<PolicyEvent> {
        let mut record = self.recorded();
        let policy = match policy {
            Ok(policy) => Arc::new(policy),
            Err(problems) => {
                record.refusal = Some(Refusal { at_ms, problems: problems.clone() });
                record.standing = true;
                return Some(PolicyEvent::Refused { problems });
            }
        };
        record.standing = false;
        let (from, to) = (self.live.load().version().clone(), policy.version().clone());
        if from == to {
            // It means the same: a version has one text for ever.
            return None;
        }
        record.seen.push_back(SeenPolicy { policy: Arc::clone(&policy), since_ms: at_ms });
        while record.seen.len() > MAX_VERSIONS {
            record.seen.pop_front();
        }
        self.live.store(policy);
        Some(PolicyEvent::Swapped { from, to })
    }

    fn recorded(&self) -> MutexGuard<'_, PolicyRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Found {
    let unreadable = |error: std::io::Error| error.to_string();
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("more than {MAX_FILE_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "a text that is not UTF-8".to_owned())
}

fn parse(path: &Path, found: &Found, terms: &Terms) -> Result<Policy, Problems> {
    let file = path.display().to_string();
    match found {
        Ok(text) => Policy::parse(&file, text, terms),
        Err(reason) => Err(Problem::new(file, "policy", reason.as_str(), "a policy file").into()),
    }
}

#[cfg(test)]
mod tests;
