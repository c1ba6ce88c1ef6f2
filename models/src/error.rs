//! Why a model directory was refused, and why a batch could not be scored.

use std::io;
use std::path::PathBuf;

use schemas::problem::Problems;
use thiserror::Error;

/// Why a model directory does not become a model. None of them harms the model that is running.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The file is not there or cannot be read: perhaps it is still being copied.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory, a pipe or a device stands where a file should.
    #[error("{}: not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is longer than any model that could be scored in time.
    #[error("{}: longer than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes allowed.
        limit: u64,
    },
    /// The manifest has errors; all of them.
    #[error("{0}")]
    Manifest(Problems),
    /// model.onnx is not the file that the manifest was written for: damaged, exchanged or still being copied.
    #[error("model.onnx: its sha256 is {found}, and manifest.toml says {expected}")]
    Checksum {
        /// The manifest's sha256, hex.
        expected: String,
        /// The file's, hex.
        found: String,
    },
    /// The model reads features that the features file does not declare.
    #[error("features: the model reads {}, which the features file does not declare", .0.join(", "))]
    UnknownFeatures(Vec<String>),
    /// The graph holds what Tripline does not run; nothing of it was run.
    #[error("model.onnx: {0}")]
    Graph(String),
    /// tract refused the graph, or panicked over it.
    #[error("model.onnx: tract cannot run it: {0}")]
    Runtime(String),
    /// A golden vector does not give the score that the manifest states.
    #[error(
        "golden[{vector}]: the model gives {found}, and manifest.toml says {expected} within {tolerance}"
    )]
    Golden {
        /// Place of the vector in the manifest, from 0.
        vector: usize,
        /// The manifest's score.
        expected: f64,
        /// The model's.
        found: f64,
        /// Largest difference allowed.
        tolerance: f64,
    },
    /// A golden vector has no score at all: the output is not a finite probability.
    #[error("golden[{vector}]: the model's output is not a probability from 0 to 1: {found}")]
    NotAProbability {
        /// Place of the vector in the manifest, from 0.
        vector: usize,
        /// What the model gave.
        found: f32,
    },
    /// The same row scores differently in another batch, so that a decision could not be repeated.
    #[error("golden[{vector}]: its score depends on the other rows of the batch")]
    DependsOnBatch {
        /// Place of the vector in the manifest, from 0.
        vector: usize,
    },
    /// The directory to write is there already: a version is never overwritten.
    #[error("{}: exists already; give the model another version", .0.display())]
    Exists(PathBuf),
}

/// Why a whole batch has no scores. A single bad row is no error: it has none of its own.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScoreError {
    /// The vectors are not rows of the features file that the model was loaded for.
    #[error("{values} values in rows of {width}, where the model was loaded for rows of {expected}")]
    Width {
        /// Values handed in.
        values: usize,
        /// Values a row.
        width: usize,
        /// Values a row when the model was loaded.
        expected: usize,
    },
    /// tract failed or panicked on the batch.
    #[error("tract: {0}")]
    Runtime(String),
}
