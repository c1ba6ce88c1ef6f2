//! The analysts' queue in the service: filled from the topics, worked over HTTP, emptied into topics.
//!
//! ```text
//!   alerts, labels ─► filler ─► Queue (database) ◄── HTTP: pages, /v1/alerts ◄── analysts
//!                                     ├─► sender ─► labels topic, block list
//!                                     └─► anchorer ─► topic of the audit log's ends
//! ```
//! The database may be away: alerts wait in their topic, and whoever asks is told so. It stops neither the line nor the
//! callers' door. Not here: what an alert is and becomes, that is the crate `queue`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use queue::alert::Alert;
use queue::{CHANGES_AT_ONCE, Change, EffectKind, Queue, QueueError, Session, Token};
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};

use self::anchor::{Anchorer, Heads};
use self::fault::bounded;
use self::standing::Part;
pub use self::standing::{QueueFigures, Standing};
use crate::clock::{Clock, SystemClock};
use crate::config::{QueueConfig, RegistryConfig};
use crate::http::answer::Problem;
use crate::lists::ListBook;
use crate::rest::Rest;
use crate::stream::kafka::KafkaOptions;
use crate::turn::Turn;

mod act;
pub mod anchor;
pub mod chargeback;
pub mod describe;
mod export;
mod fault;
mod filler;
mod link;
mod live;
mod page;
mod places;
pub mod route;
mod sender;
pub mod sign_in;
mod standing;
mod told;

/// What is not there is asked for again after this time.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How often it is looked what changed, while somebody listens.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A transaction has its time before it is durable: so long before, at most, on a bad day.
const SLOWEST_MS: i64 = 10_000;

/// Changes that a listener may be behind.
const CHANGES: usize = 1_024;

/// How often a write is tried where all is well, and where it is not.
const PROBE_EVERY: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(1)];

/// How often the numbers are counted.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// How often it is looked whether another process, by other rules, ranked something.
const RANK_EVERY: Duration = Duration::from_secs(60);

/// What those hear who listen.
#[derive(Debug, Clone)]
pub enum Heard {
    /// An alert changed.
    Change(Change),
    /// A claim was renewed: no change of the alert, and of no version.
    Lease {
        /// Of which alert.
        alert_id: String,
        /// Whose.
        holder: String,
        /// Until when, milliseconds since 1970.
        until_ms: i64,
    },
}

/// On whose behalf a request comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// Somebody did something.
    Person,
    /// Their page asks by itself: that is no sign of life of theirs.
    Page,
}

/// The queue as requests see it.
pub struct Desk {
    queue: ArcSwapOption<Queue>,
    changes: broadcast::Sender<Heard>,
    standing: Standing,
    ended: watch::Sender<bool>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            queue: ArcSwapOption::empty(),
            changes: broadcast::Sender::new(CHANGES),
            standing: Standing::default(),
            ended: watch::Sender::new(false),
        }
    }
}

impl Desk {
    /// Who is told what happens is told no more: the process ends, and would wait for them.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

    /// The queue, once its database is open.
    ///
    /// # Errors
    /// 503.
    pub fn queue(&self) -> Result<Arc<Queue>, Problem> {
        self.queue.load_full().ok_or_else(|| {
            let why = self.standing.wrong();
            fault::unavailable(why.as_deref().unwrap_or("it is being opened"))
        })
    }

    /// A desk whose database is open.
    #[cfg(test)]
    pub fn of(queue: Queue) -> Self {
        let desk = Self::default();
        desk.queue.store(Some(Arc::new(queue)));
        desk
    }

    /// Who holds this token; the idle time begins anew where a person asks.
    ///
    /// # Errors
    /// 503 when the database does not say.
    pub async fn session(
        &self,
        token: &Token,
        asker: Asker,
        now_ms: i64,
    ) -> Result<Option<Session>, Problem> {
        let queue = self.queue()?;
        match asker {
            Asker::Person => fault::within(queue.session(token, now_ms)).await,
            Asker::Page => fault::within(queue.session_unrenewed(token, now_ms)).await,
        }
    }

    /// Hears of alerts that change, and of claims that are renewed in this process.
    pub fn changes(&self) -> broadcast::Receiver<Heard> {
        self.changes.subscribe()
    }

    /// Tells those who listen until when an alert is held now.
    pub fn renewed(&self, alert: &Alert) {
        if let (Some(holder), Some(until_ms)) = (alert.holder.clone(), alert.lease_until_ms) {
            // An error: nobody listens.
            let _ = self.changes.send(Heard::Lease { alert_id: alert.alert_id.clone(), holder, until_ms });
        }
    }

    /// How it stands.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }
}

