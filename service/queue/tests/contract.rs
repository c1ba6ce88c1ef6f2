//! One contract for both databases. SQLite always; Postgres when TRIPLINE_POSTGRES names a database that may be filled,
//! as the suite of the whole service does it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeSet;
use std::time::Instant;

use queue::alert::{Disposition, State};
use queue::{
    Anchor, Attempt, AuditQuery, Effect, EffectKind, Exchange, FindingKind, ListOrder, ListQuery, NewAccount,
    OutboxRow, Queue, QueueError, Resolution, Rules, Seat, SignIn, Span, Taken, Which,
};
use schemas::alert::{Alert, alert_id};
use schemas::decision::Verdict;
use schemas::payment::{AmountMinor, Currency, Label, LabelSource};
use schemas::reason::EntityVersion;
use schemas::time::EventTime;
use sqlx::Executor;
use sqlx::any::AnyPoolOptions;

#[path = "contract/at_once.rs"]
mod at_once;
#[path = "contract/older.rs"]
mod older;
#[path = "contract/people.rs"]
mod people;
#[path = "contract/values.rs"]
mod values;
#[path = "contract/ways.rs"]
mod ways;
#[path = "contract/whose.rs"]
mod whose;

const NOW: i64 = 1_790_000_000_000;
const ANNA: Seat<'static> = Seat { name: "anna", leads: false };
const BEN: Seat<'static> = Seat { name: "ben", leads: false };
const LEA: Seat<'static> = Seat { name: "lea", leads: true };

/// A database of its own for a test.
struct World {
    queue: Queue,
    url: String,
    _folder: tempfile::TempDir,
}

/// A new database of each kind.
async fn databases() -> (Vec<String>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut urls = vec![format!("sqlite:{}", folder.path().join("queue.db").display())];
    if let Ok(server) = std::env::var("TRIPLINE_POSTGRES") {
        sqlx::any::install_default_drivers();
        let name = format!("q{}", hex::encode(rand::random::<[u8; 8]>()));
        let pool = AnyPoolOptions::new().max_connections(1).connect(&server).await.unwrap();
        pool.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        urls.push(format!("{}/{name}", server.rsplit_once('/').unwrap().0));
    }
    (urls, folder)
}

async fn worlds(rules: &Rules) -> Vec<World> {
    let (urls, folder) = databases().await;
    let mut worlds = Vec::new();
    for url in urls {
        let queue = Queue::open(&url, rules.clone()).await.unwrap();
        worlds.push(World { queue, url, _folder: tempfile::tempdir().unwrap() });
    }
    worlds[0]._folder = folder;
    worlds
}

fn alert(id: &str, card: &str, amount: i64, loss: i64) -> Alert {
    let entity = |entity: &str, key: &str| EntityVersion {
        entity: entity.into(),
        key: key.to_owned(),
        version: 1,
        pending: Vec::new(),
        applied: 0,
    };
    Alert {
        alert_id: alert_id(id),
        decision_id: format!("dec_{id}"),
        transaction_id: id.to_owned(),
        event_time: EventTime::from_ms(NOW - 5_000).unwrap(),
        raised_at_ms: NOW,
        attempt: 1,
        verdict: Verdict::Review,
        hold: false,
        rule: "reviewed".into(),
        score: Some(0.5),
        amount: AmountMinor::new(amount).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        expected_loss_minor: loss,
        entities: vec![entity("card", card), entity("merchant", "<script>alert(1)</script>")],
        reasons: Vec::new(),
        model: Some("demo/1".into()),
        policy: "p1".into(),
        source_partition: 0,
        source_offset: 1,
    }
}

fn label(id: &str, fraud: bool, ms: i64, source: LabelSource) -> Label {
    Label { transaction_id: id.into(), fraud, label_time: EventTime::from_ms(ms).unwrap(), source }
}

fn span(topic: &str, from: Option<i64>, next: i64) -> Span<'_> {
    Span { topic, partition: 0, from, next }
}

