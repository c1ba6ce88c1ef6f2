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

use crate::access::Callers;
use crate::alerts::{Desk, Work};
use crate::archiver::{Archiver, PoliciesSoFar, Until};
use crate::cli::CommandError;
use crate::clock::{Clock, SystemClock};
use crate::config::{HttpConfig, Setup};
use crate::crash_test;
use crate::http::{self, Entrance, Gate, Hosts, Renewal, Sources, Tls};
use crate::index::DecisionIndex;
use crate::indexer::Indexer;
use crate::lists::ListBook;
use crate::model_folder::{ModelEvent, ModelFolder};
use crate::pipeline::{Deciders, DecidersOfNow};
use crate::policy_file::{PolicyEvent, PolicyFile};
use crate::reconcile::schedule;
use crate::registry::client::{RegistryClient, RegistrySource};
use crate::rest::{Opening, Rest};
use crate::stream::line::Watch;
use crate::telemetry::{Board, Health, Part, Reporter, Standing, Telemetry, log};
use crate::turn::{self, Turn};
use crate::worker::{self, Drained, Phase, Worker};

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
    /// Who may, when it is not the config that says so.
    pub callers: Option<Callers>,
    /// The analysts' queue, for one who waits until it is open.
    pub desk: Option<Arc<Desk>>,
}

