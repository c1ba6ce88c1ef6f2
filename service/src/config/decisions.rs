//! `[decisions]`: the decision index.

use std::path::{Path, PathBuf};

use schemas::document::Section;
use schemas::time::{DAY_MS, DurationMs, MINUTE_MS};

use super::LimitsConfig;
use super::read::{MIB, time, whole};
use crate::index::IndexOptions;

/// The decision index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionsConfig {
    /// Whether there is one.
    pub index: bool,
    /// Its folder.
    pub path: PathBuf,
    /// How long a decision is found.
    pub keep: DurationMs,
    /// Memory for what is read.
    pub cache_bytes: u64,
}

impl DecisionsConfig {
    /// Reads the section, whose problems are reported to its sink.
    pub(super) fn read(mut section: Section, folder: &Path, limits: Option<&LimitsConfig>) -> Option<Self> {
        let index: Option<bool> = section.required("index");
        let path: Option<String> = section.required("path");
        let keep = time(&mut section, "keep", MINUTE_MS..=730 * DAY_MS);
        let cache_mib = whole(&mut section, "cache_mib", 1..=65_536);
        if let (Some(true), Some(keep), Some(limits)) = (index, keep, limits)
            && keep < limits.remember
        {
            let expected = format!(
                "limits.remember or more, {}: an id that is still known must find its decision",
                limits.remember
            );
            section.report("keep", keep.to_string(), expected);
        }
        Some(Self {
            index: index?,
            path: folder.join(path?),
            keep: keep?,
            cache_bytes: cache_mib? as u64 * MIB as u64,
        })
    }

    /// What the index is opened with. It goes by the time of the decision, what is remembered of an id by the time of
    /// the event; that may lie later by the allowed skew.
    pub fn options(&self, limits: &LimitsConfig) -> IndexOptions {
        let keep = DurationMs(self.keep.0.saturating_add(limits.skew.0));
        IndexOptions { keep, cache_bytes: self.cache_bytes }
    }
}
