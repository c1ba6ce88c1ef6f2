//! Verdicts: said, or proposed to a second person; one alert or many. How they are taken back is not here.

use serde_json::json;
use sqlx::Row;

use crate::alert::{Alert, Disposition, State};
use crate::audit::Deed;
use crate::claim::{Seat, is_text};
use crate::error::QueueError;
use crate::outbox::Effect;
use crate::rules::LabelClock;
use crate::standing::{AlertRow, Standing};
use crate::store::{Queue, Write};

/// Most alerts of one bulk action.
const BULK: usize = 500;

/// Payments of an alert that a verdict labels. Who was charged back knows better than an analyst.
macro_rules! of_labelled {
    () => {
        " FROM hits h LEFT JOIN labels l ON l.transaction_id = h.transaction_id WHERE h.alert_id = $1 \
         AND (l.source IS NULL OR l.source NOT IN ('chargeback', 'issuer'))"
    };
}

const LABELLED: &str = concat!("SELECT h.transaction_id", of_labelled!(), " ORDER BY h.raised_at, h.hit_id");
pub(crate) const LABELLED_COUNT: &str = concat!("SELECT COUNT(*) AS n", of_labelled!());

/// A verdict with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What.
    pub disposition: Disposition,
    /// Why: a word of [`Disposition::reasons`].
    pub reason: String,
    /// More of why; becomes a note.
    pub note: Option<String>,
    /// The entity goes on the block list too; only with fraud.
    pub block: bool,
}

/// What came of a bulk action.
#[derive(Debug, Clone, PartialEq)]
pub struct Bulk {
    /// The one action, to take it back as a whole.
    pub action_id: String,
    /// One for each that was asked for, in that order.
    pub items: Vec<BulkItem>,
    /// Until when it can be taken back.
    pub undo_until_ms: i64,
}

/// One alert of a bulk action.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkItem {
    /// The alert.
    pub alert_id: String,
    /// It as it is now, or why nothing was done with it.
    pub outcome: Result<Alert, QueueError>,
}

/// An action that may be taken back.
struct Action<'a> {
    id: String,
    seat: Seat<'a>,
    now_ms: i64,
    undo_until_ms: i64,
}

impl Queue {
    /// Says a verdict: state, audit entry, labels and block-list entry on their way, all in one transaction. Where the
    /// rules want a second person it becomes a proposal. The one who says it holds the alert, or nobody does.
    ///
    /// # Errors
    /// See [`QueueError`]; `Invalid` for a reason that the disposition does not have.
    pub async fn resolve(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        resolution: &Resolution,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        resolution.check()?;
        let mut write = self.write().await?;
        let row = write.seen(id, version).await?;
        let action = self.action(&mut write, seat, now_ms).await?;
        let alert = self.said(&mut write, &action, &row, resolution, false).await?;
        write.commit().await?;
        Ok(alert)
    }

    /// The second person's yes to a proposal.
    ///
    /// # Errors
    /// `SamePerson`; see [`QueueError`].
    pub async fn approve(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let mut write = self.write().await?;
        let row = write.seen(id, version).await?;
        let disposition = row.standing.proposed_to(seat)?;
        let action = self.action(&mut write, seat, now_ms).await?;
        let mut after = row.standing.clone();
        (after.state, after.resolved_ms) = (State::Resolved, Some(now_ms));
        let by = row.standing.resolved_by.as_deref().unwrap_or(seat.name);
        self.effects(&mut write, &action, &row, disposition, by).await?;
        let alert = action.written(&mut write, &row, after, "approve").await?;
        write.commit().await?;
        Ok(alert)
    }

