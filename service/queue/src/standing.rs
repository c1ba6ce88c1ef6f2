//! The analysts' part of an alert's row: what their actions change, and what an action taken back restores.
//!
//! An action reads the row under its lock, decides in plain code what the standing becomes, and writes it with one
//! statement. The facts (hits, amounts, rank) are the other part: topics change them, analysts never.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::alert::{Alert, Disposition, State};
use crate::claim::Seat;
use crate::error::QueueError;
use crate::store::Write;

/// Whose an alert is, as far as that bars others from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claims<'a> {
    pub(crate) escalated: bool,
    pub(crate) assignee: Option<&'a str>,
    /// Who holds it, or did so last.
    pub(crate) holder: Option<&'a str>,
    pub(crate) lease_until_ms: i64,
}

impl<'a> Claims<'a> {
    /// Who holds it at this time.
    pub(crate) fn holder(&self, now_ms: i64) -> Option<&'a str> {
        self.holder.filter(|_| self.lease_until_ms > now_ms)
    }

    /// Whether this one may act: holds it, or nobody does, or leads.
    pub(crate) fn may_act(&self, seat: Seat<'_>, now_ms: i64) -> Result<(), QueueError> {
        match self.holder(now_ms) {
            Some(holder) if holder != seat.name && !seat.leads => {
                Err(QueueError::Held { holder: holder.to_owned(), until_ms: self.lease_until_ms })
            }
            _ => Ok(()),
        }
    }

    /// Whether it is for this one: an escalated alert is for the leads, an assigned one for whom it was given to.
    pub(crate) fn is_for(&self, seat: Seat<'_>) -> Result<(), QueueError> {
        match self.assignee {
            _ if seat.leads => Ok(()),
            Some(other) if other != seat.name => Err(QueueError::NotNow(format!("it is given to {other}"))),
            _ if self.escalated => Err(QueueError::NotNow("it is for the leads".to_owned())),
            _ => Ok(()),
        }
    }

    /// Whether this one may say a verdict on it.
    pub(crate) fn may_decide(&self, seat: Seat<'_>, now_ms: i64) -> Result<(), QueueError> {
        self.may_act(seat, now_ms)?;
        self.is_for(seat)
    }
}

/// What analysts change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) state: State,
    pub(crate) escalated: bool,
    pub(crate) assignee: Option<String>,
    pub(crate) holder: Option<String>,
    pub(crate) lease_until_ms: i64,
    pub(crate) snoozed_until_ms: Option<i64>,
    pub(crate) disposition: Option<Disposition>,
    pub(crate) reason: Option<String>,
    pub(crate) block: bool,
    pub(crate) resolved_by: Option<String>,
    pub(crate) resolved_ms: Option<i64>,
    /// The last action, if it can be taken back.
    pub(crate) undo: Option<(String, i64)>,
}

impl Standing {
    /// Nobody holds it any more.
    pub(crate) fn released(&mut self) {
        (self.holder, self.lease_until_ms) = (None, 0);
    }

    /// This one holds it.
    pub(crate) fn held(&mut self, name: &str, until_ms: i64) {
        (self.holder, self.lease_until_ms) = (Some(name.to_owned()), until_ms);
    }

    /// Whose it is.
    pub(crate) fn claims(&self) -> Claims<'_> {
        Claims {
            escalated: self.escalated,
            assignee: self.assignee.as_deref(),
            holder: self.holder.as_deref(),
            lease_until_ms: self.lease_until_ms,
        }
    }

    /// Whether it waits for a verdict.
    pub(crate) fn is_waiting(&self) -> Result<(), QueueError> {
        match self.state {
            State::Open | State::Snoozed => Ok(()),
            State::Proposed => {
                Err(QueueError::NotNow("a verdict on it waits for a second person".to_owned()))
            }
            State::Resolved => Err(QueueError::NotNow("it is resolved".to_owned())),
        }
    }
}

/// A row, in its two parts.
pub(crate) struct AlertRow {
    pub(crate) alert: Alert,
    pub(crate) standing: Standing,
}

