//! The live model is exchanged while others score, and no batch mixes two.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use models::{Live, Model};
use schemas::value::FeatureValue;

use crate::folder::Folder;
use crate::graphs;

#[test]
fn a_batch_is_scored_by_one_model_while_it_is_exchanged() {
    let models: Vec<Arc<Model>> =
        [1.0, 2.0].iter().map(|weight| Arc::new(Folder::of(&graphs::linear(&[*weight]), 1).load())).collect();
    let vectors = [FeatureValue::Int(1); 7];
    let expected: Vec<_> = models.iter().map(|model| scores(model, &vectors)).collect();
    assert_ne!(expected[0], expected[1]);
    let (live, stop) = (Live::new(None), AtomicBool::new(false));
    assert!(live.get().is_none());
    live.set(Some(models[0].clone()));
    let seen = [AtomicU32::new(0), AtomicU32::new(0)];
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut scored = 0;
                while !stop.load(Ordering::Relaxed) || scored < 100 {
                    let found = scores(&live.get().unwrap(), &vectors);
                    let which = expected.iter().position(|expected| *expected == found);
                    seen[which.expect("scores of one model or the other")].fetch_add(1, Ordering::Relaxed);
                    scored += 1;
                }
            });
        }
        // On a busy machine nobody may have scored by one of them yet.
        let (mut turn, began) = (0, Instant::now());
        let is_unseen = || seen.iter().any(|batches| batches.load(Ordering::Relaxed) == 0);
        while turn < 2_000 || (is_unseen() && began.elapsed() < Duration::from_secs(60)) {
            live.set(Some(models[turn % 2].clone()));
            std::thread::yield_now();
            turn += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
    let seen = seen.map(AtomicU32::into_inner);
    println!("batches scored by each model: {seen:?}");
    assert!(seen.iter().all(|batches| *batches > 0));
}

fn scores(model: &Model, vectors: &[FeatureValue]) -> Vec<Option<f64>> {
    let mut scores = Vec::new();
    model.score(vectors, 1, &mut scores).unwrap();
    scores
}