    /// The second person's no: it is open again.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn reject(
        &self,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        let mut write = self.write().await?;
        let row = write.seen(id, version).await?;
        row.standing.proposed_to(seat)?;
        let action = self.action(&mut write, seat, now_ms).await?;
        let mut after = row.standing.clone();
        after.state = State::Open;
        (after.disposition, after.reason, after.resolved_by, after.block) = (None, None, None, false);
        let alert = action.written(&mut write, &row, after, "reject").await?;
        write.commit().await?;
        Ok(alert)
    }

    /// One verdict on many alerts, each with the version that was seen; what cannot be done is told and the rest done,
    /// in one transaction. At most 500.
    ///
    /// # Errors
    /// See [`QueueError`]; nothing was done.
    pub async fn resolve_all(
        &self,
        seat: Seat<'_>,
        alerts: &[(String, i64)],
        resolution: &Resolution,
        now_ms: i64,
    ) -> Result<Bulk, QueueError> {
        resolution.check()?;
        if alerts.len() > BULK {
            return Err(QueueError::Invalid { field: "alerts", expected: format!("at most {BULK} alerts") });
        }
        let is_costly = self.rules().second_person_bulk.is_some_and(|from| alerts.len() >= from);
        let mut write = self.write().await?;
        let action = self.action(&mut write, seat, now_ms).await?;
        // Locked in one order, so that two of these do not wait for each other.
        let mut order: Vec<usize> = (0..alerts.len()).collect();
        order.sort_by(|one, other| alerts[*one].0.cmp(&alerts[*other].0));
        // All of them before the first verdict, which locks the audit log's head: others have their alert, then the head.
        let mut rows = Vec::with_capacity(order.len());
        for (at, place) in order.iter().enumerate() {
            let (id, version) = &alerts[*place];
            let is_again = at.checked_sub(1).is_some_and(|before| alerts[order[before]].0 == *id);
            let row = match is_again {
                true => Err(QueueError::Stale { version: *version }),
                false => write.seen(id, *version).await,
            };
            rows.push((*place, told(row)?));
        }
        let mut items: Vec<Option<BulkItem>> = vec![None; alerts.len()];
        for (place, row) in rows {
            let outcome = match row {
                Ok(row) => told(self.said(&mut write, &action, &row, resolution, is_costly).await)?,
                Err(error) => Err(error),
            };
            items[place] = Some(BulkItem { alert_id: alerts[place].0.clone(), outcome });
        }
        write.commit().await?;
        let items = items.into_iter().flatten().collect();
        Ok(Bulk { action_id: action.id, items, undo_until_ms: action.undo_until_ms })
    }

    /// How many payments of an alert a verdict of fraud or legitimate would label now.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn payments_to_label(&self, id: &str) -> Result<usize, QueueError> {
        let row = sqlx::query(LABELLED_COUNT).bind(id).fetch_one(&self.pool).await?;
        Ok(usize::try_from(row.try_get::<i64, _>("n")?).unwrap_or(0))
    }

    async fn action<'a>(
        &self,
        write: &mut Write,
        seat: Seat<'a>,
        now_ms: i64,
    ) -> Result<Action<'a>, QueueError> {
        let undo_until_ms = now_ms.saturating_add(self.rules().undo_ms);
        let id = write.begin_action(seat, now_ms, undo_until_ms).await?;
        Ok(Action { id, seat, now_ms, undo_until_ms })
    }

    /// A verdict on one alert that is locked.
    async fn said(
        &self,
        write: &mut Write,
        action: &Action<'_>,
        row: &AlertRow,
        resolution: &Resolution,
        is_costly: bool,
    ) -> Result<Alert, QueueError> {
        let Action { seat, now_ms, .. } = *action;
        row.standing.is_waiting()?;
        row.standing.claims().may_decide(seat, now_ms)?;
        if resolution.block {
            let may = self.rules().can_block(&row.alert.entity, &row.alert.key);
            may.map_err(|why| QueueError::Invalid { field: "block", expected: format!("false: {why}") })?;
        }
        let mut after = row.standing.clone();
        after.released();
        (after.snoozed_until_ms, after.block) = (None, resolution.block);
        (after.disposition, after.reason) = (Some(resolution.disposition), Some(resolution.reason.clone()));
        after.resolved_by = Some(seat.name.to_owned());
        let id = &row.alert.alert_id;
        if let Some(note) = &resolution.note {
            write.add_note(seat, id, note, now_ms).await?;
        }
        let weighs = resolution.block || resolution.disposition.label().is_some();
        if is_costly || weighs && self.rules().is_large(&row.alert) {
            after.state = State::Proposed;
            return action.written(write, row, after, "propose").await;
        }
        (after.state, after.resolved_ms) = (State::Resolved, Some(now_ms));
        let decided = AlertRow { alert: row.alert.clone(), standing: after.clone() };
        self.effects(write, action, &decided, resolution.disposition, seat.name).await?;
        action.written(write, row, after, "resolve").await
    }

    /// What follows a verdict is put on its way.
    async fn effects(
        &self,
        write: &mut Write,
        action: &Action<'_>,
        row: &AlertRow,
        disposition: Disposition,
        by: &str,
    ) -> Result<(), QueueError> {
        let id = &row.alert.alert_id;
        let mut effects = Vec::new();
        if let Some(fraud) = disposition.label() {
            let label_ms = self.label_ms(write, action.undo_until_ms).await?;
            for row in &sqlx::query(LABELLED).bind(id).fetch_all(write.connection()).await? {
                effects.push(Effect::Label {
                    transaction_id: row.try_get("transaction_id")?,
                    fraud,
                    label_ms,
                });
            }
        }
        if row.standing.block {
            let reason = format!("alert {id}: {}", row.standing.reason.as_deref().unwrap_or("fraud"));
            let (entity, key) = (row.alert.entity.clone(), row.alert.key.clone());
            effects.push(Effect::Block { entity, key, owner: by.to_owned(), reason });
        }
        write.follow(&action.id, id, &effects, action.undo_until_ms).await
    }

    async fn label_ms(&self, write: &mut Write, leaves_ms: i64) -> Result<i64, QueueError> {
        match self.rules().label_clock {
            LabelClock::Wall => Ok(leaves_ms),
            LabelClock::Stream => {
                let newest = sqlx::query("SELECT MAX(event_at) AS newest FROM hits");
                let newest: Option<i64> = newest.fetch_one(write.connection()).await?.try_get("newest")?;
                Ok(newest.unwrap_or(leaves_ms))
            }
        }
    }
}

