//! Graphs that tract must not see, or that do not do what their manifest says.

use models::{Golden, Output};
use prost::Message;
use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto};

use crate::folder::Folder;
use crate::graphs::{linear, model, node, tensor, trees, value};

/// Loads the graph as it is, spoils it and expects the reason.
pub fn spoiled(mut graph: ModelProto, spoil: impl FnOnce(&mut ModelProto), reason: &str) {
    let mut folder = two_inputs(&graph);
    folder.load();
    spoil(&mut graph);
    folder.onnx = graph.encode_to_vec();
    let found = folder.refusal();
    assert!(found.contains(reason), "\"{reason}\" is not in \"{found}\"");
}

fn two_inputs(graph: &ModelProto) -> Folder {
    let mut folder = Folder::of(graph, 2);
    if graph.graph.as_ref().unwrap().output.len() == 2 {
        folder.manifest.facts.output = Output { index: 1, column: Some(1) };
        folder.manifest.golden[0].score = 1.0 / (1.0 + 1.5_f64.exp());
    }
    folder
}

pub fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

#[test]
fn an_unknown_operator_is_named() {
    let base = || linear(&[1.0, 2.0]);
    spoiled(base(), |m| graph(m).node[1].op_type = "Frobnicate".to_owned(), "operator Frobnicate of ai.onnx");
    spoiled(base(), |m| graph(m).node[1].op_type = "ConstantOfShape".to_owned(), "operator ConstantOfShape");
    spoiled(base(), |m| graph(m).node[1].domain = "com.example".to_owned(), "Sigmoid of com.example");
}

#[test]
fn a_graph_with_loose_ends_is_refused() {
    let base = || linear(&[1.0, 2.0]);
    spoiled(base(), |m| graph(m).output[0].name = "nobody".to_owned(), "no node makes the output \"nobody\"");
    spoiled(base(), |m| graph(m).node[0].input[0] = "p".to_owned(), "reads \"p\" before it is made");
    spoiled(base(), |m| graph(m).node[0].output[0] = "w".to_owned(), "\"w\" is made twice");
    let two = |m: &mut ModelProto| {
        graph(m).input.push(value("Y", &[None, Some(2)]));
        graph(m).node[0].input[1] = "Y".to_owned();
    };
    spoiled(base(), two, "more than one input");
    spoiled(base(), |m| graph(m).input.clear(), "before it is made");
    spoiled(base(), |m| m.graph = None, "no graph");
    let chain = |m: &mut ModelProto| {
        let link = |n: usize| node("Sigmoid", &[&format!("s{n}")], &format!("s{}", n + 1));
        let mut nodes = vec![node("Sigmoid", &["X"], "s0")];
        nodes.extend((0..999).map(link));
        nodes.push(node("Sigmoid", &["s999"], "p"));
        graph(m).node = nodes;
    };
    spoiled(base(), chain, "1001 nodes");
    spoiled(
        base(),
        |m| graph(m).input[0] = value("X", &[None, Some(1 << 40)]),
        "a dimension of 1099511627776",
    );
    let inner = AttributeProto { g: Some(GraphProto::default()), ..AttributeProto::default() };
    spoiled(base(), |m| graph(m).node[0].attribute.push(inner), "inner graphs");
}

#[test]
fn constants_hold_what_their_shape_says_and_nothing_lies_outside() {
    let base = || linear(&[1.0, 2.0]);
    let external = Some(DataLocation::External as i32);
    spoiled(base(), |m| graph(m).initializer[0].data_location = external, "outside the file");
    spoiled(base(), |m| graph(m).initializer[0].dims = vec![1 << 40, 1], "2 elements, where its shape says");
    spoiled(base(), |m| graph(m).initializer[0].dims = vec![i64::MAX, i64::MAX], "negative or huge");
    spoiled(base(), |m| graph(m).initializer[0].dims = vec![-2, 1], "negative or huge");
    spoiled(base(), |m| graph(m).initializer[0].raw_data = vec![0; 7], "end within an element");
    spoiled(base(), |m| graph(m).initializer[0].raw_data = vec![0; 4], "1 elements, where its shape says 2");
    spoiled(base(), |m| graph(m).initializer[0].data_type = 8, "its type is none of");
    let hidden = AttributeProto { t: Some(tensor("inner", &[5], &[1.0])), ..AttributeProto::default() };
    spoiled(base(), |m| graph(m).node[0].attribute.push(hidden), "constant \"inner\"");
}

