//! The out file: one row for each payment, in input order. It is there whole or not at all: it is written beside its
//! place and gets its name at the end.

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
use schemas::problem::{Problem, Problems};
use schemas::time::EventTime;
use schemas::value::{FeatureValue, ValueKind};

use super::{ReplayError, Seen};
use crate::pipeline::Ruling;

/// Rows written at once.
const ROWS: usize = 16_384;

/// Values of one feature.
pub(crate) enum Values {
    Int(Int64Builder),
    Real(Float64Builder),
    Flag(BooleanBuilder),
}

impl Values {
    pub fn of(kind: ValueKind) -> Self {
        match kind {
            ValueKind::Int => Values::Int(Int64Builder::new()),
            ValueKind::Real => Values::Real(Float64Builder::new()),
            ValueKind::Flag => Values::Flag(BooleanBuilder::new()),
        }
    }

    pub fn push(&mut self, value: FeatureValue) {
        match (self, value) {
            (Values::Int(values), FeatureValue::Int(value)) => values.append_value(value),
            (Values::Int(values), _) => values.append_null(),
            (Values::Flag(values), FeatureValue::Flag(value)) => values.append_value(value),
            (Values::Flag(values), _) => values.append_null(),
            (Values::Real(values), value) => values.append_option(value.as_f64()),
        }
    }

    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Values::Int(values) => Arc::new(values.finish()),
            Values::Real(values) => Arc::new(values.finish()),
            Values::Flag(values) => Arc::new(values.finish()),
        }
    }
}

/// The unfinished file, which goes when it is dropped.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // It is not there after a good end, and after a bad one there is already something to say.
        _ = std::fs::remove_file(&self.0);
    }
}

/// The file being written.
pub(super) struct Output {
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    partial: Partial,
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
    /// Begins the file; `inputs` are files that it must not replace.
    pub fn create(out: &Path, inputs: &[&Path], definitions: &Definitions) -> Result<Self, Problems> {
        let schema = Arc::new(schema(definitions)?);
        let wrong = |found: String| {
            let expected = "a file that can be written, other than those that are read";
            Problems::from(Problem::new("the command line", "--out", found, expected))
        };
        let name = out.display();
        let (Some(file_name), false) = (out.file_name(), out.is_dir()) else {
            return Err(wrong(format!("{name}, which is no file")));
        };
        if inputs.iter().any(|input| is_same_file(input, out)) {
            return Err(wrong(format!("{name}, which is read")));
        }
        let mut partial_name = file_name.to_owned();
        partial_name.push(".partial");
        let path = out.with_file_name(partial_name);
        let file = File::create(&path).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
        let partial = Partial(path);
        let compression = Compression::ZSTD(Default::default());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties));
        Ok(Self {
            writer: writer.map_err(|error| wrong(format!("{name}: {error}")))?,
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

    /// Adds the row of a payment, of which `seen` is known whatever came of it.
    pub fn push(&mut self, seen: &Seen, ruling: &Ruling) {
        self.ids.append_option(seen.transaction_id.as_deref());
        self.times.append_option(seen.event_time.map(EventTime::ms));
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

    /// Writes the rows so far when there are enough of them.
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
        written.map_err(|error| ReplayError::Files(format!("{}: {error}", self.partial.0.display())))
    }

    /// Writes the rest and gives the file its name.
    pub fn finish(mut self) -> Result<(), ReplayError> {
        self.flush()?;
        let failed =
            |error: &dyn std::fmt::Display| ReplayError::Files(format!("{}: {error}", self.out.display()));
        self.writer.close().map_err(|error| failed(&error))?;
        std::fs::rename(&self.partial.0, &self.out).map_err(|error| failed(&error))
    }
}

/// Whether both are one file that is there.
fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Columns beside the features.
const BEFORE: [&str; 4] = ["transaction_id", "event_time", "outcome", "reason"];
const AFTER: [&str; 4] = ["score", "decision", "model", "policy"];

fn schema(definitions: &Definitions) -> Result<Schema, Problems> {
    let own = |name: &str| BEFORE.contains(&name) || AFTER.contains(&name);
    let taken = definitions.features.iter().filter(|feature| own(&feature.name)).map(|feature| {
        let found = format!("a feature named \"{}\", as a column of the out file is", feature.name);
        Problem::new("the features file", "feature.name", found, "another name")
    });
    Problems(taken.collect()).or(Some(()))?;
    let fixed = |name: &&str| {
        let kind = match *name {
            "event_time" => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            "score" => DataType::Float64,
            _ => DataType::Utf8,
        };
        Field::new(*name, kind, true)
    };
    let features = definitions.features.iter().map(|feature| {
        let kind = match feature.value_kind() {
            ValueKind::Int => DataType::Int64,
            ValueKind::Real => DataType::Float64,
            ValueKind::Flag => DataType::Boolean,
        };
        Field::new(&feature.name, kind, true)
    });
    let fields = BEFORE.iter().map(fixed).chain(features).chain(AFTER.iter().map(fixed));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}
