//! What is known of entities and payments: the alerts of a key, the open ones of many keys, the labels of many payments.
//!
//! Many are asked for at once, in groups of one size: a page costs a handful of questions however much it shows, and the
//! database prepares each text once.

use std::collections::HashMap;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row};

use crate::alert::{Alert, KnownLabel};
use crate::error::QueueError;
use crate::standing;
use crate::store::Queue;

/// Values of one question; the last group is filled up with the empty text, which is no id and no key.
pub(crate) const GROUP: usize = 50;

/// Most alerts of a key that are told.
const MOST: usize = 200;

/// A question that has `IN (PLACES)`, with `$1, $2, ...` of a group there.
pub(crate) fn grouped(text: &str) -> String {
    let places: Vec<String> = (1..=GROUP).map(|place| format!("${place}")).collect();
    text.replace("PLACES", &places.join(", "))
}

/// The values of a group, filled up.
pub(crate) fn bound<'q>(
    query: Query<'q, Any, AnyArguments>,
    values: &'q [String],
) -> Query<'q, Any, AnyArguments> {
    let rest = std::iter::repeat_n("", GROUP.saturating_sub(values.len()));
    values.iter().map(String::as_str).chain(rest).fold(query, Query::bind)
}

impl Queue {
    /// Rows of a question that has `IN (PLACES)` once, for all values; behind them it may ask for an entity.
    async fn of_many(
        &self,
        text: &str,
        values: &[String],
        entity: Option<&str>,
    ) -> Result<Vec<AnyRow>, QueueError> {
        let text = grouped(text);
        let mut rows = Vec::new();
        for group in values.chunks(GROUP) {
            let query = sqlx::query(AssertSqlSafe(text.clone()));
            let query = entity.into_iter().fold(bound(query, group), Query::bind);
            rows.extend(query.fetch_all(&self.pool).await?);
        }
        Ok(rows)
    }

    /// Labels of these payments, as far as there are.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn labels_of(
        &self,
        transaction_ids: &[String],
    ) -> Result<HashMap<String, KnownLabel>, QueueError> {
        let text =
            "SELECT transaction_id, fraud, label_at, source FROM labels WHERE transaction_id IN (PLACES)";
        let label = |row: &AnyRow| {
            let fraud = row.try_get::<i64, _>("fraud")? != 0;
            let label =
                KnownLabel { fraud, label_ms: row.try_get("label_at")?, source: row.try_get("source")? };
            Ok((row.try_get("transaction_id")?, label))
        };
        self.of_many(text, transaction_ids, None).await?.iter().map(label).collect()
    }

    /// Entity and key of each entity of these hits.
    pub(crate) async fn entities_of(
        &self,
        hit_ids: &[String],
    ) -> Result<HashMap<String, Vec<(String, String)>>, QueueError> {
        let text = "SELECT hit_id, entity, entity_key FROM hit_entities WHERE hit_id IN (PLACES) ORDER BY hit_id, entity";
        let mut entities: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for row in self.of_many(text, hit_ids, None).await? {
            let one = (row.try_get("entity")?, row.try_get("entity_key")?);
            entities.entry(row.try_get("hit_id")?).or_default().push(one);
        }
        Ok(entities)
    }

    /// Id and key of the alerts of these keys that are not resolved.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn open_of(&self, entity: &str, keys: &[String]) -> Result<Vec<(String, String)>, QueueError> {
        let text = "SELECT alert_id, entity_key FROM alerts WHERE entity_key IN (PLACES) AND entity = $51 \
                    AND state <> 'resolved' ORDER BY rank_key DESC, alert_id";
        let rows = self.of_many(text, keys, Some(entity)).await?;
        rows.iter().map(|row| Ok((row.try_get("alert_id")?, row.try_get("entity_key")?))).collect()
    }

    /// The alerts that the last payments of a key are on, whatever became of them, the newest first.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn alerts_of(
        &self,
        entity: &str,
        key: &str,
        limit: usize,
        now_ms: i64,
    ) -> Result<Vec<Alert>, QueueError> {
        let text = "SELECT * FROM alerts WHERE alert_id IN (SELECT h.alert_id FROM hit_entities e \
                    JOIN hits h ON h.hit_id = e.hit_id WHERE e.entity_key = $1 AND e.entity = $2 \
                    ORDER BY e.raised_at DESC LIMIT $3) ORDER BY opened_at DESC, alert_id";
        let rows = sqlx::query(text).bind(key).bind(entity).bind(limit.min(MOST) as i64);
        rows.fetch_all(&self.pool).await?.iter().map(|row| standing::alert(row, now_ms)).collect()
    }
}
