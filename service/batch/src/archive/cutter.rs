//! Where a file ends, and what is in it: records of one partition in, files out.

use std::collections::BTreeMap;
use std::sync::Arc;

use apache_avro::types::Value;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema as ArrowSchema, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use schemas::time::DAY_MS;
use serde::ser::{Serialize, SerializeMap, Serializer};
use sha2::{Digest, Sha256};

use super::columns::{KnownSchema, Reading};
use super::error::ArchiveError;
use super::manifest::Manifest;
use super::place::{Place, day_of};

/// The rule by which a file ends: what comes first. By the records alone, so that a repetition ends files alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Most records of a file.
    pub records: usize,
    /// A file with so many bytes of values ends.
    pub bytes: usize,
}

/// One record of a topic.
#[derive(Debug, Clone)]
pub struct Archived {
    /// Its offset.
    pub offset: i64,
    /// Its time in the topic, milliseconds.
    pub timestamp_ms: i64,
    /// Its bytes.
    pub value: Vec<u8>,
    /// Bytes before the Avro body: the frame of the registry.
    pub body_from: usize,
    /// The schema of the body; `None` where nothing can be decoded.
    pub schema: Option<Arc<KnownSchema>>,
    /// The decision that travelled with it, as JSON.
    pub made: Option<String>,
}

/// A file, ready to be put.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Where it goes.
    pub place: Place,
    /// The file.
    pub bytes: Bytes,
    /// Its manifest.
    pub manifest: Manifest,
}

/// Cuts one partition into files.
#[derive(Debug)]
pub struct Cutter {
    topic: String,
    partition: i32,
    cut: Cut,
    follows: i64,
    day: i64,
    records: Vec<Archived>,
    bytes: usize,
    columns: Vec<FieldRef>,
    schemas: BTreeMap<u32, Arc<KnownSchema>>,
}

impl Cutter {
    /// A cutter whose first record has this offset or a later one.
    pub fn new(topic: &str, partition: i32, cut: Cut, from: i64) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
            cut,
            follows: from,
            day: i64::MIN,
            records: Vec::new(),
            bytes: 0,
            columns: Vec::new(),
            schemas: BTreeMap::new(),
        }
    }

    /// Offset of the first record that waits for its file to end.
    pub fn first_waiting(&self) -> Option<i64> {
        self.records.first().map(|record| record.offset)
    }

    /// Records that wait for their file to end.
    pub fn waiting(&self) -> usize {
        self.records.len()
    }

    /// Whether what waits is of a day that is over by this time, milliseconds.
    pub fn is_over(&self, now_ms: i64) -> bool {
        !self.records.is_empty() && now_ms.div_euclid(DAY_MS) > self.day
    }

    /// Takes the next record; gives the file that ends before it, if one does.
    ///
    /// # Errors
    /// When a file cannot be made, which is a bug.
    pub fn push(&mut self, record: Archived) -> Result<Option<Finished>, ArchiveError> {
        let day = record.timestamp_ms.div_euclid(DAY_MS);
        let merged = self.merged(record.schema.as_ref());
        // A record of an earlier day stays with those that came before it: only a later day is another file.
        let ends = !self.records.is_empty()
            && (self.records.len() >= self.cut.records
                || self.bytes >= self.cut.bytes
                || day > self.day
                || merged.is_none());
        let finished = if ends { self.finish()? } else { None };
        if self.records.is_empty() {
            self.day = day;
        }
        if let Some(schema) = &record.schema {
            self.columns = match merged.filter(|_| !ends) {
                Some(merged) => merged,
                None => schema.columns.clone(),
            };
            self.schemas.entry(schema.id).or_insert_with(|| Arc::clone(schema));
        }
        self.bytes += record.value.len();
        self.records.push(record);
        Ok(finished)
    }

    /// The columns with those of one more schema; `None` when they do not go together.
    fn merged(&self, schema: Option<&Arc<KnownSchema>>) -> Option<Vec<FieldRef>> {
        let Some(schema) = schema.filter(|schema| !self.schemas.contains_key(&schema.id)) else {
            return Some(self.columns.clone());
        };
        let both = [self.columns.clone(), schema.columns.clone()].map(ArrowSchema::new);
        Some(ArrowSchema::try_merge(both).ok()?.fields().iter().cloned().collect())
    }

    /// The file of what waits, if anything does.
    ///
    /// # Errors
    /// When it cannot be made, which is a bug.
    pub fn finish(&mut self) -> Result<Option<Finished>, ArchiveError> {
        let (Some(first), Some(last)) = (self.records.first(), self.records.last()) else { return Ok(None) };
        let place = Place {
            topic: self.topic.clone(),
            partition: self.partition,
            first: first.offset,
            last: last.offset,
            day: day_of(self.day.saturating_mul(DAY_MS)),
        };
        let failed = |why: String| ArchiveError::Damaged { path: place.to_string(), why };
        let (bytes, undecodable) = self.file().map_err(failed)?;
        let manifest = Manifest {
            records: self.records.len() as u64,
            first: place.first,
            last: place.last,
            bytes: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(&bytes)),
            follows: self.follows,
            undecodable,
        };
        self.follows = place.last + 1;
        self.records.clear();
        self.bytes = 0;
        self.columns.clear();
        self.schemas.clear();
        Ok(Some(Finished { place, bytes: bytes.into(), manifest }))
    }

    fn file(&self) -> Result<(Vec<u8>, u64), String> {
        let mut fields = meta_fields();
        let own = self.columns.iter().filter(|field| !field.name().starts_with('_'));
        fields.extend(own.cloned());
        let readings = self.schemas.iter().map(|(id, schema)| Ok((*id, schema.reading()?)));
        let readings: BTreeMap<u32, Reading<'_>> = readings.collect::<Result<_, String>>()?;
        let mut builder =
            serde_arrow::ArrayBuilder::from_arrow(&fields).map_err(|error| error.to_string())?;
        let mut undecodable = 0;
        for record in &self.records {
            let body = record.value.get(record.body_from..).unwrap_or_default();
            let reading = record.schema.as_ref().and_then(|schema| readings.get(&schema.id));
            let value = reading.and_then(|reading| Some((reading, reading.decode(body)?)));
            undecodable += u64::from(value.is_none());
            let row = Row { record, partition: self.partition, value: value.as_ref() };
            builder.push(&row).map_err(|error| error.to_string())?;
        }
        let batch = builder.to_record_batch().map_err(|error| error.to_string())?;
        let schemas = self.schemas.values();
        let texts =
            schemas.map(|schema| KeyValue::new(format!("avro.schema.{}", schema.id), schema.text.clone()));
        let bytes = written(&[batch], texts.collect())?;
        Ok((bytes, undecodable))
    }
}

