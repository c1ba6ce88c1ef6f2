//! A world in memory: topics that fail on purpose, a line that crashes anywhere, and what must come of it.

mod inputs;
mod run;

pub use inputs::{Inputs, Meant};
pub use run::{Outcome, run};
