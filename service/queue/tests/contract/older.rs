//! A database of the version before is brought up to date, and what it held makes sense by the rules of now.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::*;

/// The tables before the third migration.
const BEFORE: [(i64, &str, &str); 2] = [
    (1, "queue", include_str!("../../migrations/0001_queue.sql")),
    (2, "by_rule", include_str!("../../migrations/0002_by_rule.sql")),
];

const ACCOUNTS: &str = "INSERT INTO accounts (name, password, roles, disabled, created_at) VALUES \
     ('vera', '', 'viewer', 0, 0), ('ben', '', 'viewer analyst', 0, 0), ('carl', '', 'lead', 1, 0)";

const ALERTS: &str = "INSERT INTO alerts (alert_id, version, entity, entity_key, rule, state, escalated, assignee, opened_at, \
     due_at, changed_at, hits, amount_minor, currency, expected_loss_minor, rank_key, verdict, hold, why, disposition, \
     reason, resolved_by, resolved_at) VALUES \
     ('done', 3, 'card', 'done', 'r', 'resolved', 1, 'vera', NOW, NOW, NOW, 4, 6220, 'EUR', 90, 1, 'decline', 1, 'w', \
     'fraud', 'card_copied', 'ben', NOW), \
     ('leads', 3, 'card', 'leads', 'r', 'open', 1, 'ben', NOW, NOW, NOW, 1, 70, 'EUR', 7, 1, 'review', 0, 'w', \
     NULL, NULL, NULL, NULL), \
     ('veras', 3, 'card', 'veras', 'r', 'open', 0, 'vera', NOW, NOW, NOW, 1, 70, 'EUR', 7, 1, 'review', 0, 'w', \
     NULL, NULL, NULL, NULL), \
     ('carls', 3, 'card', 'carls', 'r', 'open', 0, 'carl', NOW, NOW, NOW, 1, 70, 'EUR', 7, 1, 'review', 0, 'w', \
     NULL, NULL, NULL, NULL), \
     ('bens', 3, 'card', 'bens', 'r', 'open', 0, 'ben', NOW, NOW, NOW, 1, 70, 'EUR', 7, 1, 'review', 0, 'w', \
     NULL, NULL, NULL, NULL), \
     ('olgas', 3, 'card', 'olgas', 'r', 'open', 0, 'olga', NOW, NOW, NOW, 1, 70, 'EUR', 7, 1, 'review', 0, 'w', \
     NULL, NULL, NULL, NULL)";

const HITS: &str = "INSERT INTO hits (hit_id, alert_id, decision_id, transaction_id, event_at, raised_at, verdict, hold, \
     amount_minor, currency, expected_loss_minor, why, reasons, policy) VALUES \
     ('h1', 'done', 'd', 't1', NOW, NOW, 'review', 0, 5000, 'EUR', 9, 'w', '[]', 'p'), \
     ('h2', 'done', 'd', 't2', NOW, NOW, 'decline', 0, 300, 'EUR', 9, 'w', '[]', 'p'), \
     ('h3', 'done', 'd', 't3', NOW, NOW, 'decline', 0, 900, 'USD', 9, 'w', '[]', 'p'), \
     ('h4', 'done', 'd', 't4', NOW, NOW, 'review', 1, 20, 'EUR', 9, 'w', '[]', 'p'), \
     ('h5', 'leads', 'd', 't5', NOW, NOW, 'review', 0, 70, 'EUR', 7, 'w', '[]', 'p'), \
     ('h6', 'veras', 'd', 't6', NOW, NOW, 'review', 0, 70, 'EUR', 7, 'w', '[]', 'p'), \
     ('h7', 'carls', 'd', 't7', NOW, NOW, 'review', 0, 70, 'EUR', 7, 'w', '[]', 'p'), \
     ('h8', 'bens', 'd', 't8', NOW, NOW, 'review', 0, 70, 'EUR', 7, 'w', '[]', 'p'), \
     ('h9', 'olgas', 'd', 't9', NOW, NOW, 'review', 0, 70, 'EUR', 7, 'w', '[]', 'p')";

/// A database as the version before left it.
async fn left_by_the_version_before(url: &str) {
    sqlx::any::install_default_drivers();
    let is_sqlite = url.starts_with("sqlite:");
    let key_text = if is_sqlite { "TEXT" } else { "TEXT COLLATE \"C\"" };
    let url = if is_sqlite { format!("{url}?mode=rwc") } else { url.to_owned() };
    let pool = AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let migrations = BEFORE.iter().map(|(version, name, text)| {
        let text = AssertSqlSafe(text.replace("KEYTEXT", key_text)).into_sql_str();
        Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, text, false)
    });
    Migrator::with_migrations(migrations.collect()).run(&pool).await.unwrap();
    for text in [ACCOUNTS, ALERTS, HITS] {
        pool.execute(AssertSqlSafe(text.replace("NOW", &NOW.to_string()))).await.unwrap();
    }
    pool.close().await;
}

#[tokio::test]
async fn a_queue_of_the_version_before_is_counted_freed_and_ranked() {
    let (urls, _folder) = databases().await;
    for url in urls {
        left_by_the_version_before(&url).await;
        let queue = Queue::open(&url, Rules::default()).await.unwrap();
        let board = queue.dashboard(NOW - 1, NOW).await.unwrap();
        assert_eq!(
            board.saved,
            [("EUR".to_owned(), 320)],
            "{url}: held or declined, where no rate is needed"
        );
        for (id, assignee, version) in [
            ("leads", None, 4),
            ("veras", None, 4),
            ("carls", None, 4),
            ("bens", Some("ben"), 3),
            // Without an account: somebody else vouches for her.
            ("olgas", Some("olga"), 3),
            ("done", Some("vera"), 3),
        ] {
            let alert = queue.get(ANNA, id, NOW).await.unwrap().alert;
            assert_eq!((alert.assignee.as_deref(), alert.version), (assignee, version), "{url}: {id}");
        }
        let key = async || queue.get(LEA, "bens", NOW).await.unwrap().alert.rank_key;
        let before = key().await;
        queue.rank_anew().await.unwrap();
        let ranked = key().await;
        assert_ne!(ranked, before, "{url}: by the rules of now");
        queue.rank_anew().await.unwrap();
        assert_eq!(key().await, ranked);
        queue.close().await;
    }
}
