//! A connection of one's own to a queue's database: to lock it, to fill it, and to change what nobody should.

use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row};
use tokio::runtime::Runtime;

/// See the module.
pub struct Database {
    runtime: Runtime,
    connection: AnyConnection,
}

impl Database {
    /// Opens one, `sqlite:PATH` or `postgres://...`.
    pub fn open(url: &str) -> Database {
        install_default_drivers();
        let url = url.strip_prefix("sqlite:").map_or(url.to_owned(), |path| format!("sqlite://{path}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(AnyConnection::connect(&url)).unwrap();
        Database { runtime, connection }
    }

    /// Runs statements.
    pub fn run(&mut self, text: &str) {
        let done = self.runtime.block_on(self.connection.execute(AssertSqlSafe(text.to_owned())));
        done.unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    /// A number that it has.
    pub fn number(&mut self, text: &str) -> i64 {
        let asked = sqlx::query(AssertSqlSafe(text.to_owned())).fetch_one(&mut self.connection);
        self.runtime.block_on(asked).unwrap_or_else(|error| panic!("{text}: {error}")).get(0)
    }
}
