//! Who works an alert: claims with a lease, given one at a time, and what changes hands without a verdict.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Row;

use crate::alert::{Alert, State};
use crate::audit::Deed;
use crate::error::QueueError;
use crate::standing::{self, AlertRow, Standing};
use crate::store::{Queue, Write};

/// Longest that an alert may sleep.
const MOST_SNOOZE_MS: i64 = 30 * 86_400_000;

/// Longest reason, characters.
pub(crate) const TEXT: usize = 4_000;

/// How often claim-next passes over what is locked, and after which time it looks again, each a little longer.
const ROUNDS: u32 = 3;
const PASSED_OVER: Duration = Duration::from_millis(10);

/// What claim-next gives, the best of it first: `$1` is the person, `$3` the time, `$4` whether they lead.
macro_rules! given_next {
    () => {
        "state = 'open' AND lease_until <= $3 AND (assignee IS NULL OR assignee = $1) AND (escalated = 0 OR $4 = 1)"
    };
}

macro_rules! claim_next {
    ($lock:literal $(, $($still:tt)+)?) => {
        concat!(
            "UPDATE alerts SET holder = $1, lease_until = $2, version = version + 1, changed_at = $3, action_id = NULL, \
             undo_until = NULL WHERE alert_id = (SELECT alert_id FROM alerts WHERE ",
            given_next!(),
            " ORDER BY rank_key DESC, alert_id LIMIT 1",
            $lock,
            ")",
            $($($still)+,)?
            " RETURNING *"
        )
    };
}

pub(crate) const CLAIM_NEXT: [&str; 2] = [claim_next!(""), claim_next!(" FOR UPDATE SKIP LOCKED")];

/// The same in Postgres, but the best one is waited for, and taken where it still can be. No other is locked on the way to
/// it, as a plain `FOR UPDATE` would: two could wait for each other.
pub(crate) const AWAIT_NEXT: &str = claim_next!("", " AND ", given_next!());

/// `$2` is an alert that is not meant.
pub(crate) const PEEK_NEXT: &str = concat!(
    "SELECT alert_id FROM alerts WHERE ",
    given_next!(),
    " AND alert_id <> $2 ORDER BY rank_key DESC, alert_id LIMIT 1"
);

pub(crate) const ASLEEP: &str =
    "SELECT alert_id FROM alerts WHERE state = 'snoozed' AND snoozed_until <= $1 LIMIT 1";

pub(crate) const WAKE: [&str; 2] = [
    "UPDATE alerts SET state = 'open', snoozed_until = NULL, version = version + 1, changed_at = $1, action_id = NULL, \
     undo_until = NULL WHERE state = 'snoozed' AND snoozed_until <= $1",
    "UPDATE alerts SET state = 'open', snoozed_until = NULL, version = version + 1, changed_at = $1, action_id = NULL, \
     undo_until = NULL WHERE alert_id IN (SELECT alert_id FROM alerts WHERE state = 'snoozed' AND snoozed_until <= $1 \
     ORDER BY alert_id FOR UPDATE SKIP LOCKED)",
];

/// Who acts: the name in the audit log and in claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat<'a> {
    /// The subject, such as a user's name.
    pub name: &'a str,
    /// Whether escalated alerts are for them too, and others' claims may be taken away.
    pub leads: bool,
}

/// To whom an alert is given.
pub type Assignee<'a> = Option<&'a str>;

/// How an action of [`Queue::changed`] is written down.
pub(crate) struct Named<'a> {
    pub(crate) action: &'a str,
    pub(crate) detail: Value,
    /// Whether it can be taken back.
    pub(crate) undoable: bool,
}

