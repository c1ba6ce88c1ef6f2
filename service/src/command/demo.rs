//! `tripline demo`: all of it in one process, on simulated payments.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use queue::NewAccount;
use schemas::contract::Contract;
use schemas::time::{DAY_MS, DurationMs};
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};

use crate::access::{Callers, Key};
use crate::alerts::Desk;
use crate::cli::CommandError;
use crate::clock::{Clock, SystemClock};
use crate::config::{KafkaConfig, Setup, environment, load};
use crate::demo::{Broker, Feeder, Terminal, World, registry, unpack};
use crate::process::{self, Extras};
use crate::telemetry::{Reporter, Telemetry};
use crate::turn;

/// The simulated world begins so long ago, so that its days, which are faster than ours, stay in the past.
const BEGAN_DAYS_AGO: i64 = 365;

/// Runs the demo until Ctrl-C, or for a time.
///
/// # Errors
/// When the page's address is taken, or a part died.
pub fn run(listen: SocketAddr, lasts: Option<DurationMs>, rate: f64) -> Result<(), CommandError> {
    let folder =
        tempfile::Builder::new().prefix("tripline-demo-").tempdir().context("a folder for the demo")?;
    let config = unpack(folder.path()).context("a folder for the demo")?;
    let runtime = turn::runtime().context("the runtime")?;
    let topics = ["transactions", "labels", "decisions", "alerts", "dead-letters", "audit-heads"];
    let broker = Broker::start(topics.map(str::to_owned).to_vec())?;
    let registry = start_registry(&runtime)?;
    let sets = [
        format!("kafka.bootstrap=\"{}\"", broker.bootstrap),
        format!("registry.url=\"http://{registry}\""),
        format!("http.listen=\"{listen}\""),
        "models.path=\"models\"".to_owned(),
        // The mock broker's empty fetch sleeps its time out; below 2.5 s of session time-out nobody can join its group.
        "kafka.properties={\"fetch.wait.max.ms\"=\"10\"}".to_owned(),
        "kafka.session_timeout=\"3s\"".to_owned(),
    ];
    // The terminal is for decisions; whoever wants the log says so: TRIPLINE__LOG__LEVEL=info.
    let quiet = ("TRIPLINE__LOG__LEVEL".to_owned(), "warn".to_owned());
    let mut environment = environment();
    if environment.iter().all(|(name, _)| *name != quiet.0) {
        environment.push(quiet);
    }
    let setup = load(&config, &sets, environment)?;
    let stop = Arc::new(AtomicBool::new(false));
    let live = Arc::new(AtomicBool::new(false));
    let key = super::key::random()?;
    let callers = Callers::demo(&key);
    let desk = Arc::new(Desk::default());
    let people = People { desk: Arc::clone(&desk), runtime: runtime.handle().clone() };
    let feeding = Feeding::new(&broker, &setup, rate, lasts, &stop, &live)?;
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let extras = Extras {
        watch: Box::new(Terminal::new(live)),
        listening: Box::new(move |address, reporter| {
            feeding.start(address, key, people, Arc::clone(&reporter.telemetry), end)
        }),
        callers: Some(callers),
        desk: Some(Arc::clone(&desk)),
        until: Box::pin(async {
            // An error: the feeder died, and says why itself.
            let _ = ended.await;
        }),
    };
    let began = Instant::now();
    let done = process::run(setup, &runtime, extras);
    stop.store(true, Ordering::Relaxed);
    let reporter = done?;
    summary(&reporter, began.elapsed()).context("standard output")?;
    Ok(())
}

fn start_registry(runtime: &Runtime) -> anyhow::Result<SocketAddr> {
    let kafka = ["transactions", "labels", "decisions", "alerts", "dead-letters"];
    let topics = kafka.into_iter().zip(Contract::ALL).chain([("audit-heads", Contract::AuditHead)]);
    let subjects = topics.map(|(topic, contract)| (format!("{topic}-value"), contract));
    let router = registry::router(Arc::new(subjects.collect()));
    let listener =
        runtime.block_on(TcpListener::bind("127.0.0.1:0")).context("the demo's schema registry")?;
    let address = listener.local_addr().context("the demo's schema registry")?;
    runtime.spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the demo's schema registry ended");
        }
    });
    Ok(address)
}

/// Those who work the demo's queue.
struct People {
    desk: Arc<Desk>,
    runtime: Handle,
}

