//! Notes, drafts of notes, and looks at what is masked.

use crate::alert::Alert;
use crate::claim::Seat;
use crate::error::QueueError;
use crate::store::Queue;

/// What somebody wrote and did not send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The text.
    pub text: String,
    /// When it was kept.
    pub at_ms: i64,
}

impl Queue {
    /// Adds a note, 1 to 4,000 characters; the draft is gone.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn note(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        text: &str,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let _ = (seat, id, version, text, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Tells the key unmasked, and writes down who looked.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn reveal(
        &self,
        seat: Seat<'_>,
        entity: &str,
        key: &str,
        now_ms: i64,
    ) -> Result<(), QueueError> {
        let _ = (seat, entity, key, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }
}
