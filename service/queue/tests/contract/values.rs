//! What alerts are worth: currencies, payments on hold, and the rules by which the list is ordered.

use super::*;

fn rates(rates: &[(&str, f64)]) -> Exchange {
    let rates = rates.iter().map(|(currency, rate)| ((*currency).to_owned(), *rate)).collect();
    Exchange { currency: "EUR".to_owned(), rates }
}

fn in_currency(currency: &str, alert: Alert) -> Alert {
    Alert { currency: Currency::parse(currency).unwrap(), ..alert }
}

/// Keys of the open alerts, in an order.
async fn listed(queue: &Queue, order: ListOrder, min_loss_minor: Option<i64>) -> Vec<String> {
    let query = ListQuery { order, min_loss_minor, limit: 50, ..ListQuery::default() };
    let page = queue.list(ANNA, &query, NOW).await.unwrap();
    page.alerts.into_iter().map(|one| one.key).collect()
}

#[tokio::test]
async fn alerts_of_several_currencies_are_listed_by_what_they_are_worth() {
    let exchange = rates(&[("JPY", 160.0), ("USD", 1.25)]);
    let rules = Rules { exchange, second_person_minor: Some(40_000), ..Rules::default() };
    for World { queue, .. } in worlds(&rules).await {
        // Worth 375, 400, 240 and 500 euros; the francs have no rate and count as cents.
        let alerts = [
            in_currency("JPY", alert("a", "yen", 60_000, 30_000)),
            in_currency("USD", alert("b", "dollars", 50_000, 25_000)),
            alert("c", "euros", 24_000, 21_000),
            in_currency("CHF", alert("d", "francs", 50_000, 100)),
        ];
        fill(&queue, &alerts).await;
        assert_eq!(listed(&queue, ListOrder::Rank, None).await, ["euros", "dollars", "yen", "francs"]);
        assert_eq!(listed(&queue, ListOrder::Amount, None).await, ["francs", "dollars", "yen", "euros"]);
        assert_eq!(listed(&queue, ListOrder::Rank, Some(20_000)).await, ["euros", "dollars"]);
        // A second payment in another currency: 40 dollars more are 5,120 yen, and make it 407 euros.
        let more = in_currency("USD", alert("e", "yen", 4_000, 2_000));
        fill(&queue, &[more, in_currency("JPY", alert("f", "more yen", 45_000, 10))]).await;
        let yen = queue.get(ANNA, &alert_id("a"), NOW).await.unwrap().alert;
        assert_eq!((yen.amount_minor, yen.expected_loss_minor), (65_120, 32_560));
        assert_eq!((yen.currency.as_str(), yen.hits), ("JPY", 2));
        // 45,000 yen are 281 euros: less than 400, whatever the number.
        let costly = [("a", true), ("b", true), ("c", false), ("f", false)];
        for (id, is_costly) in costly {
            let version = queue.get(ANNA, &alert_id(id), NOW).await.unwrap().alert.version;
            let done = queue.resolve(ANNA, &alert_id(id), version, &fraud(), NOW).await.unwrap();
            assert_eq!(done.state == State::Proposed, is_costly, "{id}");
        }
    }
}

#[tokio::test]
async fn a_payment_on_hold_goes_before_a_larger_loss() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        let held = Alert { hold: true, ..alert("a", "held", 9_000, 200) };
        fill(&queue, &[held, alert("b", "free", 9_000, 1_000), alert("c", "large", 9_000, 5_000)]).await;
        assert_eq!(listed(&queue, ListOrder::Rank, None).await, ["large", "held", "free"]);
    }
}

