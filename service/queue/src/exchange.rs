//! Money of several currencies, made comparable by the rates of the config.
//!
//! Rates are as central banks publish them: units of a currency for one unit of the queue's own. An amount is converted
//! through both rates and both currencies' minor units at once, and rounded once, half to even. A currency without a rate
//! counts one to one in minor units: its alerts are in the list, if not where they belong. Nothing is more
//! than a payment may be. Not here: what is summed up.

use std::collections::BTreeMap;

use schemas::currency::minor_digits;
use schemas::payment::MAX_AMOUNT_MINOR;

/// An amount, or a sum of an alert's, within what a payment may be: sums over thousands of alerts do not overflow.
pub(crate) fn within(minor: i64) -> i64 {
    minor.clamp(-MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR)
}

/// The rates.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// The currency that values are in, ISO 4217.
    pub currency: String,
    /// Units of another currency for one unit of it: positive and finite.
    pub rates: BTreeMap<String, f64>,
}

impl Default for Exchange {
    fn default() -> Self {
        Self { currency: "EUR".to_owned(), rates: BTreeMap::new() }
    }
}

impl Exchange {
    /// Whether an amount in this currency can be compared with others.
    pub fn knows(&self, currency: &str) -> bool {
        currency == self.currency || self.rates.contains_key(currency)
    }

    /// What an amount is in another currency, minor units both.
    pub fn converted(&self, minor: i64, from: &str, to: &str) -> i64 {
        let converted = match (self.minor_of_one(from), self.minor_of_one(to)) {
            (Some(one_from), Some(one_to)) if from != to => {
                (minor as f64 * one_to / one_from).round_ties_even() as i64
            }
            _ => minor,
        };
        within(converted)
    }

    /// What it is worth, minor units of the queue's own currency.
    pub fn value_minor(&self, minor: i64, currency: &str) -> i64 {
        self.converted(minor, currency, &self.currency)
    }

    /// Minor units of a currency that one whole unit of the queue's own buys.
    fn minor_of_one(&self, currency: &str) -> Option<f64> {
        let rate = if currency == self.currency { 1.0 } else { *self.rates.get(currency)? };
        Some(rate * f64::from(10_u32.pow(minor_digits(currency))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange() -> Exchange {
        let rates = [("USD", 1.08), ("JPY", 163.5), ("KWD", 0.33)];
        let rates = rates.map(|(currency, rate)| (currency.to_owned(), rate));
        Exchange { currency: "EUR".to_owned(), rates: rates.into() }
    }

    #[test]
    fn amounts_go_through_both_rates_and_both_minor_units() {
        let exchange = exchange();
        for (minor, from, to, expected) in [
            (16_350, "JPY", "EUR", 10_000),
            (10_000, "EUR", "JPY", 16_350),
            (108, "USD", "EUR", 100),
            // 100 dinars are 303.03 euros, and 327.27 dollars.
            (100_000, "KWD", "EUR", 30_303),
            (100_000, "KWD", "USD", 32_727),
            (-16_350, "JPY", "EUR", -10_000),
            (12_345, "JPY", "JPY", 12_345),
        ] {
            assert_eq!(exchange.converted(minor, from, to), expected, "{minor} {from} in {to}");
        }
        assert_eq!(exchange.value_minor(16_350, "JPY"), 10_000);
    }

    #[test]
    fn halves_go_to_the_even_one() {
        let rates = [("XTS".to_owned(), 2.0)].into();
        let exchange = Exchange { rates, ..Exchange::default() };
        let halves = [1, 3, 5].map(|minor| exchange.value_minor(minor, "XTS"));
        assert_eq!(halves, [0, 2, 2]);
    }

    #[test]
    fn no_rate_and_no_amount_make_more_than_can_be_summed_up() {
        let rates = [("XTS".to_owned(), 1e-300), ("XXX".to_owned(), 1e300)].into();
        let exchange = Exchange { rates, ..Exchange::default() };
        let all = i64::MAX;
        for (minor, from, to) in
            [(1, "XTS", "EUR"), (1, "EUR", "XXX"), (all, "EUR", "EUR"), (all, "CHF", "EUR")]
        {
            assert_eq!(exchange.converted(minor, from, to), MAX_AMOUNT_MINOR, "{minor} {from} in {to}");
            assert_eq!(exchange.converted(-minor, from, to), -MAX_AMOUNT_MINOR, "-{minor} {from} in {to}");
        }
        assert_eq!(exchange.converted(i64::MAX, "XXX", "EUR"), 0);
    }

    #[test]
    fn a_currency_without_a_rate_counts_one_to_one_in_minor_units() {
        let exchange = exchange();
        for (from, to) in [("CHF", "EUR"), ("EUR", "CHF"), ("CHF", "JPY"), ("CHF", "SEK")] {
            assert_eq!(exchange.converted(777, from, to), 777, "{from} in {to}");
        }
        assert!(exchange.knows("EUR") && exchange.knows("USD") && !exchange.knows("CHF"));
    }
}
