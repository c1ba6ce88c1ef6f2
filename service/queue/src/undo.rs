//! Actions that are taken back: the alerts are as they were, and what was on its way is gone.
//!
//! What analysts change of an alert is kept with each action that may be taken back; facts are not, since they stay true.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;

use crate::alert::{Alert, State};
use crate::audit::Deed;
use crate::claim::Seat;
use crate::error::QueueError;
use crate::facts::News;
use crate::standing::{AlertRow, Standing};
use crate::store::{Queue, Write};
use crate::verdict::{BulkItem, told};

/// What an alert was before an action.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Before {
    #[serde(flatten)]
    standing: Standing,
    /// The payments that it had; actions of an earlier version do not say.
    #[serde(default)]
    hits: Option<i64>,
}

impl Queue {
    /// Takes an action back, one's own or, by a lead, another's: the alerts are as they were, what was on its way is
    /// gone. Alerts changed since by somebody are told as `Stale` and left; hits and labels since do not count, but what one
    /// of them would have woken does not sleep again.
    ///
    /// # Errors
    /// `UndoOver`, `NotFound`.
    pub async fn undo(
        &self,
        seat: Seat<'_>,
        action_id: &str,
        now_ms: i64,
    ) -> Result<Vec<BulkItem>, QueueError> {
        let mut write = self.write().await?;
        write.take_back(seat, action_id, now_ms).await?;
        let text = "SELECT alert_id, before FROM action_alerts WHERE action_id = $1 ORDER BY alert_id";
        let rows = sqlx::query(text).bind(action_id).fetch_all(write.connection()).await?;
        let mut befores: Vec<(String, Before)> = Vec::with_capacity(rows.len());
        for row in rows {
            let before = serde_json::from_str(&row.try_get::<String, _>("before")?);
            let before = before.map_err(|error| QueueError::Damaged(error.to_string()))?;
            befores.push((row.try_get("alert_id")?, before));
        }
        // Before any alert is locked, and in one order: who disables an account locks it, then its alerts.
        let assignees: BTreeSet<_> =
            befores.iter().filter_map(|(_, before)| before.standing.assignee.clone()).collect();
        for assignee in &assignees {
            write.hold_account(assignee).await?;
        }
        let mut items = Vec::with_capacity(befores.len());
        for (id, before) in befores {
            let outcome = self.restored(&mut write, seat, action_id, &id, before, now_ms).await;
            items.push(BulkItem { alert_id: id, outcome: told(outcome)? });
        }
        let done = items.iter().filter(|item| item.outcome.is_ok());
        let detail = json!({ "action": action_id });
        let deeds: Vec<_> = done
            .map(|item| {
                let (at_ms, actor, object) = (now_ms, seat.name, item.alert_id.as_str());
                Deed { at_ms, actor, action: "undo", object, detail: &detail }
            })
            .collect();
        write.audit(&deeds).await?;
        write.commit().await?;
        Ok(items)
    }

