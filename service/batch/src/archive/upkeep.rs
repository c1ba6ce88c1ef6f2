//! The archive's upkeep: what is too old goes, and a day's small files become one.
//!
//! Nothing is removed in the pass that replaced it: who lists the archive and then reads it has until the next upkeep.
//! The newest file of a partition stays, however old it is: its name says where the archiver goes on.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{Field, Schema as ArrowSchema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::cutter::{Cut, Finished, written};
use super::error::ArchiveError;
use super::manifest::Manifest;
use super::place::{Place, day_of, settled};
use super::store::{ArchiveStore, places_of};

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

/// Files that become one.
#[derive(Default)]
struct Run {
    files: Vec<Stood>,
    /// Their bytes and their columns, once there are two.
    bytes: Vec<Bytes>,
    columns: Option<ArrowSchema>,
}

impl Run {
    /// Takes the next file if its columns go with the others'.
    fn takes(&mut self, store: &ArchiveStore, next: &Stood) -> Result<bool, ArchiveError> {
        if let (None, Some(first)) = (&self.columns, self.files.first()) {
            let bytes = checked(store, &first.place, &first.manifest)?;
            self.columns = Some(columns(&first.place, &bytes)?);
            self.bytes.push(bytes);
        }
        let bytes = checked(store, &next.place, &next.manifest)?;
        let own = columns(&next.place, &bytes)?;
        let both = self.columns.as_ref().and_then(|columns| together(columns, &own));
        if let Some(both) = both {
            self.columns = Some(both);
            self.bytes.push(bytes);
            return Ok(true);
        }
        Ok(false)
    }
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
        let mut run = Run::default();
        for place in places.filter(|place| place.day < today) {
            let Some(manifest) = store.manifest(&place)? else { continue };
            let next = Stood { place, manifest };
            if !(self.has_room(&run, &next) && run.takes(store, &next)?) {
                self.merge(store, &std::mem::take(&mut run), tended)?;
            }
            run.files.push(next);
        }
        self.merge(store, &run, tended)
    }

    /// Whether a file follows those of a run, and is not too much.
    fn has_room(&self, run: &Run, next: &Stood) -> bool {
        let Some(last) = run.files.last() else { return false };
        let sum = |of: fn(&Manifest) -> u64| {
            run.files.iter().map(|one| of(&one.manifest)).sum::<u64>() + of(&next.manifest)
        };
        last.place.day == next.place.day
            && last.place.last + 1 == next.manifest.follows
            && sum(|manifest| manifest.records) <= self.cut.records as u64
            && sum(|manifest| manifest.bytes) <= self.cut.bytes as u64
    }

    fn merge(&self, store: &ArchiveStore, run: &Run, tended: &mut Tended) -> Result<(), ArchiveError> {
        let [first, .., last] = run.files.as_slice() else { return Ok(()) };
        let Some(columns) = &run.columns else { return Ok(()) };
        let place = Place { last: last.place.last, ..first.place.clone() };
        let damaged = |why: String| ArchiveError::Damaged { path: place.to_string(), why };
        let bytes = merged(&run.bytes, columns).map_err(damaged)?;
        let sum = |of: fn(&Manifest) -> u64| run.files.iter().map(|one| of(&one.manifest)).sum();
        let manifest = Manifest {
            records: sum(|manifest| manifest.records),
            first: place.first,
            last: place.last,
            bytes: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(&bytes)),
            follows: first.manifest.follows,
            undecodable: sum(|manifest| manifest.undecodable),
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

/// The columns of a file; its own metadata is what Parquet carries anew.
fn columns(place: &Place, bytes: &Bytes) -> Result<ArrowSchema, ArchiveError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes.clone());
    let damaged =
        |error: ParquetError| ArchiveError::Damaged { path: place.to_string(), why: error.to_string() };
    Ok(ArrowSchema::new(builder.map_err(damaged)?.schema().fields().clone()))
}

/// The columns of both; `None` where one has two types. What only one has may be null.
fn together(one: &ArrowSchema, other: &ArrowSchema) -> Option<ArrowSchema> {
    let both = ArrowSchema::try_merge([one.clone(), other.clone()]).ok()?;
    let same = |own: &ArrowSchema, field: &Field| {
        own.field_with_name(field.name()).map_or(true, |known| known.data_type() == field.data_type())
    };
    if !both.fields().iter().all(|field| same(one, field) && same(other, field)) {
        return None;
    }
    let fields = both.fields().iter().map(|field| {
        let has = |own: &ArrowSchema| own.field_with_name(field.name()).is_ok();
        field.as_ref().clone().with_nullable(field.is_nullable() || !has(one) || !has(other))
    });
    Some(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

/// The rows of all in one file.
fn merged(files: &[Bytes], columns: &ArrowSchema) -> Result<Vec<u8>, String> {
    let columns = Arc::new(columns.clone());
    let (mut texts, mut batches): (Vec<KeyValue>, Vec<RecordBatch>) = (Vec::new(), Vec::new());
    for bytes in files {
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).map_err(|error| error.to_string())?;
        let own = builder.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
        for text in own.into_iter().filter(|text| text.key.starts_with("avro.schema.")) {
            if !texts.iter().any(|known| known.key == text.key) {
                texts.push(text);
            }
        }
        for batch in builder.build().map_err(|error| error.to_string())? {
            let batch = batch.map_err(|error| error.to_string())?;
            let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
                Some(column) => Arc::clone(column),
                None => new_null_array(field.data_type(), batch.num_rows()),
            };
            let aligned =
                RecordBatch::try_new(Arc::clone(&columns), columns.fields().iter().map(column).collect());
            batches.push(aligned.map_err(|error| error.to_string())?);
        }
    }
    written(&batches, texts)
}
