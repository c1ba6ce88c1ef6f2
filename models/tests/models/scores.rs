//! Scores equal to ONNX Runtime's.

use crate::handbook::{Day, WIDTH, Which};

/// Largest difference to ONNX Runtime's score.
const TOLERANCE: f64 = 1e-6;

#[test]
fn all_payments_of_the_day_score_as_published_logistic() {
    compare(Which::Logistic, usize::MAX);
}

#[test]
fn a_thousand_payments_score_as_published_xgboost() {
    compare(Which::Xgboost, 1_000);
}

#[test]
#[ignore = "stock tract takes milliseconds a row on trees"]
fn all_payments_of_the_day_score_as_published_xgboost() {
    compare(Which::Xgboost, usize::MAX);
}

fn compare(which: Which, rows: usize) {
    let out = tempfile::tempdir().unwrap();
    let model = which.load(out.path());
    let day = Day::read();
    let expected = if which == Which::Logistic { &day.logistic } else { &day.xgboost };
    let rows = rows.min(expected.len());
    let mut scores = Vec::new();
    let mut all = Vec::new();
    for batch in day.vectors[..rows * WIDTH].chunks(512 * WIDTH) {
        model.score(batch, WIDTH, &mut scores).unwrap();
        all.extend(scores.iter().map(|score| score.expect("every input is finite")));
    }
    let difference = all.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    println!("{which:?}: {} payments, largest difference to ONNX Runtime {difference:e}", all.len());
    assert_eq!(all.len(), rows);
    assert!(difference <= TOLERANCE);
    // The bar bites: the scores differ from payment to payment by far more than the tolerance.
    let other = all.iter().skip(1).zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(other > 0.1);
}
