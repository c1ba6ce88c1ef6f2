//! What can go wrong with the archive.

/// What went wrong with the archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store.
    #[error("archive_unreachable: {0}")]
    Store(#[from] object_store::Error),
    /// Another file has its name.
    #[error(
        "archive_conflict: {0} is there with other bytes; two archives with other limits, or a file that was changed"
    )]
    Conflict(String),
    /// A file that is not what it should be.
    #[error("archive_damaged: {path}: {why}")]
    Damaged {
        /// Where it stands.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The address.
    #[error("archive_address: {0}")]
    Address(String),
    /// The system.
    #[error("archive: {0}")]
    System(#[from] std::io::Error),
}
