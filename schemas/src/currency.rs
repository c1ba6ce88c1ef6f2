//! How many digits a currency's minor unit has, by ISO 4217, and amounts as a person reads them.

/// Currencies whose minor unit is not a hundredth.
const DIGITS: [(&str, u32); 24] = [
    ("BIF", 0),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("ISK", 0),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("PYG", 0),
    ("RWF", 0),
    ("UGX", 0),
    ("UYI", 0),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
    ("BHD", 3),
    ("IQD", 3),
    ("JOD", 3),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("TND", 3),
];

/// Digits after the point; two for a currency that is not known.
pub fn minor_digits(currency: &str) -> u32 {
    DIGITS.iter().find(|(code, _)| *code == currency).map_or(2, |(_, digits)| *digits)
}

/// Between thousands, and before a unit or a currency: narrow, and no line breaks at it.
pub const THIN: char = '\u{202f}';

/// A number with thin spaces between thousands.
pub fn grouped(number: u64) -> String {
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

/// An amount without its currency, such as `1 234.50`.
pub fn amount(minor: i64, currency: &str) -> String {
    let digits = minor_digits(currency);
    let unit = 10_u64.pow(digits);
    let (whole, part) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
    let sign = if minor < 0 { "−" } else { "" };
    let whole = grouped(whole);
    if digits == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{part:0width$}", width = digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (i64::MIN, "EUR", "−92\u{202f}233\u{202f}720\u{202f}368\u{202f}547\u{202f}758.08"),
        ] {
            assert_eq!(amount(minor, currency), shown);
        }
        assert_eq!((grouped(999).as_str(), grouped(1_234_567).as_str()), ("999", "1\u{202f}234\u{202f}567"));
    }
}
