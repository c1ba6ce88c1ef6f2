//! Files that are not what they should be: each refused with its reason, none hangs or panics.

use std::fs::{self, File};
use std::process::Command;

use models::{Facts, Golden, MANIFEST_FILE, Model, ModelError, ONNX_FILE, pack};

use crate::folder::{Folder, load_in_time, refusal};
use crate::graphs;
use crate::handbook::{Which, feature_names, golden_inputs};

#[test]
fn a_file_of_other_bytes_is_refused() {
    let mut folder = Folder::of(&graphs::linear(&[1.0, 2.0]), 2);
    folder.load();
    let last = folder.onnx.len() - 1;
    folder.onnx[last] ^= 1;
    fs::write(folder.file(ONNX_FILE), &folder.onnx).unwrap();
    let error = Model::load_alone(folder.path()).unwrap_err();
    assert!(
        matches!(&error, ModelError::Checksum { expected, .. } if *expected == folder.manifest.sha256),
        "{error}"
    );
}

#[test]
fn a_file_cut_off_anywhere_is_refused_or_whole() {
    let (facts, golden, whole) = handbook(Which::Logistic);
    let mut folder = Folder::new(facts, golden, whole.clone());
    folder.load();
    let mut loaded = Vec::new();
    for length in 0..whole.len() {
        folder.onnx = whole[..length].to_vec();
        folder.write();
        if load_in_time(folder.path()).is_ok() {
            loaded.push(length);
        }
    }
    // Behind the graph stand only the versions of the operator sets: cut off there, the graph is whole.
    assert!(loaded.len() <= 3 && loaded.iter().all(|length| whole.len() - length < 40), "{loaded:?}");
    folder.onnx = Vec::new();
    assert!(folder.refusal().contains("no graph"));
}

#[test]
fn trees_cut_off_at_many_places_are_refused() {
    let (facts, golden, whole) = handbook(Which::Xgboost);
    let mut folder = Folder::new(facts, golden, whole.clone());
    folder.load();
    for length in (1..whole.len() - 40).step_by(whole.len() / 60) {
        folder.onnx = whole[..length].to_vec();
        folder.refusal();
    }
}

#[test]
fn what_is_no_file_is_refused_without_waiting() {
    for name in [ONNX_FILE, MANIFEST_FILE] {
        let mut folder = Folder::of(&graphs::linear(&[1.0]), 1);
        folder.write();
        fs::remove_file(folder.file(name)).unwrap();
        assert!(refusal(folder.path()).contains(name), "missing");
        fs::create_dir(folder.file(name)).unwrap();
        assert!(refusal(folder.path()).ends_with("not a regular file"), "a directory");
        fs::remove_dir(folder.file(name)).unwrap();
        assert!(Command::new("mkfifo").arg(folder.file(name)).status().unwrap().success());
        assert!(refusal(folder.path()).ends_with("not a regular file"), "a pipe");
    }
}

#[test]
fn a_huge_file_is_refused_unread() {
    let mut folder = Folder::of(&graphs::linear(&[1.0]), 1);
    for name in [ONNX_FILE, MANIFEST_FILE] {
        folder.write();
        File::options().write(true).open(folder.file(name)).unwrap().set_len(1 << 40).unwrap();
        let error = Model::load_alone(folder.path()).unwrap_err();
        assert!(matches!(error, ModelError::TooLarge { .. }), "{error}");
    }
}

#[test]
fn a_version_is_packed_once_and_whole() {
    let out = tempfile::tempdir().unwrap();
    let facts = Which::Logistic.facts();
    let dir = pack(&Which::Logistic.onnx(), &facts, &golden_inputs(), out.path()).unwrap();
    assert_eq!(dir, out.path().join("handbook-lr/1"));
    let again = pack(&Which::Logistic.onnx(), &facts, &golden_inputs(), out.path());
    assert!(matches!(again, Err(ModelError::Exists(_))));
    let wrong = Facts { version: models::Version::parse("2").unwrap(), features: vec!["a".into()], ..facts };
    pack(&Which::Logistic.onnx(), &wrong, &[vec![1.0]], out.path()).unwrap_err();
    let left: Vec<_> = fs::read_dir(out.path().join("handbook-lr"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["1"], "a failed pack leaves nothing");
    let scores: Vec<f64> = Model::load(&dir, &feature_names())
        .unwrap()
        .manifest()
        .golden
        .iter()
        .map(|golden| golden.score)
        .collect();
    assert!(scores[0] < 0.1 && scores[1] > 0.5, "the quiet payment and the dear one: {scores:?}");
}

/// The facts, golden vectors and bytes of a handbook model.
fn handbook(which: Which) -> (Facts, Vec<Golden>, Vec<u8>) {
    let out = tempfile::tempdir().unwrap();
    let manifest = which.load(out.path()).manifest().clone();
    (manifest.facts, manifest.golden, fs::read(which.onnx()).unwrap())
}
