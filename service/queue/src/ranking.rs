//! The stored ranks follow the rules: where those that they were computed by are not those of now, all that is not
//! resolved is computed anew when the queue is opened. Half of a list by other rates would be in no order.

use std::collections::HashMap;

use serde_json::json;
use sqlx::{AssertSqlSafe, Row};

use crate::error::QueueError;
use crate::facts::{Counted, HITS_OF_MANY, Opened};
use crate::known::{GROUP, bound, grouped};
use crate::rules::Rules;
use crate::store::{Queue, Write};

/// Alerts of one transaction: so few that who works one of them in another process waits for some milliseconds.
const PAGE: usize = 10 * GROUP;

const TERMS: &str = "SELECT terms FROM ranked WHERE id = 1";

const NOT_RESOLVED: &str = "SELECT alert_id FROM alerts WHERE state <> 'resolved'";

const LOCKED: [&str; 2] = [
    "SELECT alert_id, currency, opened_at FROM alerts WHERE alert_id IN (PLACES) AND state <> 'resolved' ORDER BY alert_id",
    "SELECT alert_id, currency, opened_at FROM alerts WHERE alert_id IN (PLACES) AND state <> 'resolved' ORDER BY alert_id \
     FOR UPDATE",
];

impl Rules {
    /// All that stored ranks and values depend on, as a text that is compared.
    fn terms(&self) -> String {
        json!({ "currency": self.exchange.currency, "due_hold_ms": self.due_hold_ms, "due_ms": self.due_ms,
            "half_life_ms": self.half_life_ms, "hold_weight": self.hold_weight, "rates": self.exchange.rates })
        .to_string()
    }
}

impl Queue {
    /// Computes ranks and values anew, where they were computed by other rules. Broken off, it is begun again by whoever
    /// opens the queue next; two at once do the same twice.
    pub(crate) async fn rank_anew(&self) -> Result<(), QueueError> {
        let terms = self.rules().terms();
        let row = sqlx::query(TERMS).fetch_one(&self.pool).await?;
        if row.try_get::<String, _>("terms")? == terms {
            return Ok(());
        }
        let rows = sqlx::query(NOT_RESOLVED).fetch_all(&self.pool).await?;
        let mut ids: Vec<String> =
            rows.iter().map(|row| row.try_get("alert_id")).collect::<Result<_, sqlx::Error>>()?;
        // In the order of bulk actions, so that neither waits for the other's.
        ids.sort_unstable();
        for page in ids.chunks(PAGE) {
            let mut write = self.write().await?;
            for group in page.chunks(GROUP) {
                write.rank_anew(group, self.rules()).await?;
            }
            write.commit().await?;
        }
        let mut write = self.write().await?;
        let text = "UPDATE ranked SET terms = $1 WHERE id = 1";
        sqlx::query(text).bind(terms).execute(write.connection()).await?;
        write.commit().await?;
        if !ids.is_empty() {
            tracing::info!(alerts = ids.len(), "other rules rank alerts now: all that wait are ranked anew");
        }
        Ok(())
    }
}

impl Write {
    async fn rank_anew(&mut self, ids: &[String], rules: &Rules) -> Result<(), QueueError> {
        let locked = grouped(self.pick(LOCKED[0], LOCKED[1]));
        let locked = bound(sqlx::query(AssertSqlSafe(locked)), ids);
        let alerts = locked.fetch_all(self.connection()).await?;
        let counted = bound(sqlx::query(AssertSqlSafe(grouped(HITS_OF_MANY))), ids);
        let mut hits: HashMap<String, Vec<Counted>> = HashMap::new();
        for row in counted.fetch_all(self.connection()).await? {
            hits.entry(row.try_get("alert_id")?).or_default().push(Counted::read(&row)?);
        }
        for row in alerts {
            let (id, currency): (String, String) = (row.try_get("alert_id")?, row.try_get("currency")?);
            let opened = Opened { id: &id, currency: &currency, at_ms: row.try_get("opened_at")? };
            if let Some(hits) = hits.get(&id) {
                self.keep_facts(&opened, hits, rules, None).await?;
            }
        }
        Ok(())
    }
}
