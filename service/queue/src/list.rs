//! The list, single alerts, search, and what changed.

use schemas::decision::Verdict;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::alert::{Alert, AlertDetail, Hit, KnownLabel, LabelOnItsWay, Note};
use crate::audit::AuditQuery;
use crate::claim::Seat;
use crate::error::QueueError;
use crate::standing;
use crate::store::Queue;

/// Most hits and entries of one alert that are told.
const MOST: i64 = 200;

/// Which alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Which {
    /// Open ones, held or not.
    #[default]
    Open,
    /// Those that this person holds or that are given to them.
    Mine,
    /// Open ones that nobody holds.
    Unclaimed,
    /// Open ones that wait too long.
    Late,
    /// Open ones for the leads.
    Escalated,
    /// Sleeping ones.
    Snoozed,
    /// Those that wait for a second person.
    Proposed,
    /// Done ones, the last first.
    Resolved,
}

impl Which {
    /// All of them.
    pub const ALL: [Which; 8] = [
        Which::Open,
        Which::Mine,
        Which::Unclaimed,
        Which::Late,
        Which::Escalated,
        Which::Snoozed,
        Which::Proposed,
        Which::Resolved,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Which::Open => "open",
            Which::Mine => "mine",
            Which::Unclaimed => "unclaimed",
            Which::Late => "late",
            Which::Escalated => "escalated",
            Which::Snoozed => "snoozed",
            Which::Proposed => "proposed",
            Which::Resolved => "resolved",
        }
    }

    /// The one of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListOrder {
    /// By rank, highest first. Resolved ones: the last first, whatever is asked.
    #[default]
    Rank,
    /// The oldest first.
    Age,
    /// The largest amount first, by its value in the queue's own currency.
    Amount,
}

impl ListOrder {
    /// All of them.
    pub const ALL: [ListOrder; 3] = [ListOrder::Rank, ListOrder::Age, ListOrder::Amount];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            ListOrder::Rank => "rank",
            ListOrder::Age => "age",
            ListOrder::Amount => "amount",
        }
    }

    /// The one of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListQuery {
    /// Which.
    pub which: Which,
    /// In which order.
    pub order: ListOrder,
    /// Only of this alert rule.
    pub rule: Option<String>,
    /// Only with an expected loss that is worth so much or more, minor units of the queue's own currency.
    pub min_loss_minor: Option<i64>,
    /// An alert's, decision's or payment's id, or a key of any entity, whole or, where none is just this, its beginning (at
    /// least 3 characters). That a beginning found something is written to the audit log.
    pub text: Option<String>,
    /// Keys are searched for whole only: for whoever may not see them, and could find them out letter by letter.
    pub whole_keys: bool,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Most alerts, 1 to 200.
    pub limit: usize,
}

/// A page of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListPage {
    /// Its alerts.
    pub alerts: Vec<Alert>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// An alert that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub alert_id: String,
    /// To what.
    pub version: i64,
    /// When.
    pub changed_ms: i64,
}

/// By what a list is ordered, and where a page ended.
pub(crate) struct Order {
    pub(crate) column: &'static str,
    descends: bool,
}

impl Order {
    pub(crate) fn of(query: &ListQuery) -> Self {
        let (column, descends) = match (query.which, query.order) {
            (Which::Resolved, _) => ("resolved_at", true),
            (Which::Snoozed, _) => ("snoozed_until", false),
            (_, ListOrder::Rank) => ("rank_key", true),
            (_, ListOrder::Age) => ("opened_at", false),
            (_, ListOrder::Amount) => ("amount_value_minor", true),
        };
        Self { column, descends }
    }

    fn cursor(&self, row: &AnyRow) -> Result<String, QueueError> {
        let key = match self.column {
            "rank_key" => row.try_get::<f64, _>("rank_key")?.to_bits(),
            column => row.try_get::<i64, _>(column)? as u64,
        };
        Ok(format!("{key:016x}{}", hex::encode(row.try_get::<String, _>("alert_id")?)))
    }
}

/// Where a page ended: the order's value, as bits, and the id.
fn cursor(text: &str) -> Result<(u64, String), QueueError> {
    let read = || {
        let (key, id) = text.split_at_checked(16)?;
        let id = String::from_utf8(hex::decode(id).ok()?).ok().filter(|id| !id.contains('\0'))?;
        Some((u64::from_str_radix(key, 16).ok()?, id))
    };
    read().ok_or_else(|| QueueError::Invalid {
        field: "cursor",
        expected: "the `next` of a page before".to_owned(),
    })
}

