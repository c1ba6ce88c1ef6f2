//! `manifest.toml`: what a model is, what it reads and gives, and how to tell that it works.
//!
//! The graph alone does not say which feature goes where or which output is the probability of fraud; here a
//! person does, and golden vectors prove it on every load.

mod read;
mod write;

use schemas::name::Name;

use crate::version::Version;

/// Family of the model; it changes nothing in how a score is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Logistic regression and its kin.
    Linear,
    /// Boosted or bagged trees.
    Trees,
    /// Layers.
    Neural,
}

/// What becomes of a payment with an undefined feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It has no score. The default: most graphs turn a NaN into a confident wrong answer.
    Refuse,
    /// The graph takes NaN for undefined, as trees with a default direction and pipelines with an `Imputer` do.
    Accept,
}

/// Where the probability of fraud stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Which of the graph's outputs, from 0.
    pub index: usize,
    /// Which of its columns, from 0; none for an output of one number a row.
    pub column: Option<usize>,
}

/// What a person states about a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The model's name: the folder of all its versions.
    pub name: Name,
    /// The version: the folder of this one.
    pub version: Version,
    /// Its family.
    pub kind: Kind,
    /// Names of the input features in the graph's own order.
    pub features: Vec<Name>,
    /// The output to read.
    pub output: Output,
    /// Whether undefined features are taken.
    pub missing: Missing,
    /// Largest difference of a golden score.
    pub golden_tolerance: f64,
}

/// An input whose score is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Golden {
    /// One number a feature; NaN for an undefined one.
    pub inputs: Vec<f64>,
    /// The score it must give.
    pub score: f64,
}

/// The whole manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What a person states.
    pub facts: Facts,
    /// sha256 of model.onnx, lower-case hex.
    pub sha256: String,
    /// At least one.
    pub golden: Vec<Golden>,
}

impl Kind {
    const WORDS: [(&str, Kind); 3] =
        [("linear", Kind::Linear), ("trees", Kind::Trees), ("neural", Kind::Neural)];

    /// The word for it in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Linear => "linear",
            Kind::Trees => "trees",
            Kind::Neural => "neural",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind)
    }
}
