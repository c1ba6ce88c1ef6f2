//! The ONNX operator `Scaler`, which scikit-learn pipelines begin with and tract lacks: `(x - offset) * scale`.
//!
//! It becomes tract's own subtraction and multiplication, so that tract optimises over it. In 32 bits, in this
//! order, as ONNX Runtime computes it: folding the scale into the next layer would change last bits.

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_hir::internal::*;

use crate::own;

/// Makes the operator known to tract's ONNX parser.
pub(crate) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("Scaler", scaler);
}

#[derive(Debug, Clone)]
struct Scaler {
    offset: Vec<f32>,
    scale: Vec<f32>,
}

fn scaler(_: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let offset = node.get_attr_vec::<f32>("offset")?;
    let scale = node.get_attr_vec::<f32>("scale")?;
    ensure!(!offset.is_empty() && !scale.is_empty(), "Scaler without offset or scale");
    Ok((expand(Scaler { offset, scale }), vec![]))
}

impl Expansion for Scaler {
    fn name(&self) -> StaticName {
        "Scaler".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        own::same_table(solver, inputs, outputs)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let columns = model.outlet_fact(inputs[0])?.shape[1].to_usize()?;
        let mut row = |what: &str, values: &[f32]| -> TractResult<OutletId> {
            let fits = values.len() == columns || values.len() == 1;
            ensure!(fits, "Scaler: {} values of {what} for {columns} columns", values.len());
            let constant = Tensor::from_shape(&[1, values.len()], values)?.into_arc_tensor();
            model.add_const(format!("{prefix}.{what}"), constant)
        };
        let (offset, scale) = (row("offset", &self.offset)?, row("scale", &self.scale)?);
        let moved = model.wire_node(format!("{prefix}.sub"), math::sub(), &[inputs[0], offset])?;
        model.wire_node(format!("{prefix}.mul"), math::mul(), &[moved[0], scale])
    }
}
