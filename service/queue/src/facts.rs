//! The facts of an alert: what its hits and their labels add up to, computed anew when one arrives.

use schemas::decision::Verdict;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::QueueError;
use crate::rank::{HitLoss, expected_loss_minor, rank_key};
use crate::rules::Rules;
use crate::store::Write;

/// What changed the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// A payment: it wakes an alert that sleeps.
    Hit,
    /// A label.
    Label,
}

struct Facts {
    hits: i64,
    amount_minor: i64,
    loss_minor: i64,
    score: Option<f64>,
    verdict: Verdict,
    hold: bool,
}

fn facts(rows: &[AnyRow]) -> Result<Facts, QueueError> {
    let mut facts = Facts {
        hits: 0,
        amount_minor: 0,
        loss_minor: 0,
        score: None,
        verdict: Verdict::Approve,
        hold: false,
    };
    let mut losses = Vec::with_capacity(rows.len());
    for row in rows {
        let amount_minor: i64 = row.try_get("amount_minor")?;
        let fraud = row.try_get::<Option<i64>, _>("fraud")?.map(|fraud| fraud != 0);
        losses.push(HitLoss { expected_minor: row.try_get("expected_loss_minor")?, amount_minor, fraud });
        let verdict = Verdict::parse(&row.try_get::<String, _>("verdict")?);
        let verdict = verdict.ok_or_else(|| QueueError::Damaged("a hit's verdict is none".to_owned()))?;
        let score: Option<f64> = row.try_get("score")?;
        facts.hits += 1;
        facts.amount_minor = facts.amount_minor.saturating_add(amount_minor);
        facts.score = facts.score.into_iter().chain(score).reduce(f64::max);
        facts.verdict = severer(facts.verdict, verdict);
        facts.hold |= row.try_get::<i64, _>("hold")? != 0;
    }
    facts.loss_minor = expected_loss_minor(losses);
    Ok(facts)
}

fn severer(one: Verdict, other: Verdict) -> Verdict {
    let place = |verdict| Verdict::ALL.iter().position(|known| *known == verdict);
    if place(other) > place(one) { other } else { one }
}

impl Write {
    /// Computes an alert's facts anew. A resolved one keeps what it was resolved with.
    pub(crate) async fn refresh(
        &mut self,
        id: &str,
        rules: &Rules,
        news: News,
        now_ms: i64,
    ) -> Result<(), QueueError> {
        // First: who sums up what another is about to add to would write it over.
        let row = self.locked(id).await?;
        let rows = sqlx::query(
            "SELECT h.amount_minor, h.expected_loss_minor, h.score, h.verdict, h.hold, l.fraud \
             FROM hits h LEFT JOIN labels l ON l.transaction_id = h.transaction_id WHERE h.alert_id = $1",
        )
        .bind(id)
        .fetch_all(self.connection())
        .await?;
        let facts = facts(&rows)?;
        let wait_ms = if facts.hold { rules.due_hold_ms } else { rules.due_ms };
        let due_ms = row.alert.opened_ms.saturating_add(wait_ms);
        let wakes = i64::from(news == News::Hit);
        sqlx::query(
            "UPDATE alerts SET version = version + 1, changed_at = $2, hits = $3, amount_minor = $4, \
             expected_loss_minor = $5, rank_key = $6, score = $7, verdict = $8, hold = $9, due_at = $10, why = \
             COALESCE((SELECT why FROM hits WHERE alert_id = $1 ORDER BY expected_loss_minor DESC, hit_id LIMIT 1), why), \
             snoozed_until = CASE WHEN $11 = 1 THEN NULL ELSE snoozed_until END, \
             state = CASE WHEN $11 = 1 AND state = 'snoozed' THEN 'open' ELSE state END \
             WHERE alert_id = $1 AND state <> 'resolved'",
        )
        .bind(id)
        .bind(now_ms)
        .bind(facts.hits)
        .bind(facts.amount_minor)
        .bind(facts.loss_minor)
        .bind(rank_key(facts.loss_minor, due_ms, rules.half_life_ms))
        .bind(facts.score)
        .bind(facts.verdict.as_str())
        .bind(i64::from(facts.hold))
        .bind(due_ms)
        .bind(wakes)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
