//! Re-scoring gives the same bits, whatever batch a payment is in.

use models::Model;
use schemas::value::FeatureValue;

use crate::graphs::{self, node, tensor};
use crate::handbook::{Day, WIDTH, Which, golden_inputs};
use prost::Message;

#[test]
fn a_score_has_the_same_bits_in_any_batch_logistic() {
    same_bits(Which::Logistic, 2_048);
}

#[test]
fn a_score_has_the_same_bits_in_any_batch_xgboost() {
    same_bits(Which::Xgboost, 2_048);
}

#[test]
fn a_score_has_the_same_bits_in_any_batch_small_network() {
    let mut seed = 7_u32;
    let mut weights = |rows: usize, columns: usize| -> Vec<f32> {
        let mut draw = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / 16_777_216.0 - 0.5
        };
        (0..rows * columns).map(|_| draw()).collect()
    };
    let layers = [(WIDTH, 33), (33, 17), (17, 1)];
    let mut nodes = Vec::new();
    let mut constants = Vec::new();
    let mut last = "X".to_owned();
    for (layer, (rows, columns)) in layers.into_iter().enumerate() {
        let [w, b, z, y] = ["w", "b", "z", "y"].map(|name| format!("{name}{layer}"));
        constants.push(tensor(&w, &[rows as i64, columns as i64], &weights(rows, columns)));
        constants.push(tensor(&b, &[columns as i64], &weights(1, columns)));
        nodes.push(node("Gemm", &[&last, &w, &b], &z));
        let (operator, output) = if columns == 1 { ("Sigmoid", "p") } else { ("Tanh", y.as_str()) };
        nodes.push(node(operator, &[&z], output));
        last = y;
    }
    let facts = Which::Logistic.facts();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("network.onnx");
    std::fs::write(&file, graphs::model(WIDTH as i64, nodes, constants).encode_to_vec()).unwrap();
    let output = models::Output { index: 0, column: None };
    let facts = models::Facts { output, kind: models::Kind::Neural, ..facts };
    let made = models::pack(&file, &facts, &golden_inputs(), dir.path()).unwrap();
    let model = Model::load_alone(&made).unwrap();
    all_sizes(&model, &Day::read().vectors[..2_048 * WIDTH]);
}

fn same_bits(which: Which, rows: usize) {
    let out = tempfile::tempdir().unwrap();
    all_sizes(&which.load(out.path()), &Day::read().vectors[..rows * WIDTH]);
}

fn all_sizes(model: &Model, vectors: &[FeatureValue]) {
    let alone = bits(model, vectors, 1);
    let mut different = Vec::new();
    for size in [2, 3, 4, 5, 7, 8, 16, 17, 31, 64, 65, 511, 512] {
        let wrong = bits(model, vectors, size).iter().zip(&alone).filter(|(a, b)| a != b).count();
        if wrong > 0 {
            different.push((size, wrong));
        }
    }
    let distinct: std::collections::BTreeSet<_> = alone.iter().collect();
    assert!(distinct.len() > alone.len() / 4, "the scores differ from payment to payment");
    assert_eq!(different, [], "batch sizes with scores of other bits, and how many of {}", alone.len());
}

fn bits(model: &Model, vectors: &[FeatureValue], rows: usize) -> Vec<u64> {
    let mut scores = Vec::new();
    let mut all = Vec::new();
    for batch in vectors.chunks(rows * WIDTH) {
        model.score(batch, WIDTH, &mut scores).unwrap();
        all.extend(scores.iter().map(|score| score.unwrap().to_bits()));
    }
    all
}
