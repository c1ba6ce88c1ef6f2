//! The queue in numbers.

use std::collections::BTreeMap;

use sqlx::Row;

use crate::error::QueueError;
use crate::store::Queue;

/// The numbers of now.
#[derive(Debug, Clone, PartialEq)]
pub struct Dashboard {
    /// Open alerts, held or not.
    pub open: i64,
    /// Of those held by somebody.
    pub held: i64,
    /// Of those for the leads.
    pub escalated: i64,
    /// Of those that wait too long.
    pub late: i64,
    /// Sleeping.
    pub snoozed: i64,
    /// Waiting for a second person.
    pub proposed: i64,
    /// When the oldest open one was opened.
    pub oldest_ms: Option<i64>,
    /// Expected loss of the open ones by currency, minor units.
    pub at_risk: Vec<(String, i64)>,
    /// Amounts of payments that were held or declined and are on alerts confirmed as fraud within the window, by the alerts'
    /// currencies.
    pub saved: Vec<(String, i64)>,
    /// Each analyst who resolved something within the window, the busiest first; at most 50.
    pub analysts: Vec<AnalystFigures>,
    /// Start of the window, milliseconds since 1970.
    pub since_ms: i64,
}

/// One analyst's window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalystFigures {
    /// Who.
    pub name: String,
    /// Alerts resolved.
    pub resolved: i64,
    /// Of those, as fraud.
    pub fraud: i64,
    /// As legitimate.
    pub legitimate: i64,
}

pub(crate) const OPEN: &str = "SELECT currency, COUNT(*) AS n, CAST(SUM(CASE WHEN lease_until > $1 THEN 1 ELSE 0 END) AS BIGINT) AS held, \
    CAST(SUM(escalated) AS BIGINT) AS escalated, MIN(opened_at) AS oldest, \
    CAST(SUM(CASE WHEN due_at <= $1 THEN 1 ELSE 0 END) AS BIGINT) AS late, \
    CAST(SUM(expected_loss_minor) AS BIGINT) AS loss FROM alerts WHERE state = 'open' GROUP BY currency";

pub(crate) const RESOLVED: &str = "SELECT resolved_by, disposition, currency, COUNT(*) AS n, \
    CAST(SUM(stopped_minor) AS BIGINT) AS stopped FROM alerts WHERE state = 'resolved' AND resolved_at >= $1 \
    GROUP BY resolved_by, disposition, currency";

impl Queue {
    /// The numbers; the window is what lies between `since_ms` and now.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn dashboard(&self, since_ms: i64, now_ms: i64) -> Result<Dashboard, QueueError> {
        let mut board = Dashboard {
            open: 0,
            held: 0,
            escalated: 0,
            late: 0,
            snoozed: self.counted("SELECT COUNT(*) AS n FROM alerts WHERE state = 'snoozed'").await?,
            proposed: self.counted("SELECT COUNT(*) AS n FROM alerts WHERE state = 'proposed'").await?,
            oldest_ms: None,
            at_risk: Vec::new(),
            saved: Vec::new(),
            analysts: Vec::new(),
            since_ms,
        };
        let rows = sqlx::query(OPEN).bind(now_ms).fetch_all(&self.pool).await?;
        for row in &rows {
            board.open += row.try_get::<i64, _>("n")?;
            board.held += row.try_get::<i64, _>("held")?;
            board.escalated += row.try_get::<i64, _>("escalated")?;
            board.late += row.try_get::<i64, _>("late")?;
            let oldest: i64 = row.try_get("oldest")?;
            board.oldest_ms = Some(board.oldest_ms.map_or(oldest, |other| other.min(oldest)));
            board.at_risk.push((row.try_get("currency")?, row.try_get("loss")?));
        }
        self.resolved_since(&mut board).await?;
        board.at_risk.sort();
        Ok(board)
    }

    async fn counted(&self, text: &'static str) -> Result<i64, QueueError> {
        Ok(sqlx::query(text).fetch_one(&self.pool).await?.try_get("n")?)
    }

    async fn resolved_since(&self, board: &mut Dashboard) -> Result<(), QueueError> {
        let rows = sqlx::query(RESOLVED).bind(board.since_ms).fetch_all(&self.pool).await?;
        let (mut analysts, mut saved) = (BTreeMap::new(), BTreeMap::new());
        for row in &rows {
            let name: String = row.try_get::<Option<String>, _>("resolved_by")?.unwrap_or_default();
            let n: i64 = row.try_get("n")?;
            let one = analysts.entry(name.clone()).or_insert(AnalystFigures {
                name,
                resolved: 0,
                fraud: 0,
                legitimate: 0,
            });
            one.resolved += n;
            match row.try_get::<Option<String>, _>("disposition")?.as_deref() {
                Some("fraud") => {
                    one.fraud += n;
                    *saved.entry(row.try_get::<String, _>("currency")?).or_insert(0) +=
                        row.try_get::<i64, _>("stopped")?;
                }
                Some("legitimate") => one.legitimate += n,
                _ => {}
            }
        }
        board.saved = saved.into_iter().collect();
        board.analysts = analysts.into_values().collect();
        board.analysts.sort_by_key(|one| -one.resolved);
        board.analysts.truncate(50);
        Ok(())
    }
}
