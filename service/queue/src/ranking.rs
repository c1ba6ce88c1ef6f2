//! The stored ranks follow the rules: each alert has by which rules it was ranked, and where those are not the rules of now
//! it is computed anew, unless it is resolved. Half of a list by other rates would be in no order.

use std::collections::{BTreeSet, HashMap};

use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Row};

use crate::error::QueueError;
use crate::facts::{Counted, HITS_OF_MANY, Opened};
use crate::known::{GROUP, bound, grouped};
use crate::rules::Rules;
use crate::store::{Queue, Write};

/// Alerts of one transaction: so few that who works one of them in another process waits for some milliseconds.
const PAGE: usize = GROUP;

/// All that waits is looked at, by the indexes of its lists: some ten milliseconds for a hundred thousand, once a minute. An
/// index of its own would be taken for lists too, which would then be sorted.
pub(crate) const OTHERWISE_RANKED: &str = "SELECT alert_id FROM alerts WHERE state = 'open' AND ranked_by <> $1 UNION ALL \
     SELECT alert_id FROM alerts WHERE state = 'snoozed' AND ranked_by <> $1 UNION ALL \
     SELECT alert_id FROM alerts WHERE state = 'proposed' AND ranked_by <> $1";

const LOCKED: [&str; 2] = [
    "SELECT alert_id, currency, opened_at FROM alerts WHERE alert_id IN (PLACES) AND state <> 'resolved' ORDER BY alert_id",
    "SELECT alert_id, currency, opened_at FROM alerts WHERE alert_id IN (PLACES) AND state <> 'resolved' ORDER BY alert_id \
     FOR UPDATE",
];

impl Rules {
    /// All that stored ranks and values depend on, as a short text that is compared.
    pub(crate) fn terms(&self) -> String {
        let terms = json!({ "currency": self.exchange.currency, "due_hold_ms": self.due_hold_ms, "due_ms": self.due_ms,
            "half_life_ms": self.half_life_ms, "hold_weight": self.hold_weight, "rates": self.exchange.rates });
        let mut hash = hex::encode(Sha256::digest(terms.to_string()));
        hash.truncate(16);
        hash
    }
}

impl Queue {
    /// Computes ranks and values anew, where they were computed by other rules. For the service alone, at its start and now
    /// and then: another process may rank by other rules for a while. Broken off, the rest is done the next time; two at once
    /// do the same twice.
    ///
    /// # Errors
    /// See [`QueueError`]; an alert with a hit that makes no sense is passed over.
    pub async fn rank_anew(&self) -> Result<(), QueueError> {
        let rows = sqlx::query(OTHERWISE_RANKED).bind(self.rules().terms()).fetch_all(&self.pool).await?;
        let mut ids: Vec<String> =
            rows.iter().map(|row| row.try_get("alert_id")).collect::<Result<_, sqlx::Error>>()?;
        // In the order of bulk actions, so that neither waits for the other's.
        ids.sort_unstable();
        let mut ranked = 0;
        for page in ids.chunks(PAGE) {
            let mut write = self.write().await?;
            ranked += write.rank_anew(page, self.rules()).await?;
            write.commit().await?;
        }
        if ranked > 0 {
            tracing::info!(alerts = ranked, "alerts that other rules had ranked are ranked anew");
        }
        Ok(())
    }
}

impl Write {
    /// How many it ranked.
    async fn rank_anew(&mut self, ids: &[String], rules: &Rules) -> Result<usize, QueueError> {
        let locked = grouped(self.pick(LOCKED[0], LOCKED[1]));
        let locked = bound(sqlx::query(AssertSqlSafe(locked)), ids);
        let alerts = locked.fetch_all(self.connection()).await?;
        let counted = bound(sqlx::query(AssertSqlSafe(grouped(HITS_OF_MANY))), ids);
        let (mut hits, mut damaged): (HashMap<String, Vec<Counted>>, _) = (HashMap::new(), BTreeSet::new());
        for row in counted.fetch_all(self.connection()).await? {
            let id: String = row.try_get("alert_id")?;
            match Counted::read(&row) {
                Ok(hit) => hits.entry(id).or_default().push(hit),
                Err(QueueError::Damaged(why)) => {
                    tracing::warn!(alert = id, why, "an alert is not ranked anew");
                    damaged.insert(id);
                }
                Err(error) => return Err(error),
            }
        }
        let mut ranked = 0;
        for row in alerts {
            let (id, currency): (String, String) = (row.try_get("alert_id")?, row.try_get("currency")?);
            let opened = Opened { id: &id, currency: &currency, at_ms: row.try_get("opened_at")? };
            if let Some(hits) = hits.get(&id).filter(|_| !damaged.contains(&id)) {
                self.keep_facts(&opened, hits, rules, None).await?;
                ranked += 1;
            }
        }
        Ok(ranked)
    }
}
