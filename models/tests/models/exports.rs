//! Twelve models as their users' exporters wrote them, with what ONNX Runtime answers to 500 rows without missing values
//! and to 500 with.

use std::path::{Path, PathBuf};

use models::{Facts, Kind, Missing, Model, ModelError, Output, Version, pack};
use schemas::value::FeatureValue;

/// Features of all of them.
pub const WIDTH: usize = 40;
const ROWS: usize = 500;
/// Largest difference to ONNX Runtime's answer.
const TOLERANCE: f64 = 1e-6;

/// One of the exports, and where its score stands.
#[derive(Debug, Clone, Copy)]
pub struct Export {
    pub name: &'static str,
    kind: Kind,
    output: Output,
    missing: Missing,
}

const fn table(name: &'static str, kind: Kind, missing: Missing) -> Export {
    Export { name, kind, output: Output { index: 1, column: Some(1) }, missing }
}

const fn number(name: &'static str, kind: Kind, missing: Missing) -> Export {
    Export { name, kind, output: Output { index: 0, column: None }, missing }
}

pub const LIGHTGBM: Export = table("lgbm_100_31__nozip", Kind::Trees, Missing::Accept);
pub const XGBOOST: Export = table("xgb_100_d6__dflt", Kind::Trees, Missing::Accept);

const ALL: [Export; 12] = [
    LIGHTGBM,
    table("lgbm_100_31__zip", Kind::Trees, Missing::Accept),
    number("lgbm_reg_100_31__dflt", Kind::Trees, Missing::Accept),
    table("lgbm_miss_100_31__nozip", Kind::Trees, Missing::Accept),
    XGBOOST,
    table("xgb_miss_100_d6__dflt", Kind::Trees, Missing::Accept),
    table("lr__nozip", Kind::Linear, Missing::Refuse),
    table("lr__zip", Kind::Linear, Missing::Refuse),
    table("imp_lr__nozip", Kind::Linear, Missing::Accept),
    number("mlp__torchlike", Kind::Neural, Missing::Refuse),
    table("mlp__nozip", Kind::Neural, Missing::Refuse),
    number("ae__torchlike_score", Kind::Neural, Missing::Refuse),
];

/// Of these some rows' scores are below 0 or above 1, and are not scores for this crate.
const NO_PROBABILITIES: [&str; 2] = ["lgbm_reg_100_31__dflt", "ae__torchlike_score"];

/// Where the exports are; `None` leaves the tests out, but never on the machine that decides.
pub fn data() -> Option<PathBuf> {
    let place = std::env::var_os("TRIPLINE_EXPORTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/onnx-exports"),
        PathBuf::from,
    );
    if place.exists() {
        return Some(place);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing", place.display());
    println!("left out: {} is missing; TRIPLINE_EXPORTS says where the exports are", place.display());
    None
}

/// Which rows.
#[derive(Debug, Clone, Copy)]
pub enum Rows {
    Clean,
    Missing,
}

impl Rows {
    fn word(self) -> &'static str {
        match self {
            Rows::Clean => "clean",
            Rows::Missing => "miss",
        }
    }

    pub fn read(self, data: &Path) -> Vec<Vec<f32>> {
        let values = floats(&data.join(format!("inputs_{}.f32", self.word())));
        assert_eq!(values.len(), ROWS * WIDTH);
        values.chunks(WIDTH).map(<[f32]>::to_vec).collect()
    }
}

