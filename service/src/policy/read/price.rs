//! `[cost]`, read and checked: the prices that thresholds are computed from.

use schemas::document::{FromToml, Section};
use schemas::payment::MAX_AMOUNT_MINOR;
use toml::Value;

use crate::policy::cost::{Costs, Measure, Price};
use crate::policy::threshold::Thresholds;

/// How many times the amount.
struct Times(f64);

impl FromToml for Times {
    const EXPECTED: &'static str = "a number of 0 to 100, such as 1.5";
    fn from_toml(value: &Value) -> Option<Self> {
        f64::from_toml(value).filter(|times| (0.0..=100.0).contains(times)).map(|times| Times(times + 0.0))
    }
}

/// A share of the frauds.
struct Share(f64);

impl FromToml for Share {
    const EXPECTED: &'static str = "a share of 0 to 1, such as 0.7";
    fn from_toml(value: &Value) -> Option<Self> {
        f64::from_toml(value).filter(|share| (0.0..=1.0).contains(share)).map(|share| Share(share + 0.0))
    }
}

/// The table `cost` under a section; `None` where there is none, or none that thresholds can be computed from.
pub(super) fn costs(root: &mut Section) -> Option<Costs> {
    if !root.has("cost") {
        return None;
    }
    let mut section = root.section("cost");
    let fraud = price(section.section("fraud"), 1.0).unwrap_or_default();
    let review = measure(&mut section, "review", "catches");
    let challenge = measure(&mut section, "challenge", "stops");
    let decline = section.has("decline").then(|| price(section.section("decline"), 0.0)).flatten();
    if let (Some(review), Some(challenge)) = (review, challenge)
        && challenge.saves < review.saves
    {
        let found = format!("{}, below review.catches = {}", challenge.saves, review.saves);
        section.report("challenge.stops", found, "at least what a review catches, or no review");
    }
    if let (Some(challenge), Some(decline)) = (challenge, decline)
        && !challenge.price.at_most(decline)
    {
        let expected =
            "a price whose two parts are at least those of challenge: who is refused is bothered more";
        section.report("decline", "a lower price than challenge has", expected);
    }
    if review.is_none() && challenge.is_none() && decline.is_none() {
        root.report("cost", "no verdict's price", "review, challenge or decline with its price");
        return None;
    }
    Some(Costs { fraud, review, challenge, decline })
}

/// Reports prices that none of the thresholds is computed from.
pub(super) fn used<'a>(
    section: &Section,
    costs: Option<Costs>,
    mut thresholds: impl Iterator<Item = &'a Thresholds>,
) {
    let Some(costs) = costs else { return };
    if !thresholds.any(|thresholds| *thresholds == Thresholds::Computed(costs)) {
        section.report("cost", "prices that nothing is computed from", "thresholds with computed = true");
    }
}

fn measure(section: &mut Section, key: &str, share: &str) -> Option<Measure> {
    if !section.has(key) {
        return None;
    }
    let mut own = section.section(key);
    let saves = own.required::<Share>(share).map(|share| share.0);
    let price = price(own, 0.0);
    Some(Measure { price: price?, saves: saves? })
}

fn price(mut section: Section, usual_times: f64) -> Option<Price> {
    let times_amount = section.or("times_amount", Times(usual_times)).0;
    let plus_minor = section.integer_within("plus_minor", 0, 0..=MAX_AMOUNT_MINOR);
    Some(Price { times_amount, plus_minor })
}
