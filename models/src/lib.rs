//! Models: a directory with an ONNX graph and its manifest goes in, scores of payments come out.
//!
//! A directory is read once, checked as a stranger's file, run through tract on its golden vectors, and only
//! then is a [`Model`]. After that nothing here touches the disk; this crate knows no clock and no network, and
//! neither watches a folder nor decides when a model is exchanged: [`Live`] only makes the exchange safe.

mod error;
mod file;
mod imputer;
mod live;
mod logistic;
mod manifest;
mod model;
mod own;
mod pack;
mod runtime;
mod scaler;
mod trees;
mod validate;
mod version;

pub use error::{ModelError, ScoreError};
pub use live::Live;
pub use logistic::logistic;
pub use manifest::{Facts, Golden, Kind, Manifest, Missing, Output};
pub use model::{MANIFEST_FILE, Model, ONNX_FILE};
pub use pack::pack;
pub use version::{Version, is_path_word};
