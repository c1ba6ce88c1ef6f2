//! Amounts of money: from minor units to what a person reads.

use maud::{Markup, html};
use schemas::currency::THIN;
pub(crate) use schemas::currency::{amount, grouped};

/// The amount and its currency.
pub(crate) fn text(minor: i64, currency: &str) -> String {
    format!("{}{THIN}{currency}", amount(minor, currency))
}

/// The amount with its currency beside it, smaller.
pub(crate) fn money(minor: i64, currency: &str) -> Markup {
    html! { span.money { (amount(minor, currency)) (THIN) small { (currency) } } }
}

#[cfg(test)]
mod tests;
