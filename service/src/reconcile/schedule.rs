//! The schedule: once a day the day before is reconciled, into a folder with its name. A day that was missed, since
//! nothing ran at its time, is caught up when something does.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use schemas::time::{DAY_MS, EventTime, HOUR_MS};

use super::drift::{NO_REFERENCE, Reference};
use super::publish::{Sent, publish};
use super::{Span, run};
use crate::clock::Clock;
use crate::config::Setup;
use crate::worker;

/// How often the clock is looked at.
const STEP: Duration = Duration::from_millis(500);

/// The day, `YYYY-MM-DD`, that is due at this time, and where it begins.
fn due(now_ms: i64, at_ms: i64) -> (String, i64) {
    let day = (now_ms - at_ms).div_euclid(DAY_MS);
    let begins_ms = (day - 1) * DAY_MS;
    let text = EventTime::from_ms(begins_ms).map(|time| time.to_string()).unwrap_or_default();
    (text.chars().take("2026-11-26".len()).collect(), begins_ms)
}

/// Runs until told to stop; `tell` hears how many differences of a run are unexplained.
pub fn watch(
    setup: &Setup,
    at_ms: i64,
    folder: &Path,
    clock: &dyn Clock,
    stop: &AtomicBool,
    tell: impl Fn(u64),
) {
    let mut not_before_ms = 0;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(STEP);
        let now_ms = clock.now().wall_ms;
        let (day, from_ms) = due(now_ms, at_ms);
        let out = folder.join(&day);
        if now_ms < not_before_ms || out.join("report.json").exists() {
            continue;
        }
        let span = Span { from_ms, to_ms: from_ms + DAY_MS, out };
        // A wrong reference is no reason to leave the answers unproved.
        let against = setup.config.reconcile.reference.as_deref().ok_or_else(|| NO_REFERENCE.to_owned());
        let against = against.and_then(|file| {
            Reference::read(file, &setup.definitions).map_err(|problem| {
                tracing::error!(%problem, day, "drift is not measured: the reference is refused");
                "the reference is refused, see the log".to_owned()
            })
        });
        match run(setup, &span, against, &|_| {}) {
            Ok(numbers) => {
                let unexplained = numbers.unexplained();
                tell(unexplained);
                sent(setup, &span.out);
                match unexplained {
                    0 => tracing::info!(day, run = numbers.run, "reconciled: nothing is unexplained"),
                    _ => tracing::error!(day, run = numbers.run, unexplained, "reconciled: see its findings"),
                }
            }
            Err(error) => {
                tracing::error!(%error, day, "the reconciliation failed and is tried again in an hour");
                not_before_ms = now_ms + HOUR_MS;
            }
        }
    }
}

/// Sends what a run came to, where it has topics. What cannot be sent stays in the run's folder, for the command.
fn sent(setup: &Setup, out: &Path) {
    let kafka = worker::options(setup, "corrections".to_owned());
    match publish(&setup.config, &kafka, &setup.config.reconcile.outlets, out) {
        Ok(Sent { corrections, missed_alerts }) => {
            tracing::info!(corrections, missed_alerts, "a reconciliation's results are sent");
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "a reconciliation's results are not sent")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_before_is_due_from_its_time_on() {
        const DAY: i64 = 20_000 * DAY_MS;
        let at_ms = 3 * HOUR_MS;
        assert_eq!(due(DAY + at_ms, at_ms), ("2024-10-03".to_owned(), DAY - DAY_MS));
        assert_eq!(due(DAY + at_ms - 1, at_ms), ("2024-10-02".to_owned(), DAY - 2 * DAY_MS));
        assert_eq!(due(DAY + DAY_MS + at_ms - 1, at_ms), ("2024-10-03".to_owned(), DAY - DAY_MS));
    }
}
