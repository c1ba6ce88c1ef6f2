//! The training export: each payment's vector as of its event and as its decision saw it, with what labels said by a
//! given time. What a model is trained on is what it will be asked with.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMillisecondBuilder,
};
use batch::archive::ArchiveStore;
use feature_store::definition::Definitions;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use schemas::payment::Payment;
use schemas::value::FeatureValue;

use super::ledger::{Met, id_hash};
use super::pass::{First, Vectors};
use super::{Progress, ReconcileError, records};
use crate::archiver::topics;
use crate::config::Setup;
use crate::replay::output::Values;

/// The key of the file's metadata that has the version of the features file.
pub(super) const FEATURES_VERSION: &str = "tripline.features_version";
/// And the one that says how many payments each row stands for that is no fraud: more than one where only frauds were
/// all taken.
const OTHERS_WEIGHT: &str = "tripline.others_weight";
/// Before the names of features as the decision saw them.
pub(super) const SEEN: &str = "seen.";

/// Rows written at once.
const ROWS: usize = 16_384;

/// What is exported.
#[derive(Debug, Clone, Copy)]
pub struct Export<'a> {
    /// Event times, milliseconds.
    pub from_ms: i64,
    /// Before this.
    pub to_ms: i64,
    /// Labels known later count as not known, milliseconds.
    pub labels_until_ms: i64,
    /// At most so many payments, drawn evenly.
    pub sample: Option<usize>,
    /// Frauds are all taken, and only others are drawn.
    pub keep_frauds: bool,
    /// Of the draw.
    pub seed: u64,
    /// The file.
    pub out: &'a Path,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Payments in the span that were decided.
    pub payments: u64,
    /// Rows written.
    pub rows: u64,
    /// Of these labelled as fraud.
    pub frauds: u64,
    /// And as legitimate.
    pub legitimate: u64,
}

/// One row.
struct Row {
    payment: Payment,
    label: Option<(i64, bool)>,
    vectors: Vectors,
}

/// Writes the file: whole or not at all.
///
/// # Errors
/// When the archive cannot be read or the file not be written.
pub fn export(
    setup: &Setup,
    export: &Export<'_>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Exported, ReconcileError> {
    let store = ArchiveStore::open(&setup.config.archive.address)?.as_it_is();
    let folder = tempfile::tempdir()?;
    let mut labels: HashMap<u128, (i64, bool)> = HashMap::new();
    records::labels(&store, &topics(&setup.config)[1], |_, _, label| {
        let heard = (label.label_time.ms(), label.fraud);
        if heard.0 <= export.labels_until_ms {
            let known = labels.entry(id_hash(&label.transaction_id)).or_insert(heard);
            *known = heard.max(*known);
        }
        Ok(())
    })?;
    let First { ledger, mut rows, .. } = First::pass(setup, &store, folder.path(), progress)?;
    let mut writer = Writer::create(export, &setup.definitions)?;
    let mut sample = Sample { rows: Vec::new(), seen: 0, random: StdRng::seed_from_u64(export.seed) };
    let (mut exported, mut met_so_far, all) = (Exported::default(), 0, ledger.counts[0]);
    ledger.walk(None, |met| -> Result<(), ReconcileError> {
        let Met::Entry(entry) = met else { return Ok(()) };
        met_so_far += 1;
        if met_so_far % 10_000 == 0 {
            progress(Progress::Compared(met_so_far, all));
        }
        let vectors = rows.of(&entry)?;
        let (Ok(payment), Some(vectors), false) = (entry.record.payment, vectors, entry.decisions.is_empty())
        else {
            return Ok(());
        };
        if !(export.from_ms..export.to_ms).contains(&payment.event_time.ms()) {
            return Ok(());
        }
        exported.payments += 1;
        let label = labels.get(&id_hash(&payment.transaction_id)).copied();
        let row = Row { payment, label, vectors };
        let is_kept = export.keep_frauds && label.is_some_and(|(_, fraud)| fraud);
        match export.sample.filter(|_| !is_kept) {
            Some(most) => sample.offer(row, most),
            None => writer.push(&row, &mut exported)?,
        }
        Ok(())
    })?;
    sample.rows.iter().try_for_each(|row| writer.push(row, &mut exported))?;
    writer.finish(sample.others_weight(export))?;
    Ok(exported)
}

/// A reservoir: each of all rows is in it with the same probability (Vitter 1985, algorithm R).
struct Sample {
    rows: Vec<Row>,
    seen: usize,
    random: StdRng,
}

impl Sample {
    fn others_weight(&self, export: &Export<'_>) -> f64 {
        let is_partial = export.keep_frauds && !self.rows.is_empty();
        if is_partial { self.seen as f64 / self.rows.len() as f64 } else { 1.0 }
    }

