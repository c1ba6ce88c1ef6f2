//! The database: SQLite or Postgres behind one pool and one text of each query.
//!
//! A write begins with its turn: SQLite has one writer at a time, and a fair queue in the process beats its busy loop.
//! Postgres locks rows. In both the row that everybody writes, the end of the audit log, is locked last.

use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyConnection, AnyPool, Executor, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use crate::error::QueueError;
use crate::migration;
use crate::rules::Rules;

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
}

/// A transaction that writes. Dropped without [`Write::commit`] it has done nothing.
pub(crate) struct Write {
    tx: Transaction<'static, Any>,
    dialect: Dialect,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Queue {
    /// Opens the database, `sqlite:PATH` or `postgres://...`, and brings its tables up to date.
    ///
    /// # Errors
    /// When it cannot be reached, or is newer than this program.
    pub async fn open(url: &str, rules: Rules) -> Result<Self, QueueError> {
        install_default_drivers();
        let (dialect, url) = address(url)?;
        let options = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_WITHIN);
        let options = options.after_connect(move |connection, _| {
            Box::pin(async move {
                if dialect == Dialect::Sqlite {
                    connection.execute(PRAGMAS).await?;
                }
                Ok(())
            })
        });
        let pool = options.connect(&url).await?;
        let queue = Self {
            pool,
            dialect,
            rules: Arc::new(rules),
            turn: Arc::default(),
            passwords: Arc::new(Semaphore::new(PASSWORDS_AT_ONCE)),
        };
        migration::run(&queue.pool, dialect).await?;
        Ok(queue)
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
        sqlx::query("SELECT seq FROM audit_head").fetch_one(&self.pool).await?;
        Ok(())
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

    /// Makes it so.
    pub(crate) async fn commit(self) -> Result<(), QueueError> {
        Ok(self.tx.commit().await?)
    }
}

/// The journal lets readers go on while somebody writes; FULL: an action that was acknowledged survives a loss of power.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 3000; \
                       PRAGMA foreign_keys = ON;";

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
