//! The out file: one row for each payment, in input order. It is there whole or not at all.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use feature_store::definition::Definitions;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use schemas::decision::Decision;
use schemas::value::{FeatureValue, ValueKind};

use super::ReplayError;
use crate::pipeline::Ruling;

/// Rows written at once.
const ROWS: usize = 16_384;

enum Values {
    Int(Int64Builder),
    Real(Float64Builder),
    Flag(BooleanBuilder),
}

impl Values {
    fn of(kind: ValueKind) -> Self {
        match kind {
            ValueKind::Int => Values::Int(Int64Builder::new()),
            ValueKind::Real => Values::Real(Float64Builder::new()),
            ValueKind::Flag => Values::Flag(BooleanBuilder::new()),
        }
    }

    fn push(&mut self, value: FeatureValue) {
        match (self, value) {
            (Values::Int(values), FeatureValue::Int(value)) => values.append_value(value),
            (Values::Int(values), _) => values.append_null(),
            (Values::Flag(values), FeatureValue::Flag(value)) => values.append_value(value),
            (Values::Flag(values), _) => values.append_null(),
            (Values::Real(values), value) => values.append_option(value.as_f64()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Values::Int(values) => Arc::new(values.finish()),
            Values::Real(values) => Arc::new(values.finish()),
            Values::Flag(values) => Arc::new(values.finish()),
        }
    }
}

/// The file being written.
pub(super) struct Output {
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    partial: PathBuf,
    out: PathBuf,
    ids: StringBuilder,
    times: TimestampMillisecondBuilder,
    outcomes: StringBuilder,
    reasons: StringBuilder,
    features: Vec<Values>,
    scores: Float64Builder,
    /// Decision, model and policy.
    words: [StringBuilder; 3],
}

impl Output {
    pub fn create(out: &Path, definitions: &Definitions) -> Result<Self, ReplayError> {
        let partial = out.with_extension("partial");
        let failed = |error: String| ReplayError::Files(format!("{}: {error}", partial.display()));
        let schema = Arc::new(schema(definitions));
        let file = File::create(&partial).map_err(|error| failed(error.to_string()))?;
        let compression = Compression::ZSTD(Default::default());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties));
        Ok(Self {
            writer: writer.map_err(|error| failed(error.to_string()))?,
            schema,
            out: out.to_owned(),
            ids: StringBuilder::new(),
            times: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            outcomes: StringBuilder::new(),
            reasons: StringBuilder::new(),
            features: definitions.features.iter().map(|feature| Values::of(feature.value_kind())).collect(),
            scores: Float64Builder::new(),
            words: Default::default(),
            partial,
        })
    }

    /// Adds the row of a payment.
    pub fn push(&mut self, seen: Option<(Box<str>, i64)>, ruling: &Ruling) {
        self.ids.append_option(seen.as_ref().map(|(id, _)| &**id));
        self.times.append_option(seen.map(|(_, time_ms)| time_ms));
        match ruling {
            Ruling::Decided(decision, _) => self.decided(decision),
            Ruling::Duplicate => self.undecided("duplicate", None),
            Ruling::Dead(reject) => self.undecided("dead_letter", Some(reject.code.as_str())),
        }
    }

    fn decided(&mut self, decision: &Decision) {
        self.outcomes.append_value("decided");
        self.reasons.append_null();
        for (values, feature) in self.features.iter_mut().zip(&decision.features) {
            values.push(feature.value);
        }
        self.scores.append_option(decision.score);
        let [verdict, model, policy] = &mut self.words;
        verdict.append_value(decision.verdict.as_str());
        model.append_option(decision.model.as_deref());
        policy.append_value(&*decision.policy);
    }

    fn undecided(&mut self, outcome: &str, reason: Option<&str>) {
        self.outcomes.append_value(outcome);
        self.reasons.append_option(reason);
        self.features.iter_mut().for_each(|values| values.push(FeatureValue::Null));
        self.scores.append_null();
        self.words.iter_mut().for_each(StringBuilder::append_null);
    }

    pub fn flush_if_full(&mut self) -> Result<(), ReplayError> {
        if self.ids.len() >= ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ReplayError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.ids.finish()),
            Arc::new(self.times.finish()),
            Arc::new(self.outcomes.finish()),
            Arc::new(self.reasons.finish()),
        ];
        columns.extend(self.features.iter_mut().map(Values::finish));
        columns.push(Arc::new(self.scores.finish()));
        columns.extend(self.words.iter_mut().map(|words| Arc::new(words.finish()) as ArrayRef));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        let written = batch.map_err(|error| error.to_string());
        let written = written.and_then(|batch| self.writer.write(&batch).map_err(|error| error.to_string()));
        written.map_err(|error| ReplayError::Files(format!("{}: {error}", self.partial.display())))
    }

    /// Writes the rest and gives the file its name.
    pub fn finish(mut self) -> Result<(), ReplayError> {
        self.flush()?;
        let failed =
            |error: &dyn std::fmt::Display| ReplayError::Files(format!("{}: {error}", self.out.display()));
        self.writer.close().map_err(|error| failed(&error))?;
        std::fs::rename(&self.partial, &self.out).map_err(|error| failed(&error))
    }
}

fn schema(definitions: &Definitions) -> Schema {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let mut fields =
        vec![text("transaction_id"), Field::new("event_time", time, true), text("outcome"), text("reason")];
    fields.extend(definitions.features.iter().map(|feature| {
        let kind = match feature.value_kind() {
            ValueKind::Int => DataType::Int64,
            ValueKind::Real => DataType::Float64,
            ValueKind::Flag => DataType::Boolean,
        };
        Field::new(&feature.name, kind, true)
    }));
    fields.push(Field::new("score", DataType::Float64, true));
    fields.extend(["decision", "model", "policy"].map(text));
    Schema::new(fields)
}
