//! The live model is exchanged while others score, and no batch mixes two.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    std::thread::scope(|scope| {
        let batches: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = [0_u32; 2];
                    while !stop.load(Ordering::Relaxed) || seen.iter().sum::<u32>() < 100 {
                        let found = scores(&live.get().unwrap(), &vectors);
                        let which = expected.iter().position(|expected| *expected == found);
                        seen[which.expect("scores of one model or the other")] += 1;
                    }
                    seen
                })
            })
            .collect();
        for turn in 0..2_000 {
            live.set(Some(models[turn % 2].clone()));
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        let seen = batches.into_iter().map(|batch| batch.join().unwrap());
        let seen = seen.fold([0, 0], |all, seen| [all[0] + seen[0], all[1] + seen[1]]);
        println!("batches scored by each model: {seen:?}");
        assert!(seen.iter().all(|batches| *batches > 0));
    });
}

fn scores(model: &Model, vectors: &[FeatureValue]) -> Vec<Option<f64>> {
    let mut scores = Vec::new();
    model.score(vectors, 1, &mut scores).unwrap();
    scores
}
