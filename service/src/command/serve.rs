//! `tripline serve`: the service.

use anyhow::Context;

use crate::cli::{CommandError, ConfigArgs};
use crate::process::{self, Extras};
use crate::turn;

/// Runs the service until it is told to end.
///
/// # Errors
/// When the config is wrong, or a part of the service died.
pub fn run(args: &ConfigArgs) -> Result<(), CommandError> {
    let setup = args.load()?;
    let runtime = turn::runtime().context("the runtime")?;
    process::run(setup, &runtime, Extras::default())?;
    Ok(())
}
