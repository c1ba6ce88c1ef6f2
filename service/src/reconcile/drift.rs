//! Drift of features and scores against what a model was trained on: the file of a training export, of which the
//! vectors are read that decisions saw (`seen.NAME`), beside the vectors of the days that are reconciled.
//!
//! One pass over the file and a bounded memory: of more than [`ROWS`] rows so many are drawn evenly, and bins and shares
//! are theirs. Scores of the reference are made at run time by the very model that a decision names: an export is older
//! than the model that was trained on it, so a column of it could only hold scores of another one, and a change of the
//! model would look like a drift of the payments. A run over the days of two models has a row for each.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use batch::drift::Bins;
use batch::numbers::{Drift, Numbers, Reference as ReferenceNumbers};
use feature_store::definition::Definitions;
use models::Model;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use schemas::decision::Decision;
use schemas::name::Name;
use schemas::problem::Problem;
use schemas::value::{FeatureValue, ValueKind};

use super::compare::score_all;
use super::training::{FEATURES_VERSION, SEEN};

/// Rows of a reference that are held: at a hundred features they are 32 MB, and what they add to an index by chance is
/// half a thousandth.
const ROWS: usize = 20_000;
/// Of these so many are scored by each model that decided.
const SCORED: usize = 2_000;
/// Rows scored at once.
const BATCH: usize = 512;

/// What drift is measured against, or why it is not measured.
pub type Against = Result<Reference, String>;

/// Why, where nobody named a reference.
pub const NO_REFERENCE: &str = "no reference";

/// The vectors that a model was trained on.
#[derive(Debug, Clone)]
pub struct Reference {
    rows: u64,
    /// At most [`ROWS`].
    vectors: Vec<Vec<FeatureValue>>,
}

impl Reference {
    /// Reads a training export.
    ///
    /// # Errors
    /// It is none, or one of another features file.
    pub fn read(file: &Path, definitions: &Definitions) -> Result<Self, Problem> {
        let wrong = |key: &str, found: String, expected: &str| {
            Problem::new(file.display().to_string(), key, found, expected)
        };
        const EXPORT: &str = "a file of `tripline export-training`";
        let unreadable = |error: &dyn std::fmt::Display| wrong("the file", error.to_string(), EXPORT);
        let opened = File::open(file).map_err(|error| unreadable(&error))?;
        let parquet = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|error| unreadable(&error))?;
        let facts = parquet.metadata().file_metadata().key_value_metadata();
        let version = facts.into_iter().flatten().find(|fact| fact.key == FEATURES_VERSION);
        let version = version.and_then(|fact| fact.value.clone());
        let version = version.ok_or_else(|| wrong("metadata", format!("no {FEATURES_VERSION}"), EXPORT))?;
        if *version != *definitions.version {
            let expected = format!("{}, the version of the features file: export again", definitions.version);
            return Err(wrong(FEATURES_VERSION, version, &expected));
        }
        let names: Vec<String> =
            definitions.features.iter().map(|feature| format!("{SEEN}{}", feature.name)).collect();
        let kinds: Vec<ValueKind> = definitions.features.iter().map(|feature| feature.value_kind()).collect();
        // By place: a point in a name would be taken for a path.
        let places = names.iter().filter_map(|name| Some(parquet.schema().fields().find(name)?.0));
        let mask = ProjectionMask::roots(parquet.parquet_schema(), places.collect::<Vec<_>>());
        let batches = parquet.with_projection(mask).build().map_err(|error| unreadable(&error))?;
        let mut drawn = Self { rows: 0, vectors: Vec::new() };
        let mut random = StdRng::seed_from_u64(1);
        for batch in batches {
            let batch = batch.map_err(|error| unreadable(&error))?;
            drawn.take(&batch, &names, &kinds, &mut random).map_err(|why| unreadable(&why))?;
        }
        if drawn.rows == 0 {
            return Err(wrong("rows", "none".to_owned(), "the payments that a model was trained on"));
        }
        Ok(drawn)
    }

    /// Each of all rows is held with the same probability (Vitter 1985, algorithm R).
    fn take(
        &mut self,
        batch: &RecordBatch,
        names: &[String],
        kinds: &[ValueKind],
        random: &mut StdRng,
    ) -> Result<(), String> {
        let column = |name: &String| batch.column_by_name(name).ok_or_else(|| format!("no column {name}"));
        let columns = names.iter().map(column).collect::<Result<Vec<&ArrayRef>, String>>()?;
        let vector = |row: usize| -> Result<Vec<FeatureValue>, String> {
            columns.iter().zip(kinds).map(|(column, kind)| value(column, *kind, row)).collect()
        };
        for row in 0..batch.num_rows() {
            let place = usize::try_from(self.rows).unwrap_or(usize::MAX);
            self.rows += 1;
            if self.vectors.len() < ROWS {
                self.vectors.push(vector(row)?);
            } else if let Some(here) = self.vectors.get_mut(random.random_range(0..=place)) {
                *here = vector(row)?;
            }
        }
        Ok(())
    }
}

