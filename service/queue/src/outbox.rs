//! What follows an action, written in its transaction and carried out afterwards, once or the same again.

use crate::error::QueueError;
use crate::store::Queue;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A label for the labels topic, source `analyst`.
    Label {
        /// The payment.
        transaction_id: String,
        /// Fraud, or legitimate.
        fraud: bool,
        /// From when on it is known: when it could not be taken back any more.
        label_ms: i64,
    },
    /// An entry of the block list.
    Block {
        /// The entity.
        entity: String,
        /// Its key.
        key: String,
        /// Who said so.
        owner: String,
        /// Why.
        reason: String,
    },
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number: to be told when it is done.
    pub seq: i64,
    /// What.
    pub effect: Effect,
}

impl Queue {
    /// What is to be done by now, in order, and cannot be taken back any more; at most `limit`.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn outbox(&self, limit: usize, now_ms: i64) -> Result<Vec<OutboxRow>, QueueError> {
        let _ = (limit, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// These are done: the brokers have acknowledged them, the list has them.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn sent(&self, seqs: &[i64], now_ms: i64) -> Result<(), QueueError> {
        let _ = (seqs, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Rows that wait, and how long the oldest is overdue: for metrics.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn outbox_depth(&self, now_ms: i64) -> Result<(u64, i64), QueueError> {
        let _ = now_ms;
        Err(QueueError::Unavailable("not built".to_owned()))
    }
}
