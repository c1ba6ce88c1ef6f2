//! The batch path: what the live answers are proved with.

pub mod archive;
pub mod drift;
pub mod kernel;
pub mod numbers;
pub mod report;
pub mod sql;
