//! Models from outside: real ones score as published, bad ones are refused by name.
//!
//! One crate, so that it is linked once. The handbook's files stay where they are (`TRIPLINE_HANDBOOK`, or
//! `../shared/data/handbook` beside the repository), and so do the exports (`TRIPLINE_EXPORTS`, or
//! `../shared/data/onnx-exports`); model directories are made in a temporary folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop and say why"
)]

#[path = "models/bad_files.rs"]
mod bad_files;
#[path = "models/bad_graphs.rs"]
mod bad_graphs;
#[path = "models/bad_trees.rs"]
mod bad_trees;
#[path = "models/batches.rs"]
mod batches;
#[path = "models/exports.rs"]
mod exports;
#[path = "models/folder.rs"]
mod folder;
#[path = "models/forests.rs"]
mod forests;
#[path = "models/graphs.rs"]
mod graphs;
#[path = "models/handbook.rs"]
mod handbook;
#[path = "models/imputer.rs"]
mod imputer;
#[path = "models/live.rs"]
mod live;
#[path = "models/manifest.rs"]
mod manifest;
#[path = "models/scores.rs"]
mod scores;
#[path = "models/speed.rs"]
mod speed;
#[path = "models/trees.rs"]
mod trees;
#[path = "models/wanted.rs"]
mod wanted;
