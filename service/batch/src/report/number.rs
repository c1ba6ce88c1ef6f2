//! Numbers for a person: shares, money, times. Thousands and amounts are the analysts' pages' too.

use jiff::Timestamp;
use maud::{Markup, html};
pub(super) use schemas::currency::{THIN, amount, grouped};

use crate::numbers::Money;

/// How many of something: `1 payment`, `12 345 payments`.
pub(super) fn counted(number: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A count, soft when it is nought.
pub(super) fn count(number: u64) -> Markup {
    html! { @if number == 0 { span.soft { "0" } } @else { (grouped(number)) } }
}

/// Part of a whole, from 0 to 1; nought of nothing.
#[expect(clippy::cast_precision_loss, reason = "a share for the eye")]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// In per cent; what is not nought does not look like it.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if !percent.is_finite() => "–".to_owned(),
        percent if percent > 0.0 && percent < 0.01 => format!("<{THIN}0.01{THIN}%"),
        percent if percent.abs() < 1.0 && percent != 0.0 => format!("{percent:.2}{THIN}%"),
        percent => format!("{percent:.1}{THIN}%"),
    }
}

/// With so many decimals, or a dash.
pub(super) fn decimal(number: f64, decimals: usize) -> String {
    if number.is_finite() { format!("{number:.decimals$}") } else { "–".to_owned() }
}

/// A sum for each currency, one a line.
pub(super) fn money(money: &Money) -> Markup {
    html! {
        @if money.amount_minor.is_empty() { span.soft { "–" } }
        @for (currency, minor) in &money.amount_minor {
            span.money { (amount(*minor, currency)) (THIN) small { (short(currency, 8)) } }
        }
    }
}

/// Microseconds in the unit that suits them.
#[expect(clippy::cast_precision_loss, reason = "a time for the eye")]
pub(super) fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us}{THIN}µs"),
        1_000..1_000_000 => format!("{}{THIN}ms", trimmed(us as f64 / 1e3)),
        _ => format!("{}{THIN}s", trimmed(us as f64 / 1e6)),
    }
}

/// Three digits or more, no noughts at the end.
fn trimmed(number: f64) -> String {
    let text = match number {
        number if number < 10.0 => format!("{number:.2}"),
        number if number < 100.0 => format!("{number:.1}"),
        number => format!("{number:.0}.0"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A time to the millisecond, such as `2026-11-25 22:18:07.012`. One that no calendar has is the nearest that it has.
pub(super) fn utc(at_ms: i64) -> String {
    let nearest = if at_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let stamp = Timestamp::from_millisecond(at_ms).unwrap_or(nearest);
    stamp.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// A word of the data for a person: `early_label` is `early label`.
pub(super) fn spoken(word: &str) -> String {
    word.replace('_', " ")
}

/// At most so many characters, for an axis.
pub(super) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