/// What concerns one alert is told; what concerns the database ends it all.
pub(crate) fn told<T>(outcome: Result<T, QueueError>) -> Result<Result<T, QueueError>, QueueError> {
    match outcome {
        Err(error @ (QueueError::Unavailable(_) | QueueError::Uncertain(_) | QueueError::Damaged(_))) => {
            Err(error)
        }
        outcome => Ok(outcome),
    }
}

impl Resolution {
    fn check(&self) -> Result<(), QueueError> {
        let reasons = self.disposition.reasons();
        if !reasons.iter().any(|(word, _)| *word == self.reason) {
            let words: Vec<_> = reasons.iter().map(|(word, _)| *word).collect();
            return Err(QueueError::Invalid {
                field: "reason",
                expected: format!("one of {}", words.join(", ")),
            });
        }
        if self.block && self.disposition != Disposition::Fraud {
            let expected = "true with the disposition fraud only".to_owned();
            return Err(QueueError::Invalid { field: "block", expected });
        }
        self.note.as_deref().map_or(Ok(()), |note| is_text("note", note))
    }
}

impl Standing {
    /// The verdict that is proposed to this person.
    fn proposed_to(&self, seat: Seat<'_>) -> Result<Disposition, QueueError> {
        if self.state != State::Proposed {
            return Err(QueueError::NotNow("no verdict on it is proposed".to_owned()));
        }
        if self.resolved_by.as_deref() == Some(seat.name) {
            return Err(QueueError::SamePerson);
        }
        self.disposition.ok_or_else(|| QueueError::Damaged("a proposal without a verdict".to_owned()))
    }
}

impl Action<'_> {
    /// Writes what an alert becomes, with what it was and with the audit entry.
    async fn written(
        &self,
        write: &mut Write,
        row: &AlertRow,
        mut after: Standing,
        action: &str,
    ) -> Result<Alert, QueueError> {
        let id = &row.alert.alert_id;
        write.keep_before(&self.id, row).await?;
        after.undo = Some((self.id.clone(), self.undo_until_ms));
        let alert = write.stand(id, &after, self.now_ms).await?;
        let detail = json!({ "action": self.id, "block": after.block, "version": alert.version,
            "disposition": after.disposition.map(Disposition::as_str), "reason": after.reason });
        let (at_ms, actor) = (self.now_ms, self.seat.name);
        write.audit(&[Deed { at_ms, actor, action, object: id, detail: &detail }]).await?;
        Ok(alert)
    }
}
