//! Amounts as they are read.

use super::text;

#[test]
fn the_currency_stands_behind_its_amount() {
    assert_eq!(text(-123_456, "EUR"), "−1\u{202f}234.56\u{202f}EUR");
    assert_eq!(
        text(i64::MIN, "JPY"),
        "−9\u{202f}223\u{202f}372\u{202f}036\u{202f}854\u{202f}775\u{202f}808\u{202f}JPY"
    );
}
