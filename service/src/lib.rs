//! Tripline, the service: the shell around the feature store and the models, and the only crate that does I/O.

pub mod accepted;
pub mod bench;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod crash_test;
pub mod demo;
pub mod emit;
pub mod http;
pub mod judge;
pub mod made;
pub mod model_folder;
pub mod pipeline;
pub mod policy;
pub mod process;
pub mod registry;
pub mod replay;
pub mod simulate;
pub mod stream;
pub mod telemetry;
pub mod worker;
