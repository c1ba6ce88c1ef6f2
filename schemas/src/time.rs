//! Event time and durations, both in whole milliseconds. Not the wall clock: nothing here reads it.

use std::fmt;

use toml::Value;

use crate::document::FromToml;

/// Milliseconds of a second, a minute, an hour and a day. A day has no time zone and no leap second.
pub const SECOND_MS: i64 = 1_000;
/// Milliseconds of a minute.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// The first millisecond of the year 9999: later than any payment, early enough for arithmetic.
const END_MS: i64 = 253_370_764_800_000;

/// When something happened, in milliseconds since 1970-01-01 UTC; never negative, before the year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(i64);

impl EventTime {
    /// The earliest event time.
    pub const EPOCH: EventTime = EventTime(0);

    /// The latest event time.
    pub const LAST: EventTime = EventTime(END_MS - 1);

    /// An event time, or `None` outside 1970 to 9998.
    pub fn from_ms(ms: i64) -> Option<Self> {
        (0..END_MS).contains(&ms).then_some(Self(ms))
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub fn ms(self) -> i64 {
        self.0
    }

    /// Hour of the day, 0 to 23, UTC.
    pub fn hour(self) -> i64 {
        self.0 / HOUR_MS % 24
    }

    /// Day of the week, 0 is Monday; 1970-01-01 was a Thursday.
    pub fn weekday(self) -> i64 {
        (self.0 / DAY_MS + 3) % 7
    }
}

impl fmt::Display for EventTime {
    /// ISO 8601 in UTC. Days to civil date after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let z = self.0 / DAY_MS + 719_468;
        let era = z / 146_097;
        let doe = z - era * 146_097;
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        let ms = self.0 % DAY_MS;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            ms / HOUR_MS,
            ms / MINUTE_MS % 60,
            ms / SECOND_MS % 60,
            ms % 1_000
        )
    }
}

/// A length of time in milliseconds, never negative. Written with its unit: `500ms`, `90s`, `15m`, `1h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationMs(pub i64);

impl DurationMs {
    /// Longest duration accepted, ten years less a day: a longer one is a typing error.
    pub const MAX: DurationMs = DurationMs(3_649 * DAY_MS);

    /// Reads `7d`; `None` without a unit, negative or too long.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(digits);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => SECOND_MS,
            "m" => MINUTE_MS,
            "h" => HOUR_MS,
            "d" => DAY_MS,
            _ => return None,
        };
        let ms = number.parse::<i64>().ok()?.checked_mul(unit_ms)?;
        (ms <= Self::MAX.0).then_some(Self(ms))
    }

    /// As the standard library's duration, for time-outs.
    pub fn std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.unsigned_abs())
    }
}

impl fmt::Display for DurationMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0;
        for (unit_ms, unit) in [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (SECOND_MS, "s")] {
            if ms >= unit_ms && ms % unit_ms == 0 {
                return write!(f, "{}{unit}", ms / unit_ms);
            }
        }
        write!(f, "{ms}ms")
    }
}

impl FromToml for DurationMs {
    const EXPECTED: &'static str =
        "a duration with its unit, such as \"500ms\", \"90s\", \"1h\" or \"7d\", below ten years";
    fn from_toml(value: &Value) -> Option<Self> {
        Self::parse(value.as_str()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_a_bound() {
        assert_eq!(DurationMs::parse("7d"), Some(DurationMs(7 * DAY_MS)));
        for wrong in ["7", "d", "-1d", "10y", "3650d", "1.5h", ""] {
            assert_eq!(DurationMs::parse(wrong), None, "{wrong}");
        }
        assert_eq!(DurationMs(90_000).to_string(), "90s");
    }

    #[test]
    fn calendar_of_event_time() {
        let t = EventTime::from_ms(1_523_170_799_999).unwrap();
        assert_eq!((t.hour(), t.weekday(), t.to_string().as_str()), (6, 6, "2018-04-08T06:59:59.999Z"));
        assert!(EventTime::from_ms(-1).is_none() && EventTime::from_ms(END_MS).is_none());
    }
}
