//! The end of the queue's audit log at a time, as `avro/audit_head.avsc` has it. Not the log, and not its verification.

use serde::{Deserialize, Serialize};

use crate::time::EventTime;

/// The last entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Its number.
    pub seq: i64,
    /// Its hash, hexadecimal.
    pub hash: String,
    /// When it was the last one.
    pub at: EventTime,
}
