//! What stands beside each file, so that a file that was changed, cut or half written is known as one.

use arrow::array::AsArray;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::ArchiveError;
use super::place::Place;

/// The manifest of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Records in it; fewer than its bounds have offsets where the topic was compacted.
    pub records: u64,
    /// Offset of the first.
    pub first: i64,
    /// Offset of the last.
    pub last: i64,
    /// Size of the file, bytes.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// The file before it ends here: its last offset and one. More than that offset and one is missing in the topic.
    pub follows: i64,
    /// Records of which nothing could be decoded: their bytes are in the topic alone, their hash is here.
    pub undecodable: u64,
}

impl Manifest {
    /// That of a file which was put and has none.
    ///
    /// # Errors
    /// When it is no file of an archive.
    pub(super) fn of(place: &Place, bytes: &Bytes, follows: i64) -> Result<Self, ArchiveError> {
        let damaged = |error: &dyn std::fmt::Display| ArchiveError::Damaged {
            path: place.to_string(),
            why: error.to_string(),
        };
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).map_err(|error| damaged(&error))?;
        let (mut records, mut undecodable) = (0, 0);
        for batch in reader.build().map_err(|error| damaged(&error))? {
            let batch = batch.map_err(|error| damaged(&error))?;
            records += batch.num_rows() as u64;
            let flags = batch.column_by_name("_undecodable").and_then(|column| column.as_boolean_opt());
            undecodable += flags.map_or(0, |flags| flags.true_count() as u64);
        }
        Ok(Self {
            records,
            first: place.first,
            last: place.last,
            bytes: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(bytes)),
            follows,
            undecodable,
        })
    }
}
