//! The book of lists: who is blocked and who is allowed, by whom, why and until when; kept in one file.
//!
//! ```text
//! put, remove ─► book ─► file (beside it, fsync, rename) ─► snapshot: Arc<Lists> ─► policy
//! ```
//! A change is on the disk before it counts. Keys are not kept: a digest for matching and the masked key for people
//! (I15). What a match leads to is the policy's. A change writes the whole file, so this is for what people and their
//! tools list, some changes a second, not for millions of keys; it blocks, so not on an async thread.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use schemas::name::Name;
use schemas::payment::MAX_KEY_BYTES;
use schemas::sensitive::masked;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::{Digester, KeyDigest, ListKind, Listing, Lists, Terms};

mod file;

use file::{Book, Stored};

/// Most entries of both lists: 100,000 take some 30 MB and are written in less than a second.
pub const MAX_ENTRIES: usize = 100_000;

/// Longest owner and longest reason, bytes: they are in every decision that the entry matched.
pub const MAX_OWNER_BYTES: usize = 100;
/// Longest reason.
pub const MAX_REASON_BYTES: usize = 500;

/// An entry to be.
#[derive(Clone)]
pub struct NewEntry {
    /// Which list.
    pub list: ListKind,
    /// Whose key, by the mapping's name.
    pub entity: String,
    /// The key as payments have it. It is not kept.
    pub key: String,
    /// Who is answerable for it.
    pub owner: String,
    /// Why, for whoever meets a decision that it made.
    pub reason: String,
    /// Now, milliseconds since 1970.
    pub created_ms: i64,
    /// From when on it does not hold any more; `None` for until it is removed.
    pub expires_ms: Option<i64>,
}

impl fmt::Debug for NewEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewEntry({} of {})", self.list.as_str(), self.entity)
    }
}

/// An entry as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListEntry {
    /// `block_` or `allow_` and 24 hexadecimal digits: the same for the same list, entity and key.
    pub id: String,
    /// Which list.
    pub list: ListKind,
    /// Whose key.
    pub entity: String,
    /// The key, masked where it looks like a card number.
    pub key: String,
    /// Who is answerable for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Since when, milliseconds since 1970.
    pub created_ms: i64,
    /// Until when, if not for good.
    pub expires_ms: Option<i64>,
}

/// Why a book cannot be opened or changed.
#[derive(Debug, Error)]
pub enum ListError {
    /// The user's: a field that cannot be taken.
    #[error("{field} is not {expected}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What could be.
        expected: String,
    },
    /// The user's: there is no room.
    #[error("the lists are full: {MAX_ENTRIES} entries, and none has expired")]
    Full,
    /// The operator's: the file is not one of ours, or not whole. It is left as it is.
    #[error(
        "the lists in {path} are damaged ({reason}): put a good copy there, or move it away to begin anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it shows.
        reason: String,
    },
    /// The operator's: the file cannot be read or written. Nothing has changed.
    #[error("the lists in {path} cannot be kept: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The book. Readers take a snapshot; writers wait for each other.
#[derive(Debug)]
pub struct ListBook {
    path: PathBuf,
    entities: Vec<Name>,
    digester: Digester,
    book: Mutex<Book>,
    snapshot: ArcSwap<Lists>,
}

impl ListBook {
    /// Opens the book in this file; where there is none, an empty one is written.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is damaged.
    pub fn open(path: &Path, terms: &Terms) -> Result<Self, ListError> {
        let book = match file::read(path)? {
            Some(book) => book,
            None => {
                let book = Book::new();
                file::write(path, &book)?;
                book
            }
        };
        let digester = Digester::new(&book.salt);
        let entities = terms.entities().to_vec();
        let snapshot = ArcSwap::from_pointee(lists(&digester, &entities, &book));
        Ok(Self { path: path.to_owned(), entities, digester, book: Mutex::new(book), snapshot })
    }

    /// The lists as of now, for decisions: one atomic load.
    pub fn snapshot(&self) -> Arc<Lists> {
        self.snapshot.load_full()
    }

    /// All entries, oldest first, those that have expired among them.
    pub fn entries(&self) -> Vec<ListEntry> {
        let mut entries: Vec<_> = self.locked().entries.values().map(|stored| stored.entry.clone()).collect();
        entries.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        entries
    }

