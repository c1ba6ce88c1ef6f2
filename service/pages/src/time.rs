//! Times: how long ago for the eye, exactly and in UTC for whoever asks.

use jiff::Timestamp;
use maud::{Markup, html};

/// From so many of a unit on the next smaller one is left out.
const COARSE: i64 = 10;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// RFC 3339, for machines. A time that no calendar has is the nearest that it has.
pub(crate) fn exact(at_ms: i64) -> String {
    stamp(at_ms).to_string()
}

fn stamp(at_ms: i64) -> Timestamp {
    let nearest = if at_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(at_ms).unwrap_or(nearest)
}

/// The exact time for a person, such as `2026-11-25 22:18:07 UTC`.
pub(crate) fn utc(at_ms: i64) -> String {
    stamp(at_ms).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How long, in its two largest units, such as `2 h 5 min`.
pub(crate) fn span(ms: i64) -> String {
    let ms = ms.max(0);
    let two = |whole: i64, unit: &str, rest: i64, small: &str| match rest {
        _ if whole >= COARSE => format!("{whole} {unit}"),
        0 => format!("{whole} {unit}"),
        rest => format!("{whole} {unit} {rest} {small}"),
    };
    match ms {
        _ if ms < MINUTE => format!("{} s", ms / SECOND),
        _ if ms < HOUR => format!("{} min", ms / MINUTE),
        _ if ms < DAY => two(ms / HOUR, "h", ms % HOUR / MINUTE, "min"),
        _ if ms < COARSE * DAY => two(ms / DAY, "d", ms % DAY / HOUR, "h"),
        _ => format!("{} d", ms / DAY),
    }
}

/// How long, in its largest unit.
pub(crate) fn coarse(ms: i64) -> String {
    match ms {
        _ if ms < HOUR => span(ms),
        _ if ms < DAY => format!("{} h", ms / HOUR),
        _ => format!("{} d", ms / DAY),
    }
}

/// How far a time is from now. The script keeps it true while the page stands: `data-ms` is for it.
pub(crate) fn relative(at_ms: i64, now_ms: i64) -> Markup {
    let text = match now_ms.saturating_sub(at_ms) {
        since if since.unsigned_abs() < SECOND as u64 => "now".to_owned(),
        since if since > 0 => format!("{} ago", span(since)),
        since => format!("in {}", span(since.saturating_neg())),
    };
    html! { time datetime=(exact(at_ms)) title=(utc(at_ms)) data-ms=(at_ms) { (text) } }
}

/// How long since then, without a word: for a column that says what it is.
pub(crate) fn age(at_ms: i64, now_ms: i64) -> Markup {
    let text = coarse(now_ms.saturating_sub(at_ms));
    html! { time datetime=(exact(at_ms)) title=(utc(at_ms)) data-age=(at_ms) { (text) } }
}

/// Until when, and that it is over when it is.
pub(crate) fn due(due_ms: i64, now_ms: i64) -> Markup {
    let left = due_ms.saturating_sub(now_ms);
    let (class, text) = match left {
        left if left <= 0 => ("late", format!("late {}", span(left.saturating_neg()))),
        left if left < HOUR => ("soon", span(left)),
        left => ("calm", span(left)),
    };
    html! { time.due.(class) datetime=(exact(due_ms)) title=(utc(due_ms)) data-due=(due_ms) { (text) } }
}

/// A day and a time, for rows of a history: its year is in the title.
pub(crate) fn moment(at_ms: i64) -> Markup {
    let text = stamp(at_ms).strftime("%-d %b %H:%M:%S").to_string();
    html! { time datetime=(exact(at_ms)) title=(utc(at_ms)) { (text) } }
}

/// A day and a time without seconds, for the ends of an axis.
pub(crate) fn short(at_ms: i64) -> String {
    stamp(at_ms).strftime("%-d %b %Y %H:%M").to_string()
}

#[cfg(test)]
mod tests;
