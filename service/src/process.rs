//! The process: its parts wired, started and watched over.
//!
//! When one part dies, or a signal comes, all are told to end; a part that died makes the process exit non-zero with
//! one line that says why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow};
use models::Live;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::cli::CommandError;
use crate::config::Setup;
use crate::crash_test;
use crate::stream::line::Watch;
use crate::worker::{Drained, Worker};

/// Runs the service until a signal comes or a part dies.
///
/// # Errors
/// What died, and why.
pub fn run(setup: Setup, watch: Box<dyn Watch>) -> Result<(), CommandError> {
    let mut watches = crash_test::watches();
    watches.push(watch);
    let runtime = Runtime::new().context("the runtime")?;
    let stop = Arc::new(AtomicBool::new(false));
    let live = Arc::new(Live::new(None));
    let worker = Worker {
        setup,
        live,
        runtime: runtime.handle().clone(),
        watch: Box::new(watches),
        report: Box::new(|_| {}),
        stop: Arc::clone(&stop),
    };
    let (ended, mut end) = oneshot::channel();
    let thread = std::thread::Builder::new().name("line".to_owned()).spawn(move || {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| worker.run()));
        // The receiver is gone only when the process ends anyway.
        let _ = ended.send(done.unwrap_or_else(|_| Err(anyhow!("the line panicked"))));
    });
    let thread = thread.context("the line's thread")?;
    let drained = runtime.block_on(async {
        tokio::select! {
            done = &mut end => done,
            () = told_to_end() => {
                stop.store(true, Ordering::Relaxed);
                end.await
            }
        }
    });
    let drained = drained.context("the line ended without a word")?;
    // It has said its last word; what panicked is said already.
    let _ = thread.join();
    finished(drained)
}

fn finished(drained: anyhow::Result<Drained>) -> Result<(), CommandError> {
    match drained {
        Ok(Drained { unacknowledged: 0 }) => Ok(()),
        Ok(Drained { unacknowledged }) => Err(anyhow!(
            "{unacknowledged} records were not acknowledged in time; nothing is lost: a restart sends them"
        )
        .into()),
        Err(error) => Err(error.into()),
    }
}

/// SIGTERM or Ctrl-C.
async fn told_to_end() {
    let (mut term, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(term), Ok(interrupt)) => (term, interrupt),
        _ => return std::future::pending().await,
    };
    tokio::select! {
        _ = term.recv() => tracing::info!("SIGTERM: draining"),
        _ = interrupt.recv() => tracing::info!("interrupted: draining"),
    }
}