fn floats(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

pub fn vectors(rows: &[Vec<f32>]) -> Vec<FeatureValue> {
    rows.iter().flatten().map(|value| FeatureValue::Real(f64::from(*value))).collect()
}

impl Export {
    fn onnx(self, data: &Path) -> PathBuf {
        data.join(format!("{}.onnx", self.name))
    }

    fn facts(self) -> Facts {
        Facts {
            name: self.name.into(),
            version: Version::parse("1").unwrap(),
            kind: self.kind,
            features: (0..WIDTH).map(|feature| format!("f{feature}").as_str().into()).collect(),
            output: self.output,
            missing: self.missing,
            golden_tolerance: TOLERANCE,
        }
    }

    /// ONNX Runtime's score of each row: the last of its columns.
    fn expected(self, data: &Path, rows: Rows) -> Vec<f32> {
        let values = floats(&data.join(format!("{}.{}.expected.f32", self.name, rows.word())));
        assert!(values.len().is_multiple_of(ROWS) && !values.is_empty());
        let columns = values.len() / ROWS;
        values.chunks(columns).map(|row| row[columns - 1]).collect()
    }

    /// Rows whose scores are probabilities; where the model takes missing values, one with some.
    fn golden(self, data: &Path) -> Vec<Vec<f64>> {
        let mut golden = Vec::new();
        for rows in [Rows::Clean, Rows::Missing] {
            let mut all = rows.read(data).into_iter().zip(self.expected(data, rows));
            let wanted = |row: &[f32]| match rows {
                Rows::Clean => true,
                Rows::Missing => self.missing == Missing::Accept && row.iter().any(|value| value.is_nan()),
            };
            let first = all.find(|(row, score)| (0.0..=1.0).contains(score) && wanted(row));
            golden.extend(first.map(|(row, _)| row.into_iter().map(f64::from).collect::<Vec<f64>>()));
        }
        golden
    }

    /// Packs it and loads it for vectors of its features.
    pub fn load(self, data: &Path) -> Model {
        let out = tempfile::tempdir().unwrap();
        let dir = pack(&self.onnx(data), &self.facts(), &self.golden(data), out.path())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        Model::load_alone(&dir).unwrap()
    }
}

/// Scores all rows and returns how many of them have a score, and the largest difference.
fn compare(export: Export, model: &Model, data: &Path, rows: Rows) -> (usize, f64) {
    let inputs = rows.read(data);
    let mut scores = Vec::new();
    model.score(&vectors(&inputs), WIDTH, &mut scores).unwrap();
    let (mut scored, mut difference) = (0, 0.0_f64);
    for ((score, expected), row) in scores.iter().zip(export.expected(data, rows)).zip(&inputs) {
        let is_missing = row.iter().any(|value| value.is_nan());
        let refused = is_missing && export.missing == Missing::Refuse;
        match score {
            Some(score) => {
                assert!(!refused, "{}: a score without all features", export.name);
                difference = difference.max((score - f64::from(expected)).abs());
                scored += 1;
            }
            None => assert!(refused || !(0.0..=1.0).contains(&expected), "{}: {expected}", export.name),
        }
    }
    (scored, difference)
}

#[test]
fn every_export_scores_as_onnx_runtime_does() {
    let Some(data) = data() else { return };
    for export in ALL {
        let model = export.load(&data);
        for rows in [Rows::Clean, Rows::Missing] {
            let (scored, difference) = compare(export, &model, &data, rows);
            println!("{} {}: {scored} scores, largest difference {difference:e}", export.name, rows.word());
            // Sums of trees were ONNX Runtime's to the bit; what is allowed is how libraries round an exponential.
            let most = if export.kind == Kind::Trees { f64::from(f32::EPSILON) } else { TOLERANCE };
            assert!(difference <= most, "{} {}: {difference:e}", export.name, rows.word());
            let least = match (export.missing, rows) {
                _ if NO_PROBABILITIES.contains(&export.name) => 1,
                (Missing::Refuse, Rows::Missing) => ROWS / 10,
                _ => ROWS,
            };
            assert!(scored >= least, "{} {}: only {scored} scores", export.name, rows.word());
        }
    }
}

#[test]
fn a_score_that_is_no_probability_is_refused_with_its_golden_vector() {
    let Some(data) = data() else { return };
    for export in ALL.into_iter().filter(|export| NO_PROBABILITIES.contains(&export.name)) {
        let mut clean = Rows::Clean.read(&data).into_iter().zip(export.expected(&data, Rows::Clean));
        let (row, expected) = clean.find(|(_, score)| *score < -1e-3 || *score > 1.001).unwrap();
        let golden: Vec<Vec<f64>> = vec![row.into_iter().map(f64::from).collect()];
        let facts = Facts { missing: Missing::Refuse, ..export.facts() };
        let out = tempfile::tempdir().unwrap();
        match pack(&export.onnx(&data), &facts, &golden, out.path()) {
            Err(ModelError::NotAProbability { vector: 0, found }) => {
                assert!((found - expected).abs() <= 1e-5, "{}: {found} for {expected}", export.name);
            }
            other => panic!("{}: {other:?}", export.name),
        }
    }
}
