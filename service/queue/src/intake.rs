//! Records of the alerts and labels topics, taken in once: rows and the next offset in one transaction.

use std::collections::BTreeMap;

use schemas::alert::Alert;
use schemas::payment::Label;

use crate::error::QueueError;
use crate::store::Queue;

/// Where records come from: offsets `from` up to, without, `next`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset that the database had as the next one; `None` at the very first.
    pub from: Option<i64>,
    /// The offset behind the last record.
    pub next: i64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is in.
    Now,
    /// Another process was there: go on from this offset. Nothing was done.
    Elsewhere(i64),
}

impl Queue {
    /// By partition the next offset of a topic that is to be taken in.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn offsets(&self, topic: &str) -> Result<BTreeMap<i32, i64>, QueueError> {
        let _ = topic;
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Takes alerts in: a new row, or a hit on the open alert of the same entity and rule. One that is in already changes
    /// nothing. A hit wakes an alert that sleeps.
    ///
    /// # Errors
    /// See [`QueueError`]; nothing was done.
    pub async fn take_alerts(
        &self,
        span: &Span<'_>,
        alerts: &[Alert],
        now_ms: i64,
    ) -> Result<Taken, QueueError> {
        let _ = (span, alerts, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Takes labels in: hits are marked, ranks change, labels on their way are found to be applied.
    ///
    /// # Errors
    /// See [`QueueError`]; nothing was done.
    pub async fn take_labels(
        &self,
        span: &Span<'_>,
        labels: &[Label],
        now_ms: i64,
    ) -> Result<Taken, QueueError> {
        let _ = (span, labels, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }
}
