//! Microseconds a row, printed. Run by hand: `cargo test --release -p tripline-models -- --ignored --nocapture speed`.

use std::time::{Duration, Instant};

use crate::handbook::{Day, WIDTH, Which};

#[test]
#[ignore = "a measurement"]
fn speed() {
    let day = Day::read();
    let out = tempfile::tempdir().unwrap();
    for which in [Which::Logistic, Which::Xgboost] {
        let model = which.load(out.path());
        for rows in [1, 3, 16, 64, 512] {
            let mut scores = Vec::new();
            let (mut scored, start) = (0, Instant::now());
            for batch in day.vectors.chunks_exact(rows * WIDTH).cycle() {
                model.score(batch, WIDTH, &mut scores).unwrap();
                scored += scores.len();
                if start.elapsed() > Duration::from_millis(1_500) {
                    break;
                }
            }
            let us = start.elapsed().as_secs_f64() * 1e6 / scored as f64;
            println!("{which:?} in batches of {rows:>3}: {us:8.2} us a row");
        }
    }
}
