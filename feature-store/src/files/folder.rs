//! The folder: names of its files, what is in it, and whose it is.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FileStep;
use super::error::{At, FilesError};

/// The format written; a higher one is refused, a lower one would be converted here.
const FORMAT: u32 = 1;
const FORMAT_PREFIX: &str = "tripline embedded store, format ";

/// Called between the steps of a write; see [`FileStep`].
pub type Probe = Arc<dyn Fn(FileStep) + Send + Sync>;

/// The folder's path, and the probe that tests hang into it.
#[derive(Clone)]
pub(super) struct Folder {
    dir: PathBuf,
    probe: Option<Probe>,
}

/// The lock on a folder, held until dropped.
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Closing the file is not enough: a child process just being started by another thread has it open, too.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// The files found, by kind; everything else in the folder is left alone.
#[derive(Default)]
pub(super) struct Listing {
    pub journals: BTreeSet<u64>,
    pub segments: BTreeSet<u32>,
    pub streams: BTreeSet<String>,
}

impl Listing {
    pub(super) fn is_empty(&self) -> bool {
        self.journals.is_empty() && self.segments.is_empty() && self.streams.is_empty()
    }
}

impl Folder {
    /// Creates the folder if need be and takes it for this process. The lock lives as long as the returned
    /// file.
    pub(super) fn take(dir: &Path, probe: Option<Probe>) -> Result<(Self, Lock), FilesError> {
        std::fs::create_dir_all(dir).at(dir)?;
        let lock = lock(dir)?;
        let folder = Self { dir: dir.to_owned(), probe };
        folder.check_format()?;
        Ok((folder, lock))
    }

    pub(super) fn journal(&self, epoch: u64) -> PathBuf {
        self.dir.join(format!("journal-{epoch:010}.log"))
    }

    pub(super) fn segment(&self, number: u32) -> PathBuf {
        self.dir.join(format!("segment-{number}.seg"))
    }

    pub(super) fn stream(&self, name: &str) -> PathBuf {
        self.dir.join(format!("stream-{name}.log"))
    }

    /// Tells the probe, if there is one.
    pub(super) fn reached(&self, step: FileStep) {
        if let Some(probe) = &self.probe {
            probe(step);
        }
    }

    /// Makes the names of new files durable.
    pub(super) fn sync(&self) -> Result<(), FilesError> {
        File::open(&self.dir).and_then(|dir| dir.sync_all()).at(&self.dir)
    }

    pub(super) fn list(&self) -> Result<Listing, FilesError> {
        let mut listing = Listing::default();
        for entry in std::fs::read_dir(&self.dir).at(&self.dir)? {
            let name = entry.at(&self.dir)?.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(epoch) = between(name, "journal-", ".log").and_then(|epoch| epoch.parse().ok()) {
                listing.journals.insert(epoch);
            } else if let Some(number) = between(name, "segment-", ".seg").and_then(|n| n.parse().ok()) {
                listing.segments.insert(number);
            } else if let Some(stream) = between(name, "stream-", ".log") {
                listing.streams.insert(stream.to_owned());
            }
        }
        Ok(listing)
    }

    /// The format stands in one file, written before any other, so a half-created folder is never misread.
    fn check_format(&self) -> Result<(), FilesError> {
        let path = self.dir.join("FORMAT");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return self.write_format(&path),
            Err(error) => return Err(error).at(&path),
        };
        match text.trim_end().strip_prefix(FORMAT_PREFIX).and_then(|number| number.parse::<u32>().ok()) {
            Some(FORMAT) => Ok(()),
            Some(found) if found > FORMAT => Err(FilesError::Newer { file: path, found, known: FORMAT }),
            _ => Err(FilesError::damaged(&path, 0, "does not say which format the folder has")),
        }
    }

    fn write_format(&self, path: &Path) -> Result<(), FilesError> {
        if !self.list()?.is_empty() {
            return Err(FilesError::damaged(path, 0, "is missing, though the folder holds a store"));
        }
        let draft = self.dir.join("FORMAT.tmp");
        let write = || {
            let mut file = File::create(&draft)?;
            file.write_all(format!("{FORMAT_PREFIX}{FORMAT}\n").as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&draft, path)
        };
        write().at(path)?;
        self.sync()
    }
}

fn between<'a>(name: &'a str, prefix: &str, suffix: &str) -> Option<&'a str> {
    name.strip_prefix(prefix)?.strip_suffix(suffix)
}

/// Takes the lock file for as long as the returned lock lives; the system lets go of it even after kill -9.
fn lock(dir: &Path) -> Result<Lock, FilesError> {
    let path = dir.join("LOCK");
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
    let mut file = options.open(&path).at(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(FilesError::InUse { dir: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(error).at(&path),
    }
    // The number only serves the message: a disk too full for it must not keep the store from opening.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(Lock(file))
}
