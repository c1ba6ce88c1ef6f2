//! Records of the alerts and labels topics, taken in once: rows and the next offset in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use schemas::alert::Alert;
use schemas::payment::Label;
use sqlx::Row;

use crate::error::QueueError;
use crate::facts::News;
use crate::outbox::label_body;
use crate::store::{Queue, Write};

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
        let rows = sqlx::query("SELECT part, next FROM offsets WHERE topic = $1").bind(topic);
        let rows = rows.fetch_all(&self.pool).await?;
        let offset = |row: &sqlx::any::AnyRow| {
            let part = i32::try_from(row.try_get::<i64, _>("part")?);
            let part = part.map_err(|_| QueueError::Damaged("a partition's number is none".to_owned()))?;
            Ok((part, row.try_get("next")?))
        };
        rows.iter().map(offset).collect()
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
        let mut write = self.write().await?;
        if let Some(next) = write.moved(span).await? {
            return Ok(Taken::Elsewhere(next));
        }
        let stored = alerts.iter().map(|alert| {
            let mut alert = alert.clone();
            alert.transaction_id = storable(&alert.transaction_id);
            alert.entities.iter_mut().for_each(|one| one.key = storable(&one.key));
            alert
        });
        let (stored, entity) = (stored.collect::<Vec<_>>(), &self.rules().entity);
        write.lock_open(&stored, entity).await?;
        let mut touched = BTreeSet::new();
        for alert in &stored {
            touched.extend(write.hit(alert, entity, now_ms).await?);
        }
        for id in touched {
            write.refresh(&id, self.rules(), News::Hit, now_ms).await?;
        }
        write.commit().await?;
        self.say_unrated(&stored);
        Ok(Taken::Now)
    }

    /// Says of a currency that has no rate, once, that it counts as if it were the queue's own.
    fn say_unrated(&self, alerts: &[Alert]) {
        let exchange = &self.rules().exchange;
        let mut said = self.unrated.lock().unwrap_or_else(PoisonError::into_inner);
        for currency in alerts.iter().map(|alert| alert.currency.as_str()) {
            if !exchange.knows(currency) && said.insert(currency.to_owned()) {
                let own = exchange.currency.as_str();
                tracing::warn!(currency, own, "no rate in queue.rates: its minor units count one to one");
            }
        }
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
        let mut write = self.write().await?;
        if let Some(next) = write.moved(span).await? {
            return Ok(Taken::Elsewhere(next));
        }
        let mut touched = BTreeSet::new();
        for label in labels {
            let transaction_id = storable(&label.transaction_id).into();
            touched.extend(write.label(&Label { transaction_id, ..label.clone() }, now_ms).await?);
        }
        for id in touched {
            write.refresh(&id, self.rules(), News::Label, now_ms).await?;
        }
        write.commit().await?;
        Ok(Taken::Now)
    }
}

/// Postgres has no text with U+0000. Payments with one are refused; from before there may be some in the topics.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}

/// The open alert of an entity and rule: to look, and to lock it in Postgres.
const OPEN: [&str; 2] = [
    "SELECT alert_id FROM alerts WHERE entity = $1 AND entity_key = $2 AND rule = $3 AND state <> 'resolved'",
    "SELECT alert_id FROM alerts WHERE entity = $1 AND entity_key = $2 AND rule = $3 AND state <> 'resolved' FOR UPDATE",
];

/// Whose alert it is: the configured entity, else the payment's first, else the payment itself.
fn subject<'a>(alert: &'a Alert, entity: &str) -> (&'a str, &'a str) {
    let chosen = alert.entities.iter().find(|one| *one.entity == *entity).or(alert.entities.first());
    chosen
        .map_or(("transaction", alert.transaction_id.as_str()), |one| (one.entity.as_str(), one.key.as_str()))
}

impl Write {
    /// Moves the offset on; the one that is there if it is not the one that was thought.
    async fn moved(&mut self, span: &Span<'_>) -> Result<Option<i64>, QueueError> {
        // A hit and the label of its payment that are taken in at the same moment would not see each other: in Postgres, too,
        // one at a time, until the end of the transaction.
        if !self.is_alone() {
            // Longer than people wait: another filler may be at a whole batch.
            for text in [
                "SET LOCAL lock_timeout = '8s'",
                "LOCK TABLE offsets IN SHARE ROW EXCLUSIVE MODE",
                "SET LOCAL lock_timeout = '3s'",
            ] {
                sqlx::query(text).execute(self.connection()).await?;
            }
        }
        let part = i64::from(span.partition);
        let done = match span.from {
            None => {
                let text =
                    "INSERT INTO offsets (topic, part, next) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
                sqlx::query(text)
                    .bind(span.topic)
                    .bind(part)
                    .bind(span.next)
                    .execute(self.connection())
                    .await?
            }
            Some(from) => {
                let text = "UPDATE offsets SET next = $3 WHERE topic = $1 AND part = $2 AND next = $4";
                let moved = sqlx::query(text).bind(span.topic).bind(part).bind(span.next).bind(from);
                moved.execute(self.connection()).await?
            }
        };
        if done.rows_affected() > 0 {
            return Ok(None);
        }
        let text = "SELECT next FROM offsets WHERE topic = $1 AND part = $2";
        let row = sqlx::query(text).bind(span.topic).bind(part).fetch_optional(self.connection()).await?;
        row.map_or(Ok(Some(0)), |row| Ok(Some(row.try_get("next")?)))
    }

