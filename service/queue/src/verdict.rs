//! Verdicts: said, proposed to a second person, taken back within a time; one alert or many.

use crate::alert::{Alert, Disposition};
use crate::claim::Seat;
use crate::error::QueueError;
use crate::store::Queue;

/// A verdict with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What.
    pub disposition: Disposition,
    /// Why: a word of [`Disposition::reasons`].
    pub reason: String,
    /// More of why; becomes a note.
    pub note: Option<String>,
    /// The entity goes on the block list too; only with fraud.
    pub block: bool,
}

/// What came of a bulk action.
#[derive(Debug, Clone, PartialEq)]
pub struct Bulk {
    /// The one action, to take it back as a whole.
    pub action_id: String,
    /// One for each that was asked for, in that order.
    pub items: Vec<BulkItem>,
    /// Until when it can be taken back.
    pub undo_until_ms: i64,
}

/// One alert of a bulk action.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkItem {
    /// The alert.
    pub alert_id: String,
    /// It as it is now, or why nothing was done with it.
    pub outcome: Result<Alert, QueueError>,
}

impl Queue {
    /// Says a verdict: state, audit entry, labels and block-list entry on their way, all in one transaction. Where the
    /// rules want a second person it becomes a proposal. The one who says it holds the alert, or nobody does.
    ///
    /// # Errors
    /// See [`QueueError`]; `Invalid` for a reason that the disposition does not have.
    pub async fn resolve(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        resolution: &Resolution,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let _ = (seat, id, version, resolution, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// The second person's yes to a proposal.
    ///
    /// # Errors
    /// `SamePerson`; see [`QueueError`].
    pub async fn approve(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let _ = (seat, id, version, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// The second person's no: it is open again.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn reject(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let _ = (seat, id, version, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// One verdict on many alerts, each with the version that was seen; what cannot be done is told and the rest done,
    /// in one transaction. At most 500.
    ///
    /// # Errors
    /// See [`QueueError`]; nothing was done.
    pub async fn resolve_all(
        &self,
        seat: Seat<'_>,
        alerts: &[(String, i64)],
        resolution: &Resolution,
        now_ms: i64,
    ) -> Result<Bulk, QueueError> {
        let _ = (seat, alerts, resolution, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Takes an action back, one's own or, by a lead, another's: the alerts are as they were, what was on its way is
    /// gone. Alerts changed since by others are told as `Stale` and left.
    ///
    /// # Errors
    /// `UndoOver`, `NotFound`.
    pub async fn undo(
        &self,
        seat: Seat<'_>,
        action_id: &str,
        now_ms: i64,
    ) -> Result<Vec<BulkItem>, QueueError> {
        let _ = (seat, action_id, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }
}
