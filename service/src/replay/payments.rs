//! Payments of a Parquet file, row by row, through the user's mapping.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use schemas::mapping::{PaymentMapping, Raw};
use schemas::payment::Payment;
use schemas::problem::{Problem, Problems};
use schemas::reject::Reject;

use super::ReplayError;
use super::columns::{Column, column, lacks};

/// Rows read at once.
const ROWS: usize = 8_192;

/// A file of payments.
pub(super) struct Payments {
    reader: ParquetRecordBatchReader,
    mapping: Arc<PaymentMapping>,
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
    pub fn open(path: &Path, mapping: &Arc<PaymentMapping>) -> Result<Self, ReplayError> {
        let builder = open(path)?;
        let file = path.display().to_string();
        let places = mapping.paths().into_iter().enumerate();
        let missing = places.filter(|(place, _)| mapping.is_required(*place));
        let key = |place: usize| match place {
            0 => "payment.transaction_id",
            1 => "payment.event_time",
            2 => "payment.amount",
            _ => "payment.currency",
        };
        let problems = missing.filter_map(|(place, path)| lacks(&file, builder.schema(), path, key(place)));
        Problems(problems.collect()).or(Some(()))?;
        let rows = builder.metadata().file_metadata().num_rows();
        let reader = builder.with_batch_size(ROWS).build().map_err(|error| broken(&file, &error))?;
        let rows = u64::try_from(rows).unwrap_or(0);
        Ok(Self { reader, mapping: Arc::clone(mapping), file, rows, columns: Vec::new(), row: 0, len: 0 })
    }

    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next row's payment, or why it is none.
    pub fn next(&mut self) -> Result<Option<Result<Payment, Reject>>, ReplayError> {
        while self.row == self.len {
            let Some(batch) = self.reader.next() else { return Ok(None) };
            let batch = batch.map_err(|error| broken(&self.file, &error))?;
            let columns = self.mapping.paths().into_iter().map(|path| column(&batch, path));
            self.columns = columns.collect::<Result<_, _>>().map_err(|why| {
                Problems::from(Problem::new(
                    &self.file,
                    "a column",
                    why,
                    "integers, floats, texts, booleans, timestamps",
                ))
            })?;
            (self.row, self.len) = (0, batch.num_rows());
        }
        let raws: Vec<Raw<'_>> = self.columns.iter().map(|column| column.raw(self.row)).collect();
        let payment = self.mapping.assemble(&raws);
        self.row += 1;
        Ok(Some(payment))
    }
}

fn broken(file: &str, error: &dyn std::fmt::Display) -> ReplayError {
    ReplayError::Files(format!("{file}: {error}"))
}
