//! Computed thresholds against the stupid way: the cost of every verdict, and the least of them.

use proptest::prelude::*;

use super::*;

fn price(times_amount: f64, plus_minor: i64) -> Price {
    Price { times_amount, plus_minor }
}

fn amount(minor: i64) -> AmountMinor {
    AmountMinor::new(minor).unwrap()
}

/// Expected cost by the table of the module's text, written out.
fn cost(costs: &Costs, verdict: Verdict, p: f64, amount: AmountMinor) -> Option<f64> {
    let a = amount.minor() as f64;
    let of = |price: Price| price.times_amount * a + price.plus_minor as f64;
    let fraud = of(costs.fraud);
    Some(match verdict {
        Verdict::Approve => p * fraud,
        Verdict::Review => of(costs.review?.price) + p * (1.0 - costs.review?.saves) * fraud,
        Verdict::Challenge => {
            (1.0 - p) * of(costs.challenge?.price) + p * (1.0 - costs.challenge?.saves) * fraud
        }
        Verdict::Decline => (1.0 - p) * of(costs.decline?),
    })
}

const USUAL: Costs = Costs {
    fraud: Price { times_amount: 1.0, plus_minor: 1_500 },
    review: Some(Measure { price: Price { times_amount: 0.0, plus_minor: 300 }, saves: 0.7 }),
    challenge: Some(Measure { price: Price { times_amount: 0.01, plus_minor: 50 }, saves: 0.9 }),
    decline: Some(Price { times_amount: 0.1, plus_minor: 500 }),
};

#[test]
fn with_one_alternative_it_is_elkans_formula() {
    let costs =
        Costs { fraud: price(1.0, 0), review: None, challenge: None, decline: Some(price(0.0, 1_000)) };
    // 10.00 to refuse an honest payment, 90.00 lost with a fraud: refuse from 1 in 10 on.
    assert_eq!(costs.bounds(amount(9_000)), Bounds { review: None, challenge: None, decline: Some(0.1) });
    assert_eq!(costs.bounds(amount(1_000)).decline, Some(0.5));
    let review =
        Costs { decline: None, review: Some(Measure { price: price(0.0, 300), saves: 0.75 }), ..costs };
    // A look for 3.00 that saves 75 of 100.
    assert_eq!(review.bounds(amount(10_000)).review, Some(0.04));
    assert_eq!(review.bounds(amount(399)).review, None, "it costs more than it can save");
}

#[test]
fn the_more_is_at_stake_the_earlier_something_is_done() {
    let bounds = [100, 1_000, 10_000, 100_000, 1_000_000].map(|minor| USUAL.bounds(amount(minor)));
    let firsts = bounds.map(|bounds| bounds.ascending().into_iter().find_map(|(_, at)| at).unwrap_or(2.0));
    assert!(firsts.is_sorted_by(|small, large| large < small), "{bounds:?}");
    assert!(bounds.is_sorted_by(|small, large| large.decline < small.decline), "{bounds:?}");
    // Where a look costs more than a challenge, none is taken.
    assert_eq!(bounds[0].review, bounds[0].challenge);
    assert!(bounds[4].review < bounds[4].challenge);
}

#[test]
fn what_costs_the_same_for_every_score_is_not_severer() {
    let free = Costs { fraud: price(1.0, 0), review: None, challenge: None, decline: Some(price(0.1, 0)) };
    assert_eq!(free.bounds(amount(0)), Bounds::default(), "nothing is at stake");
    assert!(free.bounds(amount(1)).decline.is_some());
}

fn any_price(times: f64, plus: i64) -> impl Strategy<Value = Price> {
    ((0..=40_i64).prop_map(move |n| n as f64 / 40.0 * times), 0..=plus)
        .prop_map(|(times_amount, plus_minor)| Price { times_amount, plus_minor })
}

prop_compose! {
    /// Costs in the order that a policy is checked for.
    fn any_costs()(
        fraud in any_price(2.0, 5_000),
        look in any_price(0.05, 2_000), challenge in any_price(0.1, 2_000), more in any_price(0.3, 5_000),
        shares in (0.0..=1.0, 0.0..=1.0),
        priced in (any::<bool>(), any::<bool>(), any::<bool>()),
    ) -> Costs {
        let (catches, stops) = if shares.0 <= shares.1 { shares } else { (shares.1, shares.0) };
        let decline = price(challenge.times_amount + more.times_amount, challenge.plus_minor + more.plus_minor);
        Costs {
            fraud,
            review: priced.0.then_some(Measure { price: look, saves: catches }),
            challenge: priced.1.then_some(Measure { price: challenge, saves: stops }),
            decline: priced.2.then_some(decline),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_verdict_is_the_one_of_least_expected_cost(
        costs in any_costs(), minor in prop_oneof![0..=100_i64, 0..=1_000_000_i64, Just(schemas::payment::MAX_AMOUNT_MINOR)],
        p in 0.0..=1.0,
    ) {
        let amount = amount(minor);
        let bounds = costs.bounds(amount);
        let chosen = bounds.reached(p).map_or(Verdict::Approve, |(verdict, _)| verdict);
        let all = Verdict::ALL.map(|verdict| cost(&costs, verdict, p, amount));
        let least = all.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let found = cost(&costs, chosen, p, amount);
        // Equal up to rounding: right on a break-even both are right.
        let slack = 1e-9 * (1.0 + least.abs());
        prop_assert!(found.is_some_and(|found| found <= least + slack), "{chosen:?} {found:?}, least {least} of {all:?}");
        let given: Vec<f64> = bounds.ascending().into_iter().filter_map(|(_, at)| at).collect();
        prop_assert!(given.is_sorted() && given.iter().all(|at| (0.0..=1.0).contains(at)), "{bounds:?}");
    }
}
