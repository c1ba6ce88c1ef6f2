//! What is looked at before tract sees a graph: size, names, operators, tensors, trees.
//!
//! tract trusts its input: some operators make much out of little, a huge constant takes the memory. So the graph is
//! first cut down to what the wanted output needs; then only operators on a list are let through, each tensor holds
//! exactly the data that its shape says, nothing lies outside the file, and trees are trees. Not a proof that the graph
//! is right: golden vectors are that.

mod operators;
mod tensor;
mod wanted;

use std::collections::BTreeSet;

use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto, type_proto};

use crate::trees::{self, Forest};

/// Most nodes of a graph: optimising takes time that grows with their square, and a stack that grows with depth.
const MOST_NODES: usize = 1_000;
/// Largest dimension that a graph may state for an input or output.
const LARGEST_DIMENSION: i64 = 1 << 20;

/// Checks the graph, and leaves in it what makes the output of this index; a reason where it is refused.
pub(crate) fn check(model: &mut ModelProto, output: usize) -> Result<(), String> {
    if !model.functions.is_empty() || !model.training_info.is_empty() {
        return Err("functions and training graphs are not run: export the model for inference".to_owned());
    }
    let graph = model.graph.as_mut().ok_or("no graph: the file is empty, cut off or not ONNX")?;
    if graph.node.is_empty() || graph.output.is_empty() {
        return Err("a graph without nodes or without outputs".to_owned());
    }
    if !graph.sparse_initializer.is_empty() {
        return Err("sparse initializers are not run".to_owned());
    }
    names_are_defined(graph)?;
    wanted::cut(graph, output)?;
    one_input(graph)?;
    if graph.node.len() > MOST_NODES {
        return Err(format!("{} nodes, where {MOST_NODES} are the limit", graph.node.len()));
    }
    for tensor in &graph.initializer {
        tensor::check(tensor)?;
    }
    for node in &graph.node {
        check_node(node).map_err(|reason| format!("node \"{}\": {reason}", short(&node.name)))?;
    }
    graph.input.iter().chain(&graph.output).chain(&graph.value_info).try_for_each(check_shape)
}

fn check_node(node: &NodeProto) -> Result<(), String> {
    operators::check(node)?;
    for attribute in &node.attribute {
        check_attribute(attribute)?;
    }
    if trees::is_forest(&node.op_type) { Forest::read(node).map(drop) } else { Ok(()) }
}

fn check_attribute(attribute: &AttributeProto) -> Result<(), String> {
    let AttributeProto { g, graphs, sparse_tensor, sparse_tensors, .. } = attribute;
    if g.is_some() || !graphs.is_empty() || sparse_tensor.is_some() || !sparse_tensors.is_empty() {
        return Err(format!("attribute \"{}\": inner graphs and sparse tensors are not run", attribute.name));
    }
    attribute.t.iter().chain(&attribute.tensors).try_for_each(tensor::check)
}

/// Every value is made once, before it is read: no cycle, and no output that nothing makes (tract panics there).
fn names_are_defined(graph: &GraphProto) -> Result<(), String> {
    let made = graph.input.iter().map(|input| &input.name);
    let mut known: BTreeSet<_> = made.chain(graph.initializer.iter().map(|tensor| &tensor.name)).collect();
    for node in &graph.node {
        if let Some(name) = node.input.iter().find(|name| !name.is_empty() && !known.contains(name)) {
            return Err(format!("\"{}\" reads \"{}\" before it is made", short(&node.name), short(name)));
        }
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if !known.insert(name) {
                return Err(format!("\"{}\" is made twice", short(name)));
            }
        }
    }
    match graph.output.iter().find(|output| !known.contains(&output.name)) {
        Some(output) => Err(format!("no node makes the output \"{}\"", short(&output.name))),
        None => Ok(()),
    }
}

fn check_shape(info: &ValueInfoProto) -> Result<(), String> {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value::DimValue;
    let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        return Err(format!("\"{}\" is not a tensor", short(&info.name)));
    };
    for dimension in tensor.shape.iter().flat_map(|shape| &shape.dim) {
        match dimension.value {
            Some(DimValue(length)) if !(0..=LARGEST_DIMENSION).contains(&length) => {
                return Err(format!("\"{}\" has a dimension of {length}", short(&info.name)));
            }
            _ => {}
        }
    }
    Ok(())
}

fn one_input(graph: &GraphProto) -> Result<(), String> {
    let constants: BTreeSet<_> = graph.initializer.iter().map(|tensor| &tensor.name).collect();
    match graph.input.iter().filter(|input| !constants.contains(&input.name)).count() {
        0 => Err("the graph has no input".to_owned()),
        1 => Ok(()),
        _ => Err("more than one input, where one of [rows, features] is wanted".to_owned()),
    }
}

/// A stranger's name, as it may stand in a message.
fn short(name: &str) -> String {
    const SHOWN: usize = 60;
    let mut text: String = name.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if name.chars().count() > SHOWN {
        text.push_str("...");
    }
    text
}
