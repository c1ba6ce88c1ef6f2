//! The batch path: what the live answers are proved with.

pub mod kernel;
pub mod numbers;
pub mod report;
