//! Microseconds a row, printed. Run by hand: `cargo test --release -p tripline-models -- --ignored --nocapture speed`.

use std::time::{Duration, Instant};

use models::Model;
use schemas::value::FeatureValue;

use crate::exports::{self, LIGHTGBM, Rows, XGBOOST};
use crate::handbook::{Day, WIDTH, Which};

#[test]
#[ignore = "a measurement"]
fn speed() {
    let day = Day::read();
    let out = tempfile::tempdir().unwrap();
    for which in [Which::Logistic, Which::Xgboost] {
        let model = which.load(out.path());
        for rows in [1, 3, 16, 64, 512] {
            let us = us_a_row(&model, &day.vectors, WIDTH, rows);
            println!("{which:?} in batches of {rows:>3}: {us:8.2} us a row");
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn speed_of_exported_trees() {
    let Some(data) = exports::data() else { return };
    let vectors = exports::vectors(&Rows::Clean.read(&data));
    for export in [LIGHTGBM, XGBOOST] {
        let model = export.load(&data);
        for rows in [1, 8, 64] {
            let us = us_a_row(&model, &vectors, exports::WIDTH, rows);
            println!("{} in batches of {rows:>3}: {us:8.2} us a row", export.name);
        }
    }
}

/// Of a second and a half, over vectors of so many values in batches of so many rows.
fn us_a_row(model: &Model, vectors: &[FeatureValue], width: usize, rows: usize) -> f64 {
    let mut scores = Vec::new();
    let (mut scored, start) = (0, Instant::now());
    for batch in vectors.chunks_exact(rows * width).cycle() {
        model.score(batch, width, &mut scores).unwrap();
        scored += scores.len();
        if start.elapsed() > Duration::from_millis(1_500) {
            break;
        }
    }
    start.elapsed().as_secs_f64() * 1e6 / scored as f64
}
