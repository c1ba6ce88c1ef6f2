//! The handbook's files: what each payment was, the labels with their delay, and rows to learn from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::time::DAY_MS;

/// What a payment was.
#[derive(Debug, Clone)]
pub struct Truth {
    pub id: Box<str>,
    pub event_ms: i64,
    pub card: Box<str>,
    pub amount_minor: i64,
    pub fraud: bool,
}

/// Rows to learn from, one after the other, and whether each was fraud.
pub struct Learnt {
    pub rows: Vec<f64>,
    pub frauds: Vec<bool>,
}

fn batches(path: &Path) -> anyhow::Result<impl Iterator<Item = anyhow::Result<RecordBatch>> + use<>> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path).with_context(|| name.clone())?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
    Ok(reader.map(move |batch| batch.with_context(|| name.clone())))
}

/// A column as this kind of value, without a null.
fn column(batch: &RecordBatch, name: &str, kind: &DataType) -> anyhow::Result<ArrayRef> {
    let found = batch.column_by_name(name).with_context(|| format!("no column {name}"))?;
    let column = cast(found, kind).with_context(|| format!("column {name}"))?;
    ensure!(column.null_count() == 0, "column {name}: a value is missing");
    Ok(column)
}

/// What the payments were, in the file's order, which is that of time.
pub fn truths(path: &Path) -> anyhow::Result<Vec<Truth>> {
    let mut truths: Vec<Truth> = Vec::new();
    for batch in batches(path)? {
        let batch = batch?;
        let ids = column(&batch, "TRANSACTION_ID", &DataType::Utf8)?;
        let cards = column(&batch, "CUSTOMER_ID", &DataType::Utf8)?;
        let times = column(&batch, "TX_DATETIME", &DataType::Timestamp(TimeUnit::Millisecond, None))?;
        let times = cast(&times, &DataType::Int64)?;
        let amounts = column(&batch, "TX_AMOUNT_CENTS", &DataType::Int64)?;
        let frauds = column(&batch, "TX_FRAUD", &DataType::Int64)?;
        let (ids, cards) = (ids.as_string::<i32>(), cards.as_string::<i32>());
        let [times, amounts, frauds] =
            [&times, &amounts, &frauds].map(|column| column.as_primitive::<Int64Type>());
        for row in 0..batch.num_rows() {
            let truth = Truth {
                id: ids.value(row).into(),
                event_ms: times.value(row),
                card: cards.value(row).into(),
                amount_minor: amounts.value(row),
                fraud: frauds.value(row) != 0,
            };
            let is_next = truths.last().is_none_or(|last| last.event_ms <= truth.event_ms);
            ensure!(is_next, "payment {} is not in the order of time", truth.id);
            truths.push(truth);
        }
    }
    Ok(truths)
}

/// Writes a label for each payment, known so many days after it.
pub fn labels(truths: &[Truth], delay_days: i64, out: &Path) -> anyhow::Result<PathBuf> {
    let ids = StringArray::from_iter_values(truths.iter().map(|truth| &truth.id));
    let frauds: BooleanArray = truths.iter().map(|truth| Some(truth.fraud)).collect();
    let known = truths.iter().map(|truth| truth.event_ms + delay_days * DAY_MS);
    let columns: [(&str, ArrayRef); 3] = [
        ("transaction_id", Arc::new(ids)),
        ("label", Arc::new(frauds)),
        ("label_time", Arc::new(TimestampMillisecondArray::from_iter_values(known))),
    ];
    let batch = RecordBatch::try_from_iter(columns)?;
    let mut writer = ArrowWriter::try_new(std::fs::File::create(out)?, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(out.to_owned())
}

/// The features that replay wrote, from a row on. What is undefined counts as nought.
pub fn learnt(path: &Path, names: &[String], from: usize, truths: &[Truth]) -> anyhow::Result<Learnt> {
    let mut learnt = Learnt { rows: Vec::new(), frauds: Vec::new() };
    let mut first = 0;
    for batch in batches(path)? {
        let batch = batch?;
        let columns = names.iter().map(|name| {
            let found = batch.column_by_name(name).with_context(|| format!("no column {name}"))?;
            Ok(cast(found, &DataType::Float64)?)
        });
        let columns = columns.collect::<anyhow::Result<Vec<_>>>()?;
        let outcomes = column(&batch, "outcome", &DataType::Utf8)?;
        for row in from.saturating_sub(first)..batch.num_rows() {
            let Some(truth) = truths.get(first + row) else { break };
            ensure!(
                outcomes.as_string::<i32>().value(row) == "decided",
                "payment {} has no features",
                truth.id
            );
            learnt.rows.extend(columns.iter().map(|column| {
                let column = column.as_primitive::<Float64Type>();
                if column.is_null(row) { 0.0 } else { column.value(row) }
            }));
            learnt.frauds.push(truth.fraud);
        }
        first += batch.num_rows();
    }
    Ok(learnt)
}