    /// Locks the open alerts that hits come on in the order of bulk actions, so that neither waits for the other's. One that
    /// is opened by another meanwhile is locked with its hit.
    async fn lock_open(&mut self, alerts: &[Alert], entity: &str) -> Result<(), QueueError> {
        if self.is_alone() {
            return Ok(());
        }
        let mut ids: BTreeSet<String> = BTreeSet::new();
        for alert in alerts {
            let (entity, key) = subject(alert, entity);
            let open = sqlx::query(OPEN[0]).bind(entity).bind(key).bind(alert.rule.as_str());
            if let Some(row) = open.fetch_optional(self.connection()).await? {
                ids.insert(row.try_get("alert_id")?);
            }
        }
        for id in ids {
            self.locked(&id).await?;
        }
        Ok(())
    }

    /// Adds a hit; the alert that it is on, unless it was in already.
    async fn hit(&mut self, alert: &Alert, entity: &str, now_ms: i64) -> Result<Option<String>, QueueError> {
        let known = sqlx::query("SELECT hit_id FROM hits WHERE hit_id = $1").bind(&alert.alert_id);
        if known.fetch_optional(self.connection()).await?.is_some() {
            return Ok(None);
        }
        let (entity, key) = subject(alert, entity);
        let open = self.pick(OPEN[0], OPEN[1]);
        let open = sqlx::query(open).bind(entity).bind(key).bind(alert.rule.as_str());
        let id = match open.fetch_optional(self.connection()).await? {
            Some(row) => row.try_get("alert_id")?,
            None => {
                self.open(alert, entity, key, now_ms).await?;
                alert.alert_id.clone()
            }
        };
        self.insert_hit(alert, &id).await?;
        Ok(Some(id))
    }

    /// A new alert; its facts come with [`Write::refresh`].
    async fn open(&mut self, alert: &Alert, entity: &str, key: &str, now_ms: i64) -> Result<(), QueueError> {
        sqlx::query(
            "INSERT INTO alerts (alert_id, version, entity, entity_key, rule, state, opened_at, due_at, changed_at, hits, \
             amount_minor, currency, expected_loss_minor, rank_key, verdict, hold, why) \
             VALUES ($1, 0, $2, $3, $4, 'open', $5, $5, $6, 0, 0, $7, 0, 0, $8, 0, $4)",
        )
        .bind(&alert.alert_id)
        .bind(entity)
        .bind(key)
        .bind(alert.rule.as_str())
        .bind(alert.raised_at_ms)
        .bind(now_ms)
        .bind(alert.currency.as_str())
        .bind(alert.verdict.as_str())
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn insert_hit(&mut self, alert: &Alert, id: &str) -> Result<(), QueueError> {
        let damaged = |error: serde_json::Error| QueueError::Damaged(error.to_string());
        let why = alert.reasons.first().map(|reason| reason.text.as_str()).filter(|text| !text.is_empty());
        sqlx::query(
            "INSERT INTO hits (hit_id, alert_id, decision_id, transaction_id, event_at, raised_at, verdict, hold, score, \
             amount_minor, currency, expected_loss_minor, why, reasons, model, policy) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(&alert.alert_id)
        .bind(id)
        .bind(&alert.decision_id)
        .bind(&alert.transaction_id)
        .bind(alert.event_time.ms())
        .bind(alert.raised_at_ms)
        .bind(alert.verdict.as_str())
        .bind(i64::from(alert.hold))
        .bind(alert.score)
        .bind(alert.amount.minor())
        .bind(alert.currency.as_str())
        .bind(alert.expected_loss_minor)
        .bind(why.unwrap_or(alert.rule.as_str()))
        .bind(serde_json::to_string(&alert.reasons).map_err(damaged)?)
        .bind(alert.model.as_deref())
        .bind(alert.policy.as_str())
        .execute(self.connection())
        .await?;
        for one in &alert.entities {
            let text = "INSERT INTO hit_entities (hit_id, entity, entity_key, raised_at) VALUES ($1, $2, $3, $4) \
                        ON CONFLICT DO NOTHING";
            sqlx::query(text)
                .bind(&alert.alert_id)
                .bind(one.entity.as_str())
                .bind(&one.key)
                .bind(alert.raised_at_ms)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// Keeps a label; the alerts that it concerns.
    async fn label(&mut self, label: &Label, now_ms: i64) -> Result<Vec<String>, QueueError> {
        let id = &*label.transaction_id;
        // One of our own comes back: the line has met it on the same way.
        let body = label_body(id, label.fraud, label.label_time.ms());
        let text = "UPDATE outbox SET applied_at = $3 \
                    WHERE kind = 'label' AND transaction_id = $1 AND body = $2 AND applied_at IS NULL";
        sqlx::query(text).bind(id).bind(body).bind(now_ms).execute(self.connection()).await?;
        let kept = sqlx::query(
            "INSERT INTO labels (transaction_id, fraud, label_at, source) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (transaction_id) DO UPDATE SET fraud = excluded.fraud, label_at = excluded.label_at, \
             source = excluded.source WHERE excluded.label_at >= labels.label_at",
        )
        .bind(id)
        .bind(i64::from(label.fraud))
        .bind(label.label_time.ms())
        .bind(label.source.as_str())
        .execute(self.connection())
        .await?;
        if kept.rows_affected() == 0 {
            return Ok(Vec::new());
        }
        let text = "SELECT DISTINCT alert_id FROM hits WHERE transaction_id = $1";
        let rows = sqlx::query(text).bind(id).fetch_all(self.connection()).await?;
        rows.iter().map(|row| Ok(row.try_get("alert_id")?)).collect()
    }
}