async fn fill(queue: &Queue, alerts: &[Alert]) {
    let from = queue.offsets("alerts").await.unwrap().get(&0).copied();
    let next = from.unwrap_or(0) + alerts.len() as i64;
    assert_eq!(queue.take_alerts(&span("alerts", from, next), alerts, NOW).await.unwrap(), Taken::Now);
}

/// Does it, and again where the database was too busy for it: then nothing was done. That two wait for each other does
/// not come of that.
async fn patiently<T, F>(mut work: impl FnMut() -> F) -> Result<T, QueueError>
where
    F: Future<Output = Result<T, QueueError>>,
{
    for _ in 0..20 {
        match work().await {
            Err(QueueError::Unavailable(why)) if !why.contains("deadlock") => {}
            done => return done,
        }
    }
    work().await
}

/// What is to be done by then, of both kinds.
async fn due(queue: &Queue, now_ms: i64) -> Vec<OutboxRow> {
    let mut rows = Vec::new();
    for kind in EffectKind::ALL {
        rows.extend(queue.outbox(kind, 9, now_ms).await.unwrap());
    }
    rows
}

fn fraud() -> Resolution {
    Resolution { disposition: Disposition::Fraud, reason: "card_copied".to_owned(), note: None, block: false }
}

#[tokio::test]
async fn i9_a_hit_joins_the_open_alert_of_its_card_and_a_repeated_span_changes_nothing() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        let alerts = [alert("a", "c1", 100, 40), alert("b", "c2", 900, 500), alert("c", "c1", 300, 200)];
        fill(&queue, &alerts).await;
        let again = queue.take_alerts(&span("alerts", None, 3), &alerts, NOW + 9).await.unwrap();
        assert_eq!(again, Taken::Elsewhere(3));
        assert_eq!(
            queue.take_alerts(&span("alerts", Some(3), 6), &alerts, NOW + 9).await.unwrap(),
            Taken::Now
        );
        let page = queue.list(ANNA, &ListQuery { limit: 10, ..ListQuery::default() }, NOW).await.unwrap();
        let seen: Vec<_> = page
            .alerts
            .iter()
            .map(|one| (one.key.as_str(), one.hits, one.amount_minor, one.expected_loss_minor))
            .collect();
        assert_eq!(seen, [("c2", 1, 900, 500), ("c1", 2, 400, 240)]);
        // Known fraud counts whole: the rank moves.
        let before = page.alerts[1].clone();
        let labels =
            [label("c", true, NOW, LabelSource::Chargeback), label("zzz", false, NOW, LabelSource::Other)];
        queue.take_labels(&span("labels", None, 2), &labels, NOW + 10).await.unwrap();
        let after = queue.get(ANNA, &before.alert_id, NOW).await.unwrap();
        assert_eq!((after.alert.expected_loss_minor, after.alert.version), (340, before.version + 1));
        assert!(after.alert.rank_key > before.rank_key);
        assert_eq!(
            after.hits.iter().filter(|hit| hit.label.as_ref().is_some_and(|label| label.fraud)).count(),
            1
        );
        assert_eq!(queue.changes(NOW + 10, "").await.unwrap().len(), 1);
        assert_eq!(queue.changes(NOW + 10, &before.alert_id).await.unwrap().len(), 0, "past it is nothing");
        // An older label does not replace a newer one.
        let old = [label("c", false, NOW - 1, LabelSource::Other)];
        queue.take_labels(&span("labels", Some(2), 3), &old, NOW + 11).await.unwrap();
        assert!(queue.labels_of(&["c".to_owned()]).await.unwrap()["c"].fraud);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i9_a_hundred_who_claim_at_once_get_a_hundred_alerts() {
    let rounds = std::env::var("TRIPLINE_CLAIM_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    for World { queue, url, .. } in worlds(&Rules { lease_ms: 1_000, ..Rules::default() }).await {
        let alerts: Vec<_> =
            (0..120).map(|n| alert(&format!("t{n}"), &format!("c{n}"), 10_000, 100 + n)).collect();
        fill(&queue, &alerts).await;
        let began = Instant::now();
        for round in 0..rounds {
            // All leases of the round before have lapsed.
            let now_ms = NOW + round * 2_000;
            let claims: Vec<_> = (0..100)
                .map(|n| {
                    let queue = queue.clone();
                    tokio::spawn(async move {
                        let name = format!("p{n}");
                        patiently(|| queue.claim_next(Seat { name: &name, leads: false }, now_ms)).await
                    })
                })
                .collect();
            let mut given = BTreeSet::new();
            for claim in claims {
                let alert = claim.await.unwrap().unwrap().expect("there are 120");
                assert!(given.insert(alert.expected_loss_minor), "given twice");
            }
            // The hundred of the highest rank: none is passed over.
            assert_eq!(given, (120..220).collect(), "round {round}");
        }
        let kind = url.split(':').next().unwrap();
        println!("{kind}: {} claims in {:.1} s", rounds * 100, began.elapsed().as_secs_f64());
        let audit = queue.verify_audit(&[]).await.unwrap();
        assert_eq!((audit.entries, audit.findings), (rounds as u64 * 100, vec![]));
    }
}

