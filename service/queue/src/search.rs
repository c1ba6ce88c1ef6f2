//! The search: an alert by any of its ids, or by a key of any entity, whole or its beginning.
//!
//! Who may ask for keys by their beginning could put one together letter by letter without ever asking to see it. So a
//! beginning that finds something is written down, as a look at a key is, before it is answered.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;

use crate::alert::Alert;
use crate::claim::Seat;
use crate::error::QueueError;
use crate::standing;
use crate::store::Queue;

/// Shortest beginning of a key that is searched for.
const PREFIX: usize = 3;

/// A list that is searched asks again with each change in the queue: one entry stands for so long.
const SAID_FOR_MS: i64 = 10 * 60_000;

/// Most searches that are remembered, by two texts of some hundred bytes each.
const MOST_SAID: usize = 1_000;

/// Most characters of a text that the log has.
const SEEN: usize = 4;

pub(crate) const BY_ID: &str = "SELECT * FROM alerts WHERE alert_id IN (SELECT CAST($1 AS TEXT) UNION \
    SELECT alert_id FROM hits WHERE hit_id = $1 UNION SELECT alert_id FROM hits WHERE decision_id = $1 UNION \
    SELECT alert_id FROM hits WHERE transaction_id = $1)";

pub(crate) const BY_KEY: &str = "SELECT * FROM alerts WHERE alert_id IN (SELECT h.alert_id FROM hit_entities e \
    JOIN hits h ON h.hit_id = e.hit_id WHERE e.entity_key >= $1 AND e.entity_key < $2 LIMIT 2000) \
    ORDER BY opened_at DESC, alert_id LIMIT 200";

/// Who searched for which beginning, and when it was written down, in this process.
#[derive(Default)]
pub(crate) struct Searches(Mutex<HashMap<(String, String), i64>>);

impl Searches {
    fn said(&self) -> MutexGuard<'_, HashMap<(String, String), i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_said(&self, search: &(String, String), now_ms: i64) -> bool {
        self.said().get(search).is_some_and(|at_ms| (0..SAID_FOR_MS).contains(&(now_ms - at_ms)))
    }

    fn say(&self, search: (String, String), now_ms: i64) {
        let mut said = self.said();
        if said.len() >= MOST_SAID {
            said.clear();
        }
        said.insert(search, now_ms);
    }
}

/// The end of what was searched for, as keys are masked: of a short one no more than a third.
fn masked(text: &str) -> String {
    let count = text.chars().count();
    let end: String = text.chars().skip(count - SEEN.min(count / 3)).collect();
    format!("••••{end}")
}

impl Queue {
    /// Alerts of an id or of a whole key, else of keys that begin so; the last first.
    pub(crate) async fn search(
        &self,
        seat: Seat<'_>,
        text: &str,
        whole_keys: bool,
        now_ms: i64,
    ) -> Result<Vec<Alert>, QueueError> {
        let rows = sqlx::query(BY_ID).bind(text).fetch_all(&self.pool).await?;
        if !rows.is_empty() || text.chars().count() < PREFIX {
            return rows.iter().map(|row| standing::alert(row, now_ms)).collect();
        }
        // The first text behind this one alone, or behind all that begin with it.
        let whole = self.by_key(text, '\u{1}', now_ms).await?;
        if whole_keys || !whole.is_empty() {
            return Ok(whole);
        }
        let found = self.by_key(text, '\u{10ffff}', now_ms).await?;
        let search = (seat.name.to_owned(), text.to_owned());
        if !found.is_empty() && !self.searches.is_said(&search, now_ms) {
            let detail = json!({ "found": found.len(), "text": masked(text) });
            self.write_audit(seat.name, "search", "keys", &detail, now_ms).await?;
            self.searches.say(search, now_ms);
        }
        Ok(found)
    }

    async fn by_key(&self, text: &str, end: char, now_ms: i64) -> Result<Vec<Alert>, QueueError> {
        let rows = sqlx::query(BY_KEY).bind(text).bind(format!("{text}{end}")).fetch_all(&self.pool).await?;
        rows.iter().map(|row| standing::alert(row, now_ms)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_stands_for_the_same_search_of_the_same_person_for_a_while() {
        let searches = Searches::default();
        let search = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        searches.say(search("anna", "tok_9"), 1_000);
        assert!(searches.is_said(&search("anna", "tok_9"), 1_000 + SAID_FOR_MS - 1));
        assert!(!searches.is_said(&search("anna", "tok_9"), 1_000 + SAID_FOR_MS));
        assert!(!searches.is_said(&search("anna", "tok_9f"), 1_001));
        assert!(!searches.is_said(&search("ben", "tok_9"), 1_001));
        for n in 0..2 * MOST_SAID {
            searches.say(search("anna", &n.to_string()), 1_000);
        }
        assert!(searches.said().len() <= MOST_SAID);
    }

    #[test]
    fn the_log_has_the_end_of_what_was_searched_for() {
        assert_eq!(masked("tok_9f86d081"), "••••d081");
        assert_eq!((masked("tok").as_str(), masked("").as_str()), ("••••k", "••••"));
    }
}
