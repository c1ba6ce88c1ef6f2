//! How the databases go about the queries behind lists and pages: by an index, each of them, and in its order.
//!
//! Asked of the planner over a table as large as one that has been in use, since a small one is read whole whatever
//! there is. `TRIPLINE_QUEUE_ROWS=1000000` by hand; Postgres when TRIPLINE_POSTGRES names a server's database.

use std::time::Instant;

use sqlx::any::AnyPoolOptions;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::list::{self, ListOrder, ListQuery, Order, Which};
use crate::store::Dialect;
use crate::{Queue, Rules, Seat, audit, claim, dashboard, facts, figures, outbox, ranking, search, verdict};

const NOW: i64 = 1_790_000_000_000;
const ANNA: Seat<'static> = Seat { name: "anna", leads: false };

/// Alerts; as many hits, and more of what hangs on them. Below some thousands Postgres reads tables whole.
fn rows() -> i64 {
    std::env::var("TRIPLINE_QUEUE_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(40_000)
}

/// A tenth is open, a few sleep, are proposed, held, given to somebody or for the leads; the rest is done.
const FILL: [&str; 6] = [
    "INSERT INTO alerts SELECT 'alr_' || i, 1, 'card', 'card-' || i, 'rule-' || (i % 4), \
     CASE WHEN i % 10 = 0 THEN 'open' WHEN i % 1000 = 1 THEN 'snoozed' WHEN i % 1000 = 2 THEN 'proposed' ELSE 'resolved' END, \
     CASE WHEN i % 500 = 0 THEN 1 ELSE 0 END, CASE WHEN i % 700 = 0 THEN 'anna' END, CASE WHEN i % 600 = 0 THEN 'anna' END, \
     CASE WHEN i % 600 = 0 THEN NOW + 60000 ELSE 0 END, CASE WHEN i % 1000 = 1 THEN NOW + i END, \
     NOW - i * 1000, NOW - i * 1000 + 86400000, NOW - i * 900, 1, (i * 7919) % 100000, 'EUR', (i * 7919) % 50000, \
     ((i * 7919) % 100003) / 100.0, 0.5, 'review', i % 2, 'why', CASE WHEN i % 10 > 2 THEN 'fraud' END, \
     CASE WHEN i % 10 > 2 THEN 'other' END, 0, CASE WHEN i % 10 > 2 THEN 'p' || (i % 20) END, \
     CASE WHEN i % 10 <> 0 THEN NOW - i * 900 END, NULL, NULL, (i * 7919) % 100000, (i * 7919) % 50000, 0, '' FROM n",
    "INSERT INTO hits SELECT 'alr_' || i, 'alr_' || i, 'dec_' || i, 't' || i, NOW - i * 1000, NOW - i * 1000, 'review', 0, 0.5, \
     100, 'EUR', 50, 'why', '[]', NULL, 'p1' FROM n",
    "INSERT INTO hit_entities SELECT 'alr_' || i, e, CASE e WHEN 'card' THEN 'card-' || i ELSE 'shop-' || (i % 997) END, \
     NOW - i * 1000 FROM n, (SELECT 'card' AS e UNION ALL SELECT 'merchant') AS both_of_them",
    "INSERT INTO labels SELECT 't' || i, i % 2, NOW - i, 'chargeback' FROM n WHERE i % 5 = 0",
    "INSERT INTO outbox SELECT i, 'act_' || i, 'alr_' || i, 'label', 't' || i, '{}', NOW - i, 1, \
     CASE WHEN i % 1000 > 0 THEN NOW END, NULL FROM n",
    "INSERT INTO audit SELECT i, NOW, 'p' || (i % 20), 'resolve', 'alr_' || i, '{}', '', '' FROM n",
];

async fn filled() -> Vec<(Queue, tempfile::TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let mut urls = vec![format!("sqlite:{}", folder.path().join("queue.db").display())];
    if let Ok(server) = std::env::var("TRIPLINE_POSTGRES") {
        sqlx::any::install_default_drivers();
        let name = format!("q{}", hex::encode(rand::random::<[u8; 8]>()));
        let pool = AnyPoolOptions::new().max_connections(1).connect(&server).await.unwrap();
        pool.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        urls.push(format!("{}/{name}", server.rsplit_once('/').unwrap().0));
    }
    let (mut queues, mut folders) = (Vec::new(), vec![folder]);
    for url in urls {
        let queue = Queue::open(&url, Rules::default()).await.unwrap();
        for text in FILL {
            let series = format!(
                "WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {})",
                rows()
            );
            // Where the word stands, behind the target's name, is the one that both databases take.
            let (insert, select) = text.split_once(" SELECT ").unwrap();
            let text = format!("{insert} {series} SELECT {select}").replace("NOW", &NOW.to_string());
            queue.pool.execute(AssertSqlSafe(text)).await.unwrap();
        }
        if queue.dialect == Dialect::Postgres {
            queue.pool.execute("ANALYZE").await.unwrap();
        }
        queues.push((queue, folders.pop().unwrap_or_else(|| tempfile::tempdir().unwrap())));
    }
    queues
}

#[derive(Debug, Clone, Copy)]
enum Bind {
    Whole(i64),
    Real(f64),
    Text(&'static str),
}
use Bind::{Real, Text, Whole};

/// A query with values for what it asks.
struct Case {
    name: String,
    text: String,
    binds: Vec<Bind>,
    /// Whether its rows come out of the index in their order: a page costs what it shows, however many there are.
    is_ordered: bool,
}

/// Where half of the rows are still to come.
fn middle(column: &str) -> Bind {
    match column {
        "rank_key" => Real(500.0),
        "amount_value_minor" => Whole(50_000),
        "opened_at" => Whole(NOW - rows() * 500),
        "resolved_at" => Whole(NOW - rows() * 450),
        _ => Whole(NOW + rows() / 2),
    }
}

/// Every list that can be asked for: the first page and one behind a cursor.
fn lists() -> Vec<Case> {
    let mut cases = Vec::new();
    for which in Which::ALL {
        for order in ListOrder::ALL {
            for (rule, min_loss_minor) in
                [(None, None), (Some("rule-1".to_owned()), None), (None, Some(40_000))]
            {
                for has_cursor in [false, true] {
                    let query = ListQuery {
                        which,
                        order,
                        rule: rule.clone(),
                        min_loss_minor,
                        ..ListQuery::default()
                    };
                    let by = Order::of(&query);
                    let key = middle(by.column);
                    cases.push(Case {
                        name: format!(
                            "{} by {} {rule:?} {min_loss_minor:?} {has_cursor}",
                            which.as_str(),
                            by.column
                        ),
                        text: list::page_text(&query, &by, has_cursor),
                        binds: vec![
                            Whole(NOW),
                            Text("anna"),
                            Text("rule-1"),
                            Whole(40_000),
                            Whole(51),
                            Text("alr_7"),
                            key,
                        ],
                        // Few have these states, are for the leads or somebody's: what is found may be sorted.
                        is_ordered: matches!(which, Which::Open | Which::Unclaimed | Which::Resolved),
                    });
                }
            }
        }
    }
    cases
}

/// The other queries of pages, of the filler, and of what runs every second.
fn others(dialect: Dialect) -> Vec<Case> {
    let case = |name: &str, text: &str, binds: &[Bind]| Case {
        name: name.to_owned(),
        text: text.to_owned(),
        binds: binds.to_vec(),
        is_ordered: false,
    };
    let claim = claim::CLAIM_NEXT[usize::from(dialect == Dialect::Postgres)];
    let since = Whole(NOW - 3_600_000);
    let mut cases = vec![
        case("search by id", search::BY_ID, &[Text("t7")]),
        case("search by key", search::BY_KEY, &[Text("card-77"), Text("card-77\u{10ffff}")]),
        case("facts of an alert", facts::HITS_OF_ONE, &[Text("alr_7")]),
        case("payments to label", verdict::LABELLED_COUNT, &[Text("alr_7")]),
        case("peek", claim::PEEK_NEXT, &[Text("anna"), Text("alr_7"), Whole(NOW), Whole(0)]),
        case("hits of an alert", list::HITS_OF_ALERT, &[Text("alr_7"), Whole(200)]),
        case("labels of an alert", list::LABELS_OF_ALERT, &[Text("alr_7")]),
        case("changes", list::CHANGES, &[Whole(NOW - 60_000), Text("alr-5"), Whole(1_000)]),
        case("asleep", claim::ASLEEP, &[Whole(NOW)]),
        case("outbox", outbox::DUE, &[Whole(NOW), Whole(200), Text("label")]),
        case("outbox depth", outbox::DEPTH, &[]),
        case("open alerts", figures::OPEN, &[]),
        case("dashboard", dashboard::OPEN, &[Whole(NOW)]),
        case("resolved since", dashboard::RESOLVED, &[since]),
        case("audit", audit::PAGES[0], &[Whole(NOW), Whole(51)]),
        case("audit of an actor", audit::PAGES[1], &[Whole(NOW), Whole(51), Text("p3")]),
        case("audit of an object", audit::PAGES[2], &[Whole(NOW), Whole(51), Text("alr_7")]),
        case("audit of both", audit::PAGES[3], &[Whole(NOW), Whole(51), Text("p3"), Text("alr_7")]),
    ];
    // By the rules of now all of them, as nearly always.
    cases.push(case("ranked otherwise", ranking::OTHERWISE_RANKED, &[Text("")]));
    for (name, text) in [("claim next", claim), ("await next", claim::AWAIT_NEXT)] {
        cases.push(case(name, text, &[Text("anna"), Whole(NOW + 1), Whole(NOW), Whole(0)]));
    }
    cases
}

/// The plan, a step a line.
async fn plan(queue: &Queue, case: &Case) -> Vec<String> {
    let (word, column) = match queue.dialect {
        Dialect::Sqlite => ("EXPLAIN QUERY PLAN", "detail"),
        Dialect::Postgres => ("EXPLAIN", "QUERY PLAN"),
    };
    let text = format!("{word} {}", case.text);
    let mut asked = sqlx::query(AssertSqlSafe(text));
    for bind in &case.binds {
        asked = match *bind {
            Whole(value) => asked.bind(value),
            Real(value) => asked.bind(value),
            Text(value) => asked.bind(value),
        };
    }
    let mut connection = queue.pool.acquire().await.unwrap();
    // EXPLAIN alone does not look whether the schema has changed, in SQLite.
    connection.execute("SELECT topic FROM offsets LIMIT 1").await.unwrap();
    let rows = asked.fetch_all(&mut *connection).await;
    let rows = rows.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    rows.iter().map(|row| row.try_get::<String, _>(column).unwrap()).collect()
}

/// What is wrong with a step of a plan.
fn flaw(dialect: Dialect, case: &Case, step: &str) -> Option<&'static str> {
    let (reads_whole, sorts) = match dialect {
        Dialect::Sqlite => {
            // Reading all of an index is as bad, but for those that hold nothing but what is asked for.
            let is_partial = step.contains("INDEX alerts_") && !step.contains("INDEX alerts_changed");
            let is_small = is_partial || step.contains("INDEX outbox_waiting") || step.contains("SUBQUERY");
            let reads_whole = step.starts_with("SCAN ") && !is_small && !step.contains("CONSTANT ROW");
            (reads_whole, step.contains("FOR ORDER BY"))
        }
        Dialect::Postgres => (step.contains("Seq Scan"), step.contains("Sort Key")),
    };
    if reads_whole {
        return Some("reads a table whole");
    }
    (sorts && case.is_ordered).then_some("sorts")
}

#[tokio::test]
async fn every_query_goes_by_an_index_and_pages_of_lists_need_no_sort() {
    for (queue, _folder) in filled().await {
        let dialect = queue.dialect;
        let cases: Vec<_> = lists().into_iter().chain(others(dialect)).collect();
        for case in &cases {
            let steps = plan(&queue, case).await;
            for step in &steps {
                assert_eq!(
                    flaw(dialect, case, step),
                    None,
                    "{dialect:?}: {}:\n{}\n{}",
                    case.name,
                    case.text,
                    steps.join("\n")
                );
            }
        }
        let mut slowest = (0.0, String::new());
        for which in Which::ALL {
            for order in ListOrder::ALL {
                let query = ListQuery { which, order, limit: 50, ..ListQuery::default() };
                let began = Instant::now();
                queue.list(ANNA, &query, NOW).await.unwrap();
                let ms = began.elapsed().as_secs_f64() * 1e3;
                if ms > slowest.0 {
                    slowest = (ms, format!("{} by {}", which.as_str(), order.as_str()));
                }
            }
        }
        println!(
            "{dialect:?}: {} plans over {} alerts, the slowest list {:.1} ms: {}",
            cases.len(),
            rows(),
            slowest.0,
            slowest.1
        );
    }
}

#[tokio::test]
async fn a_query_without_its_index_is_found() {
    for (queue, _folder) in filled().await {
        queue.pool.execute("DROP INDEX alerts_by_amount").await.unwrap();
        queue.pool.execute("DROP INDEX hits_of_alert").await.unwrap();
        let cases: Vec<_> = lists().into_iter().chain(others(queue.dialect)).collect();
        let mut found = Vec::new();
        for case in &cases {
            let steps = plan(&queue, case).await;
            if steps.iter().any(|step| flaw(queue.dialect, case, step).is_some()) {
                found.push(case.name.as_str());
            }
        }
        assert!(found.iter().any(|name| name.starts_with("open by amount_value_minor")), "{found:?}");
        assert!(found.contains(&"hits of an alert"), "{found:?}");
    }
}