#[test]
fn an_output_that_is_not_one_probability_a_row_is_refused() {
    let mut folder = two_inputs(&trees());
    folder.load();
    folder.manifest.facts.output = Output { index: 2, column: Some(1) };
    assert!(folder.refusal().contains("output.index is 2, and the graph has 2 outputs"));
    folder.manifest.facts.output = Output { index: 1, column: Some(2) };
    assert!(folder.refusal().contains("[rows, 2]: output.column = 2"));
    folder.manifest.facts.output = Output { index: 1, column: None };
    assert!(folder.refusal().contains("[rows, 2]: it must be [rows]"));
    folder.manifest.facts.output = Output { index: 0, column: None };
    assert!(folder.refusal().contains("not a float"));
    folder.manifest.facts.output = Output { index: 1, column: Some(0) };
    assert!(folder.refusal().contains("golden[0]: the model gives 0.81"), "the columns are swapped");
}

#[test]
fn a_model_of_other_inputs_is_refused() {
    let mut folder = two_inputs(&linear(&[1.0, 2.0]));
    folder.load();
    folder.onnx = linear(&[1.0, 2.0, 3.0]).encode_to_vec();
    assert!(folder.refusal().contains("tract cannot run it"));
}

#[test]
fn golden_vectors_must_score_as_stated() {
    let mut folder = two_inputs(&linear(&[1.0, 2.0]));
    folder.manifest.golden.push(Golden { inputs: vec![1.0, 0.0], score: 0.731_058_58 });
    folder.load();
    folder.manifest.golden[1].score += 1e-5;
    assert!(folder.refusal().starts_with("golden[1]: the model gives 0.73105"));
}

#[test]
fn an_output_that_is_no_number_is_refused() {
    let log = model(
        2,
        vec![node("MatMul", &["X", "w"], "z"), node("Log", &["z"], "p")],
        vec![tensor("w", &[2, 1], &[1.0, 1.0])],
    );
    let mut folder = two_inputs(&log);
    folder.manifest.golden[0] = Golden { inputs: vec![1.0, 1.0], score: 2.0_f64.ln() };
    folder.load();
    for inputs in [vec![-1.0, -1.0], vec![0.0, 0.0], vec![9.0, 9.0]] {
        folder.manifest.golden[0] = Golden { inputs, score: 0.5 };
        assert!(folder.refusal().contains("not a probability from 0 to 1"), "NaN, -inf and 2.9");
    }
}

#[test]
fn a_score_that_depends_on_the_batch_is_refused() {
    // p = sigmoid(sum over the rows): right on a batch of one.
    let mut sum = node("ReduceSum", &["X", "axes"], "s");
    sum.attribute =
        vec![AttributeProto { name: "keepdims".to_owned(), r#type: 2, i: 1, ..AttributeProto::default() }];
    let mut axes = tensor("axes", &[1], &[]);
    (axes.data_type, axes.int64_data) = (7, vec![0]);
    let zero = tensor("zero", &[1, 1], &[0.0]);
    let nodes = vec![
        sum,
        node("Mul", &["X", "zero"], "none"),
        node("Add", &["none", "s"], "z"),
        node("Sigmoid", &["z"], "p"),
    ];
    let mut folder = Folder::of(&model(1, nodes, vec![axes, zero]), 1);
    folder.manifest.golden[0] = Golden { inputs: vec![0.25], score: 0.562_176_5 };
    assert!(folder.refusal().contains("depends on the other rows"));
}
