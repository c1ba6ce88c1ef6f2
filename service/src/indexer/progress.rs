//! How far the indexer is: for a request that waits for its decision, and for the metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Shared by the indexer and those who ask.
#[derive(Debug)]
pub struct Progress {
    /// By partition of the decisions topic the offset behind the last record indexed.
    indexed: watch::Sender<BTreeMap<i32, i64>>,
    /// By partition the offset behind the last record that there is, as last heard.
    ends: Mutex<BTreeMap<i32, i64>>,
    /// At some time all that there was, was indexed.
    caught_up: AtomicBool,
    /// When the ends were last heard of.
    heard: Mutex<Option<Instant>>,
    ended: AtomicBool,
    rows: AtomicU64,
    unreadable: AtomicU64,
    waits_for: Mutex<Option<String>>,
}

/// What is decided and not indexed may be so much: others remember more of it than that, and of what came since it was
/// last heard where the topic ends.
const LITTLE: u64 = 1 << 14;

/// The client says once a second where the topic ends, as long as it is asked.
const SILENT: Duration = Duration::from_secs(4);

/// How the indexer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexerState {
    /// Decisions taken since the process began.
    pub rows: u64,
    /// Records passed over, since they are no decisions.
    pub unreadable: u64,
    /// Records that are not indexed yet; what the brokers say of it is a few seconds old.
    pub lag: u64,
    /// What it waits for.
    pub waits_for: Option<String>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            indexed: watch::Sender::new(BTreeMap::new()),
            ends: Mutex::default(),
            caught_up: AtomicBool::new(false),
            heard: Mutex::new(None),
            ended: AtomicBool::new(false),
            rows: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            waits_for: Mutex::default(),
        }
    }
}

impl Progress {
    /// Told after every batch: by partition the next offset to be indexed. For one who waits until a decision is there.
    pub fn subscribe(&self) -> watch::Receiver<BTreeMap<i32, i64>> {
        self.indexed.subscribe()
    }

    /// Waits until everything before `next` of a partition is indexed. Give it a time-out: the indexer may be waiting
    /// itself.
    pub async fn reached(&self, partition: i32, next: i64) {
        let mut indexed = self.subscribe();
        // An error: the sender is gone, but that is ourselves.
        let _ = indexed.wait_for(|indexed| indexed.get(&partition).is_some_and(|at| *at >= next)).await;
    }

    /// How it stands.
    pub fn state(&self) -> IndexerState {
        let indexed = self.indexed.borrow();
        let behind = |(partition, end): (&i32, &i64)| {
            u64::try_from(end - indexed.get(partition).copied().unwrap_or(0)).unwrap_or(0)
        };
        IndexerState {
            rows: self.rows.load(Ordering::Relaxed),
            unreadable: self.unreadable.load(Ordering::Relaxed),
            lag: locked(&self.ends).iter().map(behind).sum(),
            waits_for: locked(&self.waits_for).clone(),
        }
    }

    /// Whether all that was there when this process began is indexed, and all but a little of what came since; not where
    /// nothing was heard of the topic for a while, since it may have grown.
    pub fn has_the_rest(&self) -> bool {
        let is_heard = locked(&self.heard).is_some_and(|heard| heard.elapsed() < SILENT);
        let is_at_work = is_heard && !self.ended.load(Ordering::Relaxed);
        is_at_work && self.caught_up.load(Ordering::Relaxed) && self.state().lag <= LITTLE
    }

    /// The indexer is no more.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub(crate) fn indexed(&self, next: BTreeMap<i32, i64>) {
        self.indexed.send_modify(|indexed| indexed.extend(next));
        self.look();
    }

    pub(crate) fn ends(&self, ends: impl IntoIterator<Item = (i32, i64)>) {
        locked(&self.ends).extend(ends);
        *locked(&self.heard) = Some(Instant::now());
        self.look();
    }

    fn look(&self) {
        if !self.caught_up.load(Ordering::Relaxed) {
            let has_all = !locked(&self.ends).is_empty() && self.state().lag == 0;
            self.caught_up.store(has_all, Ordering::Relaxed);
        }
    }

    pub(super) fn took(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(super) fn passed_over(&self) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it is another than before.
    pub(crate) fn waits_for(&self, why: Option<String>) -> bool {
        let mut waits_for = locked(&self.waits_for);
        let other = *waits_for != why;
        *waits_for = why;
        other
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_rest_once_it_was_at_the_end_and_is_not_far_behind() {
        let progress = Progress::default();
        assert!(!progress.has_the_rest(), "nothing is heard of the topic yet");
        progress.ends([(0, 9), (1, 0)]);
        progress.indexed([(0, 8)].into());
        assert!(!progress.has_the_rest());
        progress.indexed([(0, 9)].into());
        assert!(progress.has_the_rest());
        let little = i64::try_from(LITTLE).unwrap();
        progress.ends([(1, little)]);
        assert!(progress.has_the_rest());
        progress.ends([(1, little + 1)]);
        assert!(!progress.has_the_rest());
        progress.indexed([(1, little)].into());
        assert!(progress.has_the_rest());
        *locked(&progress.heard) = Instant::now().checked_sub(SILENT);
        assert!(!progress.has_the_rest(), "nobody says how far the topic is by now");
        progress.ends([]);
        progress.end();
        assert!(!progress.has_the_rest());
    }
}
