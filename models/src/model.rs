//! A model that was loaded, checked and may score payments.

use std::path::Path;

use schemas::name::Name;
use schemas::problem::{Problem, Problems};
use schemas::value::FeatureValue;

use crate::error::{ModelError, ScoreError};
use crate::file;
use crate::manifest::{Golden, Manifest, Missing};
use crate::runtime::Runtime;
use crate::version::Version;

/// Name of the manifest in a model directory.
pub const MANIFEST_FILE: &str = "manifest.toml";
/// Name of the graph in a model directory.
pub const ONNX_FILE: &str = "model.onnx";

/// Longest manifest: 256 golden vectors of a few hundred features are far below.
const MANIFEST_BYTES: u64 = 4 << 20;
/// Longest model.onnx. A thousand trees take some 3 MB; decoding may take tens of times the file in memory.
pub(crate) const ONNX_BYTES: u64 = 32 << 20;
/// Rows of the batch in which golden vectors are scored again: no multiple of any kernel's block.
const MIXED_ROWS: usize = 67;
/// How far from 0 to 1 rounding may carry a probability.
const SLACK: f32 = 1e-5;

/// A loaded model. Cheap to share, safe to call from many threads.
#[derive(Debug)]
pub struct Model {
    manifest: Manifest,
    id: Name,
    /// Place in a vector of each of the model's inputs.
    places: Vec<usize>,
    /// Values of a vector.
    width: usize,
    runtime: Runtime,
}

impl Model {
    /// Loads a model directory for vectors of the features `vector_names`, in their order.
    ///
    /// Reads both files once, and proves the model on its golden vectors. It may take seconds on a large file,
    /// and for ever on one that was made to: call it where a deadline can be kept.
    ///
    /// # Errors
    /// Why the directory was refused.
    pub fn load(dir: &Path, vector_names: &[impl AsRef<str>]) -> Result<Model, ModelError> {
        let names: Vec<_> = vector_names.iter().map(AsRef::as_ref).collect();
        Self::assemble(dir, read_manifest(&dir.join(MANIFEST_FILE))?, &names)
    }

    /// Loads a model directory by itself, for vectors of just its own features.
    ///
    /// # Errors
    /// Why the directory was refused.
    pub fn load_alone(dir: &Path) -> Result<Model, ModelError> {
        let manifest = read_manifest(&dir.join(MANIFEST_FILE))?;
        let features = manifest.facts.features.clone();
        Self::assemble(dir, manifest, &features.iter().map(Name::as_str).collect::<Vec<_>>())
    }

    fn assemble(dir: &Path, manifest: Manifest, vector_names: &[&str]) -> Result<Model, ModelError> {
        let bytes = file::read(&dir.join(ONNX_FILE), ONNX_BYTES)?;
        let found = file::sha256(&bytes);
        if found != manifest.sha256 {
            return Err(ModelError::Checksum { expected: manifest.sha256, found });
        }
        let places = places(&manifest.facts.features, vector_names)?;
        let runtime = Runtime::compile(&bytes, &manifest.facts)?;
        check_golden(&runtime, &manifest)?;
        let id = format!("{}/{}", manifest.facts.name, manifest.facts.version).into();
        Ok(Model { manifest, id, places, width: vector_names.len(), runtime })
    }

    /// The model's name.
    pub fn name(&self) -> &Name {
        &self.manifest.facts.name
    }

    /// The model's version.
    pub fn version(&self) -> &Version {
        &self.manifest.facts.version
    }

    /// Name and version as decisions carry them: `name/version`.
    pub fn id(&self) -> &Name {
        &self.id
    }

