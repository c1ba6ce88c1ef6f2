//! `[archive]`: what the topics carried, kept as Parquet.

use std::path::Path;

use batch::archive::{Cut, Treatment, Treatments};
use feature_store::definition::Definitions;
use schemas::document::Section;
use schemas::mapping::PaymentMapping;
use schemas::problem::Problem;
use schemas::time::{DAY_MS, DurationMs};

use super::read::{MIB, time_if, whole};

/// The archive.
#[derive(Debug, Clone)]
pub struct ArchiveConfig {
    /// Whether this process fills it.
    pub enabled: bool,
    /// A folder, or `s3://BUCKET/PREFIX`.
    pub address: String,
    /// Where files end.
    pub cut: Cut,
    /// How long a record is kept; `None`: for ever.
    pub keep: Option<DurationMs>,
    /// What becomes of sensitive fields of payments.
    pub treatments: Treatments,
}

impl ArchiveConfig {
    /// Reads the section, whose problems are reported to its sink.
    pub(super) fn read(
        mut section: Section,
        folder: &Path,
        mapping: Option<&PaymentMapping>,
    ) -> Option<Self> {
        let enabled: Option<bool> = section.required("enabled");
        let address: Option<String> = section.required("address");
        let address = address.map(|address| match address.split_once("://") {
            Some(_) => address,
            None => folder.join(address).display().to_string(),
        });
        if let Some((scheme, _)) = address.as_deref().and_then(|address| address.split_once("://"))
            && !["s3", "file"].contains(&scheme)
        {
            section.report("address", format!("{scheme}://"), "a folder, or s3://BUCKET/PREFIX");
        }
        let records = whole(&mut section, "records_per_file", 1..=10_000_000);
        let mib = whole(&mut section, "file_mib", 1..=1_024);
        let keep = time_if(&mut section, "keep", DAY_MS..=36_500 * DAY_MS);
        let key: Option<String> = section.optional("hash_key");
        let treatments = treatments(section.section("fields"), mapping, key.unwrap_or_default().into_bytes());
        Some(Self {
            enabled: enabled?,
            address: address?,
            cut: Cut { records: records?, bytes: mib? * MIB as usize },
            keep,
            treatments: treatments?,
        })
    }
}

impl ArchiveConfig {
    /// What is wrong where less is kept than the day before needs to be computed again.
    pub(super) fn is_too_short(
        &self,
        config: &Path,
        definitions: &Definitions,
        lateness: DurationMs,
    ) -> Option<Problem> {
        let horizon_ms = definitions.plans.iter().map(|plan| plan.horizon_ms(lateness)).max().unwrap_or(0);
        let least = DurationMs(horizon_ms + 2 * DAY_MS);
        let keep = self.keep.filter(|keep| *keep < least)?;
        let expected = format!("{least} or more: the longest window, limits.lateness and two days");
        Some(Problem::new(config.display().to_string(), "archive.keep", keep.to_string(), expected))
    }
}

/// `field = "drop"` or `"hash"`. What features and decisions are computed of must stay what it is.
fn treatments(mut section: Section, mapping: Option<&PaymentMapping>, key: Vec<u8>) -> Option<Treatments> {
    let mut treatments = Treatments { key, ..Treatments::default() };
    let mapping = mapping?;
    let top = |path: &schemas::mapping::FieldPath| path.steps().first().cloned().unwrap_or_default();
    let used: Vec<String> = mapping.paths().into_iter().map(top).collect();
    let keys: Vec<String> = mapping.entities.iter().flat_map(|entity| &entity.key).map(top).collect();
    for field in section.remaining_keys() {
        let treatment = section.word(&field, &[("drop", Treatment::Drop), ("hash", Treatment::Hash)])?;
        let only_key = used.iter().filter(|used| **used == field).count()
            == keys.iter().filter(|key| **key == field).count();
        match treatment {
            Treatment::Drop if used.contains(&field) => {
                section.report(
                    &field,
                    "\"drop\"",
                    "a field that [payment] does not use: without it nothing can be proved",
                );
            }
            Treatment::Hash if !only_key => {
                section.report(
                    &field,
                    "\"hash\"",
                    "a field that [payment] uses as an entity's key alone, or not at all",
                );
            }
            Treatment::Hash if treatments.key.len() < 16 => {
                section.report(
                    &field,
                    "\"hash\"",
                    "archive.hash_key with 16 characters or more, best from TRIPLINE__ARCHIVE__HASH_KEY",
                );
            }
            _ => _ = treatments.fields.insert(field, treatment),
        }
    }
    Some(treatments)
}
