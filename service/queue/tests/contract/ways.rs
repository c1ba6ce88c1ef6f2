//! Alerts that go another way than to the next analyst: asleep, escalated, assigned, costly; and texts that a database lacks.

use super::*;

#[tokio::test]
async fn a_key_with_u_0000_does_not_stop_the_intake() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        let padded = Alert { decision_id: "dec_t".to_owned(), ..alert("t\0x", "c\0d", 100, 40) };
        fill(&queue, &[padded, alert("y", "c2", 10, 4)]).await;
        let labels = [label("t\0x", true, NOW, LabelSource::Other)];
        queue.take_labels(&span("labels", None, 1), &labels, NOW).await.unwrap();
        let page = queue.list(ANNA, &ListQuery { limit: 10, ..ListQuery::default() }, NOW).await.unwrap();
        let shown = page.alerts.iter().find(|one| one.key != "c2").unwrap();
        assert_eq!(shown.key, "c\u{2400}d");
        let detail = queue.get(ANNA, &shown.alert_id, NOW).await.unwrap();
        let is_fraud = detail.hits[0].label.as_ref().is_some_and(|label| label.fraud);
        assert!(is_fraud, "its label is found");
    }
}

#[tokio::test]
async fn what_sleeps_is_escalated_assigned_or_costly_goes_its_way() {
    let rules = Rules { second_person_minor: Some(1_000), second_person_bulk: Some(3), ..Rules::default() };
    for World { queue, .. } in worlds(&rules).await {
        let ids: Vec<_> = ["a", "b", "c", "d"].iter().map(|id| alert_id(id)).collect();
        fill(
            &queue,
            &[
                alert("a", "c1", 100, 40),
                alert("b", "c2", 2_000, 900),
                alert("c", "c3", 10, 5),
                alert("d", "c4", 9, 4),
            ],
        )
        .await;
        let version = async |id: &str| queue.get(ANNA, id, NOW).await.unwrap().alert.version;
        let asleep = queue.snooze(ANNA, &ids[0], version(&ids[0]).await, NOW + 5_000, NOW).await.unwrap();
        assert_eq!(asleep.state, State::Snoozed);
        assert_eq!((queue.wake(NOW + 4_999).await.unwrap(), queue.wake(NOW + 5_000).await.unwrap()), (0, 1));
        queue.snooze(ANNA, &ids[0], version(&ids[0]).await, NOW + 9_000, NOW).await.unwrap();
        fill(&queue, &[alert("e", "c1", 1, 1)]).await;
        assert_eq!(queue.get(ANNA, &ids[0], NOW).await.unwrap().alert.state, State::Open, "a hit wakes it");
        queue.escalate(ANNA, &ids[0], version(&ids[0]).await, "not mine", NOW).await.unwrap();
        let roles = ["analyst".to_owned()];
        let ben = NewAccount { name: "ben", password: "correct horse", roles: &roles };
        queue.add_account("admin", ben, NOW).await.unwrap();
        queue.assign(LEA, &ids[2], version(&ids[2]).await, Some("ben"), NOW).await.unwrap();
        // Nor may she decide it, or put it away, by its address.
        for id in [&ids[0], &ids[2]] {
            let version = version(id).await;
            let (resolved, slept) = (
                queue.resolve(ANNA, id, version, &fraud(), NOW).await.unwrap_err(),
                queue.snooze(ANNA, id, version, NOW + 5_000, NOW).await.unwrap_err(),
            );
            assert!(
                matches!(resolved, QueueError::NotNow(_)) && matches!(slept, QueueError::NotNow(_)),
                "{resolved:?}"
            );
            let bulk = queue.resolve_all(ANNA, &[(id.clone(), version)], &fraud(), NOW).await.unwrap();
            assert!(matches!(bulk.items[0].outcome, Err(QueueError::NotNow(_))));
        }
        // Anna is given neither what is for the leads nor what is for Ben.
        let given = queue.claim_next(ANNA, NOW).await.unwrap().unwrap();
        assert_eq!(given.alert_id, ids[1]);
        let proposed = queue.resolve(ANNA, &ids[1], given.version, &fraud(), NOW).await.unwrap();
        assert_eq!((proposed.state, queue.outbox_depth(NOW).await.unwrap().0), (State::Proposed, 0));
        assert_eq!(
            queue.approve(ANNA, &ids[1], proposed.version, NOW).await.unwrap_err(),
            QueueError::SamePerson
        );
        let approved = queue.approve(LEA, &ids[1], proposed.version, NOW).await.unwrap();
        assert_eq!((approved.state, approved.resolved_by.as_deref()), (State::Resolved, Some("anna")));
        assert_eq!(queue.outbox_depth(NOW).await.unwrap().0, 1);
        let mut seen = Vec::new();
        for id in [&ids[3], &ids[2], &ids[0]] {
            seen.push((id.clone(), version(id).await));
        }
        seen[2].1 -= 1;
        let bulk = queue.resolve_all(LEA, &seen, &fraud(), NOW).await.unwrap();
        let states: Vec<_> =
            bulk.items.iter().map(|item| item.outcome.as_ref().map(|alert| alert.state)).collect();
        assert_eq!(states[..2], [Ok(State::Proposed), Ok(State::Proposed)]);
        assert!(matches!(states[2], Err(QueueError::Stale { .. })));
        let undone = queue.undo(LEA, &bulk.action_id, NOW + 1).await.unwrap();
        assert!(
            undone.len() == 2
                && undone.iter().all(|item| item.outcome.as_ref().unwrap().state == State::Open)
        );
        let board = queue.dashboard(NOW - 1, NOW).await.unwrap();
        assert_eq!((board.open, board.escalated, board.analysts[0].fraud), (3, 1, 1));
    }
}

