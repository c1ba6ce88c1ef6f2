//! The ONNX operator `Imputer`, which scikit-learn pipelines over missing values begin with and tract lacks.
//!
//! One value, mostly NaN, is replaced by another one for each column, or by one for all.

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use crate::own::{self, Own, Work};

/// Makes the operator known to tract's ONNX parser.
pub(crate) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("Imputer", imputer);
}

/// What stands in the file and what runs.
#[derive(Debug, Clone)]
struct Imputer {
    replaced: f32,
    by: Vec<f32>,
}

fn imputer(_: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let by: Vec<f32> = node.get_attr_opt_vec("imputed_value_floats")?.unwrap_or_default();
    ensure!(!by.is_empty(), "Imputer without imputed_value_floats");
    let replaced: f32 = node.get_attr_opt("replaced_value_float")?.unwrap_or(0.0);
    Ok((expand(Imputer { replaced, by }), vec![]))
}

impl Imputer {
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
        own::same_table(solver, inputs, outputs)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        self.fits(model.outlet_fact(inputs[0])?.shape[1].to_usize()?)?;
        model.wire_node(prefix, Own::new(self.clone()), inputs)
    }
}

impl Work for Imputer {
    const NAME: &'static str = "Imputer";

    fn output(&self, input: &TypedFact) -> TractResult<TypedFact> {
        Ok(f32::fact(input.shape.iter()))
    }

    fn run(&self, input: TValue) -> TractResult<Tensor> {
        let mut table = input.into_tensor();
        let columns = table.shape().last().copied().unwrap_or(0).max(1);
        self.fits(columns)?;
        let values = self.by.iter().cycle();
        for row in table.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?.chunks_exact_mut(columns) {
            row.iter_mut().zip(values.clone()).for_each(|(value, by)| self.replace(value, *by));
        }
        Ok(table)
    }
}
