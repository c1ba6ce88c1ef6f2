//! The handbook's two models and its 8,739 payments with the scores that ONNX Runtime gives them.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, Float32Array, Float64Array, Int32Array, Int64Array, UInt8Array};
use arrow::record_batch::RecordBatch;
use models::{Facts, Kind, Missing, Model, Output, Version, pack};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::value::FeatureValue;

/// Inputs of both models.
pub const WIDTH: usize = 15;

/// One of the handbook's models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Logistic,
    Xgboost,
}

impl Which {
    pub fn onnx(self) -> PathBuf {
        folder().join(if self == Which::Logistic { "handbook_lr.onnx" } else { "handbook_xgb.onnx" })
    }

    /// Packs it into a folder and loads it for vectors of the features in the handbook's order.
    pub fn load(self, out: &Path) -> Model {
        let dir = pack(&self.onnx(), &self.facts(), &golden_inputs(), out).unwrap();
        Model::load(&dir, &feature_names()).unwrap()
    }

    pub fn facts(self) -> Facts {
        let (name, kind) = match self {
            Which::Logistic => ("handbook-lr", Kind::Linear),
            Which::Xgboost => ("handbook-xgb", Kind::Trees),
        };
        Facts {
            name: name.into(),
            version: Version::parse("1").unwrap(),
            kind,
            features: feature_names().iter().map(|name| name.as_str().into()).collect(),
            output: Output { index: 1, column: Some(1) },
            missing: Missing::Refuse,
            golden_tolerance: 1e-6,
        }
    }
}

/// The day's inputs, row by row, and what both models are expected to give.
pub struct Day {
    pub vectors: Vec<FeatureValue>,
    pub logistic: Vec<f64>,
    pub xgboost: Vec<f64>,
}

impl Day {
    pub fn read() -> Day {
        let file = File::open(folder().join("features_2018-08-08.parquet")).unwrap();
        let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let mut vectors = Vec::new();
        let mut ids = Vec::new();
        for batch in batches {
            let batch = batch.unwrap();
            let columns: Vec<_> = feature_names().iter().map(|name| column(&batch, name)).collect();
            ids.extend(column(&batch, "TRANSACTION_ID"));
            vectors.extend(
                (0..batch.num_rows())
                    .flat_map(|row| columns.iter().map(move |column| FeatureValue::Real(column[row]))),
            );
        }
        let (mut logistic, mut xgboost) = (Vec::new(), Vec::new());
        let text = std::fs::read_to_string(folder().join("expected_scores_2018-08-08.csv")).unwrap();
        for (line, id) in text.lines().skip(1).zip(&ids) {
            let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
            assert_eq!(cells[0], *id, "the two files are in the same order");
            logistic.push(cells[3]);
            xgboost.push(cells[4]);
        }
        assert_eq!((ids.len(), logistic.len(), vectors.len()), (8_739, 8_739, 8_739 * WIDTH));
        Day { vectors, logistic, xgboost }
    }
}

pub fn folder() -> PathBuf {
    std::env::var_os("TRIPLINE_HANDBOOK").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/handbook"),
        PathBuf::from,
    )
}

/// The names in the order of the models' inputs, from a JSON list of plain words.
pub fn feature_names() -> Vec<String> {
    let text = std::fs::read_to_string(folder().join("feature_order.json")).unwrap();
    text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Two payments by hand: a quiet one, and a dear one at a terminal with frauds.
pub fn golden_inputs() -> Vec<Vec<f64>> {
    vec![
        vec![57.16, 0.0, 1.0, 1.0, 57.16, 8.0, 60.0, 40.0, 58.5, 1.0, 0.0, 6.0, 0.0, 25.0, 0.0],
        vec![480.0, 1.0, 0.0, 3.0, 210.5, 12.0, 90.0, 61.0, 75.25, 2.0, 1.0, 5.0, 0.8, 20.0, 0.25],
    ]
}

fn column(batch: &RecordBatch, name: &str) -> Vec<f64> {
    let array = batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    macro_rules! try_as {
        ($($kind:ty),*) => {
            $(if let Some(array) = array.as_any().downcast_ref::<$kind>() {
                assert_eq!(array.null_count(), 0);
                return array.values().iter().map(|value| *value as f64).collect();
            })*
        };
    }
    try_as!(Float64Array, Float32Array, Int64Array, Int32Array, UInt8Array);
    panic!("column {name} is {:?}", array.data_type())
}