#[tokio::test]
async fn what_a_payment_woke_does_not_sleep_again_when_an_action_is_taken_back() {
    let rules = Rules { second_person_minor: Some(1_000), ..Rules::default() };
    for World { queue, .. } in worlds(&rules).await {
        // By their amount a verdict on the last is a proposal.
        let acts = [("snooze", 100), ("escalate", 100), ("resolve", 100), ("propose", 2_000)];
        let cards: Vec<_> = acts.iter().map(|(act, amount)| alert(act, act, *amount, 40)).collect();
        fill(&queue, &cards).await;
        for (n, (act, _)) in acts.into_iter().enumerate() {
            let id = alert_id(act);
            let state = async || queue.get(ANNA, &id, NOW).await.unwrap().alert.state;
            let asleep = queue.snooze(ANNA, &id, 1, NOW + 5_000, NOW).await.unwrap();
            let done = async |version: i64| match act {
                "snooze" => queue.snooze(ANNA, &id, version, NOW + 9_000, NOW).await,
                "escalate" => queue.escalate(ANNA, &id, version, "not mine", NOW).await,
                _ => queue.resolve(ANNA, &id, version, &fraud(), NOW).await,
            };
            // Nothing came: it sleeps again.
            let one = done(asleep.version).await.unwrap();
            let back = queue.undo(LEA, &one.undo.unwrap().0, NOW + 1).await.unwrap();
            let back = back[0].outcome.clone().unwrap();
            assert_eq!((back.state, back.snoozed_until_ms), (State::Snoozed, Some(NOW + 5_000)), "{act}");
            let again = done(back.version).await.unwrap();
            if act == "resolve" {
                // A payment would have come on a new alert.
                queue.undo(LEA, &again.undo.unwrap().0, NOW + 1).await.unwrap();
                assert_eq!(state().await, State::Snoozed);
                continue;
            }
            fill(&queue, &[alert(&format!("hit-{n}"), act, 10, 4)]).await;
            let back = queue.undo(LEA, &again.undo.unwrap().0, NOW + 1).await.unwrap();
            let back = back[0].outcome.clone().unwrap();
            assert_eq!((back.state, back.snoozed_until_ms, back.hits), (State::Open, None, 2), "{act}");
            assert_eq!((state().await, back.escalated), (State::Open, false), "{act}");
        }
    }
}

#[tokio::test]
async fn a_verdict_taken_back_knows_what_was_labelled_meanwhile_and_what_it_would_label() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        fill(&queue, &[alert("a", "c1", 100, 40), alert("b", "c1", 300, 200), alert("c", "c1", 10, 5)]).await;
        let id = alert_id("a");
        assert_eq!(queue.payments_to_label(&id).await.unwrap(), 3);
        let done = queue.resolve(ANNA, &id, 1, &fraud(), NOW).await.unwrap();
        let known = [
            label("a", true, NOW, LabelSource::Chargeback),
            label("b", false, NOW, LabelSource::Customer),
            label("c", false, NOW, LabelSource::Issuer),
        ];
        queue.take_labels(&span("labels", None, 1), &known, NOW).await.unwrap();
        let back = queue.undo(ANNA, &done.undo.unwrap().0, NOW + 1).await.unwrap();
        let back = back[0].outcome.clone().unwrap();
        assert_eq!((back.state, back.expected_loss_minor), (State::Open, 100), "what was charged back");
        assert_eq!(queue.payments_to_label(&id).await.unwrap(), 1, "who was charged back knows better");
        queue.resolve(ANNA, &id, back.version, &fraud(), NOW + 1).await.unwrap();
        assert_eq!(queue.outbox_depth(NOW).await.unwrap().0, 1, "and so many it labels");
    }
}