    /// What the directory says of it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Scores vectors, `width` values each, and leaves one score a vector in `scores`.
    ///
    /// A vector with an infinite input, or an undefined one where the model does not take them, has no score;
    /// nor has one whose output is not a probability. They do not touch the others: a vector's score has the
    /// same bits whatever else is in the batch.
    ///
    /// # Errors
    /// The vectors have another width than the model was loaded for, or tract failed on the batch.
    pub fn score(
        &self,
        vectors: &[FeatureValue],
        width: usize,
        scores: &mut Vec<Option<f64>>,
    ) -> Result<(), ScoreError> {
        scores.clear();
        if width != self.width || width == 0 || !vectors.len().is_multiple_of(width) {
            let (values, expected) = (vectors.len(), self.width);
            return Err(ScoreError::Width { values, width, expected });
        }
        let mut inputs = Vec::with_capacity(vectors.len() / width * self.places.len());
        for vector in vectors.chunks_exact(width) {
            let input = |place: &usize| vector.get(*place).map_or(f32::NAN, |value| value.as_input());
            let start = inputs.len();
            inputs.extend(self.places.iter().map(input));
            let row = inputs.get_mut(start..).unwrap_or_default();
            let usable = usable(row, self.manifest.facts.missing);
            if !usable {
                row.fill(0.0);
            }
            // What stands here until the batch is done only tells the usable rows from the others.
            scores.push(usable.then_some(0.0));
        }
        if scores.iter().all(Option::is_none) {
            return Ok(());
        }
        let mut outputs = Vec::with_capacity(scores.len());
        if let Err(reason) = self.runtime.run(&inputs, &mut outputs) {
            scores.clear();
            return Err(ScoreError::Runtime(reason));
        }
        for (score, output) in scores.iter_mut().zip(outputs) {
            *score = score.and_then(|_| probability(output));
        }
        Ok(())
    }
}

fn read_manifest(path: &Path) -> Result<Manifest, ModelError> {
    let file = path.display().to_string();
    let text = String::from_utf8(file::read(path, MANIFEST_BYTES)?).map_err(|_| {
        let problem = Problem::new(&*file, "the file", "bytes that are not UTF-8", "a text file");
        ModelError::Manifest(Problems::from(problem))
    })?;
    Manifest::read(&file, &text).map_err(ModelError::Manifest)
}

fn places(features: &[Name], vector_names: &[&str]) -> Result<Vec<usize>, ModelError> {
    let place = |feature: &Name| vector_names.iter().position(|name| feature == name);
    let unknown: Vec<_> =
        features.iter().filter(|name| place(name).is_none()).map(ToString::to_string).collect();
    if unknown.is_empty() {
        Ok(features.iter().filter_map(place).collect())
    } else {
        Err(ModelError::UnknownFeatures(unknown))
    }
}

fn usable(inputs: &[f32], missing: Missing) -> bool {
    inputs.iter().all(|input| input.is_finite() || (input.is_nan() && missing == Missing::Accept))
}

fn probability(output: f32) -> Option<f64> {
    (-SLACK..=1.0 + SLACK).contains(&output).then_some(f64::from(output))
}

/// Scores each golden vector alone, then all of them mixed in one batch: the first must give the manifest's
/// score, the second the same bits.
fn check_golden(runtime: &Runtime, manifest: &Manifest) -> Result<(), ModelError> {
    let alone = golden_scores(runtime, &manifest.golden)?;
    let tolerance = manifest.facts.golden_tolerance;
    for (vector, (output, golden)) in alone.iter().zip(&manifest.golden).enumerate() {
        let (found, expected) = (f64::from(*output), golden.score);
        if (found - expected).abs() > tolerance {
            return Err(ModelError::Golden { vector, expected, found, tolerance });
        }
    }
    let rows = MIXED_ROWS.max(manifest.golden.len());
    let mixed: Vec<f32> = manifest.golden.iter().cycle().take(rows).flat_map(as_inputs).collect();
    let mut outputs = Vec::with_capacity(rows);
    runtime.run(&mixed, &mut outputs).map_err(ModelError::Runtime)?;
    let same = |(output, alone): (&f32, &f32)| output.to_bits() == alone.to_bits();
    match outputs.iter().zip(alone.iter().cycle()).position(|pair| !same(pair)) {
        Some(place) => Err(ModelError::DependsOnBatch { vector: place % alone.len().max(1) }),
        None => Ok(()),
    }
}

/// The outputs of golden vectors, each scored in a batch of its own.
pub(crate) fn golden_scores(runtime: &Runtime, golden: &[Golden]) -> Result<Vec<f32>, ModelError> {
    let mut outputs = Vec::with_capacity(golden.len());
    for (vector, golden) in golden.iter().enumerate() {
        let inputs: Vec<f32> = as_inputs(golden).collect();
        runtime.run(&inputs, &mut outputs).map_err(ModelError::Runtime)?;
        match outputs.last() {
            Some(found) if probability(*found).is_none() => {
                return Err(ModelError::NotAProbability { vector, found: *found });
            }
            _ => {}
        }
    }
    Ok(outputs)
}

fn as_inputs(golden: &Golden) -> impl Iterator<Item = f32> + '_ {
    golden.inputs.iter().map(|input| *input as f32)
}
