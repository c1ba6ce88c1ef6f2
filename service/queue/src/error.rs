//! Why something was not done: whose fault it is, and whether asking again helps.

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// There is nothing of this id.
    #[error("there is nothing of this id")]
    NotFound,
    /// It was changed since: nothing is overwritten.
    #[error("it was changed since; it is at version {version} now")]
    Stale {
        /// The version of now.
        version: i64,
    },
    /// Somebody else holds it.
    #[error("{holder} holds it")]
    Held {
        /// Who.
        holder: String,
        /// Until when, milliseconds since 1970.
        until_ms: i64,
    },
    /// Not in this state.
    #[error("{0}")]
    NotNow(String),
    /// The time to take it back is over, its labels have left.
    #[error("the time to take it back is over")]
    UndoOver,
    /// The one who asked may not be the second person too.
    #[error("it takes another person than the one who proposed it")]
    SamePerson,
    /// What was handed in is wrong.
    #[error("{field}: {expected}")]
    Invalid {
        /// Of what.
        field: &'static str,
        /// What would do.
        expected: String,
    },
    /// The database does not answer, is locked or full: nothing was done, asking again may help.
    #[error("the queue's database: {0}")]
    Unavailable(String),
    /// The database broke off while it was to make it so: whether it did is not known. Looking tells.
    #[error("the queue's database broke off at the end: {0}")]
    Uncertain(String),
    /// What the database holds makes no sense to us.
    #[error("the queue's database holds what it should not: {0}")]
    Damaged(String),
}

impl From<sqlx::Error> for QueueError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::RowNotFound => Self::NotFound,
            // The message only: a database's details quote values of rows.
            sqlx::Error::Database(error) => Self::Unavailable(error.message().to_owned()),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                Self::Damaged(error.to_string())
            }
            other => Self::Unavailable(other.to_string()),
        }
    }
}
