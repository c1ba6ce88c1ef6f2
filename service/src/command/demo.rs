//! `tripline demo`.

use std::net::SocketAddr;

use schemas::time::DurationMs;

use crate::cli::CommandError;

/// To come.
///
/// # Errors
/// None.
pub fn run(_: SocketAddr, _: Option<DurationMs>, _: f64) -> Result<(), CommandError> {
    Ok(())
}
