//! Making a model directory out of an exported graph. The only place of this crate that writes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::ModelError;
use crate::file;
use crate::manifest::{Facts, Golden, Manifest};
use crate::model::{MANIFEST_FILE, Model, ONNX_BYTES, ONNX_FILE, golden_scores};
use crate::runtime::Runtime;

/// Writes `out/<name>/<version>/` with a copy of the graph and its manifest, and returns its path.
///
/// The golden vectors are scored by this build's own tract, so that a machine or a version that computes
/// otherwise is noticed later; that they are the trainer's scores too is for the caller to compare. The
/// directory is written beside its place, loaded as the service would load it, and moved there in one step:
/// a watcher sees it whole or not at all.
///
/// # Errors
/// The graph or the facts are refused, the version exists already, or a file cannot be read or written.
pub fn pack(
    onnx: &Path,
    facts: &Facts,
    golden_inputs: &[Vec<f64>],
    out: &Path,
) -> Result<PathBuf, ModelError> {
    let versions = out.join(facts.name.as_str());
    let target = versions.join(facts.version.as_str());
    if target.exists() {
        return Err(ModelError::Exists(target));
    }
    let bytes = file::read(onnx, ONNX_BYTES)?;
    let mut golden: Vec<_> =
        golden_inputs.iter().map(|inputs| Golden { inputs: inputs.clone(), score: 0.0 }).collect();
    let mut manifest =
        Manifest { facts: facts.clone(), sha256: file::sha256(&bytes), golden: golden.clone() };
    // The reader's own rules, before anything is run or written.
    Manifest::read(MANIFEST_FILE, &manifest.to_toml()).map_err(ModelError::Manifest)?;
    let runtime = Runtime::compile(&bytes, facts)?;
    for (golden, score) in golden.iter_mut().zip(golden_scores(&runtime, &manifest.golden)?) {
        golden.score = f64::from(score.clamp(0.0, 1.0));
    }
    manifest.golden = golden;

    let partial = versions.join(format!(".{}.partial", facts.version));
    let written = write(&partial, &bytes, &manifest).and_then(|()| {
        Model::load_alone(&partial)?;
        fs::rename(&partial, &target).map_err(|source| unwritable(&target, source))
    });
    if let Err(error) = written {
        // What is left of it starts with a dot, which no watcher looks at; the error tells more than this one.
        _ = fs::remove_dir_all(&partial);
        return Err(error);
    }
    Ok(target)
}

fn write(dir: &Path, onnx: &[u8], manifest: &Manifest) -> Result<(), ModelError> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(|source| unwritable(dir, source))?;
    }
    fs::create_dir_all(dir).map_err(|source| unwritable(dir, source))?;
    for (name, content) in [(ONNX_FILE, onnx), (MANIFEST_FILE, manifest.to_toml().as_bytes())] {
        let path = dir.join(name);
        fs::write(&path, content).map_err(|source| unwritable(&path, source))?;
    }
    Ok(())
}

fn unwritable(path: &Path, source: std::io::Error) -> ModelError {
    ModelError::Unreadable { path: path.to_owned(), source }
}
