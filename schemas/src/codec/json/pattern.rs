//! The texts that a body may hold, as regular expressions that ECMA-262, Python and Rust read alike.

use crate::codec::tree::Digits;
use crate::mapping::TimeUnit;

/// Any text without U+0000.
pub(super) const TEXT: &str = r"^[^\u0000]*$";

/// A UUID.
pub(super) const UUID: &str = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";

/// Base64 of any bytes, or of so many.
pub(super) fn base64(bytes: Option<usize>) -> String {
    let two = "[A-Za-z0-9+/][AQgw]==";
    let three = "[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=";
    let Some(bytes) = bytes else {
        return format!("^([A-Za-z0-9+/]{{4}})*({two}|{three})?$");
    };
    let end = match bytes % 3 {
        0 => "",
        1 => two,
        _ => three,
    };
    format!("^([A-Za-z0-9+/]{{4}}){{{}}}{end}$", bytes / 3)
}

const YEAR: &str = "[0-9]{4}";

/// 1969 is there for its last day west of Greenwich.
const YEAR_OF_EVENT: &str = "(1969|19[7-9][0-9]|[2-9][0-9]{3})";

const MONTH_AND_DAY: &str = "-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";

const TIME: &str = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";

/// Digits after the seconds, of which those finer than the unit are zeros.
fn places(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => r"(\.0{1,9})?",
        TimeUnit::Milli => r"(\.[0-9]{1,3}0{0,6})?",
        TimeUnit::Micro => r"(\.[0-9]{1,6}0{0,3})?",
        TimeUnit::Nano => r"(\.[0-9]{1,9})?",
    }
}

/// RFC 3339; `of_event` leaves out the years in which no payment is.
pub(super) fn timestamp(unit: TimeUnit, of_event: bool) -> String {
    let year = if of_event { YEAR_OF_EVENT } else { YEAR };
    format!("^{year}{MONTH_AND_DAY}[Tt]{TIME}{}([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$", places(unit))
}

/// The same without an offset.
pub(super) fn local_timestamp(unit: TimeUnit, of_event: bool) -> String {
    let year = if of_event { YEAR_OF_EVENT } else { YEAR };
    format!("^{year}{MONTH_AND_DAY}[Tt]{TIME}{}$", places(unit))
}

/// A date.
pub(super) fn date() -> String {
    format!("^{YEAR}{MONTH_AND_DAY}$")
}

/// A time of day.
pub(super) fn time_of_day(unit: TimeUnit) -> String {
    format!("^{TIME}{}$", places(unit))
}

/// A decimal in plain notation; that of an amount is not negative.
pub(super) fn decimal(digits: Digits, of_amount: bool) -> String {
    let Digits { precision, scale } = digits;
    let sign = if of_amount { "" } else { "-?" };
    let whole = match precision.saturating_sub(scale) {
        0 => "0".to_owned(),
        1 => "[0-9]".to_owned(),
        // Few engines take a larger count; the range is the reader's business then.
        more => format!("(0|[1-9][0-9]{{0,{}}})", (more - 1).min(999)),
    };
    let places = match scale {
        0 => String::new(),
        scale => format!(r"(\.[0-9]{{1,{}}})?", scale.min(999)),
    };
    format!("^{sign}{whole}{places}$")
}
