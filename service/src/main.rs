//! The binary `tripline`: an inventory, no more. What may be typed is in `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tripline::cli::run()
}
