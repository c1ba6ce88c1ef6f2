//! The part of a graph that makes the wanted output. The rest is neither checked nor run.
//!
//! Exporters write more than a score: a label, found by operators that nothing else needs, or a `ZipMap`, which turns the
//! table of probabilities into a list of maps. What is not needed for the score shall not stand in its way.

use std::collections::BTreeSet;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TypeProto, ValueInfoProto, type_proto};

/// Leaves in the graph the output of this index and what it is made from. Values are made before they are read.
pub(super) fn cut(graph: &mut GraphProto, output: usize) -> Result<(), String> {
    let outputs = graph.output.len();
    let Some(wanted) = graph.output.get(output) else {
        return Err(format!("output.index is {output}, and the graph has {outputs} outputs"));
    };
    let wanted = table_before_zip_map(&graph.node, wanted).unwrap_or_else(|| wanted.clone());
    let mut needed = BTreeSet::from([wanted.name.clone()]);
    let mut nodes = Vec::new();
    for node in std::mem::take(&mut graph.node).into_iter().rev() {
        // A name may be empty: what is left out has none.
        if node.output.iter().any(|name| !name.is_empty() && needed.contains(name)) {
            needed.extend(node.input.iter().filter(|name| !name.is_empty()).cloned());
            nodes.push(node);
        }
    }
    nodes.reverse();
    graph.node = nodes;
    graph.output = vec![wanted];
    graph.value_info.retain(|info| needed.contains(&info.name));
    graph.input.retain(|input| needed.contains(&input.name));
    graph.initializer.retain(|tensor| needed.contains(&tensor.name));
    Ok(())
}

/// The table that a `ZipMap` makes this output from, if one does: its columns are in the order of the classes.
fn table_before_zip_map(nodes: &[NodeProto], output: &ValueInfoProto) -> Option<ValueInfoProto> {
    let is_zip_map = |node: &&NodeProto| node.op_type == "ZipMap" && node.domain == "ai.onnx.ml";
    let makes = |node: &&NodeProto| node.output.first() == Some(&output.name);
    let table = nodes.iter().filter(is_zip_map).find(makes)?.input.first().filter(|name| !name.is_empty())?;
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: None };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    Some(ValueInfoProto { name: table.clone(), r#type: Some(kind), ..ValueInfoProto::default() })
}
