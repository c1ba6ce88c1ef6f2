//! The analysts' queue in the service: filled from the topics, worked over HTTP, emptied into topics.
//!
//! ```text
//!   alerts, labels ─► filler ─► Queue (database) ◄── HTTP: pages, /v1/alerts ◄── analysts
//!                                     └─► sender ─► labels topic, block list
//! ```
//! The database may be away: alerts wait in their topic, and whoever asks is told so. It stops neither the line nor the
//! callers' door. Not here: what an alert is and becomes, that is the crate `queue`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use queue::{Change, Queue, Session, Token};
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};

use crate::clock::{Clock, SystemClock};
use crate::config::{QueueConfig, RegistryConfig};
use crate::http::answer::Problem;
use crate::lists::ListBook;
use crate::rest::Rest;
use crate::stream::kafka::KafkaOptions;

mod act;
pub mod chargeback;
mod export;
mod fault;
mod filler;
mod link;
mod live;
mod page;
pub mod route;
mod sender;
pub mod sign_in;
mod told;

/// What is not there is asked for again after this time.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How often it is looked what changed, while somebody listens.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A transaction has its time before it is durable: so long before, at most, on a bad day.
const SLOWEST_MS: i64 = 10_000;

/// Changes that a listener may be behind.
const CHANGES: usize = 1_024;

/// The queue as requests see it.
pub struct Desk {
    queue: ArcSwapOption<Queue>,
    changes: broadcast::Sender<Change>,
    standing: watch::Sender<Option<String>>,
}

impl Default for Desk {
    fn default() -> Self {
        let standing = watch::Sender::new(Some("it is being opened".to_owned()));
        Self { queue: ArcSwapOption::empty(), changes: broadcast::Sender::new(CHANGES), standing }
    }
}

impl Desk {
    /// The queue, once its database is open.
    ///
    /// # Errors
    /// 503.
    pub fn queue(&self) -> Result<Arc<Queue>, Problem> {
        self.queue.load_full().ok_or_else(|| {
            let why = self.standing.borrow().clone();
            fault::unavailable(why.as_deref().unwrap_or("it is being opened"))
        })
    }

    /// Who holds this token.
    ///
    /// # Errors
    /// 503 when the database does not say.
    pub async fn session(&self, token: &Token, now_ms: i64) -> Result<Option<Session>, Problem> {
        let queue = self.queue()?;
        fault::within(queue.session(token, now_ms)).await
    }

    /// Hears of alerts that change.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// What is wrong with the database, if something is.
    pub fn standing(&self) -> watch::Receiver<Option<String>> {
        self.standing.subscribe()
    }

    /// Says how the database stands; a change is logged once.
    fn stands(&self, why: Option<String>) {
        let is_new = self.standing.send_if_modified(|standing| {
            let is_new = *standing != why;
            standing.clone_from(&why);
            is_new
        });
        match why {
            Some(why) if is_new => tracing::warn!(why, "the queue's database: alerts wait in their topic"),
            None if is_new => tracing::info!("the queue's database answers"),
            _ => {}
        }
    }
}

/// What the queue's work is done with.
pub struct Work {
    /// `[queue]`.
    pub config: QueueConfig,
    /// `[registry]`.
    pub registry: RegistryConfig,
    /// For its consumers.
    pub kafka: KafkaOptions,
    /// The block list.
    pub lists: Arc<ListBook>,
    /// Sends labels.
    pub rest: Arc<Rest>,
    /// Set when it is to end.
    pub stop: Arc<AtomicBool>,
}

impl Work {
    /// Starts it all; a database that is away is waited for.
    ///
    /// # Errors
    /// When a client or a thread cannot be made.
    pub fn start(self, desk: &Arc<Desk>, runtime: &Handle) -> anyhow::Result<Vec<JoinHandle<()>>> {
        let Self { config, registry, kafka, lists, rest, stop } = self;
        runtime.spawn(open(config, Arc::clone(desk)));
        runtime.spawn(look(Arc::clone(desk)));
        runtime.spawn(sender::run(Arc::clone(desk), rest, lists));
        let mut threads = Vec::new();
        for kind in [filler::Kind::Alerts, filler::Kind::Labels] {
            let filler = filler::Filler::new(
                kind,
                &kafka,
                &registry,
                Arc::clone(desk),
                runtime.clone(),
                Arc::clone(&stop),
            )?;
            threads.push(
                std::thread::Builder::new().name(kind.thread().to_owned()).spawn(move || filler.run())?,
            );
        }
        Ok(threads)
    }
}

/// Opens the database, as often as it takes.
async fn open(config: QueueConfig, desk: Arc<Desk>) {
    loop {
        match Queue::open(&config.url, config.rules.clone()).await {
            Ok(queue) => {
                desk.queue.store(Some(Arc::new(queue)));
                return desk.stands(None);
            }
            Err(error) => desk.stands(Some(error.to_string())),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Wakes what has slept, looks whether the database answers, and tells listeners what changed.
async fn look(desk: Arc<Desk>) {
    let clock = SystemClock::default();
    let mut told: std::collections::HashMap<String, i64> = std::collections::HashMap::new();
    let mut since_ms = clock.now().wall_ms;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(queue) = desk.queue.load_full() else { continue };
        let now_ms = clock.now().wall_ms;
        if let Err(error) = queue.wake(now_ms).await {
            desk.stands(Some(error.to_string()));
            continue;
        }
        desk.stands(None);
        if desk.changes.receiver_count() == 0 {
            since_ms = now_ms;
            told.clear();
            continue;
        }
        // Some is looked at again, so that a transaction that took its time is not passed over; it is told once.
        let Ok(changes) = queue.changes(since_ms - SLOWEST_MS).await else { continue };
        for change in changes {
            since_ms = since_ms.max(change.changed_ms);
            if told.insert(change.alert_id.clone(), change.version) != Some(change.version) {
                // An error: the last listener has left meanwhile.
                let _ = desk.changes.send(change);
            }
        }
        if told.len() > 10_000 {
            told.clear();
        }
    }
}

/// Sleeps in steps, so that an end is not waited for.
fn pause(stop: &AtomicBool, time: Duration) {
    let mut left = time;
    while !stop.load(Ordering::Relaxed) && !left.is_zero() {
        let step = left.min(Duration::from_millis(50));
        std::thread::sleep(step);
        left -= step;
    }
}