#[tokio::test]
async fn who_comes_late_changes_nothing_and_a_lapsed_lease_keeps_the_draft() {
    for World { queue, .. } in worlds(&Rules { lease_ms: 1_000, ..Rules::default() }).await {
        fill(&queue, &[alert("a", "c1", 100, 40)]).await;
        let id = alert_id("a");
        let mine = queue.claim_next(ANNA, NOW).await.unwrap().unwrap();
        assert_eq!(queue.claim_next(BEN, NOW).await.unwrap(), None);
        let stale = queue.resolve(BEN, &id, mine.version - 1, &fraud(), NOW).await.unwrap_err();
        assert_eq!(stale, QueueError::Stale { version: mine.version });
        let held = queue.resolve(BEN, &id, mine.version, &fraud(), NOW).await.unwrap_err();
        assert_eq!(held, QueueError::Held { holder: "anna".to_owned(), until_ms: NOW + 1_000 });
        queue.heartbeat(ANNA, &id, Some("half a thou"), NOW + 900).await.unwrap();
        assert!(matches!(
            queue.heartbeat(ANNA, &id, Some("half a thought"), NOW + 2_000).await,
            Err(QueueError::NotNow(_))
        ));
        assert_eq!(queue.get(ANNA, &id, NOW).await.unwrap().draft.as_deref(), Some("half a thought"));
        let bens = queue.claim_next(BEN, NOW + 2_000).await.unwrap().unwrap();
        assert!(matches!(queue.heartbeat(ANNA, &id, None, NOW + 2_001).await, Err(QueueError::Held { .. })));
        let noted = queue.note(ANNA, &id, bens.version, "seen before", NOW + 2_001).await.unwrap();
        assert_eq!(queue.get(ANNA, &id, NOW).await.unwrap().draft, None);
        assert!(matches!(
            queue.release(ANNA, &id, noted.version, NOW + 2_002).await,
            Err(QueueError::Held { .. })
        ));
        queue.release(LEA, &id, noted.version, NOW + 2_002).await.unwrap();
        assert_eq!(queue.claim(BEN, "none", 1, NOW).await.unwrap_err(), QueueError::NotFound);
    }
}

