//! The operators that a graph may use.
//!
//! Wide enough for linear models, trees and small networks; narrow enough that no operator on it makes much out
//! of little (`ConstantOfShape`, `Expand`, `Tile`, `Range`), loops, or draws random numbers.

use tract_onnx::pb::NodeProto;

use super::short;

const STANDARD: [&str; 62] = [
    "Abs",
    "Add",
    "And",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Clip",
    "Concat",
    "Constant",
    "Div",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Flatten",
    "Floor",
    "Gather",
    "Gelu",
    "Gemm",
    "Greater",
    "GreaterOrEqual",
    "HardSigmoid",
    "Identity",
    "IsInf",
    "IsNaN",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Pow",
    "Reciprocal",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Round",
    "Selu",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Unsqueeze",
    "Where",
];
const LEARNING: [&str; 7] = [
    "Imputer",
    "LinearClassifier",
    "LinearRegressor",
    "Normalizer",
    "Scaler",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
];

pub(super) fn check(node: &NodeProto) -> Result<(), String> {
    let operator = node.op_type.as_str();
    let allowed = match node.domain.as_str() {
        "" | "ai.onnx" => STANDARD.contains(&operator),
        "ai.onnx.ml" => LEARNING.contains(&operator),
        _ => false,
    };
    if allowed {
        return Ok(());
    }
    let domain = if node.domain.is_empty() { "ai.onnx" } else { &node.domain };
    Err(format!("operator {} of {} is not one that Tripline runs", short(operator), short(domain)))
}
