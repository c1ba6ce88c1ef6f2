//! Recompute: the features of a file of payments by the batch kernel, in file order. What `replay` computes by the
//! stream's algebra, computed by the other one.

use std::path::Path;
use std::sync::Arc;

use batch::kernel::{Kernel, Order};
use feature_store::definition::Definitions;
use schemas::mapping::PaymentMapping;
use schemas::value::FeatureValue;

use crate::replay::ReplayError;
use crate::replay::labels::Labels;
use crate::replay::payments::Payments;

/// How far a recomputation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Payments read.
    Read(u64),
    /// Shares computed, of how many.
    Computed(usize, usize),
}

/// What is recomputed.
pub struct Recompute<'a> {
    /// The user's columns.
    pub mapping: &'a Arc<PaymentMapping>,
    /// The features.
    pub definitions: &'a Definitions,
    /// Payments, in file order.
    pub payments: &'a Path,
    /// Labels, if there are any.
    pub labels: Option<&'a Path>,
    /// A folder for what does not stay in memory.
    pub folder: &'a Path,
}

impl Recompute<'_> {
    /// Hands over the vector of each payment that is one, in file order; gives their number.
    ///
    /// # Errors
    /// When a file is not what it should be, or the folder is full.
    pub fn run(
        &self,
        progress: &(dyn Fn(Progress) + Sync),
        mut each: impl FnMut(&[FeatureValue]),
    ) -> Result<u32, ReplayError> {
        let files = |error: std::io::Error| ReplayError::Files(error.to_string());
        let mut payments = Payments::open(self.payments, self.mapping)?;
        let mut kernel = Kernel::new(self.definitions, Order::Rows, self.folder).map_err(files)?;
        while let Some(row) = payments.next()? {
            if let Ok(payment) = &row.payment {
                let number = kernel.payment((0, 0), payment, None).map_err(files)?;
                if number % 10_000 == 0 {
                    progress(Progress::Read(number.into()));
                }
            }
        }
        if let Some(labels) = self.labels {
            for (offset, label) in (0..).zip(Labels::open(labels)?.all()) {
                kernel.label(0, offset, &label).map_err(files)?;
            }
        }
        let rows = kernel.rows();
        let mut answers =
            kernel.compute(&|done, of| progress(Progress::Computed(done, of))).map_err(files)?;
        while let Some(chunk) = answers.next_chunk().map_err(files)? {
            (chunk.first..chunk.first + chunk.rows() as u32).for_each(|row| each(chunk.by_event_time(row)));
        }
        Ok(rows)
    }
}
