//! tract: a checked graph becomes a plan, rows of numbers become one number each.
//!
//! tract panics on some graphs that it should refuse, so that both loading and running catch that. Only what makes
//! the wanted output is in the plan.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::Onnx;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::{DimLike, TractErrorContext, ensure};

use crate::error::ModelError;
use crate::manifest::{Facts, Output};
use crate::{imputer, scaler, trees, validate};

/// A graph ready to run.
#[derive(Debug)]
pub(crate) struct Runtime {
    plan: Arc<TypedSimplePlan>,
    /// A run state that no batch uses now. One is enough: a service scores in one place, and a second caller
    /// makes its own.
    idle: Mutex<Option<TypedSimpleState>>,
    features: usize,
    /// Numbers a row in the output, and which of them is the score.
    columns: usize,
    column: usize,
}

impl Runtime {
    /// Checks the bytes of model.onnx and compiles them.
    pub(crate) fn compile(bytes: &[u8], facts: &Facts) -> Result<Self, ModelError> {
        let mut onnx = tract_onnx::onnx();
        imputer::register(&mut onnx.op_register);
        scaler::register(&mut onnx.op_register);
        trees::register(&mut onnx.op_register);
        let mut proto = guarded(|| onnx.proto_model_for_read(&mut &*bytes))
            .map_err(|reason| ModelError::Graph(format!("not an ONNX file, or cut off: {reason}")))?;
        validate::check(&mut proto, facts.output.index).map_err(ModelError::Graph)?;
        let (plan, shape) = guarded(|| plan(&onnx, &proto, facts)).map_err(ModelError::Runtime)?;
        let (columns, column) = score_column(&shape, facts.output).map_err(ModelError::Graph)?;
        Ok(Self { plan, idle: Mutex::new(None), features: facts.features.len(), columns, column })
    }

    /// Runs rows of features, all in one call, and appends one number a row to `outputs`.
    pub(crate) fn run(&self, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<(), String> {
        let rows = inputs.len() / self.features;
        guarded(|| {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
            let mut state = idle.map_or_else(|| self.plan.spawn(), Ok)?;
            let input = Tensor::from_shape(&[rows, self.features], inputs)?;
            // A state that failed half-way refuses the next good batch: it is dropped with the error.
            let result = state.run(tvec!(input.into_tvalue()))?;
            let output = result.first().context("no output")?;
            let numbers = output.try_as_plain_ram()?.as_slice::<f32>()?;
            ensure!(numbers.len() == rows * self.columns, "{} numbers for {rows} rows", numbers.len());
            outputs.extend(numbers.iter().skip(self.column).step_by(self.columns));
            *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
            Ok(())
        })
    }
}

/// A plan for any number of rows, and the shape of its output.
fn plan(onnx: &Onnx, proto: &ModelProto, facts: &Facts) -> TractResult<(Arc<TypedSimplePlan>, Vec<Length>)> {
    let mut model = onnx.model_for_proto_model(proto)?;
    let rows = model.symbols.sym("rows");
    let shape = [rows.to_dim(), facts.features.len().to_dim()];
    model.set_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), shape))?;
    let model = model.into_optimized()?;
    let output = model.output_fact(0)?;
    ensure!(output.datum_type == f32::datum_type(), "the output is {:?}, not a float", output.datum_type);
    let length = |dim: &TDim| match dim.to_usize() {
        Ok(number) => Length::Fixed(number),
        Err(_) if *dim == rows.to_dim() => Length::Rows,
        Err(_) => Length::Other(dim.to_string()),
    };
    let lengths = output.shape.iter().map(length).collect();
    Ok((model.into_runnable()?, lengths))
}

/// One dimension of the output.
enum Length {
    Rows,
    Fixed(usize),
    Other(String),
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Length::Rows => f.write_str("rows"),
            Length::Fixed(length) => write!(f, "{length}"),
            Length::Other(length) => f.write_str(length),
        }
    }
}

/// Numbers a row, and the place of the score among them.
fn score_column(shape: &[Length], output: Output) -> Result<(usize, usize), String> {
    let place = match (shape, output.column) {
        ([Length::Rows] | [Length::Rows, Length::Fixed(1)], None) => return Ok((1, 0)),
        ([Length::Rows, Length::Fixed(columns)], Some(column)) if column < *columns => {
            return Ok((*columns, column));
        }
        (_, None) => "it must be [rows] where output.column is absent".to_owned(),
        (_, Some(column)) => format!("output.column = {column} is none of its columns"),
    };
    let shape: Vec<_> = shape.iter().map(ToString::to_string).collect();
    Err(format!("output {} has the shape [{}]: {place}", output.index, shape.join(", ")))
}

/// Runs tract and turns a panic into a reason.
fn guarded<T>(run: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|error| format!("{error:#}")),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(format!("it panicked: {text}"))
        }
    }
}
