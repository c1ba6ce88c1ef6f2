//! What a graph holds beside the wanted output stands in nobody's way.

use models::Output;
use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{ModelProto, TensorProto, TypeProto, ValueInfoProto};

use crate::folder::Folder;
use crate::graphs::{int, linear, node, trees, value};

/// The folder of a graph with inputs of 2 and the golden score of `trees`.
fn folder(graph: &ModelProto, index: usize) -> Folder {
    let mut folder = Folder::of(graph, 2);
    folder.manifest.facts.output = Output { index, column: Some(1) };
    folder.manifest.golden[0].score = 1.0 / (1.0 + 1.5_f64.exp());
    folder.onnx = graph.encode_to_vec();
    folder
}

#[test]
fn the_table_before_a_zip_map_is_the_output() {
    let mut model = trees();
    let graph = model.graph.as_mut().unwrap();
    let mut zip = node("ZipMap", &["p"], "maps");
    zip.domain = "ai.onnx.ml".to_owned();
    graph.node.push(zip);
    // A sequence of maps: a type that tract's protobuf does not have.
    let no_tensor = Some(TypeProto { value: None, ..TypeProto::default() });
    graph.output[1] =
        ValueInfoProto { name: "maps".to_owned(), r#type: no_tensor, ..ValueInfoProto::default() };
    folder(&model, 1).load();
    model.graph.as_mut().unwrap().node[1].op_type = "Frobnicate".to_owned();
    let refusal = folder(&model, 1).refusal();
    assert!(refusal.contains("operator Frobnicate of ai.onnx.ml is not one"), "{refusal}");
}

#[test]
fn operators_and_constants_of_other_outputs_are_not_looked_at() {
    let mut model = trees();
    let graph = model.graph.as_mut().unwrap();
    let text = DataType::String as i32;
    let words = TensorProto { name: "words".to_owned(), data_type: text, ..TensorProto::default() };
    graph.initializer.push(words);
    // As an old exporter lists it: it must not become an input when the constant goes.
    graph.input.insert(0, value("words", &[Some(0)]));
    graph.input.push(value("id", &[None, Some(1)]));
    graph.node.push(node("Frobnicate", &["words", "label", "id"], "word"));
    graph.output.push(value("word", &[None]));
    folder(&model, 1).load();
    assert!(folder(&model, 2).refusal().contains("more than one input"));
    let graph = model.graph.as_mut().unwrap();
    graph.input.pop();
    graph.node[1].input.pop();
    let refusal = folder(&model, 2).refusal();
    assert!(refusal.contains("its type is none of") || refusal.contains("Frobnicate"), "{refusal}");
    assert!(folder(&model, 3).refusal().contains("output.index is 3, and the graph has 3 outputs"));
}

#[test]
fn a_label_is_computed_where_it_is_wanted() {
    let mut model = trees();
    let graph = model.graph.as_mut().unwrap();
    let mut cast = node("Cast", &["label"], "number");
    cast.attribute = vec![int("to", 1)];
    graph.node.push(cast);
    graph.output = vec![value("number", &[None])];
    let mut folder = Folder::of(&model, 2);
    // -1 - 0.5 is the first class, 1 + 2 the second.
    folder.manifest.golden[0].score = 0.0;
    let mut second = folder.manifest.golden[0].clone();
    (second.inputs, second.score) = (vec![10.0, 20.0], 1.0);
    folder.manifest.golden.push(second);
    folder.load();
}

#[test]
fn a_graph_of_one_output_is_as_before() {
    Folder::of(&linear(&[1.0, 2.0]), 2).load();
}
