//! Operators that run here and not in tract: what tract asks of each, written once.

use std::fmt;

use tract_onnx::tract_hir::internal::*;

/// What an operator of our own does with its one input.
pub(crate) trait Work: fmt::Debug + Send + Sync + 'static {
    const NAME: &'static str;

    /// Type and shape of what comes out.
    fn output(&self, input: &TypedFact) -> TractResult<TypedFact>;

    fn run(&self, input: TValue) -> TractResult<Tensor>;
}

/// Such an operator in tract's graph: a copy is the same operator, another one over equal numbers is not.
#[derive(Debug)]
pub(crate) struct Own<W>(Arc<W>);

impl<W> Own<W> {
    pub(crate) fn new(work: W) -> Self {
        Self(Arc::new(work))
    }
}

impl<W> Clone for Own<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W> PartialEq for Own<W> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<W> Eq for Own<W> {}

impl<W: Work> Op for Own<W> {
    fn name(&self) -> StaticName {
        W::NAME.into()
    }

    op_as_typed_op!();
}

impl<W: Work> EvalOp for Own<W> {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let output = self.0.run(inputs.pop().context("no input")?)?;
        Ok(tvec!(output.into_tvalue()))
    }
}

impl<W: Work> TypedOp for Own<W> {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(self.0.output(inputs[0])?))
    }

    as_op!();
}

/// The rules of an operator that makes a table of the same shape of a table, both in 32 bits.
pub(crate) fn same_table<'r, 'p: 'r>(
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