/// A file of these rows.
pub(super) fn written(batches: &[RecordBatch], texts: Vec<KeyValue>) -> Result<Vec<u8>, String> {
    let said = |error: parquet::errors::ParquetError| error.to_string();
    let schema = batches.first().ok_or("no rows")?.schema();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).map_err(said)?))
        .set_created_by("tripline".to_owned())
        .set_key_value_metadata(Some(texts))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).map_err(said)?;
    batches.iter().try_for_each(|batch| writer.write(batch)).map_err(said)?;
    writer.close().map_err(said)?;
    Ok(bytes)
}

/// What is kept of every record beside its fields.
fn meta_fields() -> Vec<FieldRef> {
    let field = |name: &str, kind, nullable| Arc::new(Field::new(name, kind, nullable));
    vec![
        field("_partition", DataType::Int32, false),
        field("_offset", DataType::Int64, false),
        field("_timestamp", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
        field("_schema_id", DataType::Int64, true),
        field("_value_sha256", DataType::Utf8, false),
        field("_value_bytes", DataType::Int64, false),
        field("_undecodable", DataType::Boolean, false),
        field("_made", DataType::Utf8, true),
    ]
}

struct Row<'a> {
    record: &'a Archived,
    partition: i32,
    value: Option<&'a (&'a Reading<'a>, Value)>,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.record;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_partition", &self.partition)?;
        map.serialize_entry("_offset", &record.offset)?;
        map.serialize_entry("_timestamp", &record.timestamp_ms)?;
        map.serialize_entry("_schema_id", &record.schema.as_ref().map(|schema| i64::from(schema.id)))?;
        map.serialize_entry("_value_sha256", &hex::encode(Sha256::digest(&record.value)))?;
        map.serialize_entry("_value_bytes", &(record.value.len() as i64))?;
        map.serialize_entry("_undecodable", &self.value.is_none())?;
        map.serialize_entry("_made", &record.made)?;
        if let Some((reading, value)) = self.value {
            reading.write(value, &mut map)?;
        }
        map.end()
    }
}
