//! The decision index: decisions of the topic as rows that can be looked up by id, by entity and by time.
//!
//! Everything in it comes from the decisions topic, so the topic is the log: what a crash loses is read again, and a
//! damaged index is deleted and rebuilt. What is indexed and how far the topic was read (the fence) go into the same
//! keyspace in the same batch, so one never runs ahead of the other.
//!
//! ```text
//!   apply(partition, next, rows) ──► newest day ┬─ b  block      16 decisions as the topic has them, in a file of values
//!                                               ├─ i  id      ─► place          (block, row)
//!                                               ├─ e  entity, time, place ─► summary: filters need no block
//!                                               ├─ t  time, block
//!                                               └─ f  partition ─► next offset
//! ```
//! A keyspace holds a day, and expiry drops a whole one. A batch goes into the newest day as a whole, and an older day
//! is never written again: it is complete on disk before the next one begins. So a row may stand in a later day than
//! its own (at midnight, or while a backlog is read), never in an earlier one. Days and order go by the time of the
//! decision, not of the event: history that is read today is kept from today on, and a topic with years of events in
//! it needs no keyspace for each of their days.
//!
//! Not here: reading the topic, and what a user may see.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use fjall::Database;
use schemas::decision::Decision;
use schemas::time::{DAY_MS, DurationMs};

mod block;
mod contracts;
mod cursor;
mod day;
mod error;
mod key;
mod query;
mod recent;
mod row;
mod scan;
mod store;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

pub use contracts::RowSchema;
pub use cursor::{BadCursor, Cursor};
pub use error::IndexError;
pub use query::{MOST_A_PAGE, Page, Query};
pub use row::Row;

use contracts::Contracts;
use day::Day;
use writer::Writer;

/// What an index is opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexOptions {
    /// How long a decision is found, counted from when it was made.
    pub keep: DurationMs,
    /// Memory for what is read; writing takes some 130 MB more, whatever is set here.
    pub cache_bytes: u64,
}

/// The index; a clone is a handle on the same one.
#[derive(Clone)]
pub struct DecisionIndex(Arc<Inner>);

struct Inner {
    path: PathBuf,
    keep_ms: i64,
    /// By day since 1970; the last one is written to.
    days: RwLock<BTreeMap<i64, Day>>,
    writer: Mutex<Writer>,
    contracts: Contracts,
    /// Last, so that it goes after the keyspaces.
    db: Database,
}

impl DecisionIndex {
    /// Opens the index in a folder of its own, or begins one there.
    ///
    /// # Errors
    /// `InUse` when another process has it, `Damaged`, or `Storage`.
    pub fn open(dir: &Path, options: IndexOptions) -> Result<Self, IndexError> {
        let db = store::open(dir, options.cache_bytes).map_err(|error| error.at(dir))?;
        let days = store::days(&db).map_err(|error| error.at(dir))?;
        let writer = Writer::open(&days).map_err(|error| error.at(dir))?;
        Ok(Self(Arc::new(Inner {
            path: dir.to_owned(),
            keep_ms: options.keep.0.max(0),
            days: RwLock::new(days),
            writer: Mutex::new(writer),
            contracts: Contracts::default(),
            db,
        })))
    }

    /// By partition of the topic the next offset to read; a partition that is not named was never read.
    pub fn fences(&self) -> BTreeMap<i32, i64> {
        self.writer().fences.clone()
    }

    /// Indexes the decisions of a partition up to before `next`, and the fence with them. What lies below the fence
    /// is there already and does nothing again.
    ///
    /// A decision that is there already under its id stays as it is: it is the one that was answered with and that
    /// others have read. A repetition differs from it only in attempt, time and latency.
    ///
    /// # Errors
    /// `Storage` or `Damaged`; then nothing of the batch is indexed.
    pub fn apply(&self, partition: i32, next: i64, rows: &[Row<'_>]) -> Result<(), IndexError> {
        self.writer().apply(&self.0, partition, next, rows).map_err(|error| error.at(&self.0.path))
    }

    /// Sets a fence back (or on), for a topic that was recreated or whose next record is gone.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn set_fence(&self, partition: i32, next: i64) -> Result<(), IndexError> {
        self.writer().set_fence(&self.0, partition, next).map_err(|error| error.at(&self.0.path))
    }

    /// The decision with this id.
    ///
    /// # Errors
    /// `Damaged` or `Storage`.
    pub fn get(&self, decision_id: &str) -> Result<Option<Decision>, IndexError> {
        let key = key::id(decision_id);
        for day in self.0.newest_first() {
            let found = day.by_id(&key, decision_id, &self.0.contracts);
            if let Some(decision) = found.map_err(|error| error.at(&self.0.path))? {
                return Ok(Some(decision));
            }
        }
        Ok(None)
    }

    /// A page of decisions, newest first.
    ///
    /// # Errors
    /// `Damaged` or `Storage`.
    pub fn list(&self, query: &Query) -> Result<Page, IndexError> {
        let days = self.0.newest_first();
        scan::list(&days, &self.0.contracts, query).map_err(|error| error.at(&self.0.path))
    }

    /// Drops the days that are over: those that ended `keep` ago. Gives how many.
    ///
    /// From then on rows older than that are not taken in, and none goes into a day later than tomorrow, whatever its
    /// decision's clock said.
    ///
    /// # Errors
    /// `Storage`.
    pub fn forget(&self, now_ms: i64) -> Result<usize, IndexError> {
        self.writer().forget(&self.0, now_ms).map_err(|error| error.at(&self.0.path))
    }

    /// Decisions in the index.
    pub fn count(&self) -> u64 {
        self.0.newest_first().iter().map(|day| day.extent().count).sum()
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// `Storage`.
    pub fn disk_bytes(&self) -> Result<u64, IndexError> {
        self.0.db.disk_space().map_err(|error| IndexError::from(error).at(&self.0.path))
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Handles on the days; one that is dropped meanwhile stays readable through them.
    fn newest_first(&self) -> Vec<Day> {
        let days = self.days.read().unwrap_or_else(PoisonError::into_inner);
        days.values().rev().cloned().collect()
    }

    fn newest(&self) -> Option<Day> {
        let days = self.days.read().unwrap_or_else(PoisonError::into_inner);
        days.last_key_value().map(|(_, day)| day.clone())
    }
}

impl std::fmt::Debug for DecisionIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecisionIndex").field("path", &self.0.path).finish_non_exhaustive()
    }
}

/// The day of a time, days since 1970.
fn day_of(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS)
}
