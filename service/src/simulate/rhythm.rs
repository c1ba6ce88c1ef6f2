//! Rhythm: when people pay, by hour of the day and day of the week.
//!
//! The next payment is found by thinning (Lewis and Shedler 1979): moments are drawn at the pace of the
//! busiest hour and kept with the probability that their own hour has. No table of the future, no scan over
//! cards.

use super::draw::Draw;

/// Milliseconds of an hour.
pub(super) const HOUR_MS: f64 = 3_600_000.0;
/// Milliseconds of a day.
pub(super) const DAY_MS: f64 = 24.0 * HOUR_MS;

/// Pace in each hour of local time; the mean is 1.
const HOURS: [f64; 24] = [
    0.25, 0.15, 0.10, 0.08, 0.10, 0.20, 0.45, 0.85, 1.10, 1.25, 1.40, 1.55, 1.75, 1.55, 1.40, 1.45, 1.60,
    1.85, 1.95, 1.70, 1.30, 0.95, 0.65, 0.37,
];
/// Pace on each day from Thursday, the weekday of 1970-01-01; the mean is 1.
const DAYS: [f64; 7] = [1.0, 1.15, 1.20, 0.80, 0.90, 0.95, 1.0];
/// The busiest hour of the busiest day: a Saturday at 18.
const PEAK: f64 = 1.95 * 1.20;
/// After as many refusals the last draw is taken. Even where a draw is kept with probability 0.027, for a
/// card that pays many times a minute in the deepest night, it happens once in 250 times, and does no harm.
const MAX_DRAWS: u32 = 200;

/// How lively this moment is for someone whose local time is `event time + shift_ms`; 1 on average.
fn pace(time_ms: i64, shift_ms: i64) -> f64 {
    let local_ms = time_ms.saturating_add(shift_ms);
    let hour = local_ms.div_euclid(HOUR_MS as i64).rem_euclid(24);
    let day = local_ms.div_euclid(DAY_MS as i64).rem_euclid(7);
    HOURS[hour as usize] * DAYS[day as usize]
}

/// The next moment after `now_ms` at which something happens that happens every `mean_gap_ms` on average.
pub(super) fn next_ms(now_ms: i64, mean_gap_ms: f64, shift_ms: i64, draw: &mut Draw) -> i64 {
    let mut gap_ms = 0.0;
    let mut next_ms = now_ms;
    for _ in 0..MAX_DRAWS {
        gap_ms += draw.exponential(mean_gap_ms / PEAK);
        next_ms = now_ms.saturating_add(gap_ms as i64);
        if draw.chance(pace(next_ms, shift_ms) / PEAK) {
            break;
        }
    }
    next_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_days_average_one() {
        assert!((HOURS.iter().sum::<f64>() - 24.0).abs() < 1e-9);
        assert!((DAYS.iter().sum::<f64>() - 7.0).abs() < 1e-9);
        let busiest = |paces: &[f64]| paces.iter().copied().fold(0.0, f64::max);
        assert_eq!(busiest(&HOURS) * busiest(&DAYS), PEAK);
    }

    #[test]
    fn the_pace_over_weeks_is_the_one_asked_for_and_nights_are_quiet() {
        let mut draw = Draw::seeded(3);
        let (mut now_ms, mut count, mut at_night) = (0, 0, 0);
        let weeks = 100.0;
        while (now_ms as f64) < weeks * 7.0 * DAY_MS {
            now_ms = next_ms(now_ms, 2.0 * HOUR_MS, 0, &mut draw);
            count += 1;
            at_night += i32::from(now_ms.rem_euclid(DAY_MS as i64) < 6 * HOUR_MS as i64);
        }
        let per_day = f64::from(count) / (weeks * 7.0);
        assert!((per_day - 12.0).abs() < 0.4, "{per_day} a day");
        assert!(at_night * 20 < count, "{at_night} of {count} at night");
    }
}
