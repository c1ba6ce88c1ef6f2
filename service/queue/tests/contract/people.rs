//! Who may be given alerts, who sees which keys, and what can be blocked.

use super::*;

pub async fn account(queue: &Queue, name: &str) {
    account_of(queue, name, "analyst").await;
}

pub async fn account_of(queue: &Queue, name: &str, role: &str) {
    let roles = [role.to_owned()];
    let new = NewAccount { name, password: "correct horse", roles: &roles };
    queue.add_account("admin", new, NOW).await.unwrap();
}

#[tokio::test]
async fn an_alert_is_given_to_somebody_and_is_anybodys_when_they_leave() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        fill(&queue, &[alert("a", "c1", 100, 40), alert("b", "c2", 90, 30)]).await;
        account(&queue, "ben").await;
        account_of(&queue, "vic", "viewer").await;
        queue.begin_session("carla@sso", &["analyst".to_owned()], NOW).await.unwrap();
        let lookers = ["viewer", "policy_editor"].map(str::to_owned);
        queue.begin_session("vera@sso", &lookers, NOW).await.unwrap();
        let (given, held) = (alert_id("a"), alert_id("b"));
        let give = async |to| {
            let version = queue.get(LEA, &given, NOW).await.unwrap().alert.version;
            queue.assign(LEA, &given, version, to, NOW).await
        };
        // Those two may look, and could do nothing with it.
        for nobody in ["", "bne", "x\0", "carla", "vic", "vera@sso"] {
            let refused = give(Some(nobody)).await.unwrap_err();
            assert!(matches!(refused, QueueError::Invalid { field: "to", .. }), "{nobody}: {refused:?}");
        }
        for somebody in ["carla@sso", LEA.name, "ben"] {
            assert_eq!(give(Some(somebody)).await.unwrap().assignee.as_deref(), Some(somebody));
        }
        let version = queue.get(BEN, &held, NOW).await.unwrap().alert.version;
        let held_by_ben = queue.claim(BEN, &held, version, NOW).await.unwrap();
        queue.disable("admin", "ben", NOW + 1).await.unwrap();
        let (one, other) = (
            queue.get(ANNA, &given, NOW).await.unwrap().alert,
            queue.get(ANNA, &held, NOW).await.unwrap().alert,
        );
        assert_eq!((one.assignee, other.holder), (None, None), "nobody waits for who may not come");
        assert!(other.version > held_by_ben.version, "who saw it before is told so");
        assert!(give(Some("ben")).await.is_err());
        assert_eq!(queue.claim_next(ANNA, NOW + 1).await.unwrap().unwrap().alert_id, given);
        let why = queue.get(ANNA, &given, NOW).await.unwrap().history;
        assert!(why.iter().any(|entry| entry.action == "set_free"), "its history says why: {why:?}");
    }
}

#[tokio::test]
async fn a_verdict_taken_back_does_not_give_an_alert_to_who_has_left() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        fill(&queue, &[alert("a", "c1", 100, 40)]).await;
        account(&queue, "ben").await;
        let id = alert_id("a");
        let version = queue.get(LEA, &id, NOW).await.unwrap().alert.version;
        let given = queue.assign(LEA, &id, version, Some("ben"), NOW).await.unwrap();
        let done = queue.resolve(BEN, &id, given.version, &fraud(), NOW).await.unwrap();
        queue.disable("admin", "ben", NOW + 1).await.unwrap();
        let back = queue.undo(LEA, &done.undo.unwrap().0, NOW + 2).await.unwrap();
        let back = back[0].outcome.clone().unwrap();
        assert_eq!((back.state, back.assignee), (State::Open, None));
    }
}

#[tokio::test]
async fn who_may_not_see_keys_finds_none_by_its_beginning() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        fill(&queue, &[alert("a", "tok_9f86d0", 100, 40), alert("b", "tok_9f86d0x", 90, 30)]).await;
        let found = async |text: &str, whole_keys| {
            let query =
                ListQuery { text: Some(text.to_owned()), whole_keys, limit: 9, ..ListQuery::default() };
            queue.list(ANNA, &query, NOW).await.unwrap().alerts.len()
        };
        assert_eq!((found("tok_9f", false).await, found("tok_9f", true).await), (2, 0));
        assert_eq!((found("tok_9f86d0", false).await, found("tok_9f86d0", true).await), (1, 1));
    }
}

#[tokio::test]
async fn who_finds_keys_by_their_beginning_is_written_down_or_finds_none() {
    for World { queue, url, .. } in worlds(&Rules::default()).await {
        fill(&queue, &[alert("a", "tok_9f86d0", 100, 40), alert("b", "tok_9f86d0x", 90, 30)]).await;
        let found = async |text: &str| {
            let query = ListQuery { text: Some(text.to_owned()), limit: 9, ..ListQuery::default() };
            queue.list(ANNA, &query, NOW).await.map(|page| page.alerts.len())
        };
        let said = async || {
            let query = AuditQuery { object: Some("keys".to_owned()), limit: 9, ..AuditQuery::default() };
            let entries = queue.audit(&query).await.unwrap().entries;
            entries.into_iter().map(|one| (one.actor, one.action, one.detail)).collect::<Vec<_>>()
        };
        // An id, a whole key, and what is not there are nobody's business.
        for (text, count) in [("a", 1), ("dec_b", 1), ("tok_9f86d0", 1), ("tok_9f86d0x", 1), ("tok_8", 0)] {
            assert_eq!(found(text).await, Ok(count), "{text}");
        }
        assert_eq!(said().await, []);
        for text in ["tok_9f8", "tok_9f8", "tok_9"] {
            assert_eq!(found(text).await, Ok(2), "{text}");
        }
        let entry = |end: &str| {
            let detail = format!("{{\"found\":2,\"text\":\"••••{end}\"}}");
            ("anna".to_owned(), "search".to_owned(), detail)
        };
        assert_eq!(said().await, [entry("9"), entry("f8")], "each once");
        let pool = AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
        let mut other = pool.acquire().await.unwrap();
        if url.starts_with("sqlite") {
            other.execute("BEGIN IMMEDIATE").await.unwrap();
        } else {
            other.execute("BEGIN").await.unwrap();
            other.execute("LOCK TABLE audit_head IN EXCLUSIVE MODE").await.unwrap();
        }
        let refused = found("tok_").await;
        assert!(matches!(refused, Err(QueueError::Unavailable(_))), "{refused:?}");
        assert_eq!(found("tok_9f86d0").await, Ok(1), "this takes no entry");
        other.execute("ROLLBACK").await.unwrap();
        assert_eq!(found("tok_").await, Ok(2));
    }
}

