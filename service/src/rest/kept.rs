//! Kept: payments that were answered and that the brokers have not acknowledged. A file each, so that a restart sends
//! them too.
//!
//! It holds what their record holds, readable by this user only. Written before the answer that says so; kill -9
//! loses none. Not forced to the disk: after a power cut the caller's own log has what was answered `recorded: false`.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use feature_store::varint::{Reader, put_bytes};

/// A record as it goes into the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Names the file: [`schemas::decision::decision_id`].
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

/// The folder.
pub struct Kept {
    folder: PathBuf,
    count: AtomicUsize,
}

const END: &str = "payment";

impl Kept {
    /// Opens the folder, and gives what is in it.
    ///
    /// # Errors
    /// When the folder or a file of it cannot be read.
    pub fn open(folder: &Path) -> io::Result<(Self, Vec<Entry>)> {
        fs::create_dir_all(folder)?;
        let mut entries = Vec::new();
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            if path.extension().is_none_or(|end| end != END) {
                // Half a file of a process that was killed: its caller had no answer.
                let _ = fs::remove_file(&path);
                continue;
            }
            let damaged =
                || io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", path.display()));
            entries.push(decode(&fs::read(&path)?).ok_or_else(damaged)?);
        }
        let count = AtomicUsize::new(entries.len());
        Ok((Self { folder: folder.to_owned(), count }, entries))
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
    /// When the disk is full, or the folder is gone: the record is not kept.
    pub fn put(&self, entry: &Entry) -> io::Result<()> {
        let (path, half) = (self.path(&entry.decision_id, END), self.path(&entry.decision_id, "half"));
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
        file.write_all(&encode(entry))?;
        let is_new = !path.exists();
        fs::rename(half, path)?;
        self.count.fetch_add(usize::from(is_new), Ordering::Relaxed);
        Ok(())
    }

    /// Lets go of a record that the brokers have.
    pub fn remove(&self, decision_id: &str) {
        match fs::remove_file(self.path(decision_id, END)) {
            Ok(()) => _ = self.count.fetch_sub(1, Ordering::Relaxed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // It is sent once more after a restart, which changes nothing.
            Err(error) => tracing::warn!(%error, "a recorded payment's file cannot be removed"),
        }
    }

    /// A decision's id is `dec_` and hexadecimal digits: a file name.
    fn path(&self, decision_id: &str, end: &str) -> PathBuf {
        self.folder.join(format!("{decision_id}.{end}"))
    }
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
        fs::write(folder.path().join("dec_c.half"), b"torn").unwrap();
        let (kept, after) = Kept::open(folder.path()).unwrap();
        assert_eq!((after, kept.len()), (vec![entry("dec_b")], 1));
        fs::write(folder.path().join("dec_d.payment"), b"\x05torn").unwrap();
        assert!(Kept::open(folder.path()).is_err(), "damage is said, not passed over");
    }
}
