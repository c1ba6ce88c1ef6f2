//! What arrives while something else does: the two fillers, and bulk verdicts beside them.

use std::time::Duration;

use super::*;

/// So often: without their locks each of these fails in the first few rounds.
const ROUNDS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hit_and_its_label_at_the_same_moment_see_each_other() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        for round in 0..ROUNDS as i64 {
            // Each on an alert of its own, which nothing mends later.
            let ids: Vec<_> = (0..20).map(|n| format!("r{round}n{n}")).collect();
            let alerts: Vec<_> = ids.iter().map(|id| alert(id, id, 1_000, 1)).collect();
            // Theirs first, and more, so that it is the labels' end that comes after the hits have looked for them.
            let others: Vec<_> = (0..120).map(|n| format!("o{round}n{n}")).collect();
            let labelled = ids.iter().chain(&others);
            let labels: Vec<_> = labelled.map(|id| label(id, true, NOW, LabelSource::Other)).collect();
            let (from, next) = ((round > 0).then_some(round), round + 1);
            let (hits, known) = (span("alerts", from, next), span("labels", from, next));
            let (one, other) = tokio::join!(
                patiently(|| queue.take_alerts(&hits, &alerts, NOW)),
                patiently(|| queue.take_labels(&known, &labels, NOW))
            );
            assert_eq!((one.unwrap(), other.unwrap()), (Taken::Now, Taken::Now));
            for id in &ids {
                let loss = queue.get(ANNA, &alert_id(id), NOW).await.unwrap().alert.expected_loss_minor;
                assert_eq!(loss, 1_000, "round {round}: what is known to be fraud counts with its amount");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hits_and_bulk_verdicts_do_not_wait_for_each_other() {
    let rules = Rules { second_person_bulk: Some(1), ..Rules::default() };
    for World { queue, .. } in worlds(&rules).await {
        let first: Vec<_> =
            (0..40).map(|n| alert(&format!("f{n}"), &format!("card-{n:02}"), 100, n)).collect();
        fill(&queue, &first).await;
        for round in 0..ROUNDS {
            // The other way round than ids are ordered, and than the round before.
            let mut hits: Vec<_> =
                (0..40).map(|n| alert(&format!("r{round}n{n}"), &format!("card-{n:02}"), 100, n)).collect();
            hits.sort_by_key(|hit| {
                std::cmp::Reverse(alert_id(&format!("f{}", &hit.entities[0].key[5..].parse::<u8>().unwrap())))
            });
            let asked: Vec<_> = first.iter().map(|one| (one.alert_id.clone(), 1)).collect();
            let next = 40 * (round as i64 + 1);
            let span = span("alerts", Some(next), next + 40);
            let verdict = fraud();
            let (taken, bulk) = tokio::join!(
                patiently(|| queue.take_alerts(&span, &hits, NOW)),
                patiently(|| queue.resolve_all(LEA, &asked, &verdict, NOW))
            );
            assert_eq!(taken.unwrap(), Taken::Now);
            assert_eq!(bulk.unwrap().items.len(), 40, "each is told: done, or that it was changed since");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn claim_next_waits_for_what_another_lets_go_of() {
    for World { queue, url, .. } in worlds(&Rules::default()).await {
        fill(&queue, &[alert("a", "c1", 100, 40)]).await;
        let pool = AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
        let mut other = pool.begin().await.unwrap();
        sqlx::query("UPDATE alerts SET hits = hits").execute(&mut *other).await.unwrap();
        let lets_go = async move {
            // Longer than all the times after which it looks again.
            tokio::time::sleep(Duration::from_millis(400)).await;
            other.rollback().await.unwrap();
        };
        let (given, ()) = tokio::join!(queue.claim_next(ANNA, NOW), lets_go);
        assert!(given.unwrap().is_some_and(|given| given.alert_id == alert_id("a")), "{url}");
        pool.close().await;
    }
}
