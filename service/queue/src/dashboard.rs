//! The queue in numbers.

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
    /// Amounts of alerts confirmed as fraud within the window, by currency, whose payments were held or declined.
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

impl Queue {
    /// The numbers; the window is what lies between `since_ms` and now.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn dashboard(&self, since_ms: i64, now_ms: i64) -> Result<Dashboard, QueueError> {
        let _ = (since_ms, now_ms);
        Err(QueueError::Unavailable("not built".to_owned()))
    }
}
