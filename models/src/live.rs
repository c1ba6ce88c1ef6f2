//! The model that scores now, exchanged between two batches while others read it.
//!
//! A reader takes the model once for a batch and keeps it to the end of the batch, so that no batch mixes two
//! versions; the old model is freed when its last batch is done. Who decides on an exchange is elsewhere.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::model::Model;

/// Holds the live model, or none where decisions are the policy's alone.
#[derive(Debug, Default)]
pub struct Live(ArcSwapOption<Model>);

impl Live {
    /// Starts with this model.
    pub fn new(model: Option<Arc<Model>>) -> Self {
        Self(ArcSwapOption::new(model))
    }

    /// The model for one batch. Never waits.
    pub fn get(&self) -> Option<Arc<Model>> {
        self.0.load_full()
    }

    /// Exchanges the model; batches that run keep the one that they took.
    pub fn set(&self, model: Option<Arc<Model>>) {
        self.0.store(model);
    }
}
