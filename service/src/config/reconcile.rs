//! `[reconcile]`: the daily reconciliation.

use std::path::{Path, PathBuf};

use schemas::document::Section;
use schemas::time::{HOUR_MS, MINUTE_MS};

use super::read::whole;
use crate::reconcile::publish::Outlets;

/// The daily reconciliation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconcileConfig {
    /// Time of the day at which it begins, milliseconds of UTC; `None` for none.
    pub at_ms: Option<i64>,
    /// Where its results are: a folder a day.
    pub path: PathBuf,
    /// Where the daily run's corrections go, and the alerts that were missed.
    pub outlets: Outlets,
    /// The training export that drift is measured against.
    pub reference: Option<PathBuf>,
}

impl ReconcileConfig {
    /// Reads the section, whose problems are reported to its sink.
    pub(super) fn read(mut section: Section, folder: &Path, is_archived: bool) -> Option<Self> {
        let path: Option<String> = section.required("path");
        let reference: Option<String> = section.optional("reference");
        let at: Option<String> = section.optional("at");
        let at_ms = at.as_deref().and_then(time_of_day);
        if at.is_some() && at_ms.is_none() {
            section.report(
                "at",
                at.as_deref().unwrap_or_default(),
                "a time of the day in UTC, such as \"03:00\"",
            );
        }
        if at_ms.is_some() && !is_archived {
            section.report(
                "at",
                "no archive",
                "archive.enabled = true: there is nothing else to reconcile with",
            );
        }
        let outlets = Outlets {
            corrections: section.optional("corrections"),
            missed_alerts: section.optional("missed_alerts"),
            missed_minor: whole(&mut section, "missed_minor", 0..=i64::MAX)? as i64,
        };
        let reference = reference.map(|reference| folder.join(reference));
        Some(Self { at_ms, path: folder.join(path?), outlets, reference })
    }
}

fn time_of_day(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let part = |part: &str, below: i64| {
        let number = (part.len() == 2).then(|| part.parse::<i64>().ok()).flatten()?;
        (0..below).contains(&number).then_some(number)
    };
    Some(part(hour, 24)? * HOUR_MS + part(minute, 60)? * MINUTE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_day_is_two_digits_twice() {
        assert_eq!(time_of_day("03:05"), Some(3 * HOUR_MS + 5 * MINUTE_MS));
        for wrong in ["3:05", "24:00", "03:60", "03", "03:05:00", "-1:00", "ab:cd"] {
            assert_eq!(time_of_day(wrong), None, "{wrong}");
        }
    }
}