impl Which {
    /// `$1` is the time, `$2` the person.
    const fn condition(self) -> &'static str {
        match self {
            Which::Open => "state = 'open'",
            Which::Mine => "state = 'open' AND ((holder = $2 AND lease_until > $1) OR assignee = $2)",
            Which::Unclaimed => "state = 'open' AND lease_until <= $1",
            Which::Late => "state = 'open' AND due_at <= $1",
            Which::Escalated => "state = 'open' AND escalated = 1",
            Which::Snoozed => "state = 'snoozed'",
            Which::Proposed => "state = 'proposed'",
            Which::Resolved => "state = 'resolved'",
        }
    }
}

impl Queue {
    /// A page of the list. A cursor that is none is `Invalid`; a search that cannot be written down is not answered.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn list(&self, seat: Seat<'_>, query: &ListQuery, now_ms: i64) -> Result<ListPage, QueueError> {
        if let Some(text) = &query.text {
            let alerts = self.search(seat, text.trim(), query.whole_keys, now_ms).await?;
            return Ok(ListPage { alerts, next: None });
        }
        let (order, limit) = (Order::of(query), query.limit.clamp(1, 200));
        let after = query.cursor.as_deref().map(cursor).transpose()?;
        let text = page_text(query, &order, after.is_some());
        let (key, id) = after.unwrap_or_default();
        let asked = sqlx::query(AssertSqlSafe(text))
            .bind(now_ms)
            .bind(seat.name)
            .bind(query.rule.as_deref().unwrap_or_default())
            .bind(query.min_loss_minor.unwrap_or(0))
            .bind(limit as i64 + 1)
            .bind(id);
        let asked =
            if order.column == "rank_key" { asked.bind(f64::from_bits(key)) } else { asked.bind(key as i64) };
        let mut rows = asked.fetch_all(&self.pool).await?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(|row| order.cursor(row)).transpose()?;
        let alerts = rows.iter().map(|row| standing::alert(row, now_ms)).collect::<Result<_, _>>()?;
        Ok(ListPage { alerts, next })
    }

    /// One alert with all that hangs on it.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn get(&self, seat: Seat<'_>, id: &str, now_ms: i64) -> Result<AlertDetail, QueueError> {
        let row = sqlx::query("SELECT * FROM alerts WHERE alert_id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        let alert = standing::alert(&row.ok_or(QueueError::NotFound)?, now_ms)?;
        let hits = self.hits(id).await?;
        let notes =
            sqlx::query("SELECT at, author, text FROM notes WHERE alert_id = $1 ORDER BY seq").bind(id);
        let note = |row: &AnyRow| {
            Ok(Note { at_ms: row.try_get("at")?, author: row.try_get("author")?, text: row.try_get("text")? })
        };
        let notes = notes.fetch_all(&self.pool).await?.iter().map(note).collect::<Result<_, QueueError>>()?;
        let draft = sqlx::query("SELECT text FROM drafts WHERE alert_id = $1 AND author = $2")
            .bind(id)
            .bind(seat.name);
        let draft = draft.fetch_optional(&self.pool).await?.map(|row| row.try_get("text")).transpose()?;
        let query = AuditQuery { object: Some(id.to_owned()), limit: 200, ..AuditQuery::default() };
        let mut history = self.audit(&query).await?.entries;
        history.reverse();
        Ok(AlertDetail { alert, hits, notes, draft, labels: self.labels_of_alert(id).await?, history })
    }

    async fn labels_of_alert(&self, id: &str) -> Result<Vec<LabelOnItsWay>, QueueError> {
        let rows = sqlx::query(LABELS_OF_ALERT).bind(id).fetch_all(&self.pool).await?;
        let label = |row: &AnyRow| {
            let body: String = row.try_get("body")?;
            Ok(LabelOnItsWay {
                transaction_id: row.try_get("transaction_id")?,
                fraud: body.contains("\"fraud\":true"),
                leaves_ms: row.try_get("leaves_at")?,
                sent_ms: row.try_get("sent_at")?,
                applied_ms: row.try_get("applied_at")?,
            })
        };
        rows.iter().map(label).collect()
    }

    /// The last hits of an alert, each with its entities and its label.
    async fn hits(&self, alert_id: &str) -> Result<Vec<Hit>, QueueError> {
        let rows = sqlx::query(HITS_OF_ALERT).bind(alert_id).bind(MOST).fetch_all(&self.pool).await?;
        let mut hits = rows.iter().map(hit).collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<String> = hits.iter().map(|hit| hit.hit_id.clone()).collect();
        let mut entities = self.entities_of(&ids).await?;
        for hit in &mut hits {
            hit.entities = entities.remove(&hit.hit_id).unwrap_or_default();
        }
        Ok(hits)
    }

    /// What changed at or after a time, the first first; at most 1,000.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn changes(&self, since_ms: i64, past: &str) -> Result<Vec<Change>, QueueError> {
        let rows = sqlx::query(CHANGES)
            .bind(since_ms)
            .bind(past)
            .bind(CHANGES_AT_ONCE as i64)
            .fetch_all(&self.pool)
            .await?;
        let change = |row: &AnyRow| {
            let (alert_id, version) = (row.try_get("alert_id")?, row.try_get("version")?);
            Ok(Change { alert_id, version, changed_ms: row.try_get("changed_at")? })
        };
        rows.iter().map(change).collect()
    }
}

