//! Filters of the list that people keep under a name.

use sqlx::Row;

use crate::claim::Seat;
use crate::error::QueueError;
use crate::store::Queue;

/// Most filters of a person.
const MOST: i64 = 50;

/// A filter that somebody gave a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFilter {
    /// Its name.
    pub name: String,
    /// The query, as in the address of the list.
    pub query: String,
}

impl Queue {
    /// The filters of a person.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn filters(&self, seat: Seat<'_>) -> Result<Vec<SavedFilter>, QueueError> {
        let text = "SELECT name, query FROM filters WHERE owner = $1 ORDER BY name";
        let rows = sqlx::query(text).bind(seat.name).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| Ok(SavedFilter { name: row.try_get("name")?, query: row.try_get("query")? }))
            .collect()
    }

    /// Keeps a filter under its name; one of the same name is replaced. At most 50 a person.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn save_filter(&self, seat: Seat<'_>, filter: &SavedFilter) -> Result<(), QueueError> {
        if filter.name.trim().is_empty() || filter.name.chars().count() > 64 || filter.query.len() > 1_024 {
            let expected = "a name of 1 to 64 characters, and a query of at most 1024 bytes".to_owned();
            return Err(QueueError::Invalid { field: "name", expected });
        }
        let mut write = self.write().await?;
        let text = "SELECT COUNT(*) AS n FROM filters WHERE owner = $1 AND name <> $2";
        let row = sqlx::query(text).bind(seat.name).bind(&filter.name).fetch_one(write.connection()).await?;
        if row.try_get::<i64, _>("n")? >= MOST {
            return Err(QueueError::NotNow(format!("you have {MOST} filters: remove one first")));
        }
        let text = "INSERT INTO filters (owner, name, query) VALUES ($1, $2, $3) \
                    ON CONFLICT (owner, name) DO UPDATE SET query = excluded.query";
        let kept = sqlx::query(text).bind(seat.name).bind(&filter.name).bind(&filter.query);
        kept.execute(write.connection()).await?;
        write.commit().await
    }

    /// Removes a filter.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn remove_filter(&self, seat: Seat<'_>, name: &str) -> Result<(), QueueError> {
        let mut write = self.write().await?;
        let text = "DELETE FROM filters WHERE owner = $1 AND name = $2";
        let gone = sqlx::query(text).bind(seat.name).bind(name).execute(write.connection()).await?;
        write.commit().await?;
        if gone.rows_affected() == 0 { Err(QueueError::NotFound) } else { Ok(()) }
    }
}
