//! A logistic regression as an ONNX file: for a model that was fitted in this process and is to be served like any other.
//!
//! Not a trainer: weights come in, over the features as they are.

use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

/// The file of `score = sigmoid(X weights + intercept)`, one number a row: output 0, no column.
pub fn logistic(weights: &[f64], intercept: f64) -> Vec<u8> {
    let columns = i64::try_from(weights.len()).unwrap_or(i64::MAX);
    let small: Vec<f32> = weights.iter().map(|weight| *weight as f32).collect();
    let graph = GraphProto {
        name: "logistic".to_owned(),
        node: vec![
            node("MatMul", &["X", "weights"], "product"),
            node("Add", &["product", "intercept"], "sum"),
            node("Sigmoid", &["sum"], "score"),
        ],
        initializer: vec![
            tensor("weights", vec![columns, 1], small),
            tensor("intercept", vec![1], vec![intercept as f32]),
        ],
        input: vec![value("X", columns)],
        output: vec![value("score", 1)],
        ..GraphProto::default()
    };
    let opset = OperatorSetIdProto { domain: String::new(), version: 13 };
    let model =
        ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..ModelProto::default() };
    model.encode_to_vec()
}

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: operator.to_owned(),
        name: output.to_owned(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

fn tensor(name: &str, dims: Vec<i64>, values: Vec<f32>) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims,
        data_type: DataType::Float as i32,
        float_data: values,
        ..TensorProto::default()
    }
}

/// A value of any number of rows.
fn value(name: &str, columns: i64) -> ValueInfoProto {
    let columns = Dimension { value: Some(dimension::Value::DimValue(columns)), ..Dimension::default() };
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: vec![Dimension::default(), columns] }),
    };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..ValueInfoProto::default() }
}
