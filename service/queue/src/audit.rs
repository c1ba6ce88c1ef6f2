//! The audit log: who did what, in a chain of hashes.
//!
//! ```text
//!   hash(n) = SHA-256( canonical JSON of entry n, which holds hash(n - 1) )
//! ```
//! Canonical is RFC 8785 for what stands in it: keys in order, no white space, whole numbers and texts only. The head is
//! sent to a topic now and then; who changes the table and computes the chain anew is found by that.

use crate::error::QueueError;
use crate::store::Queue;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, from 1 without a gap.
    pub seq: i64,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// What, such as `resolve`.
    pub action: String,
    /// With what, such as an alert's id.
    pub object: String,
    /// More of it, canonical JSON.
    pub detail: String,
    /// The hash of the entry before, hexadecimal; 64 zeros for the first.
    pub before: String,
    /// Its own.
    pub hash: String,
}

/// Which entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Of this person.
    pub actor: Option<String>,
    /// Of this object.
    pub object: Option<String>,
    /// Before this number: the page before ended there.
    pub before_seq: Option<i64>,
    /// Most, 1 to 200.
    pub limit: usize,
}

/// Entries, the last first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins, if there is one.
    pub next: Option<i64>,
}

/// The head of the chain as it was once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The last entry's number.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

/// What is wrong with the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// At which entry.
    pub seq: i64,
    /// What.
    pub kind: FindingKind,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// Its content does not give its hash: it was changed.
    Changed,
    /// The numbers have a gap: entries were removed.
    Removed,
    /// It does not follow the one before: inserted or reordered.
    Broken,
    /// The log ends before what was anchored.
    Truncated,
    /// Another hash than the anchored one: the chain was computed anew.
    Forged,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Entries read.
    pub entries: u64,
    /// Anchors compared.
    pub anchors: u64,
    /// The head.
    pub head: Option<Anchor>,
    /// What is wrong; at most 100.
    pub findings: Vec<Finding>,
}

impl Queue {
    /// Entries of the log.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, QueueError> {
        let _ = query;
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Writes an entry of its own: for what is no action on an alert, such as a sign-in or a file of chargebacks.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn write_audit(
        &self,
        actor: &str,
        action: &str,
        object: &str,
        detail: &serde_json::Value,
        now_ms: i64,
    ) -> Result<(), QueueError> {
        let _ = (actor, action, object, detail, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// The head, to be anchored. `None` while the log is empty.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn audit_head(&self) -> Result<Option<Anchor>, QueueError> {
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Reads the whole log, in pages, and compares it with itself and with what was anchored.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn verify_audit(&self, anchors: &[Anchor]) -> Result<Verification, QueueError> {
        let _ = anchors;
        Err(QueueError::Unavailable("not built".to_owned()))
    }
}
