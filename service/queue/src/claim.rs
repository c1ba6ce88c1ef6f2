//! Who works an alert: claims with a lease, given one at a time, and what changes hands without a verdict.

use crate::alert::Alert;
use crate::error::QueueError;
use crate::store::Queue;

/// Who acts: the name in the audit log and in claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat<'a> {
    /// The subject, such as a user's name.
    pub name: &'a str,
    /// Whether escalated alerts are for them too, and others' claims may be taken away.
    pub leads: bool,
}

/// To whom an alert is given.
pub type Assignee<'a> = Option<&'a str>;

impl Queue {
    /// Claims the alert of the highest rank that nobody holds: one statement, so that of many who ask at once no two get
    /// the same, and none is passed over. `None` when there is none.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn claim_next(&self, seat: Seat<'_>, now_ms: i64) -> Result<Option<Alert>, QueueError> {
        let _ = (seat, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Claims this one.
    ///
    /// # Errors
    /// `Stale`, `Held`, `NotNow` (resolved), `NotFound`.
    pub async fn claim(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let _ = (seat, id, version, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Renews the lease; keeps what is written and not sent, if any. Changes no version and is no audit entry.
    ///
    /// # Errors
    /// `Held` by another, `NotNow` when the lease lapsed (the draft is kept all the same).
    pub async fn heartbeat(
        &self,
        seat: Seat<'_>,
        id: &str,
        draft: Option<&str>,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let _ = (seat, id, draft, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Gives a claim up. A lead may give up another's.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn release(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let _ = (seat, id, version, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Says who is to work it, or that anybody may. Whoever holds it now and is another loses it.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn assign(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        to: Assignee<'_>,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let _ = (seat, id, version, to, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Puts it away until a time; a new hit wakes it earlier. It is released.
    ///
    /// # Errors
    /// See [`QueueError`]; `Invalid` when the time is not ahead or more than 30 days.
    pub async fn snooze(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        until_ms: i64,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let _ = (seat, id, version, until_ms, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Hands it to the leads, with a reason as a note. It is released.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn escalate(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        reason: &str,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let _ = (seat, id, version, reason, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Wakes what has slept long enough. To be called each second or so; `claim_next` does not wait for it.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn wake(&self, now_ms: i64) -> Result<u64, QueueError> {
        let _ = now_ms;
        Err(QueueError::Unavailable("not built".to_owned()))
    }
}
