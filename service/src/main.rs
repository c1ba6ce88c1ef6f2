//! The binary `tripline`: an inventory, no more. What may be typed is in `cli`.

use std::process::ExitCode;

/// A sixth to a quarter more payments for a processor than with the system's (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tripline::cli::run()
}
