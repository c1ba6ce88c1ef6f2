//! The database: SQLite or Postgres behind one pool and one text of each query.
//!
//! A write begins with its turn: SQLite has one writer at a time, and a fair queue in the process beats its busy loop.
//! Postgres locks rows. In both the row that everybody writes, the end of the audit log, is locked last.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Connection, Executor, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use crate::error::QueueError;
use crate::migration;
use crate::rules::Rules;
use crate::search::Searches;

/// Connections of one process: requests that read, a writer, two consumers and the outbox.
const CONNECTIONS: u32 = 12;

/// How long a connection is waited for: whoever asks is a person at a page.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(3);

/// Passwords that are checked at once: each takes 19 MiB and a processor for a while.
const PASSWORDS_AT_ONCE: usize = 2;

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// The queue. Cheap to clone; everything is in the database, so several processes may share one Postgres.
#[derive(Clone)]
pub struct Queue {
    pub(crate) pool: AnyPool,
    pub(crate) dialect: Dialect,
    rules: Arc<Rules>,
    turn: Arc<Mutex<()>>,
    pub(crate) passwords: Arc<Semaphore>,
    pub(crate) searches: Arc<Searches>,
    /// Currencies that were met and have no rate: each is said once.
    pub(crate) unrated: Arc<std::sync::Mutex<BTreeSet<String>>>,
}

/// A transaction that writes. Dropped without [`Write::commit`] it has done nothing.
pub(crate) struct Write {
    tx: Transaction<'static, Any>,
    dialect: Dialect,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Queue {
    /// Opens the database, `sqlite:PATH` or `postgres://...`, and brings its tables up to date. What other rules ranked is
    /// left to [`Queue::rank_anew`]: a tool beside the service may have another config.
    ///
    /// # Errors
    /// When it cannot be reached, or is newer than this program.
    pub async fn open(url: &str, rules: Rules) -> Result<Self, QueueError> {
        install_default_drivers();
        let (dialect, url) = address(url)?;
        let pages =
            rules.max_bytes.map(|bytes| format!("PRAGMA max_page_count = {}", (bytes / PAGE_BYTES).max(1)));
        let options = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_WITHIN);
        let options = options.after_connect(move |connection, _| {
            let pages = pages.clone().filter(|_| dialect == Dialect::Sqlite);
            Box::pin(async move {
                connection.execute(if dialect == Dialect::Sqlite { PRAGMAS } else { SETTINGS }).await?;
                if let Some(pages) = pages {
                    connection.execute(AssertSqlSafe(pages)).await?;
                }
                Ok(())
            })
        });
        // A full SQLite ends a transaction by itself, and the driver's count of them is wrong then: such a connection
        // could never begin one again.
        let options = options.before_acquire(|connection, _| {
            let is_clean = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_clean) })
        });
        let pool = options.connect(&url).await?;
        let queue = Self {
            pool,
            dialect,
            rules: Arc::new(rules),
            turn: Arc::default(),
            passwords: Arc::new(Semaphore::new(PASSWORDS_AT_ONCE)),
            searches: Arc::default(),
            unrated: Arc::default(),
        };
        migration::run(&queue.pool, dialect).await?;
        Ok(queue)
    }

    /// What the config says.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether it takes a write: one that needs room, takes the locks of an action, and leaves nothing. For health: a
    /// database that is locked or full still answers questions.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn probe(&self) -> Result<(), QueueError> {
        let mut write = self.write().await?;
        // No such row; in Postgres it waits for who has locked the table.
        sqlx::query("UPDATE alerts SET version = version WHERE alert_id = ''")
            .execute(write.connection())
            .await?;
        let text = "INSERT INTO drafts (alert_id, author, text, at) VALUES ('', '', $1, 0) \
                    ON CONFLICT (alert_id, author) DO UPDATE SET text = excluded.text";
        sqlx::query(text).bind(bulk()).execute(write.connection()).await?;
        sqlx::query("DELETE FROM drafts WHERE alert_id = ''").execute(write.connection()).await?;
        write.commit().await
    }

    /// Closes the connections: what runs ends first.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Begins a transaction that writes.
    pub(crate) async fn write(&self) -> Result<Write, QueueError> {
        let (turn, begin) = match self.dialect {
            Dialect::Sqlite => (Some(Arc::clone(&self.turn).lock_owned().await), "BEGIN IMMEDIATE"),
            Dialect::Postgres => (None, "BEGIN"),
        };
        let tx = self.pool.begin_with(begin).await?;
        Ok(Write { tx, dialect: self.dialect, _turn: turn })
    }
}

impl Write {
    /// Where queries run.
    pub(crate) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.tx
    }

    /// The text that fits: where the two differ, in locks only.
    pub(crate) fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
        }
    }

    /// Whether nobody else writes meanwhile: SQLite has one writer, Postgres locks rows.
    pub(crate) fn is_alone(&self) -> bool {
        self.dialect == Dialect::Sqlite
    }

    /// Makes it so.
    pub(crate) async fn commit(self) -> Result<(), QueueError> {
        self.tx.commit().await.map_err(|error| match error {
            // The database itself says that it did not.
            error @ sqlx::Error::Database(_) => error.into(),
            other => QueueError::Uncertain(other.to_string()),
        })
    }
}

/// The journal lets readers go on while somebody writes; FULL: an action that was acknowledged survives a loss of power.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 3000; \
                       PRAGMA foreign_keys = ON;";

/// Who locks a table for long is not waited for longer than SQLite waits for a writer.
const SETTINGS: &str = "SET lock_timeout = '3s'";

/// A page of SQLite, since 2016.
const PAGE_BYTES: u64 = 4_096;

/// A text of 16 KiB, more than a page, that a database does not make small: so a probe needs room.
fn bulk() -> String {
    (0..256_u32).map(|n| hex::encode(Sha256::digest(n.to_le_bytes()))).collect()
}

fn address(url: &str) -> Result<(Dialect, String), QueueError> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => {
            let path = path.trim_start_matches("//");
            Ok((Dialect::Sqlite, format!("sqlite://{path}?mode=rwc")))
        }
        Some(("postgres" | "postgresql", _)) => Ok((Dialect::Postgres, url.to_owned())),
        _ => Err(QueueError::Invalid {
            field: "url",
            expected: "sqlite:PATH or postgres://USER@HOST/DATABASE".to_owned(),
        }),
    }
}
