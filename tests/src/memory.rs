//! A world in memory: topics that fail on purpose, a line that crashes anywhere, and what must come of it.

mod inputs;
mod run;

pub use inputs::{Applied, Inputs, LATENESS_MS, Meant, REMEMBER_MS, SKEW_MS, Terms, expected};
pub use run::{CONFIG, FEATURES, Outcome, POLICY, run};