fn value(column: &ArrayRef, kind: ValueKind, row: usize) -> Result<FeatureValue, String> {
    if column.is_null(row) {
        return Ok(FeatureValue::Null);
    }
    let value = match kind {
        ValueKind::Int => {
            column.as_primitive_opt::<Int64Type>().map(|ints| FeatureValue::Int(ints.value(row)))
        }
        ValueKind::Real => {
            column.as_primitive_opt::<Float64Type>().map(|reals| FeatureValue::Real(reals.value(row)))
        }
        ValueKind::Flag => column.as_boolean_opt().map(|flags| FeatureValue::Flag(flags.value(row))),
    };
    value.ok_or_else(|| format!("a column of {}", column.data_type()))
}

/// What is counted of a run.
pub(super) struct Drifts {
    reference: Reference,
    names: Vec<String>,
    features: Vec<Bins>,
    /// By model; `None` where its files are gone.
    scores: BTreeMap<Name, Option<Bins>>,
}

impl Drifts {
    pub fn of(reference: Reference, definitions: &Definitions) -> Self {
        let features = definitions.features.iter().enumerate().map(|(place, feature)| {
            let values = reference.vectors.iter().map(|vector| vector[place]);
            Bins::of(feature.value_kind(), values)
        });
        let features = features.collect();
        Self { names: definitions.names(), features, scores: BTreeMap::new(), reference }
    }

    /// One more decision, with the vector that it saw as of the log.
    pub fn decision(
        &mut self,
        decision: &Decision,
        as_of_log: &[FeatureValue],
        model: impl FnOnce(&Name) -> Option<Arc<Model>>,
    ) {
        self.features.iter_mut().zip(as_of_log).for_each(|(bins, value)| bins.count(*value));
        let Some(id) = &decision.model else { return };
        if !self.scores.contains_key(id) {
            let bins = model(id).map(|model| self.reference.scored_by(&model));
            self.scores.insert(id.clone(), bins);
        }
        if let Some(Some(bins)) = self.scores.get_mut(id) {
            bins.count(decision.score.map_or(FeatureValue::Null, FeatureValue::Real));
        }
    }

    fn drift(&self) -> Vec<Drift> {
        let scored = self.scores.iter().filter_map(|(id, bins)| bins.as_ref()?.drift("score", Some(id)));
        let features = self.names.iter().zip(&self.features);
        scored.chain(features.filter_map(|(name, bins)| bins.drift(name, None))).collect()
    }
}

impl Reference {
    /// Those that are scored: evenly spaced, since a short file is held in its own order.
    fn to_score(&self) -> impl Iterator<Item = &Vec<FeatureValue>> {
        self.vectors.iter().step_by(self.vectors.len().div_ceil(SCORED).max(1))
    }

    fn scored_by(&self, model: &Arc<Model>) -> Bins {
        let vectors: Vec<&Vec<FeatureValue>> = self.to_score().collect();
        let scores =
            vectors.chunks(BATCH).flat_map(|vectors| score_all(model, vectors.iter().copied().cloned()));
        Bins::of(ValueKind::Real, scores.map(|score| score.map_or(FeatureValue::Null, FeatureValue::Real)))
    }
}

/// Adds what was measured to a run's numbers.
pub(super) fn add(drifts: &Result<Drifts, String>, numbers: &mut Numbers) {
    match drifts {
        Ok(drifts) => {
            let reference = &drifts.reference;
            numbers.reference = ReferenceNumbers {
                rows: reference.rows,
                looked_at: reference.vectors.len() as u64,
                scored: reference.to_score().count() as u64,
                missing: None,
            };
            numbers.drift = drifts.drift();
        }
        Err(why) => numbers.reference.missing = Some(why.clone()),
    }
}
