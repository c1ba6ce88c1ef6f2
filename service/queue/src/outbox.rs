//! What follows an action, written in its transaction and carried out afterwards, once or the same again.

use serde_json::{Value, json};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::QueueError;
use crate::store::{Queue, Write};

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

/// Which of them: each kind goes its own way, so that what one waits for does not hold up the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EffectKind {
    /// Labels.
    Label,
    /// Entries of the block list.
    Block,
}

impl EffectKind {
    /// Both.
    pub const ALL: [EffectKind; 2] = [EffectKind::Label, EffectKind::Block];

    const fn as_str(self) -> &'static str {
        match self {
            EffectKind::Label => "label",
            EffectKind::Block => "block",
        }
    }
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number: to be told when it is done.
    pub seq: i64,
    /// The alert whose verdict it follows from.
    pub alert_id: String,
    /// What.
    pub effect: Effect,
}

/// A label's row in the outbox: the same text for the same label, since it is compared.
pub(crate) fn label_body(transaction_id: &str, fraud: bool, label_ms: i64) -> String {
    json!({ "fraud": fraud, "label_ms": label_ms, "transaction_id": transaction_id }).to_string()
}

fn effect(row: &AnyRow) -> Result<OutboxRow, QueueError> {
    let damaged = || QueueError::Damaged("a row of the outbox makes no sense".to_owned());
    let body: Value = serde_json::from_str(&row.try_get::<String, _>("body")?).map_err(|_| damaged())?;
    let text = |name: &str| body[name].as_str().map(str::to_owned).ok_or_else(damaged);
    let effect = match row.try_get::<String, _>("kind")?.as_str() {
        "label" => Effect::Label {
            transaction_id: text("transaction_id")?,
            fraud: body["fraud"].as_bool().ok_or_else(damaged)?,
            label_ms: body["label_ms"].as_i64().ok_or_else(damaged)?,
        },
        "block" => Effect::Block {
            entity: text("entity")?,
            key: text("key")?,
            owner: text("owner")?,
            reason: text("reason")?,
        },
        _ => return Err(damaged()),
    };
    Ok(OutboxRow { seq: row.try_get("seq")?, alert_id: row.try_get("alert_id")?, effect })
}

impl Write {
    /// Puts effects of an action on their way.
    pub(crate) async fn follow(
        &mut self,
        action_id: &str,
        alert_id: &str,
        effects: &[Effect],
        leaves_ms: i64,
    ) -> Result<(), QueueError> {
        if effects.is_empty() {
            return Ok(());
        }
        let text = "UPDATE audit_head SET outbox_next = outbox_next + $1 WHERE id = 1 RETURNING outbox_next";
        let row = sqlx::query(text).bind(effects.len() as i64).fetch_one(self.connection()).await?;
        let first = row.try_get::<i64, _>("outbox_next")? - effects.len() as i64;
        for (seq, effect) in (first..).zip(effects) {
            let (kind, transaction_id, body) = match effect {
                Effect::Label { transaction_id, fraud, label_ms } => (
                    EffectKind::Label,
                    Some(transaction_id.as_str()),
                    label_body(transaction_id, *fraud, *label_ms),
                ),
                Effect::Block { entity, key, owner, reason } => {
                    let body = json!({ "entity": entity, "key": key, "owner": owner, "reason": reason });
                    (EffectKind::Block, None, body.to_string())
                }
            };
            sqlx::query(
                "INSERT INTO outbox (seq, action_id, alert_id, kind, transaction_id, body, leaves_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(seq)
            .bind(action_id)
            .bind(alert_id)
            .bind(kind.as_str())
            .bind(transaction_id)
            .bind(body)
            .bind(leaves_ms)
            .execute(self.connection())
            .await?;
        }
        Ok(())
    }
}

pub(crate) const DUE: &str = "SELECT seq, alert_id, kind, body FROM outbox \
    WHERE sent_at IS NULL AND leaves_at <= $1 AND kind = $3 ORDER BY leaves_at, seq LIMIT $2";

pub(crate) const DEPTH: &str =
    "SELECT COUNT(*) AS waiting, MIN(leaves_at) AS oldest FROM outbox WHERE sent_at IS NULL";

impl Queue {
    /// What of a kind is to be done by now, in order; at most `limit`. From here on it cannot be taken back. What was given out
    /// and not told to be sent is given out again.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn outbox(
        &self,
        kind: EffectKind,
        limit: usize,
        now_ms: i64,
    ) -> Result<Vec<OutboxRow>, QueueError> {
        let due = sqlx::query(DUE).bind(now_ms).bind(limit as i64).bind(kind.as_str());
        let due = due.fetch_all(&self.pool).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let mut write = self.write().await?;
        let mut rows = Vec::with_capacity(due.len());
        for row in &due {
            // One that was taken back meanwhile is gone.
            let seq: i64 = row.try_get("seq")?;
            let text = "UPDATE outbox SET leaving = 1 WHERE seq = $1 AND sent_at IS NULL";
            let marked = sqlx::query(text).bind(seq).execute(write.connection()).await?;
            if marked.rows_affected() > 0 {
                rows.push(effect(row)?);
            }
        }
        write.commit().await?;
        Ok(rows)
    }

    /// These are done: the brokers have acknowledged them, the list has them.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn sent(&self, seqs: &[i64], now_ms: i64) -> Result<(), QueueError> {
        let mut write = self.write().await?;
        for seq in seqs {
            let text = "UPDATE outbox SET sent_at = $2 WHERE seq = $1 AND sent_at IS NULL";
            sqlx::query(text).bind(*seq).bind(now_ms).execute(write.connection()).await?;
        }
        write.commit().await
    }

    /// Rows that wait, and how long the oldest is overdue: for metrics.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn outbox_depth(&self, now_ms: i64) -> Result<(u64, i64), QueueError> {
        let row = sqlx::query(DEPTH).fetch_one(&self.pool).await?;
        let waiting = u64::try_from(row.try_get::<i64, _>("waiting")?).unwrap_or(0);
        let oldest: Option<i64> = row.try_get("oldest")?;
        Ok((waiting, oldest.map_or(0, |oldest| (now_ms - oldest).max(0))))
    }
}
