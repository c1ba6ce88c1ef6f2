//! Simulated payments and labels as Parquet files, for `replay` and for training: the columns of the contracts.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use parquet::arrow::ArrowWriter;

use super::event::{SimulatedEvent, SimulatedLabel, SimulatedPayment};

/// Writes `payments.parquet` and `labels.parquet` of the events up to and with the given number of payments. Labels
/// that come later than the last payment are left out, as they are in life.
///
/// # Errors
/// When a file cannot be written.
pub fn write(
    events: impl Iterator<Item = SimulatedEvent>,
    payments: usize,
    folder: &Path,
) -> anyhow::Result<()> {
    let (mut paid, mut labelled) = (Vec::with_capacity(payments), Vec::new());
    for event in events {
        match event {
            SimulatedEvent::Payment(payment) => paid.push(payment),
            SimulatedEvent::Label(label) => labelled.push(label),
        }
        if paid.len() >= payments {
            break;
        }
    }
    std::fs::create_dir_all(folder)?;
    table(&folder.join("payments.parquet"), payment_columns(&paid))?;
    table(&folder.join("labels.parquet"), label_columns(&labelled))
}

fn payment_columns(payments: &[SimulatedPayment]) -> Vec<(&'static str, ArrayRef)> {
    let text = |of: fn(&SimulatedPayment) -> &str| -> ArrayRef {
        Arc::new(payments.iter().map(|payment| Some(of(payment))).collect::<StringArray>())
    };
    let times = payments.iter().map(|payment| payment.event_time_ms);
    let amounts = payments.iter().map(|payment| payment.amount_minor);
    vec![
        ("transaction_id", text(|payment| &payment.transaction_id)),
        ("event_time", Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC"))),
        ("amount_minor", Arc::new(Int64Array::from_iter_values(amounts))),
        ("currency", text(|payment| payment.currency)),
        ("card_id", text(|payment| &payment.card_id)),
        ("merchant_id", text(|payment| &payment.merchant_id)),
        ("device_id", text(|payment| &payment.device_id)),
        ("merchant_category", text(|payment| payment.merchant_category)),
        ("country", text(|payment| payment.country)),
        ("channel", text(|payment| payment.channel)),
    ]
}

fn label_columns(labels: &[SimulatedLabel]) -> Vec<(&'static str, ArrayRef)> {
    let ids: StringArray = labels.iter().map(|label| Some(label.transaction_id.as_str())).collect();
    let times = labels.iter().map(|label| label.label_time_ms);
    vec![
        ("transaction_id", Arc::new(ids)),
        ("label", Arc::new(Int64Array::from_iter_values(labels.iter().map(|label| i64::from(label.fraud))))),
        ("label_time", Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC"))),
    ]
}

fn table(path: &Path, columns: Vec<(&'static str, ArrayRef)>) -> anyhow::Result<()> {
    let batch = RecordBatch::try_from_iter(columns)?;
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}