    /// The entry of this id.
    pub fn entry(&self, id: &str) -> Option<ListEntry> {
        self.locked().entries.get(id).map(|stored| stored.entry.clone())
    }

    /// Adds an entry; one of the same list, entity and key is replaced. It counts from the next snapshot on. When
    /// there is no room, entries that have expired make some.
    ///
    /// # Errors
    /// When a field cannot be taken, there is no room, or the file cannot be written: then nothing has changed.
    pub fn put(&self, new: NewEntry) -> Result<ListEntry, ListError> {
        self.check(&new)?;
        let digest = self.digester.digest(&new.entity, &new.key);
        let entry = ListEntry {
            id: id(new.list, &digest),
            list: new.list,
            key: masked(&new.key).into_owned(),
            owner: masked(&new.owner).into_owned(),
            reason: masked(&new.reason).into_owned(),
            entity: new.entity,
            created_ms: new.created_ms,
            expires_ms: new.expires_ms,
        };
        self.change(|entries| {
            if entries.len() >= MAX_ENTRIES && !entries.contains_key(&entry.id) {
                entries.retain(|_, stored| stored.entry.expires_ms.is_none_or(|at| at > new.created_ms));
            }
            entries.insert(entry.id.clone(), Stored { entry: entry.clone(), digest });
            if entries.len() > MAX_ENTRIES { Err(ListError::Full) } else { Ok(entry) }
        })
    }

    /// Removes an entry and gives it back; `None` where there is none of this id.
    ///
    /// # Errors
    /// When the file cannot be written: then nothing has changed.
    pub fn remove(&self, id: &str) -> Result<Option<ListEntry>, ListError> {
        if self.entry(id).is_none() {
            return Ok(None);
        }
        self.change(|entries| Ok(entries.remove(id).map(|stored| stored.entry)))
    }

    /// Changes a copy, writes it, and only then lets it count.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Stored>) -> Result<T, ListError>,
    ) -> Result<T, ListError> {
        let mut book = self.locked();
        let mut changed = book.clone();
        let done = change(&mut changed.entries)?;
        file::write(&self.path, &changed)?;
        self.snapshot.store(Arc::new(lists(&self.digester, &self.entities, &changed)));
        *book = changed;
        Ok(done)
    }

    fn check(&self, new: &NewEntry) -> Result<(), ListError> {
        let sized = |text: &str, most: usize| !text.trim().is_empty() && text.len() <= most;
        let invalid = |field, expected: String| Err(ListError::Invalid { field, expected });
        if !self.entities.iter().any(|entity| **entity == *new.entity) {
            let names: Vec<_> = self.entities.iter().map(Name::as_str).collect();
            return invalid("entity", format!("one of {}", names.join(", ")));
        }
        if !sized(&new.key, MAX_KEY_BYTES) {
            return invalid("key", format!("a text of 1 to {MAX_KEY_BYTES} bytes"));
        }
        if !sized(&new.owner, MAX_OWNER_BYTES) {
            return invalid("owner", format!("a text of 1 to {MAX_OWNER_BYTES} bytes"));
        }
        if !sized(&new.reason, MAX_REASON_BYTES) {
            return invalid("reason", format!("a text of 1 to {MAX_REASON_BYTES} bytes"));
        }
        if new.expires_ms.is_some_and(|expires_ms| expires_ms <= new.created_ms) {
            return invalid("expires", "later than now".to_owned());
        }
        Ok(())
    }

    fn locked(&self) -> MutexGuard<'_, Book> {
        // What is in it was written whole or not at all.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id(list: ListKind, digest: &KeyDigest) -> String {
    format!("{}_{}", list.as_str(), hex::encode(digest.0.get(..12).unwrap_or_default()))
}

fn lists(digester: &Digester, entities: &[Name], book: &Book) -> Lists {
    // A few people list most of it: their names are kept once.
    let mut owners: BTreeMap<&str, Name> = BTreeMap::new();
    let entries = book.entries.values().map(|stored| {
        let ListEntry { list, entity, owner, reason, expires_ms, .. } = &stored.entry;
        let owner = owners.entry(owner).or_insert_with(|| owner.as_str().into()).clone();
        let (entity, reason) = (entity.as_str().into(), reason.as_str().into());
        (stored.digest, Listing { list: *list, entity, owner, reason, expires_ms: *expires_ms })
    });
    Lists::of(digester.clone(), entities, entries)
}

#[cfg(test)]
mod tests;
