//! The file of the book: JSON, written beside the old one and renamed over it, so that there is always a whole one.
//!
//! What cannot be read whole is refused. An empty block list in place of a damaged one would let everybody through.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{ListEntry, ListError, MAX_ENTRIES, id};
use crate::policy::{KeyDigest, SALT_BYTES};

/// What this file is, and in which form.
const FORMAT: &str = "tripline-lists-1";

/// Largest file that is read: the most entries with their longest texts.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// An entry with what it is matched by.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) entry: ListEntry,
    pub(super) digest: KeyDigest,
}

/// The book's contents.
#[derive(Debug, Clone)]
pub(super) struct Book {
    /// Of all digests; made once.
    pub(super) salt: [u8; SALT_BYTES],
    /// By id.
    pub(super) entries: BTreeMap<String, Stored>,
}

impl Book {
    /// An empty one with a salt of its own.
    pub(super) fn new() -> Self {
        Self { salt: rand::random(), entries: BTreeMap::new() }
    }
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<E> {
    format: String,
    salt: String,
    /// How many entries follow: a file that someone has cut short by whole entries shows.
    count: usize,
    entries: E,
}

#[derive(Serialize, Deserialize)]
struct WrittenEntry {
    digest: String,
    #[serde(flatten)]
    entry: ListEntry,
}

/// Reads the book; `None` where there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Book>, ListError> {
    let io = |source| ListError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    let damaged = |reason: String| ListError::Damaged { path: path.to_owned(), reason };
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(damaged(format!("more than {MAX_FILE_BYTES} bytes")));
    }
    parse(&bytes).map(Some).map_err(damaged)
}

fn parse(bytes: &[u8]) -> Result<Book, String> {
    // serde_json's message tells line and column, and may quote what it found: only the place is passed on.
    let at = |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
    let written: Written<Vec<WrittenEntry>> = serde_json::from_slice(bytes).map_err(at)?;
    if written.format != FORMAT {
        return Err(format!("its format is not {FORMAT}"));
    }
    if written.count != written.entries.len() || written.count > MAX_ENTRIES {
        let (found, count) = (written.entries.len(), written.count);
        return Err(format!("{found} entries where it says {count}, at most {MAX_ENTRIES}"));
    }
    let mut book = Book { salt: bytes_of(&written.salt).ok_or("its salt")?, entries: BTreeMap::new() };
    for (place, WrittenEntry { digest, entry }) in written.entries.into_iter().enumerate() {
        let digest = bytes_of(&digest).map(KeyDigest).filter(|digest| id(entry.list, digest) == entry.id);
        let digest = digest.ok_or_else(|| format!("entry {place} does not fit its id"))?;
        if book.entries.insert(entry.id.clone(), Stored { entry, digest }).is_some() {
            return Err(format!("entry {place} is there twice"));
        }
    }
    Ok(book)
}

fn bytes_of(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

/// Writes the book, durably.
pub(super) fn write(path: &Path, book: &Book) -> Result<(), ListError> {
    let entries = book
        .entries
        .values()
        .map(|stored| WrittenEntry { digest: hex::encode(stored.digest.0), entry: stored.entry.clone() });
    let written = Written {
        format: FORMAT.to_owned(),
        salt: hex::encode(book.salt),
        count: book.entries.len(),
        entries: entries.collect::<Vec<_>>(),
    };
    replace(path, &written).map_err(|source| ListError::Io { path: path.to_owned(), source })
}

fn replace(path: &Path, written: &Written<Vec<WrittenEntry>>) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Readable by us alone: see `Digester` on what a salt does not do.
    let mut draft = NamedTempFile::new_in(folder)?;
    let mut writer = BufWriter::new(draft.as_file_mut());
    serde_json::to_writer(&mut writer, written)?;
    writer.flush()?;
    drop(writer);
    draft.as_file().sync_all()?;
    draft.persist(path).map_err(|error| error.error)?;
    // The rename itself.
    File::open(folder)?.sync_all()
}
