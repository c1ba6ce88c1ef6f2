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
    let words = |name: &str, values: &[&str]| AttributeProto {
        name: name.to_owned(),
        r#type: 8,
        strings: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
        ..AttributeProto::default()
    };
    let floats = |name: &str, values: &[f32]| AttributeProto {
        name: name.to_owned(),
        r#type: 6,
        floats: values.to_vec(),
        ..AttributeProto::default()
    };
    let logistic = b"LOGISTIC".to_vec();
    let name = "post_transform".to_owned();
    tree.attribute = vec![
        words("nodes_modes", &["BRANCH_LT", "LEAF", "LEAF", "BRANCH_LT", "LEAF", "LEAF"]),
        floats("nodes_values", &[10.0, 0.0, 0.0, 20.0, 0.0, 0.0]),
        floats("class_weights", &[-1.0, 1.0, -0.5, 2.0]),
        AttributeProto { name, r#type: 3, s: logistic, ..AttributeProto::default() },
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
    for (name, ints) in arrays {
        let (name, ints) = (name.to_owned(), ints.to_vec());
        tree.attribute.push(AttributeProto { name, r#type: 7, ints, ..AttributeProto::default() });
    }
    let mut model = model(2, vec![tree], vec![]);
    let graph = model.graph.as_mut().unwrap();
    let mut label = value("label", &[None]);
    if let Some(type_proto::Value::TensorType(tensor)) = label.r#type.as_mut().unwrap().value.as_mut() {
        tensor.elem_type = DataType::Int64 as i32;
    }
    graph.output = vec![label, value("p", &[None, Some(2)])];
    model
}

/// An attribute of the graph's first node.
pub fn attribute<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut AttributeProto {
    let node = &mut model.graph.as_mut().unwrap().node[0];
    node.attribute.iter_mut().find(|attribute| attribute.name == name).unwrap()
}
