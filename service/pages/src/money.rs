//! Amounts of money: from minor units to what a person reads.

use maud::{Markup, html};
use schemas::currency::minor_digits;

/// Between thousands and before the currency: narrow, and no line breaks at it.
const THIN: char = '\u{202f}';

/// A number with thin spaces between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(THIN);
        }
        out.push(digit);
    }
    out
}

/// The amount alone, such as `1 234.50`.
pub(crate) fn amount(minor: i64, currency: &str) -> String {
    let exponent = minor_digits(currency);
    let unit = 10_u64.pow(exponent);
    let (whole, part) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
    let sign = if minor < 0 { "−" } else { "" };
    let whole = grouped(whole);
    if exponent == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{part:0width$}", width = exponent as usize)
}

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