#[tokio::test]
async fn a_verdict_is_taken_back_whole_and_labels_leave_only_when_it_cannot_be() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        fill(&queue, &[alert("a", "c1", 100, 40), alert("b", "c1", 300, 200)]).await;
        let id = alert_id("a");
        let mine = queue.claim_next(ANNA, NOW).await.unwrap().unwrap();
        let wrong = Resolution { reason: "holder_confirms".to_owned(), ..fraud() };
        assert!(matches!(
            queue.resolve(ANNA, &id, mine.version, &wrong, NOW).await,
            Err(QueueError::Invalid { .. })
        ));
        let blocked = Resolution { block: true, note: Some("as last week".to_owned()), ..fraud() };
        let done = queue.resolve(ANNA, &id, mine.version, &blocked, NOW).await.unwrap();
        let (action, until_ms) = done.undo.clone().unwrap();
        assert_eq!((done.state, done.holder.as_deref(), until_ms), (State::Resolved, None, NOW + 60_000));
        assert_eq!(due(&queue, NOW + 59_999).await, []);
        assert_eq!(queue.outbox_depth(NOW).await.unwrap(), (3, 0));
        assert_eq!(queue.undo(BEN, &action, NOW + 1).await.unwrap_err(), QueueError::NotFound);
        let items = queue.undo(ANNA, &action, NOW + 59_999).await.unwrap();
        let back = items[0].outcome.clone().unwrap();
        assert_eq!((back.state, back.holder.as_deref(), back.disposition), (State::Open, Some("anna"), None));
        assert_eq!(queue.undo(ANNA, &action, NOW + 59_999).await.unwrap_err(), QueueError::UndoOver);
        assert_eq!(queue.outbox_depth(NOW).await.unwrap(), (0, 0));
        // Said again, a hit comes on a new alert, and then it is too late.
        let done = queue.resolve(ANNA, &id, back.version, &fraud(), NOW + 60_000).await.unwrap();
        let rows = due(&queue, NOW + 120_000).await;
        let labelled: Vec<_> = rows.iter().map(|row| row.effect.clone()).collect();
        let label_of =
            |id: &str| Effect::Label { transaction_id: id.to_owned(), fraud: true, label_ms: NOW + 120_000 };
        assert_eq!(labelled.len(), 2);
        assert!(labelled.contains(&label_of("a")) && labelled.contains(&label_of("b")));
        assert_eq!(due(&queue, NOW + 120_001).await, rows, "given out again until it is told to be sent");
        let action = done.undo.unwrap().0;
        assert_eq!(
            queue.undo(ANNA, &action, NOW + 60_001).await.unwrap_err(),
            QueueError::UndoOver,
            "it may be out"
        );
        queue.sent(&rows.iter().map(|row| row.seq).collect::<Vec<_>>(), NOW + 120_002).await.unwrap();
        assert_eq!(due(&queue, NOW + 130_000).await, []);
        let back = [label("a", true, NOW + 120_000, LabelSource::Analyst)];
        queue.take_labels(&span("labels", None, 1), &back, NOW + 120_003).await.unwrap();
        let applied: Vec<_> =
            queue.get(ANNA, &id, NOW).await.unwrap().labels.iter().map(|one| one.applied_ms).collect();
        assert_eq!(applied.iter().flatten().collect::<Vec<_>>(), [&(NOW + 120_003)]);
        fill(&queue, &[alert("d", "c1", 50, 20)]).await;
        assert_eq!(
            queue
                .list(ANNA, &ListQuery { limit: 9, ..ListQuery::default() }, NOW)
                .await
                .unwrap()
                .alerts
                .len(),
            1
        );
    }
}

#[tokio::test]
async fn pages_follow_each_other_in_every_order_and_ids_are_found() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        let alerts: Vec<_> =
            (0..37).map(|n| alert(&format!("t{n}"), &format!("card-{n}"), 1_000 + n % 5, n % 7)).collect();
        fill(&queue, &alerts).await;
        for order in ListOrder::ALL {
            let (mut cursor, mut seen) = (None, Vec::new());
            loop {
                let query = ListQuery { order, cursor, limit: 10, ..ListQuery::default() };
                let page = queue.list(ANNA, &query, NOW).await.unwrap();
                seen.extend(page.alerts);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            let ids: BTreeSet<_> = seen.iter().map(|alert| &alert.alert_id).collect();
            assert_eq!((seen.len(), ids.len()), (37, 37), "{order:?}");
            let is_ordered = seen.windows(2).all(|pair| match order {
                ListOrder::Rank => pair[0].rank_key >= pair[1].rank_key,
                ListOrder::Age => pair[0].opened_ms <= pair[1].opened_ms,
                ListOrder::Amount => pair[0].amount_minor >= pair[1].amount_minor,
            });
            assert!(is_ordered, "{order:?}");
        }
        let found = async |text: &str| {
            let query = ListQuery { text: Some(text.to_owned()), limit: 50, ..ListQuery::default() };
            queue.list(ANNA, &query, NOW).await.unwrap().alerts.len()
        };
        assert_eq!((found("t3").await, found("dec_t3").await, found(&alert_id("t3")).await), (1, 1, 1));
        // A whole key alone, and what begins so where none is just this.
        assert_eq!((found("card-3").await, found("card-").await), (1, 37));
        assert_eq!((found("ca").await, found("nothing").await), (0, 0));
        for which in Which::ALL {
            let query = ListQuery {
                which,
                rule: Some("reviewed".to_owned()),
                min_loss_minor: Some(3),
                limit: 50,
                ..ListQuery::default()
            };
            let count = queue.list(ANNA, &query, NOW).await.unwrap().alerts.len();
            let expected = if matches!(which, Which::Open | Which::Unclaimed) { 20 } else { 0 };
            assert_eq!(count, expected, "{which:?}");
        }
        let query = ListQuery { cursor: Some("x".to_owned()), limit: 1, ..ListQuery::default() };
        assert!(matches!(queue.list(ANNA, &query, NOW).await, Err(QueueError::Invalid { .. })));
    }
}