pub(crate) fn read(row: &AnyRow) -> Result<AlertRow, QueueError> {
    let flag = |name: &str| row.try_get::<i64, _>(name).map(|flag| flag != 0);
    let damaged = |what: &str| QueueError::Damaged(format!("an alert's {what} is none"));
    let state = State::parse(&row.try_get::<String, _>("state")?).ok_or_else(|| damaged("state"))?;
    let verdict = schemas::decision::Verdict::parse(&row.try_get::<String, _>("verdict")?);
    let disposition = row.try_get::<Option<String>, _>("disposition")?;
    let disposition = disposition.map(|word| Disposition::parse(&word).ok_or_else(|| damaged("disposition")));
    let action: Option<String> = row.try_get("action_id")?;
    let standing = Standing {
        state,
        escalated: flag("escalated")?,
        assignee: row.try_get("assignee")?,
        holder: row.try_get("holder")?,
        lease_until_ms: row.try_get("lease_until")?,
        snoozed_until_ms: row.try_get("snoozed_until")?,
        disposition: disposition.transpose()?,
        reason: row.try_get("reason")?,
        block: flag("block")?,
        resolved_by: row.try_get("resolved_by")?,
        resolved_ms: row.try_get("resolved_at")?,
        undo: action.zip(row.try_get::<Option<i64>, _>("undo_until")?),
    };
    let alert = Alert {
        alert_id: row.try_get("alert_id")?,
        version: row.try_get("version")?,
        entity: row.try_get("entity")?,
        key: row.try_get("entity_key")?,
        rule: row.try_get("rule")?,
        state,
        escalated: standing.escalated,
        assignee: standing.assignee.clone(),
        holder: standing.holder.clone(),
        lease_until_ms: standing.holder.as_ref().map(|_| standing.lease_until_ms),
        snoozed_until_ms: standing.snoozed_until_ms,
        opened_ms: row.try_get("opened_at")?,
        due_ms: row.try_get("due_at")?,
        changed_ms: row.try_get("changed_at")?,
        hits: row.try_get("hits")?,
        amount_minor: row.try_get("amount_minor")?,
        currency: row.try_get("currency")?,
        expected_loss_minor: row.try_get("expected_loss_minor")?,
        rank_key: row.try_get("rank_key")?,
        score: row.try_get("score")?,
        verdict: verdict.ok_or_else(|| damaged("verdict"))?,
        hold: flag("hold")?,
        why: row.try_get("why")?,
        disposition: standing.disposition,
        reason: standing.reason.clone(),
        resolved_by: standing.resolved_by.clone(),
        resolved_ms: standing.resolved_ms,
        undo: standing.undo.clone(),
    };
    Ok(AlertRow { alert, standing })
}

/// An alert as it is told: who holds it no more is not told.
pub(crate) fn alert(row: &AnyRow, now_ms: i64) -> Result<Alert, QueueError> {
    let AlertRow { mut alert, standing } = read(row)?;
    if standing.claims().holder(now_ms).is_none() {
        (alert.holder, alert.lease_until_ms) = (None, None);
    }
    alert.undo = alert.undo.filter(|(_, until_ms)| *until_ms > now_ms);
    Ok(alert)
}

impl Write {
    /// The row of an alert, nobody else's until the end of the transaction.
    pub(crate) async fn locked(&mut self, id: &str) -> Result<AlertRow, QueueError> {
        // Postgres would not even be asked.
        if id.contains('\0') {
            return Err(QueueError::NotFound);
        }
        let text = self.pick(
            "SELECT * FROM alerts WHERE alert_id = $1",
            "SELECT * FROM alerts WHERE alert_id = $1 FOR UPDATE",
        );
        let row = sqlx::query(text).bind(id).fetch_optional(self.connection()).await?;
        read(&row.ok_or(QueueError::NotFound)?)
    }

    /// An alert as it is told, after what was done with it.
    pub(crate) async fn as_told(&mut self, id: &str, now_ms: i64) -> Result<Alert, QueueError> {
        let row = sqlx::query("SELECT * FROM alerts WHERE alert_id = $1").bind(id);
        alert(&row.fetch_one(self.connection()).await?, now_ms)
    }

    /// The row, if it is still at the version that was seen.
    pub(crate) async fn seen(&mut self, id: &str, version: i64) -> Result<AlertRow, QueueError> {
        let row = self.locked(id).await?;
        match row.alert.version {
            now if now == version => Ok(row),
            version => Err(QueueError::Stale { version }),
        }
    }

    /// Writes a standing; the version moves on.
    pub(crate) async fn stand(
        &mut self,
        id: &str,
        standing: &Standing,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let (action_id, undo_until) = standing.undo.clone().unzip();
        let row = sqlx::query(
            "UPDATE alerts SET version = version + 1, changed_at = $2, state = $3, escalated = $4, assignee = $5, \
             holder = $6, lease_until = $7, snoozed_until = $8, disposition = $9, reason = $10, block = $11, \
             resolved_by = $12, resolved_at = $13, action_id = $14, undo_until = $15 WHERE alert_id = $1 RETURNING *",
        )
        .bind(id)
        .bind(now_ms)
        .bind(standing.state.as_str())
        .bind(i64::from(standing.escalated))
        .bind(standing.assignee.as_deref())
        .bind(standing.holder.as_deref())
        .bind(standing.lease_until_ms)
        .bind(standing.snoozed_until_ms)
        .bind(standing.disposition.map(Disposition::as_str))
        .bind(standing.reason.as_deref())
        .bind(i64::from(standing.block))
        .bind(standing.resolved_by.as_deref())
        .bind(standing.resolved_ms)
        .bind(action_id)
        .bind(undo_until)
        .fetch_one(self.connection())
        .await?;
        alert(&row, now_ms)
    }
}