pub(crate) fn page_text(query: &ListQuery, order: &Order, has_cursor: bool) -> String {
    let (column, way, past) = match order.descends {
        true => (order.column, "DESC", "<"),
        false => (order.column, "ASC", ">"),
    };
    let condition = query.which.condition();
    let rule = if query.rule.is_some() { " AND rule = $3" } else { "" };
    // What was resolved before values were kept has none.
    let loss = match query.min_loss_minor {
        Some(_) => " AND COALESCE(loss_value_minor, expected_loss_minor) >= $4",
        None => "",
    };
    let cursor = if has_cursor {
        format!(" AND {column} {past}= $7 AND ({column} {past} $7 OR alert_id > $6)")
    } else {
        String::new()
    };
    // Every parameter has to be used, since Postgres wants to know its type.
    format!(
        "SELECT * FROM alerts WHERE {condition}{rule}{loss}{cursor} AND ($1 >= 0 OR $2 = '' OR $3 = '' OR $4 >= 0 \
         OR $6 = '' OR $7 >= 0) ORDER BY {column} {way}, alert_id LIMIT $5"
    )
}

/// Most changes that are told at once; after so many there may be more.
pub const CHANGES_AT_ONCE: usize = 1_000;

pub(crate) const CHANGES: &str = "SELECT alert_id, version, changed_at FROM alerts WHERE changed_at >= $1 \
    AND (changed_at > $1 OR alert_id > $2) ORDER BY changed_at, alert_id LIMIT $3";

pub(crate) const LABELS_OF_ALERT: &str = "SELECT transaction_id, body, leaves_at, sent_at, applied_at FROM outbox \
    WHERE alert_id = $1 AND kind = 'label' ORDER BY seq";

pub(crate) const HITS_OF_ALERT: &str = "SELECT h.*, l.fraud, l.label_at, l.source FROM hits h \
    LEFT JOIN labels l ON l.transaction_id = h.transaction_id \
    WHERE h.alert_id = $1 ORDER BY h.raised_at DESC, h.hit_id LIMIT $2";

fn hit(row: &AnyRow) -> Result<Hit, QueueError> {
    let damaged = || QueueError::Damaged("a hit makes no sense".to_owned());
    let label = match row.try_get::<Option<i64>, _>("fraud")? {
        None => None,
        Some(fraud) => {
            let (label_ms, source) = (row.try_get("label_at")?, row.try_get("source")?);
            Some(KnownLabel { fraud: fraud != 0, label_ms, source })
        }
    };
    Ok(Hit {
        hit_id: row.try_get("hit_id")?,
        decision_id: row.try_get("decision_id")?,
        transaction_id: row.try_get("transaction_id")?,
        event_ms: row.try_get("event_at")?,
        raised_ms: row.try_get("raised_at")?,
        verdict: Verdict::parse(&row.try_get::<String, _>("verdict")?).ok_or_else(damaged)?,
        hold: row.try_get::<i64, _>("hold")? != 0,
        score: row.try_get("score")?,
        amount_minor: row.try_get("amount_minor")?,
        currency: row.try_get("currency")?,
        expected_loss_minor: row.try_get("expected_loss_minor")?,
        entities: Vec::new(),
        reasons: serde_json::from_str(&row.try_get::<String, _>("reasons")?).map_err(|_| damaged())?,
        model: row.try_get("model")?,
        policy: row.try_get("policy")?,
        label,
    })
}
