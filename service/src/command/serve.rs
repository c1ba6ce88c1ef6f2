//! `tripline serve`: the service.

use crate::cli::{CommandError, ConfigArgs};
use crate::process;

/// Runs the service until it is told to end.
///
/// # Errors
/// When the config is wrong, or a part of the service died.
pub fn run(args: &ConfigArgs) -> Result<(), CommandError> {
    let setup = args.load()?;
    process::run(setup, Box::new(()))
}