#[tokio::test]
async fn other_rules_rank_anew_what_is_not_resolved_and_nobody_is_disturbed() {
    for World { queue, url, .. } in worlds(&Rules::default()).await {
        // More than one group, and more than one transaction of them.
        let many: Vec<_> = (0..520).map(|n| alert(&format!("m{n}"), &format!("m{n}"), 10, 1)).collect();
        fill(&queue, &many).await;
        let held = Alert { hold: true, ..alert("a", "held", 9_000, 200) };
        let yen = in_currency("JPY", alert("b", "yen", 9_000, 1_100));
        fill(&queue, &[held, yen, alert("c", "asleep", 9_000, 1_000)]).await;
        fill(&queue, &[alert("d", "yen", 900, 100)]).await;
        let asleep = queue.snooze(ANNA, &alert_id("c"), 1, NOW + 90_000, NOW).await.unwrap();
        assert_eq!(listed(&queue, ListOrder::Rank, Some(50)).await, ["held", "yen"]);
        let before = queue.get(ANNA, &alert_id("b"), NOW).await.unwrap().alert;
        assert_eq!((before.amount_minor, before.expected_loss_minor), (9_900, 1_200), "without a rate");
        queue.close().await;

        let rules =
            Rules { hold_weight: 1, exchange: rates(&[("JPY", 0.5)]), due_ms: 3_600_000, ..Rules::default() };
        let queue = Queue::open(&url, rules.clone()).await.unwrap();
        assert_eq!(
            listed(&queue, ListOrder::Rank, Some(50)).await,
            ["held", "yen"],
            "opened alone ranks nothing"
        );
        queue.rank_anew().await.unwrap();
        assert_eq!(listed(&queue, ListOrder::Rank, Some(50)).await, ["yen", "held"]);
        assert_eq!(listed(&queue, ListOrder::Rank, None).await.len(), 50);
        let after = queue.get(ANNA, &alert_id("b"), NOW).await.unwrap().alert;
        // Half a yen for a euro: the payment of nine euros is four and a half yen.
        assert_eq!((after.amount_minor, after.expected_loss_minor), (9_004, 1_100));
        assert_eq!((after.version, after.changed_ms), (before.version, before.changed_ms));
        assert_eq!(after.due_ms, NOW + 3_600_000);
        let still = queue.get(ANNA, &alert_id("c"), NOW).await.unwrap().alert;
        assert_eq!((still.state, still.version), (State::Snoozed, asleep.version));
        assert!(still.rank_key > asleep.rank_key, "it is due earlier");
        queue.close().await;

        // The same rules compute nothing: a key that was set by hand stays.
        let pool = AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
        pool.execute("UPDATE alerts SET rank_key = 1e9 WHERE entity_key = 'held'").await.unwrap();
        let queue = Queue::open(&url, rules).await.unwrap();
        queue.rank_anew().await.unwrap();
        assert_eq!(listed(&queue, ListOrder::Rank, Some(50)).await, ["held", "yen"]);
        queue.close().await;
        let queue = Queue::open(&url, Rules::default()).await.unwrap();
        // What makes no sense is passed over, and ends nothing.
        pool.execute("UPDATE hits SET verdict = 'perhaps' WHERE transaction_id = 'd'").await.unwrap();
        queue.rank_anew().await.unwrap();
        assert!(queue.get(ANNA, &alert_id("a"), NOW).await.unwrap().alert.rank_key < 1e9);
        let page = ListQuery { min_loss_minor: Some(200), limit: 9, ..ListQuery::default() };
        let page = queue.list(ANNA, &page, NOW).await.unwrap();
        let yen = page.alerts.iter().find(|one| one.key == "yen").unwrap();
        assert_eq!((yen.amount_minor, yen.due_ms), (9_004, NOW + 3_600_000), "as it was");
        pool.close().await;
    }
}

#[tokio::test]
async fn what_another_ranked_by_other_rules_meanwhile_is_ranked_anew_and_nothing_else() {
    for World { queue, url, .. } in worlds(&Rules::default()).await {
        fill(&queue, &[alert("a", "first", 900, 100)]).await;
        let pool = AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
        pool.execute("UPDATE alerts SET rank_key = 1e9").await.unwrap();
        let other = Queue::open(&url, Rules { due_ms: 7, ..Rules::default() }).await.unwrap();
        fill(&other, &[alert("b", "second", 900, 100)]).await;
        let due = async |id: &str| queue.get(ANNA, &alert_id(id), NOW).await.unwrap().alert.due_ms;
        assert_eq!(due("b").await, NOW + 7);
        queue.rank_anew().await.unwrap();
        assert_eq!(due("b").await, due("a").await);
        let first = queue.get(ANNA, &alert_id("a"), NOW).await.unwrap().alert;
        assert_eq!(first.rank_key, 1e9, "it was ranked by these rules");
        other.close().await;
        pool.close().await;
    }
}

#[tokio::test]
async fn saved_is_what_was_held_or_declined_and_no_more() {
    for World { queue, .. } in worlds(&Rules::default()).await {
        let declined = Alert { verdict: Verdict::Decline, ..alert("b", "c1", 300, 40) };
        let held = Alert { hold: true, ..alert("c", "c1", 20, 9) };
        fill(&queue, &[alert("a", "c1", 5_000, 40), declined, held, alert("d", "c2", 700, 30)]).await;
        let legitimate = Alert { verdict: Verdict::Decline, ..alert("e", "c3", 90, 40) };
        fill(&queue, &[legitimate]).await;
        for (id, disposition, reason) in [
            ("a", Disposition::Fraud, "card_copied"),
            ("d", Disposition::Fraud, "card_copied"),
            ("e", Disposition::Legitimate, "travel"),
        ] {
            let resolution = Resolution { disposition, reason: reason.to_owned(), ..fraud() };
            queue.resolve(ANNA, &alert_id(id), 1, &resolution, NOW).await.unwrap();
        }
        let board = queue.dashboard(NOW - 1, NOW).await.unwrap();
        assert_eq!(board.saved, [("EUR".to_owned(), 320)]);
        assert_eq!((board.analysts[0].fraud, board.analysts[0].legitimate), (2, 1));
    }
}
