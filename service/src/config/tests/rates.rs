//! How `[queue]` ranks: the weight of a hold, and rates of currencies.

use ::queue::Rules;

use super::*;

#[test]
fn the_default_is_the_queues_own_and_roles_that_work_are_the_tables() {
    let rules = Folder::minimal().config(&[], &[]).queue.rules;
    let own = Rules::default();
    assert_eq!((rules.hold_weight, &rules.exchange), (own.hold_weight, &own.exchange));
    assert_eq!(rules.workers, own.workers);
    assert_eq!(rules.workers, ["analyst", "lead", "admin"]);
}

#[test]
fn rates_are_read_whatever_the_case_of_a_variable() {
    let folder = Folder::with("[queue]\ncurrency = \"CHF\"\n[queue.rates]\nUSD = 1.08\nJPY = 163\n");
    let exchange = folder.config(&[], &[("TRIPLINE__QUEUE__RATES__GBP", "0.5")]).queue.rules.exchange;
    let rates: Vec<_> = exchange.rates.iter().map(|(code, rate)| (code.as_str(), *rate)).collect();
    assert_eq!(exchange.currency, "CHF");
    assert_eq!(rates, [("GBP", 0.5), ("JPY", 163.0), ("USD", 1.08)]);
    let folder = Folder::with("[queue.rates]\nUSD = 1.08\n");
    let exchange = folder.config(&[], &[("TRIPLINE__QUEUE__RATES__USD", "1.1")]).queue.rules.exchange;
    assert_eq!(exchange.rates.into_iter().collect::<Vec<_>>(), [("USD".to_owned(), 1.1)]);
}

#[test]
fn what_is_no_rate_is_refused() {
    for (more, expected) in [
        ("[queue]\ncurrency = \"euro\"", "queue.currency: found \"euro\"; expected three letters"),
        ("[queue]\nhold_weight = 0", "queue.hold_weight: found 0; expected 1 to 1000"),
        ("[queue]\nhold_weight = 1_001", "queue.hold_weight: found 1001; expected 1 to 1000"),
        ("[queue.rates]\nUSD = 0", "queue.rates.USD: found 0; expected units for one of queue.currency"),
        ("[queue.rates]\nUSD = -1.08", "queue.rates.USD: found -1.08; expected units"),
        ("[queue.rates]\nUSD = inf", "queue.rates.USD: found inf; expected a finite number"),
        ("[queue.rates]\nUSD = \"1.08\"", "queue.rates.USD: found \"1.08\"; expected a finite number"),
        ("[queue.rates]\nDOLLAR = 1.08", "queue.rates.DOLLAR: found no currency; expected three letters"),
        ("[queue.rates]\nEUR = 1", "queue.rates.EUR: found a rate of queue.currency itself"),
    ] {
        let problem = Folder::problem(more);
        assert!(problem.contains(expected), "{expected} not in {problem}");
    }
}
