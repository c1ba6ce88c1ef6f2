//! Amounts as they are read.

use super::{amount, text};

#[test]
fn each_currency_has_its_own_minor_unit() {
    for (minor, currency, shown) in [
        (123_456, "EUR", "1\u{202f}234.56"),
        (123_456, "JPY", "123\u{202f}456"),
        (123_456, "KWD", "123.456"),
        (5, "USD", "0.05"),
        (5, "BHD", "0.005"),
        (0, "CHF", "0.00"),
        (-199, "EUR", "−1.99"),
        (100_000_000_000_000_000, "GBP", "1\u{202f}000\u{202f}000\u{202f}000\u{202f}000\u{202f}000.00"),
    ] {
        assert_eq!(amount(minor, currency), shown);
    }
    assert_eq!(
        text(i64::MIN, "JPY"),
        "−9\u{202f}223\u{202f}372\u{202f}036\u{202f}854\u{202f}775\u{202f}808\u{202f}JPY"
    );
}