    /// One alert of an action that is taken back.
    async fn restored(
        &self,
        write: &mut Write,
        seat: Seat<'_>,
        action_id: &str,
        id: &str,
        before: Before,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let Before { standing: mut before, hits } = before;
        // Who has left meanwhile does not have it again.
        if let Some(assignee) = before.assignee.clone()
            && assignee != seat.name
            && !write.is_worker(&assignee, &self.rules().workers, now_ms).await?
        {
            before.assignee = None;
        }
        let row = write.locked(id).await?;
        if row.standing.undo.as_ref().is_none_or(|(last, _)| last != action_id) {
            return Err(QueueError::Stale { version: row.alert.version });
        }
        if row.standing.state == State::Resolved {
            let text = "SELECT alert_id FROM alerts WHERE entity = $1 AND entity_key = $2 AND rule = $3 AND state <> 'resolved'";
            let newer = sqlx::query(text).bind(&row.alert.entity).bind(&row.alert.key).bind(&row.alert.rule);
            if newer.fetch_optional(write.connection()).await?.is_some() {
                let entity = &row.alert.entity;
                return Err(QueueError::NotNow(format!(
                    "a newer alert of this {entity} is open: it goes on there"
                )));
            }
        }
        // A payment that came meanwhile would have woken it.
        if before.state == State::Snoozed && hits.is_some_and(|hits| row.alert.hits > hits) {
            (before.state, before.snoozed_until_ms) = (State::Open, None);
        }
        let text = "DELETE FROM outbox WHERE action_id = $1 AND alert_id = $2";
        sqlx::query(text).bind(action_id).bind(id).execute(write.connection()).await?;
        before.undo = None;
        if before.holder.as_deref() == Some(seat.name) {
            before.held(seat.name, now_ms.saturating_add(self.rules().lease_ms));
        }
        let alert = write.stand(id, &before, now_ms).await?;
        if row.standing.state != State::Resolved {
            return Ok(alert);
        }
        // The facts of a resolved one stand still: labels, or other rules, may have come meanwhile.
        write.refresh(id, self.rules(), News::Label, now_ms).await?;
        write.as_told(id, now_ms).await
    }
}

impl Write {
    /// A new action; its id.
    pub(crate) async fn begin_action(
        &mut self,
        seat: Seat<'_>,
        now_ms: i64,
        undo_until_ms: i64,
    ) -> Result<String, QueueError> {
        let id = format!("act_{}", hex::encode(rand::random::<[u8; 16]>()));
        sqlx::query("INSERT INTO actions (action_id, at, actor, undo_until) VALUES ($1, $2, $3, $4)")
            .bind(id.as_str())
            .bind(now_ms)
            .bind(seat.name)
            .bind(undo_until_ms)
            .execute(self.connection())
            .await?;
        Ok(id)
    }

    /// Keeps what an alert was before an action.
    pub(crate) async fn keep_before(&mut self, action_id: &str, row: &AlertRow) -> Result<(), QueueError> {
        let before = Before { standing: row.standing.clone(), hits: Some(row.alert.hits) };
        let before =
            serde_json::to_string(&before).map_err(|error| QueueError::Damaged(error.to_string()))?;
        sqlx::query("INSERT INTO action_alerts (action_id, alert_id, before) VALUES ($1, $2, $3)")
            .bind(action_id)
            .bind(row.alert.alert_id.as_str())
            .bind(before)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Marks an action as taken back, if that can still be done and by this person.
    async fn take_back(&mut self, seat: Seat<'_>, action_id: &str, now_ms: i64) -> Result<(), QueueError> {
        let text = self.pick(
            "SELECT actor, undo_until, undone_at FROM actions WHERE action_id = $1",
            "SELECT actor, undo_until, undone_at FROM actions WHERE action_id = $1 FOR UPDATE",
        );
        let row = sqlx::query(text).bind(action_id).fetch_optional(self.connection()).await?;
        let row = row.ok_or(QueueError::NotFound)?;
        let (actor, until_ms): (String, i64) = (row.try_get("actor")?, row.try_get("undo_until")?);
        if actor != seat.name && !seat.leads {
            return Err(QueueError::NotFound);
        }
        // Locked, so that what is being taken back does not leave meanwhile.
        let leaving = self.pick(
            "SELECT leaving FROM outbox WHERE action_id = $1 ORDER BY seq",
            "SELECT leaving FROM outbox WHERE action_id = $1 ORDER BY seq FOR UPDATE",
        );
        let mut has_left = false;
        for row in sqlx::query(leaving).bind(action_id).fetch_all(self.connection()).await? {
            has_left |= row.try_get::<i64, _>("leaving")? != 0;
        }
        if has_left || now_ms >= until_ms || row.try_get::<Option<i64>, _>("undone_at")?.is_some() {
            return Err(QueueError::UndoOver);
        }
        let text = "UPDATE actions SET undone_at = $2 WHERE action_id = $1";
        sqlx::query(text).bind(action_id).bind(now_ms).execute(self.connection()).await?;
        Ok(())
    }
}
