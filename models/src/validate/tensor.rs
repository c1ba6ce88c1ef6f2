//! A constant of the graph: inside the file, and exactly as long as its shape says.

use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};

use super::short;

pub(super) fn check(tensor: &TensorProto) -> Result<(), String> {
    check_inner(tensor).map_err(|reason| format!("constant \"{}\": {reason}", short(&tensor.name)))
}

fn check_inner(tensor: &TensorProto) -> Result<(), String> {
    if tensor.data_location == Some(DataLocation::External as i32) || !tensor.external_data.is_empty() {
        return Err("its data lie outside the file; save the model in one file".to_owned());
    }
    let multiply = |product: usize, dimension: &i64| product.checked_mul(usize::try_from(*dimension).ok()?);
    let elements = tensor.dims.iter().try_fold(1, multiply).ok_or("a negative or huge dimension")?;
    let (element_bytes, held) = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) => (4, tensor.float_data.len()),
        Ok(DataType::Double) => (8, tensor.double_data.len()),
        Ok(DataType::Int64) => (8, tensor.int64_data.len()),
        Ok(DataType::Int32) => (4, tensor.int32_data.len()),
        Ok(DataType::Bool) => (1, tensor.int32_data.len()),
        _ => return Err("its type is none of float, double, int32, int64 and bool".to_owned()),
    };
    let held = if tensor.raw_data.is_empty() {
        held
    } else if tensor.raw_data.len().is_multiple_of(element_bytes) {
        tensor.raw_data.len() / element_bytes
    } else {
        return Err("its data end within an element".to_owned());
    };
    if held != elements {
        return Err(format!("{held} elements, where its shape says {elements}"));
    }
    Ok(())
}