/// What the queue's work is done with.
pub struct Work {
    /// `[queue]`.
    pub config: QueueConfig,
    /// `[registry]`.
    pub registry: RegistryConfig,
    /// The topic of the audit log's ends.
    pub audit_heads: String,
    /// For its consumers.
    pub kafka: KafkaOptions,
    /// The topic of alerts that a reconciliation found missed.
    pub missed: Option<String>,
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
        let Self { config, registry, audit_heads, kafka, missed, lists, rest, stop } = self;
        let anchors = config.anchors;
        runtime.spawn(open(config, Arc::clone(desk)));
        runtime.spawn(look(Arc::clone(desk)));
        for kind in EffectKind::ALL {
            runtime.spawn(sender::run(kind, Arc::clone(desk), Arc::clone(&rest), Arc::clone(&lists)));
        }
        let mut threads = Vec::new();
        let [_, alerts, _] = &kafka.outputs;
        let [_, labels] = &kafka.inputs;
        let topics = [(filler::Kind::Alerts, alerts.clone()), (filler::Kind::Labels, labels.clone())];
        let missed = missed.map(|topic| (filler::Kind::Missed, topic));
        for (kind, topic) in topics.into_iter().chain(missed) {
            let filler = filler::Filler::new(
                (kind, topic),
                &kafka,
                &registry,
                Arc::clone(desk),
                runtime.clone(),
                Arc::clone(&stop),
            )?;
            threads.push(Turn::Later.spawn(kind.thread(), move || filler.run())?);
        }
        let heads = Heads { topic: audit_heads, kafka, registry, config: anchors };
        let anchorer = Anchorer::new(heads, Arc::clone(desk), runtime.clone(), stop)?;
        let run = move || anchorer.run();
        threads.push(Turn::Later.spawn("queue-anchor", run)?);
        Ok(threads)
    }
}

/// Opens the database, as often as it takes.
async fn open(config: QueueConfig, desk: Arc<Desk>) {
    loop {
        match Queue::open(&config.url, config.rules.clone()).await {
            Ok(queue) => {
                let queue = Arc::new(queue);
                desk.queue.store(Some(Arc::clone(&queue)));
                desk.standing.met(Part::Look, None);
                // Beside those who ask already: a hundred thousand by other rules take a while.
                return ranked(queue.rank_anew().await);
            }
            Err(error) => desk.standing.met(Part::Look, Some(error.to_string())),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Says what came in the way of ranking: that is no reason not to answer, and it is tried again.
fn ranked(outcome: Result<(), QueueError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "alerts that other rules ranked are not ranked anew yet");
    }
}

/// Wakes what has slept, looks whether the database answers and takes a write, counts, ranks what other rules ranked, and
/// tells listeners what changed.
async fn look(desk: Arc<Desk>) {
    let clock = SystemClock::default();
    let mut news = News { told: HashMap::new(), since_ms: clock.now().wall_ms };
    let (mut probed, mut counted): (Option<Instant>, Option<Instant>) = (None, None);
    // It was done when the queue was opened.
    let mut ranked_at = Instant::now();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(queue) = desk.queue.load_full() else { continue };
        let now_ms = clock.now().wall_ms;
        let mut looked = bounded(queue.wake(now_ms)).await.map(|_| ());
        let [well, unwell] = PROBE_EVERY;
        let every = if desk.standing.wrong().is_none() { well } else { unwell };
        let is_due = probed.is_none_or(|probed| probed.elapsed() >= every);
        if looked.is_ok() && is_due {
            looked = bounded(queue.probe()).await;
            probed = Some(Instant::now());
        }
        // Between two probes the last one's word stands.
        if looked.is_err() || is_due {
            desk.standing.met(Part::Look, looked.as_ref().err().map(ToString::to_string));
        }
        if counted.is_none_or(|counted| counted.elapsed() >= COUNT_EVERY)
            && let Ok(figures) = bounded(queue.figures(now_ms)).await
        {
            desk.standing.counted(figures);
            counted = Some(Instant::now());
        }
        if looked.is_ok() && ranked_at.elapsed() >= RANK_EVERY {
            ranked(bounded(queue.rank_anew()).await);
            ranked_at = Instant::now();
        }
        news.tell(&desk, &queue, now_ms).await;
    }
}

/// What listeners were told.
struct News {
    told: HashMap<String, i64>,
    since_ms: i64,
}

impl News {
    async fn tell(&mut self, desk: &Desk, queue: &Queue, now_ms: i64) {
        if desk.changes.receiver_count() == 0 {
            self.since_ms = now_ms;
            return self.told.clear();
        }
        // Some is looked at again, so that a transaction that took its time is not passed over; it is told once.
        let (mut from_ms, mut past) = (self.since_ms - SLOWEST_MS, String::new());
        while let Ok(changes) = bounded(queue.changes(from_ms, &past)).await {
            let Some(last) = changes.last() else { break };
            let is_all = changes.len() < CHANGES_AT_ONCE;
            (from_ms, past) = (last.changed_ms, last.alert_id.clone());
            self.since_ms = self.since_ms.max(from_ms);
            for change in changes {
                if self.told.insert(change.alert_id.clone(), change.version) != Some(change.version) {
                    // An error: the last listener has left meanwhile.
                    let _ = desk.changes.send(Heard::Change(change));
                }
            }
            if is_all {
                break;
            }
        }
        if self.told.len() > 10_000 {
            self.told.clear();
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
