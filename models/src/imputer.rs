//! The ONNX operator `Imputer`, which scikit-learn pipelines over missing values begin with and tract lacks.
//!
//! One value, mostly NaN, is replaced by another one for each column, or by one for all.

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

/// Makes the operator known to tract's ONNX parser.
pub(crate) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("Imputer", imputer);
}

/// What stands in the file and what runs.
#[derive(Debug, Clone)]
struct Imputer(Arc<Replacement>);

#[derive(Debug)]
struct Replacement {
    replaced: f32,
    by: Vec<f32>,
}

fn imputer(_: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let by: Vec<f32> = node.get_attr_opt_vec("imputed_value_floats")?.unwrap_or_default();
    ensure!(!by.is_empty(), "Imputer without imputed_value_floats");
    let replaced: f32 = node.get_attr_opt("replaced_value_float")?.unwrap_or(0.0);
    Ok((expand(Imputer(Arc::new(Replacement { replaced, by }))), vec![]))
}

impl Replacement {
    fn fits(&self, columns: usize) -> TractResult<()> {
        let values = self.by.len();
        ensure!(values == columns || values == 1, "Imputer: {values} values for {columns} columns");
        Ok(())
    }

    fn replace(&self, value: &mut f32, by: f32) {
        if *value == self.replaced || (value.is_nan() && self.replaced.is_nan()) {
            *value = by;
        }
    }
}

impl Expansion for Imputer {
    fn name(&self) -> StaticName {
        "Imputer".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[0].rank, 2)?;
        solver.equals(&inputs[0].datum_type, f32::datum_type())?;
        solver.equals(&outputs[0].datum_type, f32::datum_type())?;
        solver.equals(&outputs[0].shape, &inputs[0].shape)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        self.0.fits(model.outlet_fact(inputs[0])?.shape[1].to_usize()?)?;
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl PartialEq for Imputer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Imputer {}

impl Op for Imputer {
    fn name(&self) -> StaticName {
        "Imputer".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Imputer {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut table = inputs.pop().context("no input")?.into_tensor();
        let columns = table.shape().last().copied().unwrap_or(0).max(1);
        self.0.fits(columns)?;
        let values = self.0.by.iter().cycle();
        for row in table.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?.chunks_exact_mut(columns) {
            row.iter_mut().zip(values.clone()).for_each(|(value, by)| self.0.replace(value, *by));
        }
        Ok(tvec!(table.into_tvalue()))
    }
}

impl TypedOp for Imputer {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(inputs[0].shape.iter())))
    }

    as_op!();
}
