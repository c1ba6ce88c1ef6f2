//! The handbook's two models, through a model directory and the config, as the service loads them: their scores are
//! those of ONNX Runtime, and a replay's scores are those of its vectors.

use std::path::Path;
use std::sync::Arc;

use models::{Facts, Kind, Missing, Model, Output, Version, pack};
use schemas::value::{FeatureValue, ValueKind};
use tempfile::TempDir;
use tripline::config::{Setup, load};
use tripline::model_folder::ModelFolder;
use tripline::replay::Files;

use super::handbook;

const WIDTH: usize = 15;

/// The handbook's example with a model of its own, and the model as `serve` and `replay` find it.
fn with_model(data: &Path, onnx: &str, kind: Kind) -> (Setup, Arc<Model>, TempDir) {
    let (_, dir) = handbook::setup(None);
    let models = dir.path().join("models");
    let order = packed_as(data, onnx, kind, &models);
    let name = onnx.strip_suffix(".onnx").unwrap();
    let sets = [format!("models.path={}", models.display()), format!("models.live={name}")];
    let setup = load(&dir.path().join("tripline.toml"), &sets, Vec::new()).unwrap();
    assert_eq!(setup.definitions.names(), order, "the example's features are in the models' order");
    let model = ModelFolder::of(&setup).unwrap().open().unwrap();
    (setup, model, dir)
}

/// A model directory of the handbook's linear model.
pub fn packed(data: &Path, onnx: &str, models: &Path) {
    packed_as(data, onnx, Kind::Linear, models);
}

fn packed_as(data: &Path, onnx: &str, kind: Kind, models: &Path) -> Vec<String> {
    let name = onnx.strip_suffix(".onnx").unwrap();
    let order = std::fs::read_to_string(data.join("feature_order.json")).unwrap();
    let order: Vec<String> = serde_json::from_str(&order).unwrap();
    let facts = Facts {
        name: name.into(),
        version: Version::parse("1").unwrap(),
        kind,
        features: order.iter().map(|name| name.as_str().into()).collect(),
        output: Output { index: 1, column: Some(1) },
        missing: Missing::Refuse,
        golden_tolerance: 1e-6,
    };
    pack(&data.join(onnx), &facts, &[vec![0.0; WIDTH], vec![1.0; WIDTH]], models).unwrap();
    order
}

/// Scores rows of columns.
fn scores(model: &Model, columns: &[Vec<f64>]) -> Vec<f64> {
    let rows = columns[0].len();
    let vectors: Vec<FeatureValue> =
        (0..rows).flat_map(|row| columns.iter().map(move |column| FeatureValue::Real(column[row]))).collect();
    let (mut scores, mut of_batch) = (Vec::new(), Vec::new());
    for batch in vectors.chunks(512 * columns.len()) {
        model.score(batch, columns.len(), &mut of_batch).unwrap();
        scores.extend(of_batch.iter().map(|score| score.unwrap()));
    }
    assert_eq!(scores.len(), rows);
    scores
}

#[test]
fn i8_scores_of_2018_08_08_are_those_of_onnx_runtime() {
    let Some(data) = handbook::data() else { return };
    let text = std::fs::read_to_string(data.join("expected_scores_2018-08-08.csv")).unwrap();
    for (onnx, kind, column) in
        [("handbook_lr.onnx", Kind::Linear, "score_lr"), ("handbook_xgb.onnx", Kind::Trees, "score_xgb")]
    {
        let (setup, model, _dir) = with_model(&data, onnx, kind);
        let names = setup.definitions.names();
        let day = data.join("features_2018-08-08.parquet");
        let (ids, columns) = handbook::numbers(&day, "TRANSACTION_ID", &names, usize::MAX);
        let ours = scores(&model, &columns);
        let mut lines = text.lines();
        let place = lines.next().unwrap().split(',').position(|name| name == column).unwrap();
        let (mut compared, mut largest) = (0, 0.0_f64);
        for line in lines {
            let words: Vec<&str> = line.split(',').collect();
            let row = ids.binary_search(&words[0].parse().unwrap()).unwrap();
            let theirs: f64 = words[place].parse().unwrap();
            let differs = (ours[row] - theirs).abs();
            assert!(differs <= 1e-6, "{onnx}, payment {}: {}, expected {theirs}", words[0], ours[row]);
            largest = largest.max(differs);
            compared += 1;
        }
        assert_eq!((compared, ids.len()), (8_739, 8_739));
        println!("{onnx}: {compared} scores, the largest difference {largest:e}");
        // The comparison bites: two inputs in each other's place are seen.
        let mut swapped = columns.clone();
        swapped.swap(0, 10);
        let far = scores(&model, &swapped).iter().zip(&ours).filter(|(a, b)| (*a - *b).abs() > 1e-6).count();
        assert!(far > 0, "{onnx}");
    }
}

#[test]
fn i8_a_replays_scores_are_those_of_its_vectors_to_the_bit() {
    let Some(data) = handbook::data() else { return };
    let (setup, model, dir) = with_model(&data, "handbook_lr.onnx", Kind::Linear);
    let (labels, out) = (handbook::labels(&data, dir.path()), dir.path().join("out.parquet"));
    let payments = data.join("transactions_2018-04_to_07.parquet");
    let files = Files { payments: &payments, labels: Some(&labels), out: &out, limit: Some(200_000) };
    let counts = handbook::replay_with(&setup, Some(Arc::clone(&model)), files);
    assert_eq!(counts.decided, 200_000);
    let mut names = setup.definitions.names();
    assert!(setup.definitions.features.iter().any(|feature| feature.value_kind() == ValueKind::Flag));
    names.push("score".to_owned());
    let (_, mut columns) = handbook::numbers(&out, "transaction_id", &names, usize::MAX);
    let written = columns.pop().unwrap();
    let again = scores(&model, &columns);
    assert_eq!(again.len(), 200_000);
    let differ = written.iter().zip(&again).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    assert_eq!(differ, 0);
    assert!(written.iter().any(|score| *score > 0.5) && written.iter().any(|score| *score < 0.01));
}