#[tokio::test]
async fn every_way_to_change_the_audit_log_is_found() {
    let tampers: [(&str, &str, FindingKind); 6] = [
        ("changed", "UPDATE audit SET actor = 'eve' WHERE seq = 3", FindingKind::Changed),
        ("removed", "DELETE FROM audit WHERE seq = 3", FindingKind::Removed),
        (
            "inserted",
            "INSERT INTO audit SELECT 9, at, actor, action, object, detail, before_hash, hash FROM audit WHERE seq = 3",
            FindingKind::Broken,
        ),
        (
            "reordered",
            "UPDATE audit SET seq = CASE seq WHEN 3 THEN -1 WHEN 4 THEN 3 ELSE seq END",
            FindingKind::Broken,
        ),
        ("truncated", "DELETE FROM audit WHERE seq > 6", FindingKind::Truncated),
        (
            "head too",
            "DELETE FROM audit WHERE seq > 6; UPDATE audit_head SET seq = 6, hash = (SELECT hash FROM audit WHERE seq = 6)",
            FindingKind::Truncated,
        ),
    ];
    for (name, text, kind) in tampers {
        for World { queue, url, .. } in worlds(&Rules::default()).await {
            for n in 0..8 {
                let detail = serde_json::json!({ "n": n });
                queue.write_audit("anna", "look", "x", &detail, NOW + n).await.unwrap();
            }
            let anchor = queue.audit_head().await.unwrap().unwrap();
            let clean = queue.verify_audit(std::slice::from_ref(&anchor)).await.unwrap();
            assert_eq!((clean.entries, clean.anchors, clean.findings), (8, 1, vec![]), "{name}");
            let pool = AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
            pool.execute(text).await.unwrap();
            if name == "reordered" {
                pool.execute("UPDATE audit SET seq = 4 WHERE seq = -1").await.unwrap();
            }
            pool.close().await;
            let found = queue.verify_audit(&[anchor]).await.unwrap();
            assert!(found.findings.iter().any(|finding| finding.kind == kind), "{name}: {found:?}");
        }
    }
    // Who computes the chain anew is found by an anchor only.
    for World { queue, .. } in worlds(&Rules::default()).await {
        queue.write_audit("anna", "look", "x", &serde_json::json!({}), NOW).await.unwrap();
        let other = Anchor { seq: 1, hash: "0".repeat(64) };
        let found = queue.verify_audit(&[other]).await.unwrap();
        assert_eq!(found.findings[0].kind, FindingKind::Forged);
    }
}

