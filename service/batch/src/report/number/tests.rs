//! Numbers as a person reads them.

use super::*;

#[test]
fn counts_and_shares() {
    assert_eq!(counted(1, "payment"), "1 payment");
    assert_eq!(counted(0, "payment"), "0 payments");
    assert_eq!(percent(0.000_01), "<\u{202f}0.01\u{202f}%");
    assert_eq!(percent(share(0, 0)), "0.0\u{202f}%");
    assert_eq!(percent(f64::NAN), "–");
}

#[test]
fn times() {
    assert_eq!(utc(1_522_540_800_012), "2018-04-01 00:00:00.012");
    assert!(utc(i64::MAX).starts_with("9999-"));
    assert_eq!(micros(999), "999\u{202f}µs");
    assert_eq!(micros(1_000), "1\u{202f}ms");
    assert_eq!(micros(12_340), "12.3\u{202f}ms");
    assert_eq!(micros(100_000), "100\u{202f}ms");
    assert_eq!(micros(2_500_000), "2.5\u{202f}s");
}
