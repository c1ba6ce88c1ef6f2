//! `Imputer`: one value replaced by others, NaN above all.

use models::{Golden, Missing};
use prost::Message;
use tract_onnx::pb::{AttributeProto, ModelProto};

use crate::folder::Folder;
use crate::forests::scores;
use crate::graphs::{float, floats, model, node, tensor};

/// `p = 0.5 a' + 0.25 b'` over imputed features.
fn graph(attributes: &[AttributeProto]) -> ModelProto {
    let mut imputer = node("Imputer", &["X"], "x");
    imputer.domain = "ai.onnx.ml".to_owned();
    imputer.attribute = attributes.to_vec();
    model(2, vec![imputer, node("MatMul", &["x", "w"], "p")], vec![tensor("w", &[2, 1], &[0.5, 0.25])])
}

/// The folder of it; no feature at all scores so.
fn folder(attributes: &[AttributeProto], score: f64) -> Folder {
    let graph = graph(attributes);
    let mut folder = Folder::of(&graph, 2);
    folder.onnx = graph.encode_to_vec();
    folder.manifest.facts.missing = Missing::Accept;
    folder.manifest.golden = vec![Golden { inputs: vec![f64::NAN; 2], score }];
    folder
}

#[test]
fn missing_values_are_replaced_column_by_column_or_by_one_value() {
    let missing = float("replaced_value_float", f32::NAN);
    let model = folder(&[floats("imputed_value_floats", &[1.0, 2.0]), missing.clone()], 1.0).load();
    let rows = [vec![f32::NAN, 0.0], vec![0.0, f32::NAN], vec![0.25, 0.5], vec![0.0, 0.0]];
    assert_eq!(scores(&model, &rows), [Some(0.5), Some(0.5), Some(0.25), Some(0.0)]);
    let model = folder(&[floats("imputed_value_floats", &[0.5]), missing], 0.375).load();
    assert_eq!(scores(&model, &rows), [Some(0.25), Some(0.125), Some(0.25), Some(0.0)]);
}

#[test]
fn a_number_may_be_what_is_replaced_and_is_zero_if_nothing_is_said() {
    for replaced in [vec![], vec![float("replaced_value_float", -9.0)]] {
        let number = if replaced.is_empty() { 0.0 } else { -9.0 };
        let mut folder = folder(&[vec![floats("imputed_value_floats", &[1.0, 2.0])], replaced].concat(), 1.0);
        folder.manifest.facts.missing = Missing::Refuse;
        folder.manifest.golden[0].inputs = vec![number; 2];
        let rows = [vec![number as f32, 0.5], vec![0.5, number as f32], vec![0.5, 0.5]];
        assert_eq!(scores(&folder.load(), &rows), [Some(0.625), Some(0.75), Some(0.375)]);
    }
}

#[test]
fn an_imputer_without_fitting_values_is_refused() {
    let missing = float("replaced_value_float", f32::NAN);
    let refusal = folder(std::slice::from_ref(&missing), 0.5).refusal();
    assert!(refusal.contains("Imputer without imputed_value_floats"), "{refusal}");
    let refusal = folder(&[missing, floats("imputed_value_floats", &[1.0; 3])], 0.5).refusal();
    assert!(refusal.contains("Imputer: 3 values for 2 columns"), "{refusal}");
}