#[tokio::test]
async fn sessions_end_and_accounts_are_locked() {
    let rules = Rules {
        lockout_after: 3,
        session_idle_ms: 100_000,
        session_absolute_ms: 300_000,
        ..Rules::default()
    };
    for World { queue, .. } in worlds(&rules).await {
        let roles = ["analyst".to_owned()];
        let new = NewAccount { name: "anna", password: "correct horse", roles: &roles };
        queue.add_account("admin", new.clone(), NOW).await.unwrap();
        assert!(matches!(queue.add_account("admin", new, NOW).await, Err(QueueError::NotNow(_))));
        let attempt = |password| Attempt { name: "anna", password };
        let SignIn::In(token, session) = queue.sign_in(attempt("correct horse"), NOW).await.unwrap() else {
            panic!("not in");
        };
        assert_eq!((session.subject.as_str(), &session.roles[..]), ("anna", &roles[..]));
        assert_eq!(queue.session(&token, NOW + 99_999).await.unwrap(), Some(session.clone()));
        assert_eq!(
            queue.session(&token, NOW + 190_000).await.unwrap(),
            Some(session),
            "it was used meanwhile"
        );
        assert_eq!(queue.session(&token, NOW + 300_000).await.unwrap(), None, "over whatever happens");
        let nobody = Attempt { name: "nobody", password: "correct horse" };
        assert_eq!(queue.sign_in(nobody, NOW).await.unwrap(), SignIn::Wrong);
        for _ in 0..2 {
            assert_eq!(queue.sign_in(attempt("wrong one here"), NOW).await.unwrap(), SignIn::Wrong);
        }
        let locked = SignIn::Locked { until_ms: NOW + rules.lockout_ms };
        assert_eq!(queue.sign_in(attempt("wrong one here"), NOW).await.unwrap(), locked);
        assert_eq!(queue.sign_in(attempt("correct horse"), NOW + 1).await.unwrap(), locked);
        let later = NOW + rules.lockout_ms;
        let SignIn::In(token, _) = queue.sign_in(attempt("correct horse"), later).await.unwrap() else {
            panic!("not in");
        };
        queue.disable("admin", "anna", later).await.unwrap();
        assert_eq!(queue.session(&token, later).await.unwrap(), None);
        assert_eq!(queue.sign_in(attempt("correct horse"), later).await.unwrap(), SignIn::Wrong);
        assert_eq!(queue.verify_audit(&[]).await.unwrap().findings, []);
    }
}

#[tokio::test]
async fn many_keys_and_payments_are_known_at_once() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        // More than one group of a question, and not a whole number of them.
        let alerts: Vec<_> =
            (0..120).map(|n| alert(&format!("t{n}"), &format!("card-{n}"), 1_000, n)).collect();
        fill(&queue, &alerts).await;
        let labels: Vec<_> =
            (0..120).map(|n| label(&format!("t{n}"), n % 2 == 0, NOW, LabelSource::Chargeback)).collect();
        queue.take_labels(&span("labels", None, 120), &labels, NOW).await.unwrap();
        let page = ListQuery { text: Some("t7".to_owned()), limit: 1, ..ListQuery::default() };
        let seventh = queue.list(ANNA, &page, NOW).await.unwrap().alerts.remove(0);
        queue.resolve(ANNA, &seventh.alert_id, seventh.version, &fraud(), NOW).await.unwrap();

        let ids: Vec<_> = (0..130).map(|n| format!("t{n}")).collect();
        let known = queue.labels_of(&ids).await.unwrap();
        assert_eq!((known.len(), known["t118"].fraud, known["t119"].fraud), (120, true, false));
        let keys: Vec<_> = (0..130).map(|n| format!("card-{n}")).collect();
        let open = queue.open_of("card", &keys).await.unwrap();
        assert_eq!(open.len(), 119, "all but the resolved one, and no other entity's");
        assert!(open.contains(&(alert_id("t8"), "card-8".to_owned())));
        assert_eq!(queue.open_of("merchant", &keys).await.unwrap(), Vec::new());
        assert_eq!(
            (queue.labels_of(&[]).await.unwrap().len(), queue.open_of("card", &[]).await.unwrap().len()),
            (0, 0)
        );

        let of = async |entity, key, limit| queue.alerts_of(entity, key, limit, NOW).await.unwrap().len();
        assert_eq!((of("card", "card-7", 40).await, of("merchant", "card-7", 40).await), (1, 0));
        assert_eq!(of("merchant", "<script>alert(1)</script>", 40).await, 40);
    }
}