#[tokio::test]
async fn what_a_page_asks_by_itself_does_not_keep_a_session() {
    let rules = Rules { session_idle_ms: 600_000, ..Rules::default() };
    for World { queue, .. } in worlds(&rules).await {
        let (token, session) = queue.begin_session("anna", &["analyst".to_owned()], NOW).await.unwrap();
        for minute in 1..10 {
            let asked = queue.session_unrenewed(&token, NOW + minute * 60_000).await.unwrap();
            assert_eq!(asked.as_ref(), Some(&session), "{minute}");
        }
        assert_eq!(queue.session_unrenewed(&token, NOW + 600_000).await.unwrap(), None);
        assert_eq!(queue.session(&token, NOW + 599_999).await.unwrap(), Some(session), "somebody came");
        assert!(queue.session_unrenewed(&token, NOW + 1_199_998).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_block_that_could_match_nothing_is_refused_and_one_waits_for_no_label() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        let card = "411111******1111";
        fill(&queue, &[alert("a", card, 100, 40), alert("b", "c2", 90, 30)]).await;
        let (masked, plain) = (alert_id("a"), alert_id("b"));
        let blocked = Resolution { block: true, ..fraud() };
        let version = queue.get(ANNA, &masked, NOW).await.unwrap().alert.version;
        let refused = queue.resolve(ANNA, &masked, version, &blocked, NOW).await.unwrap_err();
        assert!(
            matches!(&refused, QueueError::Invalid { field: "block", expected } if expected.contains("masked"))
        );
        let both = [(masked.clone(), version), (plain.clone(), version)];
        let bulk = queue.resolve_all(ANNA, &both, &blocked, NOW).await.unwrap();
        assert_eq!(bulk.items.iter().map(|item| item.outcome.is_ok()).collect::<Vec<_>>(), [false, true]);
        let later = NOW + 60_000;
        for kind in EffectKind::ALL {
            let rows = queue.outbox(kind, 1, later).await.unwrap();
            assert_eq!((rows.len(), &rows[0].alert_id), (1, &plain), "{kind:?}");
            assert_eq!(matches!(rows[0].effect, Effect::Block { .. }), kind == EffectKind::Block);
        }
        // Another entity than the list's.
        let other = Rules { blockable: vec!["device".to_owned()], ..Rules::default() };
        assert!(other.can_block("card", "c2").is_err() && other.can_block("device", "d").is_ok());
    }
}

#[tokio::test]
async fn texts_that_postgres_lacks_are_refused_and_not_the_database() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        fill(&queue, &[alert("a", "c1", 100, 40)]).await;
        let id = alert_id("a");
        let version = queue.claim_next(ANNA, NOW).await.unwrap().unwrap().version;
        let draft = queue.heartbeat(ANNA, &id, Some("a\0b"), NOW).await.unwrap_err();
        assert!(matches!(draft, QueueError::Invalid { field: "draft", .. }), "{draft:?}");
        let bulk =
            queue.resolve_all(ANNA, &[("x\0".to_owned(), 1), (id, version)], &fraud(), NOW).await.unwrap();
        assert_eq!(bulk.items[0].outcome, Err(QueueError::NotFound));
        assert!(bulk.items[1].outcome.is_ok());
        let cursor = Some(format!("{}00", "0".repeat(16)));
        let page = queue.list(ANNA, &ListQuery { cursor, limit: 9, ..ListQuery::default() }, NOW).await;
        assert!(matches!(page, Err(QueueError::Invalid { field: "cursor", .. })), "{page:?}");
        let odd = Attempt { name: "anna\0", password: "correct horse" };
        assert_eq!(queue.sign_in(odd, NOW).await.unwrap(), SignIn::Wrong);
    }
}

#[tokio::test]
async fn an_account_that_is_locked_while_its_password_is_looked_at_lets_nobody_in() {
    let rules = Rules { lockout_after: 2, ..Rules::default() };
    for World { queue, url, .. } in worlds(&rules).await {
        account(&queue, "ben").await;
        // Locked, and not yet seen by others: who comes now finds it open, and waits for its row with the right password.
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
        let mut locks = pool.begin().await.unwrap();
        let text = "UPDATE accounts SET failures = 2, locked_until = $1 WHERE name = 'ben'";
        sqlx::query(text).bind(NOW + 60_000).execute(&mut *locks).await.unwrap();
        let right =
            async { queue.sign_in(Attempt { name: "ben", password: "correct horse" }, NOW).await.unwrap() };
        let locked = async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            locks.commit().await.unwrap();
        };
        let (right, ()) = tokio::join!(right, locked);
        assert!(matches!(right, SignIn::Locked { .. }), "{url}: {right:?}");
    }
}
