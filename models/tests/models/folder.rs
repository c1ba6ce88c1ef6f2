//! A model directory written by hand, right or wrong, in a temporary folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use models::{Facts, Golden, Kind, MANIFEST_FILE, Manifest, Missing, Model, ONNX_FILE, Output, Version};
use prost::Message;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tract_onnx::pb::ModelProto;

/// Longest time that a refusal may take; a pipe or a cycle would take for ever.
const DEADLINE: Duration = Duration::from_secs(20);

/// One model directory.
pub struct Folder {
    dir: TempDir,
    pub manifest: Manifest,
    pub onnx: Vec<u8>,
}

impl Folder {
    /// A directory for a graph with inputs `a`, `b`, ... and one probability a row as its only output.
    pub fn of(graph: &ModelProto, inputs: usize) -> Folder {
        let features = ["a", "b", "c", "d"].iter().take(inputs).map(|name| (*name).into()).collect();
        let facts = Facts {
            name: "test".into(),
            version: Version::parse("1").unwrap(),
            kind: Kind::Neural,
            features,
            output: Output { index: 0, column: None },
            missing: Missing::Refuse,
            golden_tolerance: 1e-6,
        };
        let golden = vec![Golden { inputs: vec![0.0; inputs], score: 0.5 }];
        Folder::new(facts, golden, graph.encode_to_vec())
    }

    pub fn new(facts: Facts, golden: Vec<Golden>, onnx: Vec<u8>) -> Folder {
        let manifest = Manifest { facts, sha256: String::new(), golden };
        Folder { dir: tempfile::tempdir().unwrap(), manifest, onnx }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes both files, with the sha256 of the graph as it is.
    pub fn write(&mut self) -> &Path {
        self.manifest.sha256 = hex::encode(Sha256::digest(&self.onnx));
        std::fs::write(self.file(ONNX_FILE), &self.onnx).unwrap();
        std::fs::write(self.file(MANIFEST_FILE), self.manifest.to_toml()).unwrap();
        self.dir.path()
    }

    pub fn load(&mut self) -> Model {
        self.write();
        Model::load_alone(self.path()).unwrap()
    }

    /// Writes both files and says why they are refused.
    pub fn refusal(&mut self) -> String {
        self.write();
        refusal(self.path())
    }
}

/// Why a directory is refused; within the deadline.
pub fn refusal(dir: &Path) -> String {
    match load_in_time(dir) {
        Ok(model) => panic!("{} was loaded, not refused", model.id()),
        Err(reason) => reason,
    }
}

pub fn load_in_time(dir: &Path) -> Result<Model, String> {
    let (tell, told) = std::sync::mpsc::channel();
    let dir = dir.to_owned();
    std::thread::spawn(move || _ = tell.send(Model::load_alone(&dir).map_err(|error| error.to_string())));
    told.recv_timeout(DEADLINE).expect("the loader neither loads nor refuses")
}
