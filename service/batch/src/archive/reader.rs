//! The archive read back: the files of one partition, one after another, in batches of rows.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::error::ArchiveError;
use super::place::Place;
use super::store::ArchiveStore;

/// Rows of a batch.
const ROWS: usize = 4_096;

/// Columns of every file beside the record's own.
pub const META: [&str; 8] = [
    "_partition",
    "_offset",
    "_timestamp",
    "_schema_id",
    "_value_sha256",
    "_value_bytes",
    "_undecodable",
    "_made",
];

/// One partition of an archived topic.
pub struct Files<'a> {
    store: &'a ArchiveStore,
    places: std::vec::IntoIter<Place>,
    columns: Option<Vec<String>>,
    reader: Option<(Place, ParquetRecordBatchReader)>,
}

impl<'a> Files<'a> {
    /// Every partition of a topic. `columns` are those that are wanted, all where none are named.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn of(
        store: &'a ArchiveStore,
        topic: &str,
        columns: Option<&[&str]>,
    ) -> Result<BTreeMap<i32, Files<'a>>, ArchiveError> {
        let mut partitions: BTreeMap<i32, Vec<Place>> = BTreeMap::new();
        for place in store.places(topic)? {
            partitions.entry(place.partition).or_default().push(place);
        }
        let columns: Option<Vec<String>> =
            columns.map(|columns| columns.iter().map(|column| (*column).to_owned()).collect());
        let files = partitions.into_iter().map(|(partition, places)| {
            let columns = columns.clone();
            (partition, Files { store, places: places.into_iter(), columns, reader: None })
        });
        Ok(files.collect())
    }

    /// The next rows, and the file that they are from; `None` after the last.
    ///
    /// # Errors
    /// When a file is gone or is no Parquet file.
    pub fn next_batch(&mut self) -> Result<Option<(Place, RecordBatch)>, ArchiveError> {
        loop {
            if let Some((place, reader)) = &mut self.reader {
                match reader.next() {
                    Some(Ok(batch)) => return Ok(Some((place.clone(), batch))),
                    Some(Err(error)) => return Err(damaged(place, &error)),
                    None => self.reader = None,
                }
            }
            let Some(place) = self.places.next() else { return Ok(None) };
            let path = place.to_string();
            let bytes = self.store.get(&path)?;
            let bytes = bytes.ok_or_else(|| ArchiveError::Damaged { path, why: "it is gone".to_owned() })?;
            let builder =
                ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| damaged(&place, &error))?;
            let mask = match &self.columns {
                Some(columns) => {
                    let wanted =
                        columns.iter().filter_map(|column| Some(builder.schema().fields().find(column)?.0));
                    ProjectionMask::roots(builder.parquet_schema(), wanted.collect::<Vec<_>>())
                }
                None => ProjectionMask::all(),
            };
            let reader = builder.with_projection(mask).with_batch_size(ROWS).build();
            self.reader = Some((place.clone(), reader.map_err(|error| damaged(&place, &error))?));
        }
    }
}

fn damaged(place: &Place, error: &dyn std::fmt::Display) -> ArchiveError {
    ArchiveError::Damaged { path: place.to_string(), why: error.to_string() }
}
