//! Times and dates as text: RFC 3339 to a whole number of the schema's unit, exactly or not at all.
//!
//! jiff knows the calendar. It also takes what RFC 3339 does not (a space for the T, no seconds, zone names) and turns
//! a leap second into the one before, so the shape is checked first.

use jiff::Timestamp;

use super::fault::{INVALID_FORMAT, OUT_OF_RANGE, TOO_PRECISE, Wrong};
use crate::mapping::TimeUnit;

const DATE: &[u8] = b"0000-00-00";
const TIME: &[u8] = b"00:00:00";
const OFFSET: &[u8] = b"+00:00";

/// Most digits after the seconds: nanoseconds, the finest unit of Avro.
const MAX_PLACES: usize = 9;

const NANOS_A_DAY: i128 = 86_400_000_000_000;

/// An instant: `2026-01-02T03:04:05.678Z`, or with an offset such as `+01:00`.
pub(super) fn timestamp(text: &str, unit: TimeUnit) -> Result<i64, Wrong> {
    let expected = "expected RFC 3339 with an offset, such as \"2026-01-02T03:04:05.678Z\"";
    let offset = date_time(text).ok_or(expected);
    let fits = offset.is_ok_and(|offset| matches!(offset, "Z" | "z") || is_offset(offset));
    in_unit(nanos(text, fits, expected)?, nanos_of(unit))
}

/// A date and time of no zone: `2026-01-02T03:04:05.678`.
pub(super) fn local_timestamp(text: &str, unit: TimeUnit) -> Result<i64, Wrong> {
    let expected = "expected a date and time without offset, such as \"2026-01-02T03:04:05.678\"";
    let fits = date_time(text) == Some("");
    in_unit(nanos(&format!("{text}Z"), fits, expected)?, nanos_of(unit))
}

/// A time of day: `03:04:05.678`.
pub(super) fn time_of_day(text: &str, unit: TimeUnit) -> Result<i64, Wrong> {
    let fits = time(text) == Some("");
    let nanos =
        nanos(&format!("1970-01-01T{text}Z"), fits, "expected a time of day, such as \"03:04:05.678\"")?;
    in_unit(nanos, nanos_of(unit))
}

/// A date, in days since 1970-01-01: `2026-01-02`.
pub(super) fn date(text: &str) -> Result<i32, Wrong> {
    let fits = shaped(text, DATE) == Some("");
    let nanos = nanos(&format!("{text}T00:00:00Z"), fits, "expected a date, such as \"2026-01-02\"")?;
    i32::try_from(nanos.div_euclid(NANOS_A_DAY)).map_err(|_| out_of_range())
}

fn nanos_of(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Milli => 1_000_000,
        TimeUnit::Micro => 1_000,
        TimeUnit::Nano => 1,
    }
}

fn nanos(text: &str, fits: bool, expected: &str) -> Result<i128, Wrong> {
    let parsed = if fits { text.parse::<Timestamp>().ok() } else { None };
    parsed.map(Timestamp::as_nanosecond).ok_or_else(|| Wrong::new(INVALID_FORMAT, expected))
}

fn in_unit(nanos: i128, unit: i128) -> Result<i64, Wrong> {
    if nanos.rem_euclid(unit) != 0 {
        return Err(Wrong::new(TOO_PRECISE, "finer than the unit in which the field keeps time"));
    }
    i64::try_from(nanos.div_euclid(unit)).map_err(|_| out_of_range())
}

fn out_of_range() -> Wrong {
    Wrong::new(OUT_OF_RANGE, "beyond the times that the type holds")
}

/// What follows a date and time: its offset.
fn date_time(text: &str) -> Option<&str> {
    time(shaped(text, DATE)?.strip_prefix(['T', 't'])?)
}

/// What follows a time of day. A leap second has no place in a count of seconds: 23:59:60 is refused.
fn time(text: &str) -> Option<&str> {
    let rest = shaped(text, TIME).filter(|_| text.get(6..8) != Some("60"))?;
    let Some(places) = rest.strip_prefix('.') else { return Some(rest) };
    let end = places.find(|c: char| !c.is_ascii_digit()).unwrap_or(places.len());
    (1..=MAX_PLACES).contains(&end).then(|| places.get(end..))?
}

fn is_offset(text: &str) -> bool {
    let signed = text.replacen('-', "+", 1);
    shaped(&signed, OFFSET) == Some("") && signed.get(1..3).is_some_and(|hours| hours < "24")
}

/// What follows a text of this shape, where `0` stands for any digit.
fn shaped<'a>(text: &'a str, shape: &[u8]) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(shape.len())?;
    let fits = |(byte, like): (u8, &u8)| if *like == b'0' { byte.is_ascii_digit() } else { byte == *like };
    head.bytes().zip(shape).all(fits).then_some(rest)
}
