//! A moment as TOML writes it, `2027-01-31T12:00:00Z` or `2027-01-31`, in milliseconds. Not a calendar: only what an
//! expiry needs.

use schemas::document::FromToml;
use schemas::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use toml::Value;
use toml::value::{Datetime, Offset};

/// A moment, milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant(pub i64);

impl FromToml for Instant {
    const EXPECTED: &'static str = "a date or a time with its zone, without quotes, such as 2027-01-31 (its beginning in UTC) or 2027-01-31T12:00:00Z";
    fn from_toml(value: &Value) -> Option<Self> {
        ms(value.as_datetime()?).map(Self)
    }
}

fn ms(moment: &Datetime) -> Option<i64> {
    let date = moment.date?;
    let days = days(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let (time, offset) = match (moment.time, moment.offset) {
        (None, None) => return Some(days * DAY_MS),
        (Some(time), Some(offset)) => (time, offset),
        // A time without a zone means another moment on another machine.
        _ => return None,
    };
    let offset = match offset {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes) * MINUTE_MS,
    };
    let seconds = i64::from(time.second.unwrap_or(0)) * SECOND_MS;
    let time = i64::from(time.hour) * HOUR_MS + i64::from(time.minute) * MINUTE_MS + seconds;
    Some(days * DAY_MS + time - offset)
}

/// Days since 1970-01-01, after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