    fn offer(&mut self, row: Row, most: usize) {
        self.seen += 1;
        if self.rows.len() < most {
            self.rows.push(row);
            return;
        }
        let place = self.random.random_range(0..self.seen);
        if let Some(here) = self.rows.get_mut(place) {
            *here = row;
        }
    }
}

struct Writer<'a> {
    file: ArrowWriter<File>,
    partial: tempfile::TempPath,
    out: &'a Path,
    columns: Columns,
}

struct Columns {
    names: Vec<String>,
    ids: StringBuilder,
    times: TimestampMillisecondBuilder,
    amounts: Int64Builder,
    currencies: StringBuilder,
    labels: BooleanBuilder,
    label_times: TimestampMillisecondBuilder,
    vectors: [Vec<Values>; 2],
}

impl<'a> Writer<'a> {
    fn create(export: &Export<'a>, definitions: &Definitions) -> Result<Self, ReconcileError> {
        let out = export.out;
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (file, partial) = tempfile::NamedTempFile::new_in(folder)?.into_parts();
        let until = export.labels_until_ms.to_string();
        let facts = [(FEATURES_VERSION, definitions.version.as_str()), ("tripline.labels_until_ms", &until)];
        let facts = facts.map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(facts.to_vec()))
            .build();
        let mut columns = Columns::of(definitions);
        let schema = columns.batch()?.schema();
        let file = ArrowWriter::try_new(file, schema, Some(properties)).map_err(std::io::Error::other)?;
        Ok(Self { file, partial, out, columns })
    }

    fn push(&mut self, row: &Row, exported: &mut Exported) -> Result<(), ReconcileError> {
        exported.rows += 1;
        match row.label {
            Some((_, true)) => exported.frauds += 1,
            Some((_, false)) => exported.legitimate += 1,
            None => {}
        }
        self.columns.push(row);
        if self.columns.ids.len() >= ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), ReconcileError> {
        let batch = self.columns.batch()?;
        Ok(self.file.write(&batch).map_err(std::io::Error::other)?)
    }

    fn finish(mut self, others_weight: f64) -> Result<(), ReconcileError> {
        self.write()?;
        let weight = KeyValue::new(OTHERS_WEIGHT.to_owned(), others_weight.to_string());
        self.file.append_key_value_metadata(weight);
        self.file.close().map_err(std::io::Error::other)?;
        self.partial.persist(self.out).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Columns {
    fn of(definitions: &Definitions) -> Self {
        let features = &definitions.features;
        let values = || features.iter().map(|feature| Values::of(feature.value_kind())).collect();
        Self {
            names: features.iter().map(|feature| feature.name.clone()).collect(),
            ids: StringBuilder::new(),
            times: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            amounts: Int64Builder::new(),
            currencies: StringBuilder::new(),
            labels: BooleanBuilder::new(),
            label_times: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            vectors: [values(), values()],
        }
    }

    fn push(&mut self, row: &Row) {
        let Row { payment, label, vectors } = row;
        self.ids.append_value(&payment.transaction_id);
        self.times.append_value(payment.event_time.ms());
        self.amounts.append_value(payment.amount.minor());
        self.currencies.append_value(payment.currency.as_str());
        self.labels.append_option(label.map(|(_, fraud)| fraud));
        self.label_times.append_option(label.map(|(at_ms, _)| at_ms));
        let both: [&[FeatureValue]; 2] = [&vectors.by_event_time, &vectors.as_of_log];
        for (columns, vector) in self.vectors.iter_mut().zip(both) {
            columns.iter_mut().zip(vector).for_each(|(column, value)| column.push(*value));
        }
    }

    /// The rows so far, which are taken out.
    fn batch(&mut self) -> Result<RecordBatch, ReconcileError> {
        let mut columns: Vec<(String, ArrayRef, bool)> = vec![
            ("transaction_id".to_owned(), Arc::new(self.ids.finish()), false),
            ("event_time".to_owned(), Arc::new(self.times.finish()), false),
            ("amount_minor".to_owned(), Arc::new(self.amounts.finish()), false),
            ("currency".to_owned(), Arc::new(self.currencies.finish()), false),
            ("label".to_owned(), Arc::new(self.labels.finish()), true),
            ("label_time".to_owned(), Arc::new(self.label_times.finish()), true),
        ];
        for (prefix, values) in ["", SEEN].iter().zip(&mut self.vectors) {
            let named = self.names.iter().zip(values);
            columns.extend(named.map(|(name, values)| (format!("{prefix}{name}"), values.finish(), true)));
        }
        Ok(RecordBatch::try_from_iter_with_nullable(columns).map_err(std::io::Error::other)?)
    }
}
