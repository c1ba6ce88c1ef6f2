//! The tables, brought up to date when the database is opened. The texts are compiled in.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyPool, AssertSqlSafe, SqlSafeStr};

use crate::error::QueueError;
use crate::store::Dialect;

/// Version, name and text, oldest first. What has been released is never changed.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "queue", include_str!("../migrations/0001_queue.sql")),
    (2, "by_rule", include_str!("../migrations/0002_by_rule.sql")),
    (3, "values", include_str!("../migrations/0003_values.sql")),
];

/// Runs what this database has not seen yet. Several processes may come at once.
pub(crate) async fn run(pool: &AnyPool, dialect: Dialect) -> Result<(), QueueError> {
    let key_text = match dialect {
        Dialect::Sqlite => "TEXT",
        Dialect::Postgres => "TEXT COLLATE \"C\"",
    };
    let migrations = MIGRATIONS.iter().map(|(version, name, text)| {
        let text = AssertSqlSafe(text.replace("KEYTEXT", key_text)).into_sql_str();
        Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, text, false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    migrator.run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => QueueError::Damaged(format!(
            "it has been used by a newer Tripline (its tables are at {version}); use that one"
        )),
        MigrateError::VersionMismatch(version) => {
            QueueError::Damaged(format!("its tables were made by another text of version {version}"))
        }
        other => QueueError::Unavailable(other.to_string()),
    })
}
