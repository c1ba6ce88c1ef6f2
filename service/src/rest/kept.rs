//! Kept: payments that were answered and that the brokers have not acknowledged, so that a restart sends them too.
//!
//! In an embedded store of their own: under load they come and go by thousands a second, and a file each kept two cores
//! busy with directories. Written before the answer that says so; kill -9 loses none. Not forced to the disk: after a
//! power cut the caller's own log has what was answered `recorded: false`.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use feature_store::varint::{Reader, put_bytes};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

/// A record as it goes into the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key here: [`schemas::decision::decision_id`].
    pub decision_id: String,
    /// The record's key.
    pub key: Vec<u8>,
    /// Its value, framed.
    pub value: Vec<u8>,
    /// Its header `tripline-decision`.
    pub decision: Vec<u8>,
    /// Its header `traceparent`.
    pub traceparent: String,
}

/// Written and not yet in a table, bytes.
const MEMTABLE_BYTES: u64 = 8 << 20;

/// The store.
pub struct Kept {
    folder: PathBuf,
    /// None after a failure: a store that failed to write once refuses all that follows, so it is opened anew.
    store: Mutex<Option<Store>>,
    /// Whose records are in it.
    ids: Mutex<HashSet<String>>,
    count: AtomicUsize,
}

#[derive(Clone)]
struct Store {
    db: Database,
    entries: Keyspace,
}

impl Store {
    fn open(folder: &Path) -> io::Result<Self> {
        let db = Database::builder(folder).worker_threads(1).cache_size(1 << 20).open();
        let db = db.map_err(io::Error::other)?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let entries = db.keyspace("unrecorded", options).map_err(io::Error::other)?;
        Ok(Self { db, entries })
    }

    fn put(&self, entry: &Entry) -> fjall::Result<()> {
        let mut batch = self.db.batch().durability(Some(PersistMode::Buffer));
        batch.insert(&self.entries, entry.decision_id.as_str(), encode(entry));
        batch.commit()
    }
}

impl Kept {
    /// Opens the folder, and gives what is in it.
    ///
    /// # Errors
    /// When the folder cannot be read, what is in it is damaged, or a version before this one left payments in files:
    /// they were answered, and only that version can send them.
    pub fn open(folder: &Path) -> io::Result<(Self, Vec<Entry>)> {
        let left = of_before(folder)?;
        if left > 0 {
            let folder = folder.display();
            return Err(io::Error::other(format!(
                "{folder}: {left} payments that the version before this one answered and did not record; run that \
                 version until tripline_rest_unrecorded is 0"
            )));
        }
        let store = Store::open(folder)?;
        let mut found = Vec::new();
        for one in store.entries.iter() {
            let (key, value) = one.into_inner().map_err(io::Error::other)?;
            let damaged = || {
                let key = String::from_utf8_lossy(&key);
                io::Error::new(io::ErrorKind::InvalidData, format!("{}: {key} is damaged", folder.display()))
            };
            found.push(decode(&value).ok_or_else(damaged)?);
        }
        let ids: HashSet<_> = found.iter().map(|entry| entry.decision_id.clone()).collect();
        let count = AtomicUsize::new(ids.len());
        let (folder, store, ids) = (folder.to_owned(), Mutex::new(Some(store)), Mutex::new(ids));
        Ok((Self { folder, store, ids, count }, found))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps a record.
    ///
    /// # Errors
    /// When the disk is full, or the folder is gone: the record is not kept. It may be tried again.
    pub fn put(&self, entry: &Entry) -> io::Result<()> {
        self.with(|store| store.put(entry))?;
        self.count(|ids| _ = ids.insert(entry.decision_id.clone()));
        Ok(())
    }

    /// Lets go of a record that the brokers have.
    pub fn remove(&self, decision_id: &str) {
        let mut was_there = false;
        self.count(|ids| was_there = ids.remove(decision_id));
        if !was_there {
            return;
        }
        if let Err(error) = self.with(|store| store.entries.remove(decision_id)) {
            // It is sent once more after a restart, which changes nothing.
            tracing::warn!(%error, "a recorded payment cannot be let go of");
        }
    }

    fn count(&self, change: impl FnOnce(&mut HashSet<String>)) {
        let mut ids = locked(&self.ids);
        change(&mut ids);
        self.count.store(ids.len(), Ordering::Relaxed);
    }

    fn with<T>(&self, work: impl FnOnce(&Store) -> fjall::Result<T>) -> io::Result<T> {
        let store = {
            let mut store = locked(&self.store);
            match &*store {
                Some(store) => store.clone(),
                None => store.insert(Store::open(&self.folder)?).clone(),
            }
        };
        work(&store).map_err(|error| {
            locked(&self.store).take();
            io::Error::other(error)
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Payments of a version that kept each in a file.
fn of_before(folder: &Path) -> io::Result<usize> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(paths.iter().filter(|path| path.extension().is_some_and(|end| end == "payment")).count())
}

fn encode(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    let parts = [entry.decision_id.as_bytes(), &entry.key, &entry.value, &entry.decision];
    parts.into_iter().for_each(|part| put_bytes(&mut bytes, part));
    put_bytes(&mut bytes, entry.traceparent.as_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Entry> {
    let mut reader = Reader::new(bytes);
    let mut next = || Some(reader.take_sized()?.to_vec());
    let (id, key, value, decision, traceparent) = (next()?, next()?, next()?, next()?, next()?);
    let text = |bytes| String::from_utf8(bytes).ok();
    reader.is_empty().then_some(())?;
    Some(Entry { decision_id: text(id)?, key, value, decision, traceparent: text(traceparent)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_until_it_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let entry = |id: &str| Entry {
            decision_id: id.to_owned(),
            key: b"card".to_vec(),
            value: vec![0, 1, 2],
            decision: vec![9; 300],
            traceparent: "00-a".to_owned(),
        };
        let (kept, before) = Kept::open(folder.path()).unwrap();
        assert!(before.is_empty() && kept.is_empty());
        kept.put(&entry("dec_a")).unwrap();
        kept.put(&entry("dec_a")).unwrap();
        kept.put(&entry("dec_b")).unwrap();
        assert_eq!(kept.len(), 2);
        kept.remove("dec_a");
        kept.remove("dec_a");
        drop(kept);
        let (kept, after) = Kept::open(folder.path()).unwrap();
        assert_eq!((after, kept.len()), (vec![entry("dec_b")], 1));
        kept.with(|store| store.entries.insert("dec_d", b"\x05torn")).unwrap();
        drop(kept);
        assert!(Kept::open(folder.path()).is_err(), "damage is said, not passed over");
    }

    #[test]
    fn payments_in_the_files_of_a_version_before_are_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dec_a.payment"), b"record").unwrap();
        let error = Kept::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains(": 1 payments that the version before this one answered"), "{error}");
    }
}
