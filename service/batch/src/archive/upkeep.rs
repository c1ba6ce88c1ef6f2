//! The archive's upkeep: what is too old goes, and a day's small files become one.
//!
//! Nothing is removed in the pass that replaced it: who lists the archive and then reads it has until the next upkeep.
//! The newest file of a partition stays, however old it is: its name says where the archiver goes on.

use std::collections::HashSet;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::Schema as ArrowSchema;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::cutter::{Cut, Finished, written};
use super::manifest::Manifest;
use super::place::{Place, day_of, settled};
use super::store::{ArchiveError, ArchiveStore, places_of};

/// What is kept up.
#[derive(Debug, Clone, Copy)]
pub struct Upkeep {
    /// Days before this time, milliseconds, go; `None`: all is kept.
    pub before_ms: Option<i64>,
    /// Now, milliseconds: a day that is not over is left alone.
    pub now_ms: i64,
    /// The bounds of a file.
    pub cut: Cut,
    /// Nothing is done, only told.
    pub is_dry: bool,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tended {
    /// Files whose day is too old: removed.
    pub expired: Vec<String>,
    /// Files that were made of several.
    pub merged: Vec<String>,
    /// Files whose records are in a merged one since the last upkeep: removed.
    pub replaced: Vec<String>,
}

/// A finished file of the archive.
struct Stood {
    place: Place,
    manifest: Manifest,
}

impl Upkeep {
    /// Keeps a topic up.
    ///
    /// # Errors
    /// When the store does not answer, or a file that is to be merged is not that of its manifest.
    pub fn tend(&self, store: &ArchiveStore, topic: &str, tended: &mut Tended) -> Result<(), ArchiveError> {
        let paths = store.paths(topic)?;
        let (standing, replaced) = settled(places_of(&paths));
        self.remove_replaced(store, replaced, tended)?;
        let finished: HashSet<String> = paths.into_iter().collect();
        let mut standing = standing.into_iter().peekable();
        while let Some(partition) = standing.peek().map(|place| place.partition) {
            let mut places = Vec::new();
            while let Some(place) = standing.next_if(|place| place.partition == partition) {
                places.push(place);
            }
            places.pop();
            let kept = self.expire(store, places, tended)?;
            // What the archiver did not finish, it finishes.
            let ours = kept.into_iter().filter(|place| finished.contains(&place.manifest()));
            self.merge_days(store, ours, tended)?;
        }
        Ok(())
    }

    fn remove(&self, store: &ArchiveStore, place: &Place) -> Result<(), ArchiveError> {
        if !self.is_dry {
            // A file without a manifest is one that is not finished: broken off here, the next upkeep goes on.
            store.remove(&place.manifest())?;
            store.remove(&place.to_string())?;
        }
        Ok(())
    }

    /// Files whose records a finished larger one has, as many of them as it should.
    fn remove_replaced(
        &self,
        store: &ArchiveStore,
        replaced: Vec<(Place, Place)>,
        tended: &mut Tended,
    ) -> Result<(), ArchiveError> {
        let mut all = replaced.as_slice();
        while let Some((_, over)) = all.first() {
            let (same, rest) = all.split_at(all.iter().take_while(|(_, other)| other == over).count());
            all = rest;
            let Some(manifest) = store.manifest(over)? else { continue };
            checked(store, over, &manifest)?;
            let mut records = 0;
            for (place, _) in same {
                records += store.manifest(place)?.map_or(0, |manifest| manifest.records);
            }
            if records > manifest.records {
                let why = format!("it has {} records of {records}", manifest.records);
                return Err(ArchiveError::Damaged { path: over.to_string(), why });
            }
            for (place, _) in same {
                self.remove(store, place)?;
                tended.replaced.push(place.to_string());
            }
        }
        Ok(())
    }

    /// From the front, so that no gap opens. Gives what is left.
    fn expire(
        &self,
        store: &ArchiveStore,
        places: Vec<Place>,
        tended: &mut Tended,
    ) -> Result<Vec<Place>, ArchiveError> {
        let Some(before) = self.before_ms.map(day_of) else { return Ok(places) };
        let old = places.iter().take_while(|place| place.day < before).count();
        for place in places.iter().take(old) {
            self.remove(store, place)?;
            tended.expired.push(place.to_string());
        }
        Ok(places.into_iter().skip(old).collect())
    }

