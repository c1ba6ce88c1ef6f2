//! The store below the index: how it is set up, and which days it holds.
//!
//! What is set here was measured with decisions of 1.2 kB and three entities. Values go to files of their own, so that
//! only the short keys are merged; merging waits for twelve runs; nothing is compressed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fjall::compaction::Leveled;
use fjall::config::{BlockSizePolicy, PinningPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions};

use super::IndexError;
use super::day::Day;

/// Written and not yet in a table, bytes: two of them at most times.
const MEMTABLE_BYTES: u64 = 32 << 20;
/// Runs that are merged at once: four cost 4 us more a decision, more than this come near the store's own brake at 20.
const RUNS: u8 = 12;
/// Values from this length on lie in files that are never merged: blocks do, nothing else.
const VALUE_BYTES: u32 = 512;
/// Journals kept until what is in them is in tables.
const JOURNAL_BYTES: u64 = 128 << 20;
/// A flush of one memtable takes well below a second.
const FLUSHED_WITHIN: Duration = Duration::from_secs(60);
/// Of the ten seconds that a drain may take.
const TIDIED_WITHIN: Duration = Duration::from_secs(2);

/// Opens the store. A panic inside it over files that are not its own is an error like others.
pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Database, IndexError> {
    let open = || {
        Database::builder(dir)
            .cache_size(cache_bytes)
            .worker_threads(1)
            .max_journaling_size(JOURNAL_BYTES)
            .max_cached_files(Some(256))
            .open()
    };
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => Ok(opened?),
        Err(_) => Err(IndexError::damaged("its files are not as the store wrote them")),
    }
}

/// The days in it.
pub(super) fn days(db: &Database) -> Result<BTreeMap<i64, Day>, IndexError> {
    let mut days = BTreeMap::new();
    for name in db.list_keyspace_names() {
        if let Some(number) = name.strip_prefix('d').and_then(|digits| digits.parse::<i32>().ok()) {
            days.insert(i64::from(number), day(db, number)?);
        }
    }
    Ok(days)
}

/// A day, begun if it is not there.
pub(super) fn day(db: &Database, number: i32) -> Result<Day, IndexError> {
    Day::open(number, db.keyspace(&format!("d{number}"), options)?)
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES)
        .data_block_size_policy(BlockSizePolicy::all(4 << 10))
        // In the cache like all else: pinned they would add up over the days.
        .filter_block_pinning_policy(PinningPolicy::all(false))
        .index_block_pinning_policy(PinningPolicy::all(false))
        .compaction_strategy(Arc::new(Leveled::default().with_l0_threshold(RUNS)))
        .with_kv_separation(Some(KvSeparationOptions::default().separation_threshold(VALUE_BYTES)))
}

/// Writes a keyspace's memtable into a table, and waits until it is there.
pub(super) fn flush(keyspace: &Keyspace) -> Result<(), IndexError> {
    keyspace.rotate_memtable()?;
    let until = Instant::now() + FLUSHED_WITHIN;
    while keyspace.sealed_memtable_count() > 0 {
        if Instant::now() > until {
            return Err(IndexError::storage("a day could not be written to disk in time"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Merges the runs of a day that is not written any more, on a thread of its own: a look-up then asks one and not
/// twelve. What fails costs time only.
pub(super) fn tidy(keyspace: Keyspace) -> Option<JoinHandle<()>> {
    let merge = move || {
        if let Err(error) = keyspace.major_compact() {
            tracing::warn!(%error, "a day of the decision index stays unmerged");
        }
    };
    let spawned = std::thread::Builder::new().name("index-tidy".to_owned()).spawn(merge);
    spawned.inspect_err(|error| tracing::warn!(%error, "a day of the decision index stays unmerged")).ok()
}

/// Waits a little for a merge to end: until then the folder is in use. The end of the process ends it, too, and
/// costs nothing but the work.
pub(super) fn wait_for(tidying: &JoinHandle<()>) {
    let until = Instant::now() + TIDIED_WITHIN;
    while !tidying.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
}
