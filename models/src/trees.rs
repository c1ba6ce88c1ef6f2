//! The ONNX operators `TreeEnsembleClassifier` and `TreeEnsembleRegressor`: forests, read, checked, packed and walked here.
//!
//! tract has the first of them only, copies its arrays on every call, walks them without checks, and is wrong on
//! `BRANCH_GTE` and on labels. These take its place in tract's table of operators. What is checked is what is run: one
//! function, [`Forest::read`], does both. Where the standard leaves something open it is as ONNX Runtime does it; where
//! ONNX Runtime's own answer makes no sense, the forest is refused.

mod attributes;
mod ending;
mod forest;
mod label;
mod leaves;
mod pack;
mod shape;
mod walk;

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use self::attributes::{CLASSIFIER, REGRESSOR};
pub(crate) use self::forest::Forest;
use crate::own::{Own, Work};

/// Whether the operator is one of these.
pub(crate) fn is_forest(operator: &str) -> bool {
    [CLASSIFIER, REGRESSOR].contains(&operator)
}

/// Makes the operators known to tract's ONNX parser, in place of its own.
pub(crate) fn register(operators: &mut OnnxOpRegister) {
    operators.insert(CLASSIFIER, build);
    operators.insert(REGRESSOR, build);
}

fn build(_: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let forest = Forest::read(node).map_err(TractError::msg)?;
    Ok((expand(Trees(Arc::new(forest))), vec![]))
}

/// What stands in the file: scores, and before them labels where it is a classifier.
///
/// It becomes two operators over one forest. tract leaves out the one that nobody reads, so labels cost nothing.
#[derive(Debug, Clone)]
struct Trees(Arc<Forest>);

impl Expansion for Trees {
    fn name(&self) -> StaticName {
        "Trees".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(if self.0.labels().is_some() { 2 } else { 1 })
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, self.nboutputs()?)?;
        solver.equals(&inputs[0].rank, 2)?;
        solver.equals(&inputs[0].datum_type, f32::datum_type())?;
        let scores = &outputs[outputs.len() - 1];
        solver.equals(&scores.datum_type, f32::datum_type())?;
        solver.equals(&scores.rank, 2)?;
        solver.equals(&scores.shape[0], &inputs[0].shape[0])?;
        solver.equals(&scores.shape[1], self.0.columns().to_dim())?;
        if let Some(labels) = self.0.labels() {
            solver.equals(&outputs[0].datum_type, labels.datum_type())?;
            solver.equals(&outputs[0].rank, 1)?;
            solver.equals(&outputs[0].shape[0], &inputs[0].shape[0])?;
        }
        Ok(())
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let columns = model.outlet_fact(inputs[0])?.shape[1].to_usize()?;
        self.0.fits(columns).map_err(TractError::msg)?;
        let mut outputs = tvec!();
        if self.0.labels().is_some() {
            let labels = Own::new(Labels(Arc::clone(&self.0)));
            outputs.extend(model.wire_node(format!("{prefix}.labels"), labels, inputs)?);
        }
        let scores = Own::new(Scores(Arc::clone(&self.0)));
        outputs.extend(model.wire_node(format!("{prefix}.scores"), scores, inputs)?);
        Ok(outputs)
    }
}

/// Rows of features in, a row of scores for each out.
#[derive(Debug)]
struct Scores(Arc<Forest>);

impl Work for Scores {
    const NAME: &'static str = "TreeScores";

    fn output(&self, input: &TypedFact) -> TractResult<TypedFact> {
        Ok(f32::fact([input.shape[0].clone(), self.0.columns().to_dim()]))
    }

    fn run(&self, input: TValue) -> TractResult<Tensor> {
        let (rows, columns) = table(&self.0, &input)?;
        let mut output = Tensor::zero::<f32>(&[rows, self.0.columns()])?;
        let features = input.try_as_plain_ram()?.as_slice::<f32>()?;
        self.0.scores(features, columns, output.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
        Ok(output)
    }
}

/// Rows of features in, a label for each out.
#[derive(Debug)]
struct Labels(Arc<Forest>);

impl Work for Labels {
    const NAME: &'static str = "TreeLabels";

    fn output(&self, input: &TypedFact) -> TractResult<TypedFact> {
        let labels = self.0.labels().context("a regressor has no labels")?;
        Ok(labels.datum_type().fact([input.shape[0].clone()]))
    }

    fn run(&self, input: TValue) -> TractResult<Tensor> {
        let (_, columns) = table(&self.0, &input)?;
        let labels = self.0.labels().context("a regressor has no labels")?;
        let winners = self.0.winners(input.try_as_plain_ram()?.as_slice::<f32>()?, columns);
        Ok(labels.tensor(&winners))
    }
}

/// Rows and columns of the input; the forest finds all its features in it.
fn table(forest: &Forest, input: &Tensor) -> TractResult<(usize, usize)> {
    let [rows, columns] = *input.shape() else { bail!("trees read a table, not {:?}", input.shape()) };
    forest.fits(columns).map_err(TractError::msg)?;
    Ok((rows, columns))
}
