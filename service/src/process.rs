//! The process: its parts wired, started and watched over.
//!
//! When one part dies, or a signal comes, all are told to end; a part that died makes the process exit non-zero with
//! one line that says why.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use models::Live;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::cli::CommandError;
use crate::clock::SystemClock;
use crate::config::Setup;
use crate::crash_test;
use crate::http::{self, Sources};
use crate::model_folder::{ModelEvent, ModelFolder};
use crate::stream::line::Watch;
use crate::telemetry::{Board, Health, Part, Reporter, Standing, Telemetry, log};
use crate::worker::{Drained, Phase, Worker};

/// Told once where the page is, with what the telemetry will know.
pub type Listening = Box<dyn FnOnce(SocketAddr, &Reporter) + Send>;

/// What a command adds to the service.
pub struct Extras {
    /// Hears of decisions beside the telemetry.
    pub watch: Box<dyn Watch>,
    /// Told once where the page is.
    pub listening: Listening,
    /// Ends the process like a signal.
    pub until: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Default for Extras {
    fn default() -> Self {
        let listening = |address: SocketAddr, _: &Reporter| tracing::info!(%address, "listening");
        Self { watch: Box::new(()), listening: Box::new(listening), until: Box::pin(std::future::pending()) }
    }
}

/// Runs the service until a signal comes or a part dies. Gives the reporter, for a last word.
///
/// # Errors
/// What was wrong before anything bound, or what died, and why.
pub fn run(setup: Setup, runtime: &Runtime, extras: Extras) -> Result<Reporter, CommandError> {
    let mut folder = ModelFolder::of(&setup);
    let model = folder.as_mut().map(ModelFolder::open).transpose()?;
    let logging = setup.config.log;
    // A second start is the demo's or a test's: the first log goes on.
    let _ = log::start(logging.format, &logging.level.to_string().to_lowercase());
    let kafka = &setup.config.kafka;
    let reporter = Reporter {
        telemetry: Arc::new(Telemetry::new([kafka.transactions.clone(), kafka.labels.clone()])),
        board: Arc::new(Board::default()),
        health: Arc::new(Health::new(&Part::ALL)),
    };
    let live = Arc::new(Live::new(model));
    let stop = Arc::new(AtomicBool::new(false));
    let (end, ended) = watch::channel(false);
    let listener = runtime.block_on(TcpListener::bind(setup.config.http.listen));
    let listener = listener.with_context(|| format!("http.listen: {}", setup.config.http.listen))?;
    (extras.listening)(listener.local_addr().context("http.listen")?, &reporter);
    let page = runtime.spawn(http::serve(listener, sources(&reporter), told(ended)));
    reporter.health.set(Part::Http, Standing::Ready);
    let models = watch_models(folder, Arc::clone(&live), Arc::clone(&stop), reporter.clone())?;
    let (line, mut line_ended) = start_line(setup, live, runtime, extras.watch, &stop, &reporter)?;
    let done = runtime.block_on(async {
        let mut page = page;
        let done = tokio::select! {
            done = &mut line_ended => return done.context("the line ended without a word").and_then(|done| done),
            page = &mut page => Err(anyhow!("the page's listener ended: {page:?}")),
            () = told_to_end() => Ok(()),
            () = extras.until => Ok(()),
        };
        stop.store(true, Ordering::Relaxed);
        let drained = line_ended.await.context("the line ended without a word").and_then(|done| done);
        // The page answers to the last; nobody listens when its own end is why.
        let _ = end.send(true);
        done.and(drained)
    });
    stop.store(true, Ordering::Relaxed);
    // They have said their last words; what panicked is said already.
    let _ = line.join();
    let _ = models.map(JoinHandle::join);
    finished(done)?;
    Ok(reporter)
}

fn sources(reporter: &Reporter) -> Sources {
    Sources {
        telemetry: Arc::clone(&reporter.telemetry),
        board: Arc::clone(&reporter.board),
        health: Arc::clone(&reporter.health),
        clock: Arc::new(SystemClock::default()),
    }
}

type Ending = oneshot::Receiver<anyhow::Result<Drained>>;

fn start_line(
    setup: Setup,
    live: Arc<Live>,
    runtime: &Runtime,
    watch: Box<dyn Watch>,
    stop: &Arc<AtomicBool>,
    reporter: &Reporter,
) -> anyhow::Result<(JoinHandle<()>, Ending)> {
    let mut watches = crash_test::watches();
    watches.push(Box::new(reporter.clone()));
    watches.push(watch);
    let told = reporter.clone();
    let worker = Worker {
        setup,
        live,
        runtime: runtime.handle().clone(),
        watch: Box::new(watches),
        report: Box::new(move |phase| match phase {
            Phase::Waiting(why) => told.waiting(why),
            Phase::Running(state) => told.line(state),
        }),
        stop: Arc::clone(stop),
        waits_for: None,
    };
    let (tell, ended) = oneshot::channel();
    let health = Arc::clone(&reporter.health);
    let thread = std::thread::Builder::new().name("line".to_owned()).spawn(move || {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| worker.run()));
        let done = done.unwrap_or_else(|_| Err(anyhow!("the line panicked")));
        if let Err(error) = &done {
            health.set(Part::Stream, Standing::Dead(format!("{error:#}")));
        }
        // The receiver is gone only when the process ends anyway.
        let _ = tell.send(done);
    });
    Ok((thread.context("the line's thread")?, ended))
}

fn watch_models(
    folder: Option<ModelFolder>,
    live: Arc<Live>,
    stop: Arc<AtomicBool>,
    reporter: Reporter,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    reporter.health.set(Part::Models, Standing::Ready);
    let Some(folder) = folder else { return Ok(None) };
    let tell = move |event| match event {
        ModelEvent::Swapped { from, to } => {
            reporter.telemetry.model_swapped();
            tracing::info!(from = from.as_deref().unwrap_or("none"), to, "another model is live");
        }
        ModelEvent::Refused { version, reason } => {
            reporter.telemetry.model_refused();
            tracing::error!(version, reason, "a model was refused; the one before serves on");
        }
    };
    let thread =
        std::thread::Builder::new().name("models".to_owned()).spawn(move || folder.watch(&live, &stop, tell));
    Ok(Some(thread.context("the thread that watches models")?))
}

fn finished(drained: anyhow::Result<Drained>) -> Result<(), CommandError> {
    match drained?.unacknowledged {
        0 => Ok(()),
        left => Err(anyhow!(
            "{left} records were not acknowledged in time; nothing is lost: a restart sends them"
        )
        .into()),
    }
}

async fn told(mut ended: watch::Receiver<bool>) {
    // An error: who tells is gone, and with it the process.
    let _ = ended.wait_for(|ended| *ended).await;
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