impl Queue {
    /// Claims the alert of the highest rank that nobody holds: one statement, so that of many who ask at once no two get
    /// the same, and none is passed over. `None` when there is none.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn claim_next(&self, seat: Seat<'_>, now_ms: i64) -> Result<Option<Alert>, QueueError> {
        for round in 1..=ROUNDS {
            if let Some(alert) = self.claimed(seat, CLAIM_NEXT, now_ms).await? {
                return Ok(Some(alert));
            }
            // Passed over is what somebody has locked for a moment, and what they do may come to nothing.
            if self.peek_next(seat, None, now_ms).await?.is_none() {
                return Ok(None);
            }
            tokio::time::sleep(PASSED_OVER * round).await;
        }
        // Who had it locked may have taken it, and let others go.
        match self.claimed(seat, [CLAIM_NEXT[0], AWAIT_NEXT], now_ms).await? {
            None => self.claimed(seat, CLAIM_NEXT, now_ms).await,
            given => Ok(given),
        }
    }

    async fn claimed(
        &self,
        seat: Seat<'_>,
        [sqlite, postgres]: [&'static str; 2],
        now_ms: i64,
    ) -> Result<Option<Alert>, QueueError> {
        let mut write = self.write().await?;
        let text = write.pick(sqlite, postgres);
        let row = sqlx::query(text)
            .bind(seat.name)
            .bind(now_ms.saturating_add(self.rules().lease_ms))
            .bind(now_ms)
            .bind(i64::from(seat.leads))
            .fetch_optional(write.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let alert = standing::alert(&row, now_ms)?;
        let detail = json!({ "version": alert.version });
        let deed = Deed {
            at_ms: now_ms,
            actor: seat.name,
            action: "claim",
            object: &alert.alert_id,
            detail: &detail,
        };
        write.audit(&[deed]).await?;
        write.commit().await?;
        Ok(Some(alert))
    }

    /// The id of what `claim_next` would give this person now, beside the one that they look at: by the same condition, and
    /// nothing is changed.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn peek_next(
        &self,
        seat: Seat<'_>,
        beside: Option<&str>,
        now_ms: i64,
    ) -> Result<Option<String>, QueueError> {
        let asked = sqlx::query(PEEK_NEXT).bind(seat.name).bind(beside.unwrap_or_default());
        let asked = asked.bind(now_ms).bind(i64::from(seat.leads));
        let row = asked.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get("alert_id")).transpose()?)
    }

    /// Claims this one.
    ///
    /// # Errors
    /// `Stale`, `Held`, `NotNow` (resolved), `NotFound`.
    pub async fn claim(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let until_ms = now_ms.saturating_add(self.rules().lease_ms);
        let named = Named { action: "claim", detail: json!({}), undoable: false };
        let change = |_: &AlertRow, standing: &mut Standing| {
            standing.is_waiting()?;
            // A lead too: what somebody works at is not taken from under their hands but released first.
            standing.claims().may_act(Seat { leads: false, ..seat }, now_ms)?;
            standing.claims().is_for(seat)?;
            (standing.state, standing.snoozed_until_ms) = (State::Open, None);
            standing.held(seat.name, until_ms);
            Ok(())
        };
        self.changed(seat, id, version, named, now_ms, change).await
    }

    /// Renews the lease; keeps what is written and not sent, if any. Changes no version and is no audit entry.
    ///
    /// # Errors
    /// `Held` by another, `NotNow` when the lease lapsed (the draft is kept all the same).
    pub async fn heartbeat(
        &self,
        seat: Seat<'_>,
        id: &str,
        draft: Option<&str>,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        if draft.is_some_and(|draft| draft.contains('\0')) {
            let expected = "a text without U+0000".to_owned();
            return Err(QueueError::Invalid { field: "draft", expected });
        }
        let mut write = self.write().await?;
        let text = "UPDATE alerts SET lease_until = $3 WHERE alert_id = $1 AND holder = $2 AND lease_until > $4 RETURNING *";
        let row = sqlx::query(text)
            .bind(id)
            .bind(seat.name)
            .bind(now_ms.saturating_add(self.rules().lease_ms))
            .bind(now_ms)
            .fetch_optional(write.connection())
            .await?;
        let answer = match row {
            Some(row) => standing::alert(&row, now_ms),
            None => {
                let row = write.locked(id).await?;
                let may = row.standing.claims().may_act(Seat { leads: false, ..seat }, now_ms);
                may.and_then(|()| Err(QueueError::NotNow("the claim has lapsed".to_owned())))
            }
        };
        // After the alert is locked, as whoever sends the note does.
        if let Some(draft) = draft {
            let draft: String = draft.chars().take(TEXT).collect();
            write.draft(seat, id, &draft, now_ms).await?;
        }
        write.commit().await?;
        answer
    }

    /// Gives a claim up. A lead may give up another's.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn release(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let named = Named { action: "release", detail: json!({}), undoable: true };
        let change = |_: &AlertRow, standing: &mut Standing| {
            standing.claims().may_act(seat, now_ms)?;
            if standing.claims().holder(now_ms).is_none() {
                return Err(QueueError::NotNow("nobody holds it".to_owned()));
            }
            standing.released();
            Ok(())
        };
        self.changed(seat, id, version, named, now_ms, change).await
    }

    /// Says who is to work it, or that anybody may. Whoever holds it now and is another loses it, and given to somebody it is
    /// the leads' no more.
    ///
    /// # Errors
    /// See [`QueueError`]; `Invalid` for somebody who cannot come or may not work alerts.
    pub async fn assign(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        to: Assignee<'_>,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let mut write = self.write().await?;
        if let Some(to) = to.filter(|to| *to != seat.name) {
            write.hold_account(to).await?;
            if !write.is_worker(to, &self.rules().workers, now_ms).await? {
                let expected = "somebody who may sign in and work alerts, or null".to_owned();
                return Err(QueueError::Invalid { field: "to", expected });
            }
        }
        let row = write.seen(id, version).await?;
        let named = Named { action: "assign", detail: json!({ "to": to }), undoable: true };
        row.standing.is_waiting()?;
        row.standing.claims().may_decide(seat, now_ms)?;
        let mut after = row.standing.clone();
        after.assignee = to.map(str::to_owned);
        after.escalated &= to.is_none();
        if to.is_some() && after.holder.as_deref() != to {
            after.released();
        }
        let alert = self.written(&mut write, seat, &row, after, &named, now_ms).await?;
        write.commit().await?;
        Ok(alert)
    }

    /// Puts it away until a time; a new hit wakes it earlier. It is released.
    ///
    /// # Errors
    /// See [`QueueError`]; `Invalid` when the time is not ahead or more than 30 days.
    pub async fn snooze(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        until_ms: i64,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        if until_ms <= now_ms || until_ms > now_ms.saturating_add(MOST_SNOOZE_MS) {
            let expected = "a time within the next 30 days".to_owned();
            return Err(QueueError::Invalid { field: "until", expected });
        }
        let named = Named { action: "snooze", detail: json!({ "until": until_ms }), undoable: true };
        let change = |_: &AlertRow, standing: &mut Standing| {
            standing.is_waiting()?;
            standing.claims().may_decide(seat, now_ms)?;
            (standing.state, standing.snoozed_until_ms) = (State::Snoozed, Some(until_ms));
            standing.released();
            Ok(())
        };
        self.changed(seat, id, version, named, now_ms, change).await
    }

    /// Hands it to the leads, with a reason as a note. It is released, and given to nobody any more: to any of the leads.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn escalate(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        reason: &str,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        is_text("reason", reason)?;
        let mut write = self.write().await?;
        let row = write.seen(id, version).await?;
        row.standing.is_waiting()?;
        row.standing.claims().may_act(seat, now_ms)?;
        if row.standing.escalated {
            return Err(QueueError::NotNow("the leads have it already".to_owned()));
        }
        let mut after = row.standing.clone();
        (after.state, after.snoozed_until_ms) = (State::Open, None);
        (after.escalated, after.assignee) = (true, None);
        after.released();
        write.add_note(seat, id, reason, now_ms).await?;
        let named = Named { action: "escalate", detail: json!({}), undoable: true };
        let alert = self.written(&mut write, seat, &row, after, &named, now_ms).await?;
        write.commit().await?;
        Ok(alert)
    }

    /// Wakes what has slept long enough. To be called each second or so; `claim_next` does not wait for it.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn wake(&self, now_ms: i64) -> Result<u64, QueueError> {
        if sqlx::query(ASLEEP).bind(now_ms).fetch_optional(&self.pool).await?.is_none() {
            return Ok(0);
        }
        let mut write = self.write().await?;
        // What somebody is at is woken the next time, so that neither waits for the other.
        let text = write.pick(WAKE[0], WAKE[1]);
        let woken = sqlx::query(text).bind(now_ms).execute(write.connection()).await?.rows_affected();
        write.commit().await?;
        Ok(woken)
    }

    /// One change of one alert that was seen at a version: read, decided, written, written down.
    pub(crate) async fn changed(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        named: Named<'_>,
        now_ms: i64,
        change: impl FnOnce(&AlertRow, &mut Standing) -> Result<(), QueueError>,
    ) -> Result<Alert, QueueError> {
        let mut write = self.write().await?;
        let row = write.seen(id, version).await?;
        let mut after = row.standing.clone();
        change(&row, &mut after)?;
        let alert = self.written(&mut write, seat, &row, after, &named, now_ms).await?;
        write.commit().await?;
        Ok(alert)
    }

    /// Writes what an alert becomes with its action, if it can be taken back, and its audit entry.
    async fn written(
        &self,
        write: &mut Write,
        seat: Seat<'_>,
        before: &AlertRow,
        mut after: Standing,
        named: &Named<'_>,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let id = before.alert.alert_id.as_str();
        after.undo = None;
        if named.undoable {
            let action_id =
                write.begin_action(seat, now_ms, now_ms.saturating_add(self.rules().undo_ms)).await?;
            write.keep_before(&action_id, before).await?;
            after.undo = Some((action_id, now_ms.saturating_add(self.rules().undo_ms)));
        }
        let alert = write.stand(id, &after, now_ms).await?;
        let (at_ms, actor, action) = (now_ms, seat.name, named.action);
        write.audit(&[Deed { at_ms, actor, action, object: id, detail: &named.detail }]).await?;
        Ok(alert)
    }
}

/// A text that a person wrote.
pub(crate) fn is_text(field: &'static str, text: &str) -> Result<(), QueueError> {
    let is_text = !text.trim().is_empty() && text.chars().count() <= TEXT && !text.contains('\0');
    is_text
        .then_some(())
        .ok_or_else(|| QueueError::Invalid { field, expected: format!("1 to {TEXT} characters") })
}
