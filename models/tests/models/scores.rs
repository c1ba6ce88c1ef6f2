//! Scores equal to ONNX Runtime's.

use models::{Golden, Missing, Model, ModelError, ScoreError};
use prost::Message;
use schemas::value::FeatureValue::{self, Flag, Int, Null, Real};

use crate::folder::Folder;
use crate::graphs::{self, model, node, tensor};
use crate::handbook::{Day, WIDTH, Which, feature_names};

/// Largest difference to ONNX Runtime's score.
const TOLERANCE: f64 = 1e-6;

#[test]
fn all_payments_of_the_day_score_as_published_logistic() {
    compare(Which::Logistic);
}

#[test]
fn all_payments_of_the_day_score_as_published_xgboost() {
    compare(Which::Xgboost);
}

fn compare(which: Which) {
    let out = tempfile::tempdir().unwrap();
    let model = which.load(out.path());
    let day = Day::read();
    let expected = if which == Which::Logistic { &day.logistic } else { &day.xgboost };
    let mut scores = Vec::new();
    let mut all = Vec::new();
    for batch in day.vectors.chunks(512 * WIDTH) {
        model.score(batch, WIDTH, &mut scores).unwrap();
        all.extend(scores.iter().map(|score| score.expect("every input is finite")));
    }
    let difference = all.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    println!("{which:?}: {} payments, largest difference to ONNX Runtime {difference:e}", all.len());
    assert_eq!(all.len(), expected.len());
    assert!(difference <= TOLERANCE);
    // The bar bites: the scores differ from payment to payment by far more than the tolerance.
    let other = all.iter().skip(1).zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(other > 0.1);
}

#[test]
fn inputs_are_found_by_name_in_any_features_file() {
    let out = tempfile::tempdir().unwrap();
    let model = Which::Logistic.load(out.path());
    let dir = out.path().join("handbook-lr/1");
    let mut names = feature_names();
    names.reverse();
    names.insert(3, "another feature".to_owned());
    let wider = Model::load(&dir, &names).unwrap();
    let vectors = &Day::read().vectors[..100 * WIDTH];
    let reordered: Vec<FeatureValue> = vectors
        .chunks(WIDTH)
        .flat_map(|vector| {
            let mut vector: Vec<_> = vector.iter().rev().copied().collect();
            vector.insert(3, Null);
            vector
        })
        .collect();
    let (mut scores, mut others) = (Vec::new(), Vec::new());
    model.score(vectors, WIDTH, &mut scores).unwrap();
    wider.score(&reordered, WIDTH + 1, &mut others).unwrap();
    assert_eq!(scores, others);
    let missing = Model::load(&dir, &names[..WIDTH - 1]).unwrap_err();
    let first_two = ["TX_AMOUNT", "TX_DURING_WEEKEND"];
    assert!(matches!(missing, ModelError::UnknownFeatures(names) if names == first_two));
}

#[test]
fn a_row_without_a_score_does_not_touch_the_others() {
    // p = log(x): no probability below 1 or above e.
    let log = model(1, vec![node("Log", &["X"], "p")], vec![]);
    let mut folder = Folder::of(&log, 1);
    folder.manifest.golden[0] = Golden { inputs: vec![1.0], score: 0.0 };
    let model = folder.load();
    let vectors = [Int(1), Null, Real(f64::NAN), Real(1e300), Int(2), Int(-1), Int(0), Int(9), Flag(true)];
    let mut scores = vec![Some(7.0)];
    model.score(&vectors, 1, &mut scores).unwrap();
    let two = f64::from(2.0_f32.ln());
    assert_eq!(
        scores.iter().map(Option::is_some).collect::<Vec<_>>(),
        [true, false, false, false, true, false, false, false, true]
    );
    assert!((scores[4].unwrap() - two).abs() < 1e-6 && scores[0] == Some(0.0) && scores[8] == Some(0.0));
    model.score(&[Null, Null], 1, &mut scores).unwrap();
    assert_eq!(scores, [None, None]);
    model.score(&[], 1, &mut scores).unwrap();
    assert_eq!(scores, []);
}

#[test]
fn trees_that_take_missing_values_get_them_and_infinite_ones_are_still_refused() {
    let mut folder = Folder::of(&graphs::trees(), 2);
    folder.manifest.facts.output = models::Output { index: 1, column: Some(1) };
    folder.manifest.facts.missing = Missing::Accept;
    let sigmoid = |sum: f64| 1.0 / (1.0 + (-sum).exp());
    // NaN is not below 10 and takes the other way: 1 - 0.5.
    folder.manifest.golden[0] = Golden { inputs: vec![f64::NAN, 0.0], score: sigmoid(0.5) };
    let model = folder.load();
    let mut scores = Vec::new();
    model.score(&[Null, Int(30), Real(f64::INFINITY), Int(30), Int(5), Null], 2, &mut scores).unwrap();
    assert!((scores[0].unwrap() - sigmoid(3.0)).abs() < 1e-6);
    assert_eq!(scores[1], None);
    assert!((scores[2].unwrap() - sigmoid(1.0)).abs() < 1e-6);
}

#[test]
fn vectors_of_another_width_are_refused() {
    let model = Folder::of(&graphs::linear(&[1.0, 2.0]), 2).load();
    let mut scores = vec![Some(1.0)];
    for (values, width) in [(4, 1), (4, 4), (3, 2), (4, 0)] {
        let error = model.score(&vec![Int(1); values], width, &mut scores).unwrap_err();
        assert_eq!(error, ScoreError::Width { values, width, expected: 2 });
        assert_eq!(scores, [], "no score of another batch is left");
    }
}

#[test]
fn a_batch_that_fails_inside_tract_does_not_harm_the_next() {
    // p = table[x]: outside the table tract fails or panics.
    let mut index = node("Cast", &["X"], "i");
    index.attribute = vec![tract_onnx::pb::AttributeProto {
        name: "to".to_owned(),
        r#type: 2,
        i: 7,
        ..tract_onnx::pb::AttributeProto::default()
    }];
    let nodes = vec![index, node("Gather", &["table", "i"], "p")];
    let table = model(1, nodes, vec![tensor("table", &[3], &[0.5, 0.25, 0.75])]);
    let mut folder = Folder::of(&table, 1);
    folder.onnx = table.encode_to_vec();
    let model = folder.load();
    let mut scores = Vec::new();
    for _ in 0..3 {
        let error = model.score(&[Int(1), Int(99)], 1, &mut scores).unwrap_err();
        assert!(matches!(error, ScoreError::Runtime(_)), "{error}");
        model.score(&[Int(1), Int(2), Int(0)], 1, &mut scores).unwrap();
        assert_eq!(scores, [Some(0.25), Some(0.75), Some(0.5)]);
    }
}
