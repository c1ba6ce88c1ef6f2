//! Whose an alert is: the leads', somebody's, or anybody's; and that all who ask are told the same.

use super::people::account;
use super::*;

#[tokio::test]
async fn an_alert_is_the_leads_or_somebodys_and_never_both() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        fill(&queue, &[alert("a", "c1", 100, 40)]).await;
        account(&queue, "ben").await;
        let id = alert_id("a");
        let version = async || queue.get(LEA, &id, NOW).await.unwrap().alert.version;
        queue.assign(LEA, &id, version().await, Some("ben"), NOW).await.unwrap();
        let escalated = queue.escalate(BEN, &id, version().await, "too large for me", NOW).await.unwrap();
        assert_eq!((escalated.escalated, escalated.assignee.as_deref()), (true, None));
        for seat in [BEN, ANNA] {
            assert_eq!(queue.claim_next(seat, NOW).await.unwrap(), None, "{}", seat.name);
        }
        for (seat, to) in [(ANNA, Some("ben")), (BEN, None)] {
            let refused = queue.assign(seat, &id, version().await, to, NOW).await.unwrap_err();
            assert_eq!(refused, QueueError::NotNow("it is for the leads".to_owned()), "{to:?}");
        }
        let held = queue.claim_next(LEA, NOW).await.unwrap().expect("any lead is given it");
        let given = queue.assign(LEA, &id, held.version, Some("ben"), NOW).await.unwrap();
        assert_eq!((given.escalated, given.assignee.as_deref()), (false, Some("ben")));
        let back = queue.undo(LEA, &given.undo.unwrap().0, NOW + 1).await.unwrap();
        let back = back[0].outcome.clone().unwrap();
        assert_eq!((back.escalated, back.assignee.as_deref()), (true, None), "as it was before");
        let given = queue.assign(LEA, &id, back.version, Some("ben"), NOW).await.unwrap();
        assert_eq!((given.escalated, given.holder), (false, None));
        assert_eq!(queue.claim_next(ANNA, NOW).await.unwrap(), None);
        assert_eq!(queue.claim_next(BEN, NOW).await.unwrap().map(|one| one.alert_id).as_ref(), Some(&id));
        let freed = queue.assign(LEA, &id, version().await, None, NOW).await.unwrap();
        assert_eq!((freed.escalated, freed.assignee), (false, None));
    }
}

#[tokio::test]
async fn what_bars_somebody_is_what_the_verdict_is_refused_for() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        let cards: Vec<_> = (0..5).map(|n| alert(&format!("t{n}"), &format!("c{n}"), 100, 40)).collect();
        fill(&queue, &cards).await;
        account(&queue, "ben").await;
        let ids: Vec<_> = (0..5).map(|n| alert_id(&format!("t{n}"))).collect();
        queue.claim(BEN, &ids[1], 1, NOW).await.unwrap();
        queue.assign(LEA, &ids[2], 1, Some("ben"), NOW).await.unwrap();
        queue.escalate(ANNA, &ids[3], 1, "too large", NOW).await.unwrap();
        queue.resolve(ANNA, &ids[4], 1, &fraud(), NOW).await.unwrap();
        let bars = ["", "ben holds it", "it is given to ben", "it is for the leads", ""];
        for (id, why) in ids.iter().zip(bars) {
            let shown = queue.get(ANNA, id, NOW).await.unwrap().alert;
            assert_eq!(shown.bars(ANNA, NOW).unwrap_or_default(), why);
            assert_eq!(shown.bars(LEA, NOW), None, "a lead may decide any");
            if !why.is_empty() {
                let refused = queue.resolve(ANNA, id, shown.version, &fraud(), NOW).await.unwrap_err();
                assert_eq!(refused.to_string(), why);
            }
        }
        let held = queue.get(ANNA, &ids[1], NOW).await.unwrap().alert;
        let later = NOW + Rules::default().lease_ms;
        assert_eq!((held.bars(BEN, NOW), held.bars(ANNA, later)), (None, None), "its holder, or later on");
    }
}

#[tokio::test]
async fn what_comes_next_is_what_is_given_next() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        let cards: Vec<_> = (0..6).map(|n| alert(&format!("t{n}"), &format!("c{n}"), 100, 90 - n)).collect();
        fill(&queue, &cards).await;
        account(&queue, "ben").await;
        let ids: Vec<_> = (0..6).map(|n| alert_id(&format!("t{n}"))).collect();
        // Of the highest rank are one for the leads, one for Ben, and one that he holds.
        queue.escalate(ANNA, &ids[0], 1, "too large", NOW).await.unwrap();
        queue.assign(LEA, &ids[1], 1, Some("ben"), NOW).await.unwrap();
        queue.claim(BEN, &ids[2], 1, NOW).await.unwrap();
        for (seat, next) in [(ANNA, &ids[3]), (BEN, &ids[1]), (LEA, &ids[0])] {
            assert_eq!(queue.peek_next(seat, None, NOW).await.unwrap().as_ref(), Some(next), "{}", seat.name);
        }
        // Beside the one that is looked at, whether it is held or not.
        assert_eq!(queue.peek_next(ANNA, Some(&ids[3]), NOW).await.unwrap().as_ref(), Some(&ids[4]));
        for id in &ids[3..] {
            let next = queue.peek_next(ANNA, None, NOW).await.unwrap();
            let given = queue.claim_next(ANNA, NOW).await.unwrap().map(|one| one.alert_id);
            assert_eq!((next.as_ref(), given.as_ref()), (Some(id), Some(id)));
        }
        assert_eq!(queue.peek_next(ANNA, None, NOW).await.unwrap(), None);
    }
}
