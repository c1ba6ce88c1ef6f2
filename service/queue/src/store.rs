//! The database: SQLite or Postgres behind one pool and one text of each query.

use std::sync::Arc;

use crate::error::QueueError;
use crate::rules::Rules;

/// The queue. Cheap to clone; everything is in the database, so several processes may share one Postgres.
#[derive(Clone)]
pub struct Queue {
    rules: Arc<Rules>,
}

impl Queue {
    /// Opens the database, `sqlite://PATH` or `postgres://...`, and brings its tables up to date.
    ///
    /// # Errors
    /// When it cannot be reached, or is newer than this program.
    pub async fn open(url: &str, rules: Rules) -> Result<Self, QueueError> {
        let _ = (url, rules);
        Err(QueueError::Unavailable("not built".to_owned()))
    }

    /// What the config says.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// One question to the database, for health.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn ping(&self) -> Result<(), QueueError> {
        Err(QueueError::Unavailable("not built".to_owned()))
    }
}
