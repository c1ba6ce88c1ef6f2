//! Re-scoring gives the same bits, whatever batch a payment is in.

use models::Model;
use schemas::value::FeatureValue;

use crate::handbook::{Day, WIDTH, Which};

#[test]
fn a_score_has_the_same_bits_in_any_batch_logistic() {
    same_bits(Which::Logistic, 2_048);
}

#[test]
fn a_score_has_the_same_bits_in_any_batch_xgboost() {
    same_bits(Which::Xgboost, 512);
}

fn same_bits(which: Which, rows: usize) {
    let out = tempfile::tempdir().unwrap();
    let model = which.load(out.path());
    let vectors = &Day::read().vectors[..rows * WIDTH];
    let alone = bits(&model, vectors, 1);
    let sizes: &[usize] = if which == Which::Logistic {
        &[2, 3, 5, 7, 8, 16, 17, 31, 64, 65, 512]
    } else {
        &[2, 3, 7, 64, 512]
    };
    let mut different = Vec::new();
    for size in sizes {
        let wrong = bits(&model, vectors, *size).iter().zip(&alone).filter(|(a, b)| a != b).count();
        if wrong > 0 {
            different.push((*size, wrong));
        }
    }
    assert_eq!(different, [], "batch sizes with scores of other bits, of {rows}");
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