impl People {
    /// Makes an account for each role that has something to do, once the queue is open; names and passwords.
    fn make(&self, stop: &AtomicBool) -> anyhow::Result<Vec<(String, String)>> {
        let queue = loop {
            match self.desk.queue() {
                Ok(queue) => break queue,
                Err(_) if stop.load(Ordering::Relaxed) => return Ok(Vec::new()),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let mut accounts = Vec::new();
        for name in ["analyst", "lead"] {
            let password = super::user::password()?;
            let roles = [name.to_owned()];
            let new = NewAccount { name, password: &password, roles: &roles };
            let now_ms = SystemClock::default().now().wall_ms;
            self.runtime
                .block_on(queue.add_account("demo", new, now_ms))
                .context("an account of the demo")?;
            accounts.push((name.to_owned(), password));
        }
        Ok(accounts)
    }
}

/// What sends payments, beside the service.
struct Feeding {
    feeder: Feeder,
    rate: f64,
    lasts: Option<DurationMs>,
    stop: Arc<AtomicBool>,
    live: Arc<AtomicBool>,
}

impl Feeding {
    fn new(
        broker: &Broker,
        setup: &Setup,
        rate: f64,
        lasts: Option<DurationMs>,
        stop: &Arc<AtomicBool>,
        live: &Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let KafkaConfig { transactions, labels, .. } = &setup.config.kafka;
        let start = SystemClock::default().now().wall_ms - BEGAN_DAYS_AGO * DAY_MS;
        let world = World { start, ..World::default() };
        let feeder = Feeder::new(&broker.bootstrap, [transactions, labels], world)?;
        Ok(Self { feeder, rate, lasts, stop: Arc::clone(stop), live: Arc::clone(live) })
    }

    /// Sends in a thread of its own; `end` is told when the demo's time is over.
    fn start(
        self,
        page: SocketAddr,
        key: Key,
        people: People,
        telemetry: Arc<Telemetry>,
        end: tokio::sync::oneshot::Sender<()>,
    ) {
        let Self { mut feeder, rate, lasts, stop, live } = self;
        let send = move || {
            let done = history(&mut feeder, &telemetry, &stop).and_then(|()| {
                if !stop.load(Ordering::Relaxed) {
                    let accounts = people.make(&stop)?;
                    welcome(page, &key, &accounts, rate, feeder.sent()).context("standard output")?;
                }
                live.store(true, Ordering::Relaxed);
                let until = lasts.map(|lasts| Instant::now() + lasts.std());
                let over = Arc::clone(&stop);
                if let Some(until) = until {
                    std::thread::spawn(move || {
                        std::thread::sleep(until.saturating_duration_since(Instant::now()));
                        over.store(true, Ordering::Relaxed);
                    });
                }
                Ok(feeder.live(rate, &stop)?)
            });
            if let Err(error) = done {
                tracing::error!(error = format!("{error:#}"), "no more payments are sent");
            }
            // The process has ended before when nobody hears it.
            let _ = end.send(());
        };
        if let Err(error) = std::thread::Builder::new().name("feeder".to_owned()).spawn(send) {
            tracing::error!(%error, "no payments are sent");
        }
    }
}

fn history(feeder: &mut Feeder, telemetry: &Telemetry, stop: &AtomicBool) -> anyhow::Result<()> {
    let bar = ProgressBar::new_spinner();
    let style =
        ProgressStyle::with_template("{spinner} a month of history first: {pos} payments decided, {per_sec}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    feeder.history(telemetry, stop, |decided| bar.set_position(decided))?;
    bar.finish_and_clear();
    Ok(())
}

fn welcome(
    page: SocketAddr,
    key: &Key,
    accounts: &[(String, String)],
    rate: f64,
    history: u64,
) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Tripline is deciding simulated payments, {rate} a second, after {history} of history.")?;
    writeln!(out)?;
    writeln!(out, "  the queue   http://{page}/queue")?;
    for (name, password) in accounts {
        writeln!(out, "              sign in as {name:<8} password {password}")?;
    }
    writeln!(out, "  the board   http://{page}/")?;
    writeln!(out, "  numbers     curl http://{page}/metrics")?;
    writeln!(out, "  health      curl http://{page}/readyz")?;
    writeln!(out, "  your key    {} (for this run; it may everything)", key.reveal())?;
    writeln!(out, "  faster      tripline demo --rate 2000")?;
    writeln!(out)?;
    writeln!(out, "Below: each payment that raises an alert. Ctrl-C ends the demo.")?;
    writeln!(out)
}

fn summary(reporter: &Reporter, took: Duration) -> std::io::Result<()> {
    let totals = reporter.telemetry.totals();
    let mut out = std::io::stdout().lock();
    writeln!(out)?;
    writeln!(
        out,
        "{} payments decided in {:.0} s, {} alerts, {} labels learned, {} dead letters.",
        totals.decided,
        took.as_secs_f64(),
        totals.alerts,
        totals.labels,
        totals.dead_letters
    )?;
    for (verdict, count) in reporter.telemetry.verdicts() {
        writeln!(out, "  {:<10} {count}", verdict.as_str())?;
    }
    let latencies = reporter.telemetry.latencies();
    let ms = |q: f64| latencies.quantile_us(q).unwrap_or(0.0) / 1_000.0;
    writeln!(out, "Decided within {:.1} ms (median), {:.1} ms (99 %) of arrival.", ms(0.5), ms(0.99))?;
    writeln!(out, "What next: README.md, and deploy/examples/ for a config of your own.")
}