    /// Merges what follows one another on a day that is over.
    fn merge_days(
        &self,
        store: &ArchiveStore,
        places: impl Iterator<Item = Place>,
        tended: &mut Tended,
    ) -> Result<(), ArchiveError> {
        let today = day_of(self.now_ms);
        let mut run: Vec<Stood> = Vec::new();
        for place in places.filter(|place| place.day < today) {
            let Some(manifest) = store.manifest(&place)? else { continue };
            let next = Stood { place, manifest };
            if !run.last().is_some_and(|last| self.goes_on(&run, last, &next)) {
                self.merge(store, &run, tended)?;
                run.clear();
            }
            run.push(next);
        }
        self.merge(store, &run, tended)
    }

    fn goes_on(&self, run: &[Stood], last: &Stood, next: &Stood) -> bool {
        let sum = |of: fn(&Manifest) -> u64| {
            run.iter().map(|one| of(&one.manifest)).sum::<u64>() + of(&next.manifest)
        };
        last.place.day == next.place.day
            && last.place.last + 1 == next.manifest.follows
            && sum(|manifest| manifest.records) <= self.cut.records as u64
            && sum(|manifest| manifest.bytes) <= self.cut.bytes as u64
    }

    fn merge(&self, store: &ArchiveStore, run: &[Stood], tended: &mut Tended) -> Result<(), ArchiveError> {
        let [first, .., last] = run else { return Ok(()) };
        let place = Place { last: last.place.last, ..first.place.clone() };
        let mut files = Vec::with_capacity(run.len());
        for one in run {
            files.push(checked(store, &one.place, &one.manifest)?);
        }
        let damaged = |why: String| ArchiveError::Damaged { path: place.to_string(), why };
        // Schemas that do not go together stay files apart.
        let Some(bytes) = merged(&files).map_err(damaged)? else { return Ok(()) };
        let manifest = Manifest {
            records: run.iter().map(|one| one.manifest.records).sum(),
            first: place.first,
            last: place.last,
            bytes: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(&bytes)),
            follows: first.manifest.follows,
            undecodable: run.iter().map(|one| one.manifest.undecodable).sum(),
        };
        tended.merged.push(place.to_string());
        if !self.is_dry {
            store.finish(&Finished { place, bytes: bytes.into(), manifest })?;
        }
        Ok(())
    }
}

/// A file that is what its manifest says.
fn checked(store: &ArchiveStore, place: &Place, manifest: &Manifest) -> Result<Bytes, ArchiveError> {
    let bytes = store.get(&place.to_string())?.unwrap_or_default();
    if hex::encode(Sha256::digest(&bytes)) == manifest.sha256 {
        return Ok(bytes);
    }
    let why = "its bytes are not those of its manifest; nothing was merged or removed".to_owned();
    Err(ArchiveError::Damaged { path: place.to_string(), why })
}

/// The rows of all in one file; `None` where a column has two types.
fn merged(files: &[Bytes]) -> Result<Option<Vec<u8>>, String> {
    let mut texts: Vec<KeyValue> = Vec::new();
    let mut readers = Vec::with_capacity(files.len());
    for bytes in files {
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).map_err(|error| error.to_string())?;
        let own = builder.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
        let own = own.into_iter().filter(|text| text.key.starts_with("avro.schema."));
        let new: Vec<_> = own.filter(|text| !texts.iter().any(|known| known.key == text.key)).collect();
        texts.extend(new);
        readers.push(builder);
    }
    // The file's own metadata is what Parquet carries anew.
    let schemas = readers.iter().map(|reader| ArrowSchema::new(reader.schema().fields().clone()));
    let schemas: Vec<ArrowSchema> = schemas.collect();
    let fits = |schema: &ArrowSchema| {
        let same = |one: &ArrowSchema| {
            one.fields()
                .iter()
                .all(|own| schema.field_with_name(own.name()).is_ok_and(|f| f.data_type() == own.data_type()))
        };
        schemas.iter().all(same)
    };
    let Some(schema) = ArrowSchema::try_merge(schemas.clone()).ok().filter(fits) else { return Ok(None) };
    let fields = schema.fields().iter().map(|field| {
        let is_everywhere = schemas.iter().all(|schema| schema.field_with_name(field.name()).is_ok());
        field.as_ref().clone().with_nullable(field.is_nullable() || !is_everywhere)
    });
    let schema = std::sync::Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    let mut batches = Vec::new();
    for reader in readers {
        for batch in reader.build().map_err(|error| error.to_string())? {
            let batch = batch.map_err(|error| error.to_string())?;
            let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
                Some(column) => column.clone(),
                None => new_null_array(field.data_type(), batch.num_rows()),
            });
            let aligned = RecordBatch::try_new(schema.clone(), columns.collect());
            batches.push(aligned.map_err(|error| error.to_string())?);
        }
    }
    written(&batches, texts).map(Some)
}
