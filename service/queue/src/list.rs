//! The list, single alerts, search, and what changed.

use std::collections::HashMap;

use crate::alert::{Alert, AlertDetail, Hit, KnownLabel};
use crate::claim::Seat;
use crate::error::QueueError;
use crate::store::Queue;

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
    /// The largest amount first.
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
    /// Only with at least so much expected loss, minor units.
    pub min_loss_minor: Option<i64>,
    /// An alert's, decision's or payment's id, or a key of any entity, whole or its beginning (at least 3 characters).
    pub text: Option<String>,
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

/// A filter that somebody gave a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFilter {
    /// Its name.
    pub name: String,
    /// The query, as in the address of the list.
    pub query: String,
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

impl Queue {
    /// A page of the list. A cursor that is none is `Invalid`.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn list(&self, seat: Seat<'_>, query: &ListQuery, now_ms: i64) -> Result<ListPage, QueueError> {
        let _ = (seat, query, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// One alert with all that hangs on it.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn get(&self, seat: Seat<'_>, id: &str, now_ms: i64) -> Result<AlertDetail, QueueError> {
        let _ = (seat, id, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// The last hits of an entity, whatever became of their alerts, the newest first: for links and the entity's page.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn hits_of(
        &self,
        entity: &str,
        key: &str,
        limit: usize,
    ) -> Result<Vec<(Hit, Alert)>, QueueError> {
        let _ = (entity, key, limit);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Labels of these payments, as far as there are.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn labels_of(
        &self,
        transaction_ids: &[String],
    ) -> Result<HashMap<String, KnownLabel>, QueueError> {
        let _ = transaction_ids;
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// What changed at or after a time, the first first; at most 1,000.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn changes(&self, since_ms: i64) -> Result<Vec<Change>, QueueError> {
        let _ = since_ms;
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// The filters of a person.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn filters(&self, seat: Seat<'_>) -> Result<Vec<SavedFilter>, QueueError> {
        let _ = seat;
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Keeps a filter under its name; one of the same name is replaced. At most 50 a person.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn save_filter(&self, seat: Seat<'_>, filter: &SavedFilter) -> Result<(), QueueError> {
        let _ = (seat, filter);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// Removes a filter.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn remove_filter(&self, seat: Seat<'_>, name: &str) -> Result<(), QueueError> {
        let _ = (seat, name);
        Err(QueueError::Unavailable("not built".to_owned()))
    }
}