impl Default for Extras {
    fn default() -> Self {
        let listening = |address: SocketAddr, _: &Reporter| tracing::info!(%address, "listening");
        let until = Box::pin(std::future::pending());
        Self { watch: Box::new(()), listening: Box::new(listening), until, callers: None, desk: None }
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
    turn::say_whether_callers_go_first();
    let kafka = &setup.config.kafka;
    let reporter = Reporter {
        telemetry: Arc::new(Telemetry::new([kafka.transactions.clone(), kafka.labels.clone()])),
        board: Arc::new(Board::default()),
        health: Arc::new(Health::new(&parts(&setup))),
    };
    let live = Arc::new(Live::new(model));
    let stop = Arc::new(AtomicBool::new(false));
    let (end, ended) = watch::channel(false);
    let listener = runtime.block_on(TcpListener::bind(setup.config.http.listen));
    let listener = listener.with_context(|| format!("http.listen: {}", setup.config.http.listen))?;
    let address = listener.local_addr().context("http.listen")?;
    let entrance = entrance(&setup, extras.callers, address, runtime);
    let (opening, instance) = opening(&setup, &live, &reporter)?;
    let deciders = Arc::clone(&opening.deciders);
    let mut beside = Beside::start(&setup, &opening, runtime, &stop)?;
    let (kafka, lists) = (opening.kafka.clone(), Arc::clone(&opening.lists));
    let rest = Rest::start(&setup, opening, runtime.handle())?;
    let desk = setup.config.queue.enabled.then(|| extras.desk.unwrap_or_default());
    if let Some(desk) = &desk {
        let (config, registry) = (setup.config.queue.clone(), setup.config.registry.clone());
        let (rest, stop) = (Arc::clone(&rest), Arc::clone(&stop));
        let missed = setup.config.reconcile.outlets.missed_alerts.clone();
        let audit_heads = setup.config.kafka.audit_heads.clone();
        let work = Work { config, registry, audit_heads, kafka, missed, lists, rest, stop };
        beside.0.extend(work.start(desk, runtime.handle())?);
    }
    (extras.listening)(address, &reporter);
    let sources = sources(&reporter, &rest, desk.clone());
    let page = runtime.spawn(http::serve(listener, entrance, sources, told(ended)));
    reporter.health.set(Part::Http, Standing::Ready);
    let models = watch_models(folder, Arc::clone(&live), Arc::clone(&stop), reporter.clone())?;
    let (line, mut line_ended) =
        start_line(Shared { setup, rest, deciders, instance }, runtime, extras.watch, &stop, &reporter)?;
    let mut page = page;
    let done = runtime.block_on(async {
        let done = tokio::select! {
            done = &mut line_ended => return done.context("the line ended without a word").and_then(|done| done),
            page = &mut page => Err(anyhow!("the page's listener ended: {page:?}")),
            () = told_to_end() => Ok(()),
            () = extras.until => Ok(()),
        };
        stop.store(true, Ordering::Relaxed);
        let drained = line_ended.await.context("the line ended without a word").and_then(|done| done);
        if let Some(desk) = &desk {
            desk.end();
        }
        // The page answers to the last, and whoever is inside has his answer; nobody listens when its own end is why.
        if end.send(true).is_ok() && !page.is_finished() {
            // It ends by itself, within a bound.
            let _ = (&mut page).await;
        }
        done.and(drained)
    });
    stop.store(true, Ordering::Relaxed);
    // They have said their last words; what panicked is said already.
    let _ = line.join();
    let _ = models.map(JoinHandle::join);
    beside.join();
    finished(done)?;
    Ok(reporter)
}

/// The parts of a process of this config.
fn parts(setup: &Setup) -> Vec<Part> {
    Part::ALL.into_iter().filter(|part| *part != Part::Queue || setup.config.queue.enabled).collect()
}

fn sources(reporter: &Reporter, rest: &Arc<Rest>, desk: Option<Arc<Desk>>) -> Sources {
    Sources {
        telemetry: Arc::clone(&reporter.telemetry),
        board: Arc::clone(&reporter.board),
        health: Arc::clone(&reporter.health),
        clock: Arc::new(SystemClock::default()),
        rest: Some(Arc::clone(rest)),
        desk,
    }
}

/// How one comes in, by the config or by a command's own callers; files that it comes from are watched.
fn entrance(setup: &Setup, callers: Option<Callers>, address: SocketAddr, runtime: &Runtime) -> Entrance {
    let (http, access) = (&setup.config.http, &setup.config.access);
    let clock: Arc<dyn Clock + Sync> = Arc::new(SystemClock::default());
    let wall_ms = clock.now().wall_ms;
    if let Some(reason) = http.tls.as_ref().and_then(|tls| tls.identity.untimely(wall_ms)) {
        tracing::warn!(reason, "clients will not take it");
    }
    let hosts = Hosts::of(address, default_port(http), &http.hosts);
    let is_ours = callers.is_none();
    let gate = Gate::new(callers.unwrap_or_else(|| access.callers.clone()), hosts, Arc::clone(&clock));
    let tls = http.tls.as_ref().map(|tls| Arc::new(Tls::new(&tls.identity)));
    let entrance = Entrance { gate: Arc::new(gate), tls };
    if is_ours {
        Renewal::of(&entrance, clock).start(access, http, runtime.handle());
    }
    entrance
}

/// The port that a browser leaves out of the host's name.
fn default_port(http: &HttpConfig) -> u16 {
    if http.tls.is_some() { 443 } else { 80 }
}

type Ending = oneshot::Receiver<anyhow::Result<Drained>>;

/// What the door is opened with, and who this process is in the consumer group.
fn opening(setup: &Setup, live: &Arc<Live>, reporter: &Reporter) -> anyhow::Result<(Opening, String)> {
    let config = &setup.config;
    let store = &config.store.path;
    std::fs::create_dir_all(store).with_context(|| format!("store.path: {}", store.display()))?;
    let instance = worker::instance(store).context("the store's member name")?;
    let now_ms = SystemClock::default().now().wall_ms;
    let policies = Arc::new(PolicyFile::open(&config.policy, (*setup.terms).clone(), now_ms)?);
    let lists = Arc::new(ListBook::open(&store.join("lists.json"), &setup.terms)?);
    let index = config
        .decisions
        .index
        .then(|| DecisionIndex::open(&config.decisions.path, config.decisions.options(&config.limits)));
    let (model, policy, list) = (Arc::clone(live), Arc::clone(&policies), Arc::clone(&lists));
    let deciders: DecidersOfNow =
        Arc::new(move || Deciders { model: model.get(), policy: policy.current(), lists: list.snapshot() });
    let kafka = worker::options(setup, instance.clone());
    let telemetry = Arc::clone(&reporter.telemetry);
    let (index, indexed) = (index.transpose()?, Arc::default());
    Ok((Opening { kafka, deciders, index, indexed, lists, policies, telemetry }, instance))
}

/// The threads beside the line: the index is filled, the policy file watched.
struct Beside(Vec<JoinHandle<()>>);

impl Beside {
    fn start(
        setup: &Setup,
        opening: &Opening,
        runtime: &Runtime,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let mut threads = Vec::new();
        if let Some(index) = &opening.index {
            let registry = &setup.config.registry;
            let client = RegistryClient::new(&registry.url, registry.timeout.std())?;
            let indexer = Indexer {
                index: index.clone(),
                kafka: opening.kafka.clone(),
                source: RegistrySource::new(client, runtime.handle().clone()),
                clock: Box::new(SystemClock::default()),
                progress: Arc::clone(&opening.indexed),
                stop: Arc::clone(stop),
            };
            let run = move || {
                if let Err(error) = indexer.run() {
                    tracing::error!(%error, "decisions are not indexed any more");
                }
            };
            threads.push(std::thread::Builder::new().name("index".to_owned()).spawn(run)?);
        }
        if setup.config.archive.enabled {
            let seen = Arc::clone(&opening.policies);
            let policies: PoliciesSoFar =
                Arc::new(move || seen.record().seen.into_iter().map(|seen| seen.policy).collect());
            for archiver in Archiver::all(&setup.config, &opening.kafka, runtime.handle(), &policies, stop)? {
                let run = move || {
                    let topic = archiver.topic().to_owned();
                    if let Err(error) = archiver.run(Until::Stopped) {
                        tracing::error!(%error, topic, "the topic is not archived any more");
                    }
                };
                threads.push(Turn::Later.spawn("archive", run)?);
            }
        }
        if let Some(at_ms) = setup.config.reconcile.at_ms {
            let (setup, told, telemetry) = (setup.clone(), Arc::clone(stop), Arc::clone(&opening.telemetry));
            let run = move || {
                let (folder, clock) = (setup.config.reconcile.path.clone(), SystemClock::default());
                schedule::watch(&setup, at_ms, &folder, &clock, &told, |count| telemetry.unexplained(count));
            };
            // Not joined: a run takes minutes, and one that is broken off is done again.
            Turn::Later.spawn("reconcile", run)?;
        }
        let (policies, told) = (Arc::clone(&opening.policies), Arc::clone(stop));
        let every = setup.config.policy_watch.std();
        let watch = move || policies.watch(every, &SystemClock::default(), &told, policy_event);
        threads.push(Turn::Later.spawn("policy", watch)?);
        Ok(Self(threads))
    }

    fn join(self) {
        // They have said their last words; what panicked is said already.
        self.0.into_iter().for_each(|thread| _ = thread.join());
    }
}

fn policy_event(event: PolicyEvent) {
    match event {
        PolicyEvent::Swapped { from, to } => tracing::info!(%from, %to, "another policy is live"),
        PolicyEvent::Refused { problems } => {
            tracing::error!(%problems, "the policy file was refused; the one before goes on");
        }
    }
}

/// What the line shares with the door.
struct Shared {
    setup: Setup,
    rest: Arc<Rest>,
    deciders: DecidersOfNow,
    instance: String,
}

fn start_line(
    shared: Shared,
    runtime: &Runtime,
    watch: Box<dyn Watch>,
    stop: &Arc<AtomicBool>,
    reporter: &Reporter,
) -> anyhow::Result<(JoinHandle<()>, Ending)> {
    let mut watches = crash_test::watches();
    watches.push(Box::new(reporter.clone()));
    watches.push(watch);
    let told = reporter.clone();
    let Shared { setup, rest, deciders, instance } = shared;
    let worker = Worker {
        setup,
        rest,
        deciders,
        instance,
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
