//! Times as they are read.

use super::{DAY, HOUR, MINUTE, due, exact, relative, span, utc};

const NOW: i64 = 1_795_645_087_000;

#[test]
fn spans_have_their_two_largest_units() {
    for (ms, shown) in [
        (-5, "0 s"),
        (59_999, "59 s"),
        (MINUTE, "1 min"),
        (2 * HOUR + 5 * MINUTE, "2 h 5 min"),
        (3 * HOUR, "3 h"),
        (DAY + 3 * HOUR, "1 d 3 h"),
        (11 * HOUR + 5 * MINUTE, "11 h"),
        (12 * DAY + HOUR, "12 d"),
        (400 * DAY, "400 d"),
    ] {
        assert_eq!(span(ms), shown);
    }
}

#[test]
fn a_relative_time_carries_the_exact_one() {
    let html = relative(NOW - 5 * MINUTE, NOW).into_string();
    assert!(html.contains(">5 min ago<"), "{html}");
    assert!(html.contains(&format!("datetime=\"{}\"", exact(NOW - 5 * MINUTE))), "{html}");
    assert!(html.contains(&format!("title=\"{}\"", utc(NOW - 5 * MINUTE))), "{html}");
    assert!(relative(NOW + HOUR, NOW).into_string().contains(">in 1 h<"));
}

#[test]
fn what_is_late_says_so() {
    assert!(due(NOW - HOUR, NOW).into_string().contains("late 1 h"));
    assert!(due(NOW + HOUR, NOW).into_string().contains(">1 h<"));
}

#[test]
fn a_time_out_of_every_calendar_is_no_error() {
    for at_ms in [i64::MIN, i64::MAX] {
        assert!(!utc(at_ms).is_empty());
        assert!(!relative(at_ms, NOW).into_string().is_empty());
        assert!(!due(at_ms, NOW).into_string().is_empty());
    }
}
