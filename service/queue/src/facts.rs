//! The facts of an alert: what its hits and their labels add up to, computed anew when one arrives, in the currency of its
//! first hit; and what follows from them by the rules, its value and its place among others.

use schemas::decision::Verdict;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::QueueError;
use crate::exchange::{Exchange, within};
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

/// What counts of hits; behind it stands of which alerts.
macro_rules! counted_of {
    ($which:literal) => {
        concat!(
            "SELECT h.alert_id, h.hit_id, h.amount_minor, h.currency, h.expected_loss_minor, h.score, h.verdict, h.hold, \
             h.why, l.fraud FROM hits h LEFT JOIN labels l ON l.transaction_id = h.transaction_id WHERE h.alert_id ",
            $which
        )
    };
}

pub(crate) const HITS_OF_ONE: &str = counted_of!("= $1");
pub(crate) const HITS_OF_MANY: &str = counted_of!("IN (PLACES)");

/// A hit, as far as it counts.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    hit_id: String,
    amount_minor: i64,
    currency: String,
    expected_minor: i64,
    score: Option<f64>,
    verdict: Verdict,
    hold: bool,
    why: String,
    fraud: Option<bool>,
}

impl Counted {
    pub(crate) fn read(row: &AnyRow) -> Result<Self, QueueError> {
        let verdict = Verdict::parse(&row.try_get::<String, _>("verdict")?);
        Ok(Self {
            hit_id: row.try_get("hit_id")?,
            amount_minor: row.try_get("amount_minor")?,
            currency: row.try_get("currency")?,
            expected_minor: row.try_get("expected_loss_minor")?,
            score: row.try_get("score")?,
            verdict: verdict.ok_or_else(|| QueueError::Damaged("a hit's verdict is none".to_owned()))?,
            hold: row.try_get::<i64, _>("hold")? != 0,
            why: row.try_get("why")?,
            fraud: row.try_get::<Option<i64>, _>("fraud")?.map(|fraud| fraud != 0),
        })
    }
}

/// Whose facts: what was there before its hits are summed up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened<'a> {
    pub(crate) id: &'a str,
    /// Of its first hit.
    pub(crate) currency: &'a str,
    pub(crate) at_ms: i64,
}

/// What the hits of an alert add up to, in its own currency.
#[derive(Debug, Clone, PartialEq)]
struct Facts {
    hits: i64,
    amount_minor: i64,
    /// Of payments that were held or declined.
    stopped_minor: i64,
    loss_minor: i64,
    score: Option<f64>,
    verdict: Verdict,
    hold: bool,
    /// Of the hit with the highest expected loss.
    why: Option<String>,
}

fn facts(hits: &[Counted], own: &str, exchange: &Exchange) -> Facts {
    let in_own = |minor: i64, hit: &Counted| exchange.converted(minor, &hit.currency, own);
    let losses = hits.iter().map(|hit| HitLoss {
        expected_minor: in_own(hit.expected_minor, hit),
        amount_minor: in_own(hit.amount_minor, hit),
        fraud: hit.fraud,
    });
    let stopped = |hit: &&Counted| hit.hold || hit.verdict == Verdict::Decline;
    let weightiest = hits.iter().max_by(|one, other| {
        let (loss, than) = (in_own(one.expected_minor, one), in_own(other.expected_minor, other));
        loss.cmp(&than).then_with(|| other.hit_id.cmp(&one.hit_id))
    });
    Facts {
        hits: hits.len() as i64,
        amount_minor: sum(hits.iter().map(|hit| in_own(hit.amount_minor, hit))),
        stopped_minor: sum(hits.iter().filter(stopped).map(|hit| in_own(hit.amount_minor, hit))),
        loss_minor: within(expected_loss_minor(losses)),
        score: hits.iter().filter_map(|hit| hit.score).reduce(f64::max),
        verdict: hits.iter().map(|hit| hit.verdict).fold(Verdict::Approve, severer),
        hold: hits.iter().any(|hit| hit.hold),
        why: weightiest.map(|hit| hit.why.clone()),
    }
}

fn sum(minors: impl Iterator<Item = i64>) -> i64 {
    within(minors.fold(0, i64::saturating_add))
}

fn severer(one: Verdict, other: Verdict) -> Verdict {
    let place = |verdict| Verdict::ALL.iter().position(|known| *known == verdict);
    if place(other) > place(one) { other } else { one }
}

/// What the rules make of the facts.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Placed {
    due_ms: i64,
    amount_value_minor: i64,
    loss_value_minor: i64,
    rank_key: f64,
}

