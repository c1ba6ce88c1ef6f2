//! Why the index cannot be read or written, told apart by what helps.

use std::io::ErrorKind;
use std::path::Path;

use fjall::LsmError;

/// The index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Another process has it open.
    #[error("the decision index {0} is in use by another process: every instance needs a folder of its own")]
    InUse(String),
    /// What is on disk is not what was written.
    #[error(
        "the decision index {path} is damaged ({detail}): stop, delete that folder, start again; it is rebuilt from \
         the decisions topic"
    )]
    Damaged {
        /// The folder.
        path: String,
        /// What was found.
        detail: String,
    },
    /// A decision says what this build does not know.
    #[error("the decision was written by a later version of this service: {0}")]
    Unreadable(String),
    /// It cannot be written or read now; after a failed write only a restart helps.
    #[error("the decision index {path}: {detail}")]
    Storage {
        /// The folder.
        path: String,
        /// What failed.
        detail: String,
    },
}

impl IndexError {
    /// Damage, seen by us.
    pub(super) fn damaged(detail: impl Into<String>) -> Self {
        Self::Damaged { path: String::new(), detail: detail.into() }
    }

    /// A failure, seen by us.
    pub(super) fn storage(detail: impl Into<String>) -> Self {
        Self::Storage { path: String::new(), detail: detail.into() }
    }

    /// The same with the index's folder.
    pub(super) fn at(self, dir: &Path) -> Self {
        let path = dir.display().to_string();
        match self {
            Self::InUse(_) => Self::InUse(path),
            Self::Unreadable(detail) => Self::Unreadable(detail),
            Self::Damaged { detail, .. } => Self::Damaged { path, detail },
            Self::Storage { detail, .. } => Self::Storage { path, detail },
        }
    }
}

impl From<fjall::Error> for IndexError {
    fn from(error: fjall::Error) -> Self {
        use fjall::Error;
        match error {
            Error::Locked => Self::InUse(String::new()),
            Error::Io(error) => of_io(&error),
            Error::Storage(LsmError::Io(error)) => of_io(&error),
            Error::Poisoned => Self::storage("an earlier write failed; a restart opens it again"),
            Error::KeyspaceDeleted => Self::storage("a day was dropped while it was read"),
            other => Self::damaged(other.to_string()),
        }
    }
}

/// A file that is missing or ends too soon is damage; a disk that is full is not.
fn of_io(error: &std::io::Error) -> IndexError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::UnexpectedEof | ErrorKind::InvalidData => {
            IndexError::damaged(error.to_string())
        }
        _ => IndexError::storage(error.to_string()),
    }
}
