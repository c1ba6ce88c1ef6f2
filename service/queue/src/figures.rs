//! The queue in a few numbers that cost little: for metrics, asked every few seconds.

use sqlx::Row;

use crate::error::QueueError;
use crate::store::Queue;

/// The numbers of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Open alerts.
    pub open: u64,
    /// How long the oldest of them has been open.
    pub oldest_ms: i64,
    /// Labels and block-list entries on their way.
    pub outbox: u64,
    /// How long the oldest of them is overdue.
    pub overdue_ms: i64,
    /// Number of the audit log's last entry.
    pub audited: i64,
}

impl Queue {
    /// The numbers.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn figures(&self, now_ms: i64) -> Result<Figures, QueueError> {
        let row = sqlx::query(OPEN).fetch_one(&self.pool).await?;
        let oldest: Option<i64> = row.try_get("oldest")?;
        let open = u64::try_from(row.try_get::<i64, _>("n")?).unwrap_or(0);
        let (outbox, overdue_ms) = self.outbox_depth(now_ms).await?;
        let audited = self.audit_head().await?.map_or(0, |head| head.seq);
        let oldest_ms = oldest.map_or(0, |oldest| (now_ms - oldest).max(0));
        Ok(Figures { open, oldest_ms, outbox, overdue_ms, audited })
    }
}

pub(crate) const OPEN: &str =
    "SELECT COUNT(*) AS n, MIN(opened_at) AS oldest FROM alerts WHERE state = 'open'";