impl Facts {
    fn placed(&self, opened: &Opened<'_>, rules: &Rules) -> Placed {
        let (wait_ms, weight) =
            if self.hold { (rules.due_hold_ms, rules.hold_weight) } else { (rules.due_ms, 1) };
        let due_ms = opened.at_ms.saturating_add(wait_ms);
        let loss_value_minor = rules.exchange.value_minor(self.loss_minor, opened.currency);
        Placed {
            due_ms,
            amount_value_minor: rules.exchange.value_minor(self.amount_minor, opened.currency),
            loss_value_minor,
            rank_key: rank_key(loss_value_minor, weight, due_ms, rules.half_life_ms),
        }
    }
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
        let rows = sqlx::query(HITS_OF_ONE).bind(id).fetch_all(self.connection()).await?;
        let hits = rows.iter().map(Counted::read).collect::<Result<Vec<_>, _>>()?;
        let opened = Opened { id, currency: &row.alert.currency, at_ms: row.alert.opened_ms };
        self.keep_facts(&opened, &hits, rules, Some((news, now_ms))).await
    }

    /// Keeps the facts of an alert that is locked. Without news its version stays: what people know of it did not change.
    pub(crate) async fn keep_facts(
        &mut self,
        opened: &Opened<'_>,
        hits: &[Counted],
        rules: &Rules,
        news: Option<(News, i64)>,
    ) -> Result<(), QueueError> {
        let facts = facts(hits, opened.currency, &rules.exchange);
        let placed = facts.placed(opened, rules);
        let (news, now_ms) = news.unzip();
        sqlx::query(
            "UPDATE alerts SET version = version + $2, changed_at = CASE WHEN $2 = 1 THEN $3 ELSE changed_at END, \
             hits = $4, amount_minor = $5, stopped_minor = $6, expected_loss_minor = $7, amount_value_minor = $8, \
             loss_value_minor = $9, rank_key = $10, score = $11, verdict = $12, hold = $13, due_at = $14, \
             why = COALESCE($15, why), snoozed_until = CASE WHEN $16 = 1 THEN NULL ELSE snoozed_until END, \
             state = CASE WHEN $16 = 1 AND state = 'snoozed' THEN 'open' ELSE state END, ranked_by = $17 \
             WHERE alert_id = $1 AND state <> 'resolved'",
        )
        .bind(opened.id)
        .bind(i64::from(news.is_some()))
        .bind(now_ms.unwrap_or(0))
        .bind(facts.hits)
        .bind(facts.amount_minor)
        .bind(facts.stopped_minor)
        .bind(facts.loss_minor)
        .bind(placed.amount_value_minor)
        .bind(placed.loss_value_minor)
        .bind(placed.rank_key)
        .bind(facts.score)
        .bind(facts.verdict.as_str())
        .bind(i64::from(facts.hold))
        .bind(placed.due_ms)
        .bind(facts.why)
        .bind(i64::from(news == Some(News::Hit)))
        .bind(rules.terms())
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(id: &str, currency: &str, amount_minor: i64, expected_minor: i64) -> Counted {
        Counted {
            hit_id: id.to_owned(),
            amount_minor,
            currency: currency.to_owned(),
            expected_minor,
            score: Some(0.5),
            verdict: Verdict::Review,
            hold: false,
            why: format!("why {id}"),
            fraud: None,
        }
    }

    #[test]
    fn hits_of_several_currencies_are_summed_up_in_the_first_ones_and_ranked_in_the_queues() {
        let rates = [("USD".to_owned(), 1.25), ("JPY".to_owned(), 160.0)].into();
        let exchange = Exchange { rates, ..Exchange::default() };
        let declined = Counted { verdict: Verdict::Decline, ..hit("b", "JPY", 16_000, 8_000) };
        let known = Counted { fraud: Some(true), ..hit("c", "EUR", 1_000, 100) };
        let facts = facts(&[hit("a", "USD", 5_000, 2_500), declined, known], "USD", &exchange);
        // 16,000 yen are 100 euros and 125 dollars, 10 euros are 12.50.
        assert_eq!((facts.hits, facts.amount_minor), (3, 5_000 + 12_500 + 1_250));
        assert_eq!((facts.loss_minor, facts.stopped_minor), (2_500 + 6_250 + 1_250, 12_500));
        assert_eq!((facts.verdict, facts.why.as_deref()), (Verdict::Decline, Some("why b")));
        let rules = Rules { exchange, ..Rules::default() };
        let placed = facts.placed(&Opened { id: "x", currency: "USD", at_ms: 0 }, &rules);
        assert_eq!((placed.amount_value_minor, placed.loss_value_minor), (15_000, 8_000));
        assert_eq!(placed.rank_key, rank_key(8_000, 1, rules.due_ms, rules.half_life_ms));
    }

    #[test]
    fn a_payment_on_hold_is_due_sooner_and_weighs_more() {
        let rules = Rules::default();
        let held = Counted { hold: true, ..hit("a", "EUR", 5_000, 2_500) };
        let facts = facts(&[held], "EUR", &rules.exchange);
        let placed = facts.placed(&Opened { id: "x", currency: "EUR", at_ms: 7 }, &rules);
        assert_eq!((placed.due_ms, facts.stopped_minor), (7 + rules.due_hold_ms, 5_000));
        assert_eq!(placed.rank_key, rank_key(2_500, rules.hold_weight, placed.due_ms, rules.half_life_ms));
    }
}
