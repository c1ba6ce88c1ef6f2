//! What can go wrong in the folder, sorted by what the owner does about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store's folder could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Another process holds the folder. Whose fault: the deployment's; stop one of the two.
    #[error("the store in {} is in use by {}; one process owns an embedded store", dir.display(), user(*pid))]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// The other process, when it could be read from the lock file.
        pid: Option<u32>,
    },
    /// The folder was written by a newer version: start that one, or rebuild from the log in an empty folder.
    #[error("{} was written by a newer version (format {found}, this is {known})", file.display())]
    Newer {
        /// The file that says so.
        file: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format that this version reads.
        known: u32,
    },
    /// Bytes that were once durable are not what they were. Nothing was cut; the state has to be rebuilt from
    /// the log.
    #[error("{} is damaged at byte {offset}: {detail}", file.display())]
    Damaged {
        /// The damaged or missing file.
        file: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What was expected there.
        detail: String,
    },
    /// No space left. Nothing that was durable is lost; the same call may be retried when there is room.
    #[error("no space left to write {}", file.display())]
    Full {
        /// The file that could not grow.
        file: PathBuf,
    },
    /// A row, blob or head over the frame limit. Whose fault: the caller's.
    #[error("{what} of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// What was to be written.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The largest that fits.
        limit: usize,
    },
    /// A stream's name is not 1 to 200 characters of `[a-z0-9-]`, or is dropped and appended to in one
    /// checkpoint.
    #[error(
        "{name:?} cannot be used as a stream's name here: 1 to 200 of [a-z0-9-], not dropped at the same time"
    )]
    StreamName {
        /// The refused name.
        name: String,
    },
    /// A checkpoint is still being written: poll it first.
    #[error("a checkpoint is still being written")]
    Busy,
    /// The writer thread died, so what is on disk is known only after opening again.
    #[error("the checkpoint writer died; open the store again")]
    WriterDied,
    /// Any other error of the file system.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

fn user(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl FilesError {
    pub(super) fn damaged(file: &Path, offset: u64, detail: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), offset, detail: detail.into() }
    }
}

/// Attaches the file to an I/O error and tells a full disk from the rest.
pub(super) trait At<T> {
    fn at(self, file: &Path) -> Result<T, FilesError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, file: &Path) -> Result<T, FilesError> {
        self.map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                FilesError::Full { file: file.to_owned() }
            }
            _ => FilesError::Io { file: file.to_owned(), source },
        })
    }
}
