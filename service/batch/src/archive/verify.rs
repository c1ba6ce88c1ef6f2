//! The archive, checked: every file against its manifest, every partition for gaps and overlaps.

use std::collections::BTreeMap;

use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::ArchiveError;
use super::manifest::Manifest;
use super::place::{Place, settled};
use super::store::{ArchiveStore, places_of};

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Records before it are missing: so many offsets that no file has and the topic had.
    Gap {
        /// The file after the gap.
        path: String,
        /// The first offset that is missing.
        from: i64,
        /// The first that is there again.
        to: i64,
    },
    /// It has offsets that another file has too.
    Overlap {
        /// The later file.
        path: String,
        /// The last offset that both have.
        until: i64,
    },
    /// There is no manifest: it was not finished. The archiver goes on with it.
    Unfinished {
        /// The file.
        path: String,
    },
    /// There is a manifest, and no file.
    Missing {
        /// The file.
        path: String,
    },
    /// Its bytes are not those of its manifest.
    Changed {
        /// The file.
        path: String,
    },
    /// It has another number of records than its manifest says.
    Count {
        /// The file.
        path: String,
        /// By the manifest.
        expected: u64,
        /// Found.
        found: u64,
    },
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Gap { path, from, to } => {
                write!(f, "{path}: offsets {from} to {} before it are in no file", to - 1)
            }
            Fault::Overlap { path, until } => write!(f, "{path}: another file has offsets up to {until} too"),
            Fault::Unfinished { path } => {
                write!(f, "{path}: it has no manifest; the archiver did not finish it")
            }
            Fault::Missing { path } => write!(f, "{path}: it is gone, and its manifest is there"),
            Fault::Changed { path } => write!(f, "{path}: its bytes are not those of its manifest"),
            Fault::Count { path, expected, found } => {
                write!(f, "{path}: {found} records, and its manifest says {expected}")
            }
        }
    }
}

/// What was verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Files.
    pub files: u64,
    /// Records.
    pub records: u64,
    /// Bytes.
    pub bytes: u64,
    /// Records of which nothing could be decoded.
    pub undecodable: u64,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Verifies a topic.
///
/// # Errors
/// When the store does not answer.
pub fn verify(store: &ArchiveStore, topic: &str, verified: &mut Verified) -> Result<(), ArchiveError> {
    let paths = store.paths(topic)?;
    let (places, merged) = settled(places_of(&paths));
    let mut manifests: BTreeMap<String, Manifest> = BTreeMap::new();
    for path in paths.into_iter().filter(|path| path.ends_with(".json")) {
        let read = store.get(&path)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(manifest) = read {
            manifests.insert(path, manifest);
        }
    }
    // What was merged stays until the next upkeep: its records are in the larger file, all of them.
    let mut inside: BTreeMap<Place, u64> = BTreeMap::new();
    for (place, over) in merged {
        let records = manifests.remove(&place.manifest()).map_or(0, |manifest| manifest.records);
        *inside.entry(over).or_default() += records;
    }
    for (over, sum) in inside {
        if manifests.get(&over.manifest()).is_some_and(|manifest| manifest.records < sum) {
            verified.faults.push(Fault::Overlap { path: over.to_string(), until: over.last });
        }
    }
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for place in &places {
        let path = place.to_string();
        let Some(manifest) = manifests.remove(&place.manifest()) else {
            verified.faults.push(Fault::Unfinished { path });
            continue;
        };
        if let Some(bytes) = store.get(&path)? {
            file(place, &manifest, &bytes, verified);
        }
        if let Some(next) = next.get(&place.partition) {
            if manifest.follows > *next {
                verified.faults.push(Fault::Gap { path, from: *next, to: manifest.follows });
            } else if place.first < *next {
                verified.faults.push(Fault::Overlap { path, until: next - 1 });
            }
        }
        next.insert(place.partition, place.last + 1);
    }
    let gone = manifests.into_keys().map(|manifest| Fault::Missing {
        path: manifest.replacen("/_", "/", 1).replace(".json", ".parquet"),
    });
    verified.faults.extend(gone);
    Ok(())
}

fn file(place: &Place, manifest: &Manifest, bytes: &Bytes, verified: &mut Verified) {
    let path = place.to_string();
    verified.files += 1;
    verified.records += manifest.records;
    verified.bytes += bytes.len() as u64;
    verified.undecodable += manifest.undecodable;
    let rows = ParquetRecordBatchReaderBuilder::try_new(bytes.clone())
        .map(|builder| builder.metadata().file_metadata().num_rows());
    let found = rows.ok().and_then(|rows| u64::try_from(rows).ok());
    if hex::encode(Sha256::digest(bytes)) != manifest.sha256 {
        verified.faults.push(Fault::Changed { path });
    } else if found != Some(manifest.records) {
        let found = found.unwrap_or(0);
        verified.faults.push(Fault::Count { path, expected: manifest.records, found });
    }
}
