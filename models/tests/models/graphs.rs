//! Small ONNX graphs, built from tract's own protobuf types.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

/// `p = sigmoid(X weights)`, one number a row.
pub fn linear(weights: &[f32]) -> ModelProto {
    let length = weights.len() as i64;
    model(
        length,
        vec![node("MatMul", &["X", "w"], "z"), node("Sigmoid", &["z"], "p")],
        vec![tensor("w", &[length, 1], weights)],
    )
}

/// A graph from `X` of [rows, columns] to `p` of one number a row.
pub fn model(columns: i64, node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let graph = GraphProto {
        node,
        initializer,
        input: vec![value("X", &[None, Some(columns)])],
        output: vec![value("p", &[None, Some(1)])],
        ..GraphProto::default()
    };
    let opset = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
    ModelProto {
        ir_version: 8,
        opset_import: vec![opset("", 13), opset("ai.onnx.ml", 1)],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

pub fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: operator.to_owned(),
        name: format!("{operator} to {output}"),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

pub fn tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

pub fn value(name: &str, shape: &[Option<i64>]) -> ValueInfoProto {
    let dimension = |length: &Option<i64>| Dimension {
        value: length.map(dimension::Value::DimValue),
        ..Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: shape.iter().map(dimension).collect() }),
    };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..ValueInfoProto::default() }
}

/// Two features, two trees of depth one, scores `sigmoid(sum)` with the outputs `label` and `p` of two columns.
/// The order of the arrays of the tree operator: see `set`.
pub fn trees() -> ModelProto {
    let mut tree = node("TreeEnsembleClassifier", &["X"], "label");
    tree.output.push("p".to_owned());
    tree.domain = "ai.onnx.ml".to_owned();
    tree.attribute = vec![
        words("nodes_modes", &["BRANCH_LT", "LEAF", "LEAF", "BRANCH_LT", "LEAF", "LEAF"]),
        floats("nodes_values", &[10.0, 0.0, 0.0, 20.0, 0.0, 0.0]),
        floats("class_weights", &[-1.0, 1.0, -0.5, 2.0]),
        word("post_transform", "LOGISTIC"),
    ];
    let arrays: [(&str, &[i64]); 9] = [
        ("nodes_treeids", &[0, 0, 0, 1, 1, 1]),
        ("nodes_nodeids", &[0, 1, 2, 0, 1, 2]),
        ("nodes_featureids", &[0, 0, 0, 1, 0, 0]),
        ("nodes_truenodeids", &[1, 0, 0, 1, 0, 0]),
        ("nodes_falsenodeids", &[2, 0, 0, 2, 0, 0]),
        ("class_treeids", &[0, 0, 1, 1]),
        ("class_nodeids", &[1, 2, 1, 2]),
        ("class_ids", &[0, 0, 0, 0]),
        ("classlabels_int64s", &[0, 1]),
    ];
    tree.attribute.extend(arrays.map(|(name, values)| ints(name, values)));
    classifier(2, tree, 2)
}

/// A graph of one classifier: outputs `label` and `p`.
pub fn classifier(columns: i64, tree: NodeProto, classes: i64) -> ModelProto {
    let mut model = model(columns, vec![tree], vec![]);
    let graph = model.graph.as_mut().unwrap();
    let mut label = value("label", &[None]);
    if let Some(type_proto::Value::TensorType(tensor)) = label.r#type.as_mut().unwrap().value.as_mut() {
        tensor.elem_type = DataType::Int64 as i32;
    }
    graph.output = vec![label, value("p", &[None, Some(classes)])];
    model
}

fn named(name: &str, kind: i32) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind, ..AttributeProto::default() }
}

pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: value, ..named(name, 2) }
}

pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: value, ..named(name, 1) }
}

pub fn word(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: value.as_bytes().to_vec(), ..named(name, 3) }
}

pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..named(name, 7) }
}

pub fn floats(name: &str, values: &[f32]) -> AttributeProto {
    AttributeProto { floats: values.to_vec(), ..named(name, 6) }
}

pub fn words(name: &str, values: &[&str]) -> AttributeProto {
    AttributeProto {
        strings: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
        ..named(name, 8)
    }
}

/// An attribute of the graph's first node.
pub fn attribute<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut AttributeProto {
    let node = &mut model.graph.as_mut().unwrap().node[0];
    node.attribute.iter_mut().find(|attribute| attribute.name == name).unwrap()
}
