//! Payments of a Parquet file, row by row, through the user's mapping.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use schemas::mapping::{CurrencySource, FieldPath, PaymentMapping, Raw};
use schemas::payment::Payment;
use schemas::problem::{Problem, Problems};
use schemas::reject::Reject;

use super::ReplayError;
use super::columns::{Column, Found, column, look_up};

/// Rows read at once.
const ROWS: usize = 8_192;

/// One row of the file.
pub(crate) struct Row {
    /// Its id as far as it can be read, also where no payment can be made of it.
    pub transaction_id: Option<Box<str>>,
    /// The payment, or why it is none.
    pub payment: Result<Payment, Reject>,
}

/// A file of payments.
pub(crate) struct Payments {
    reader: ParquetRecordBatchReader,
    mapping: Arc<PaymentMapping>,
    paths: Vec<FieldPath>,
    absent: Vec<String>,
    file: String,
    rows: u64,
    columns: Vec<Column>,
    row: usize,
    len: usize,
}

/// A Parquet file, opened.
pub(super) fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, Problems> {
    let name = path.display().to_string();
    let wrong = |found: String| Problems::from(Problem::new(&name, "the file", found, "a Parquet file"));
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| wrong(error.to_string()))
}

impl Payments {
    /// Opens a file.
    ///
    /// # Errors
    /// When it is none, lacks a column that every payment needs or has one of another type.
    pub fn open(path: &Path, mapping: &Arc<PaymentMapping>) -> Result<Self, Problems> {
        let builder = open(path)?;
        let file = path.display().to_string();
        let paths: Vec<FieldPath> = mapping.paths().into_iter().cloned().collect();
        let (mut problems, mut absent, mut places) = (Problems::default(), Vec::new(), Vec::new());
        for (place, (path, key)) in paths.iter().zip(keys(mapping)).enumerate() {
            match look_up(&file, builder.schema(), path, &key) {
                Found::Column(column) => places.push(column),
                Found::Nothing(_) if !mapping.is_required(place) => absent.push(path.to_string()),
                Found::Nothing(problem) | Found::Untakable(problem) => problems.0.push(problem),
            }
        }
        problems.or(Some(()))?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        // The columns that the mapping names and no others.
        let wanted = ProjectionMask::roots(builder.parquet_schema(), places);
        let reader = builder.with_projection(wanted).with_batch_size(ROWS).build();
        let reader =
            reader.map_err(|error| Problem::new(&file, "the file", error.to_string(), "a Parquet file"))?;
        let mapping = Arc::clone(mapping);
        Ok(Self { reader, mapping, paths, absent, file, rows, columns: Vec::new(), row: 0, len: 0 })
    }

    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Columns that the mapping names and the file lacks, taken as null.
    pub fn absent(&self) -> &[String] {
        &self.absent
    }

    /// The next row.
    pub fn next(&mut self) -> Result<Option<Row>, ReplayError> {
        while self.row == self.len {
            let Some(batch) = self.reader.next() else { return Ok(None) };
            let batch = batch.map_err(|error| broken(&self.file, &error))?;
            let columns = self.paths.iter().map(|path| column(&batch, path));
            self.columns = columns.collect::<Result<_, _>>().map_err(|why| broken(&self.file, &why))?;
            (self.row, self.len) = (0, batch.num_rows());
        }
        let raws: Vec<Raw<'_>> = self.columns.iter().map(|column| column.raw(self.row)).collect();
        let payment = self.mapping.assemble(&raws);
        self.row += 1;
        let transaction_id = match (&payment, raws.first()) {
            (Ok(payment), _) => Some(payment.transaction_id.clone()),
            (Err(_), Some(Raw::Text(text))) => Some(text.as_ref().into()),
            (Err(_), Some(Raw::Int(number))) => Some(number.to_string().into()),
            _ => None,
        };
        Ok(Some(Row { transaction_id, payment }))
    }
}

/// The config's key behind each of the mapping's paths.
fn keys(mapping: &PaymentMapping) -> Vec<String> {
    let mut keys: Vec<String> =
        ["transaction_id", "event_time", "amount"].map(|key| format!("payment.{key}")).into();
    if matches!(mapping.currency, CurrencySource::Field(_)) {
        keys.push("payment.currency".to_owned());
    }
    for entity in &mapping.entities {
        keys.extend(entity.key.iter().map(|_| format!("payment.entities.{}", entity.name)));
    }
    keys.extend(mapping.fields.iter().map(|field| format!("payment.fields.{}", field.name)));
    keys
}

fn broken(file: &str, error: &dyn std::fmt::Display) -> ReplayError {
    ReplayError::Files(format!("{file}: {error}"))
}
