//! The archive's rows as what they are: payments through the mapping, labels, and our own contracts.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::Int64Type;
use batch::archive::{ArchiveError, ArchiveStore, Files, Place};
use schemas::codec::LabelDecoder;
use schemas::mapping::{FieldPath, PaymentMapping, Raw};
use schemas::payment::{Label, Payment};
use schemas::reject::{Reject, RejectCode};
use serde::de::DeserializeOwned;

use crate::replay::columns::{Column, column};

/// One record of the payments topic.
#[derive(Debug)]
pub(super) struct PaymentRecord {
    pub offset: i64,
    /// The payment, or why it is none.
    pub payment: Result<Payment, Reject>,
    /// The decision that travelled with it, as JSON.
    pub made: Option<String>,
}

/// One partition of the payments topic.
pub(super) struct Payments<'a> {
    files: Files<'a>,
    mapping: &'a PaymentMapping,
    records: std::vec::IntoIter<PaymentRecord>,
}

impl<'a> Payments<'a> {
    /// Every partition.
    pub fn of(
        store: &'a ArchiveStore,
        topic: &str,
        mapping: &'a PaymentMapping,
    ) -> Result<Vec<(i32, Self)>, ArchiveError> {
        let mut columns: Vec<&str> =
            mapping.paths().into_iter().filter_map(|path| path.steps().first()).map(String::as_str).collect();
        let whole: Vec<String> = mapping.paths().into_iter().map(ToString::to_string).collect();
        columns.extend(whole.iter().map(String::as_str));
        columns.extend(["_offset", "_undecodable", "_made"]);
        let files = Files::of(store, topic, Some(&columns))?;
        Ok(files
            .into_iter()
            .map(|(partition, files)| (partition, Self { files, mapping, records: Vec::new().into_iter() }))
            .collect())
    }

    /// The next record.
    pub fn next_record(&mut self) -> Result<Option<PaymentRecord>, ArchiveError> {
        loop {
            if let Some(record) = self.records.next() {
                return Ok(Some(record));
            }
            let Some((place, batch)) = self.files.next_batch()? else { return Ok(None) };
            let records = payments(self.mapping, &batch).map_err(|why| damaged(&place, why))?;
            self.records = records.into_iter();
        }
    }
}

fn payments(mapping: &PaymentMapping, batch: &RecordBatch) -> Result<Vec<PaymentRecord>, String> {
    let paths = mapping.paths();
    let columns = paths.iter().map(|path| column(batch, path)).collect::<Result<Vec<Column>, String>>()?;
    let offsets = batch.column_by_name("_offset").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let offsets = offsets.ok_or("no column _offset")?;
    let undecodable = flags(batch)?;
    let made = batch.column_by_name("_made").and_then(|column| column.as_string_opt::<i32>());
    let mut records = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let payment = if undecodable.value(row) {
            Err(Reject::new(RejectCode::Malformed, "it could not be decoded when it was archived"))
        } else {
            let raws: Vec<Raw<'_>> = columns.iter().map(|column| column.raw(row)).collect();
            mapping.assemble(&raws)
        };
        let made = made.filter(|made| made.is_valid(row)).map(|made| made.value(row).to_owned());
        records.push(PaymentRecord { offset: offsets.value(row), payment, made });
    }
    Ok(records)
}

/// Hands over every label that can be decoded: partition, offset, label.
pub(super) fn labels(
    store: &ArchiveStore,
    topic: &str,
    mut take: impl FnMut(i32, i64, &Label) -> std::io::Result<()>,
) -> Result<u64, ArchiveError> {
    let paths: Vec<FieldPath> = ["transaction_id", "fraud", "label_time", "source"]
        .into_iter()
        .filter_map(FieldPath::parse)
        .collect();
    let mut records = 0;
    for (partition, mut files) in Files::of(store, topic, None)? {
        while let Some((place, batch)) = files.next_batch()? {
            let read = || -> Result<_, String> {
                let columns = paths.iter().map(|path| column(&batch, path)).collect::<Result<Vec<_>, _>>()?;
                let offsets =
                    batch.column_by_name("_offset").and_then(|c| c.as_primitive_opt::<Int64Type>().cloned());
                Ok((columns, offsets.ok_or("no column _offset")?, flags(&batch)?))
            };
            let (columns, offsets, undecodable) = read().map_err(|why| damaged(&place, why))?;
            for row in (0..batch.num_rows()).filter(|row| !undecodable.value(*row)) {
                records += 1;
                let raws: Vec<Raw<'_>> = columns.iter().map(|column| column.raw(row)).collect();
                if let Ok(label) = LabelDecoder::assemble(&raws) {
                    take(partition, offsets.value(row), &label)?;
                }
            }
        }
    }
    Ok(records)
}

/// One partition of a topic in one of our contracts.
pub(super) struct Own<'a, T> {
    files: Files<'a>,
    records: std::vec::IntoIter<T>,
}

impl<'a, T: DeserializeOwned> Own<'a, T> {
    /// Every partition; `columns` where not all are wanted.
    pub fn of(
        store: &'a ArchiveStore,
        topic: &str,
        columns: Option<&[&str]>,
    ) -> Result<Vec<(i32, Self)>, ArchiveError> {
        let files = Files::of(store, topic, columns)?;
        Ok(files
            .into_iter()
            .map(|(partition, files)| (partition, Self { files, records: Vec::new().into_iter() }))
            .collect())
    }

    /// The next record that could be decoded.
    pub fn next_record(&mut self) -> Result<Option<T>, ArchiveError> {
        loop {
            if let Some(record) = self.records.next() {
                return Ok(Some(record));
            }
            let Some((place, batch)) = self.files.next_batch()? else { return Ok(None) };
            let read = || -> Result<Vec<T>, String> {
                let decoded = not(&flags(&batch)?).map_err(|error| error.to_string())?;
                let batch = filter_record_batch(&batch, &decoded).map_err(|error| error.to_string())?;
                serde_arrow::from_record_batch(&batch).map_err(|error| error.to_string())
            };
            self.records = read().map_err(|why| damaged(&place, why))?.into_iter();
        }
    }
}

fn flags(batch: &RecordBatch) -> Result<BooleanArray, String> {
    let found = batch.column_by_name("_undecodable").and_then(|column| column.as_boolean_opt());
    found.cloned().ok_or_else(|| "no column _undecodable".to_owned())
}

fn damaged(place: &Place, why: String) -> ArchiveError {
    ArchiveError::Damaged { path: place.to_string(), why }
}
