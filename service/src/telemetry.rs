//! Telemetry: what the process says about itself. The log, the metrics, the health of its parts and the board.
//!
//! ```text
//! line ─► Telemetry: atomics ─┬─► /metrics
//!            │ once a second  │
//!            └──────────────► Board ◄─ alerts ─ line
//! parts ─► Health ─► /livez /readyz
//! ```
//! Counting costs the line a few atomic additions a payment and no lock. Nothing here decides anything, and a number
//! here is of this process: it begins at 0 with it. The audit is the topics, not the metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use feature_store::enricher::LabelApplied;
use feature_store::store::{Source, Topic};
use schemas::decision::Verdict;
use schemas::reject::RejectCode;

use crate::alerts::QueueFigures;
use crate::stream::line::LineState;

mod board;
mod health;
mod latency;
pub mod log;
mod metric;
mod process;
mod render;
mod watch;

pub use board::{Board, View};
pub use health::{Health, Part, PartState, Readiness, Standing};
pub use latency::{BOUNDS_US, BUCKETS, Counts, Durations};
pub use metric::{Kind, Metric};
pub use process::{ProcessFigures, figures as process_figures};
pub use render::OPENMETRICS;
pub use watch::Reporter;

/// What came of a record of the labels topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelOutcome {
    /// Its payment's entities know it now.
    Applied,
    /// They knew it.
    Duplicate,
    /// Its payment has not come.
    Waiting,
    /// It is no label.
    DeadLetter,
}

impl LabelOutcome {
    /// Every outcome.
    pub const ALL: [LabelOutcome; 4] =
        [LabelOutcome::Applied, LabelOutcome::Duplicate, LabelOutcome::Waiting, LabelOutcome::DeadLetter];

    /// Its word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            LabelOutcome::Applied => "applied",
            LabelOutcome::Duplicate => "duplicate",
            LabelOutcome::Waiting => "waiting",
            LabelOutcome::DeadLetter => "dead_letter",
        }
    }
}

impl From<LabelApplied> for LabelOutcome {
    fn from(applied: LabelApplied) -> Self {
        match applied {
            LabelApplied::Applied => LabelOutcome::Applied,
            LabelApplied::Duplicate => LabelOutcome::Duplicate,
            LabelApplied::Waiting => LabelOutcome::Waiting,
        }
    }
}

/// What the registry answered to the question for a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupAnswer {
    /// A schema.
    Found,
    /// For certain there is none.
    Unknown,
    /// Nothing usable.
    Unavailable,
}

impl LookupAnswer {
    /// Every answer.
    pub const ALL: [LookupAnswer; 3] =
        [LookupAnswer::Found, LookupAnswer::Unknown, LookupAnswer::Unavailable];

    /// Its word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            LookupAnswer::Found => "found",
            LookupAnswer::Unknown => "unknown",
            LookupAnswer::Unavailable => "unavailable",
        }
    }
}

/// What a caller was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestOutcome {
    /// A decision made for him, and in the topic.
    Decided,
    /// One by the policy's fallback, or not recorded yet.
    Fallback,
    /// The decision of before.
    Replayed,
    /// His request was wrong, or contradicts what was decided.
    Refused,
    /// There was no room.
    Overloaded,
    /// No decision could be made.
    Unavailable,
}

impl RestOutcome {
    /// Every outcome.
    pub const ALL: [RestOutcome; 6] = [
        RestOutcome::Decided,
        RestOutcome::Fallback,
        RestOutcome::Replayed,
        RestOutcome::Refused,
        RestOutcome::Overloaded,
        RestOutcome::Unavailable,
    ];

    /// Its word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            RestOutcome::Decided => "decided",
            RestOutcome::Fallback => "fallback",
            RestOutcome::Replayed => "replayed",
            RestOutcome::Refused => "refused",
            RestOutcome::Overloaded => "overloaded",
            RestOutcome::Unavailable => "unavailable",
        }
    }
}

/// How the callers' door stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestFigures {
    /// Payments answered and not acknowledged by the brokers.
    pub unrecorded: u64,
    /// Payments answered and not applied by the stream.
    pub ahead: u64,
    /// Decisions for which a rule had no value.
    pub rules_broken: u64,
    /// Decisions in the index.
    pub index_rows: u64,
}

#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The numbers of one process. Any thread counts, any thread reads.
#[derive(Debug)]
pub struct Telemetry {
    topics: [String; 2],
    verdicts: [Counter; Verdict::ALL.len()],
    duplicates: Counter,
    dead_payments: Counter,
    codes: [Counter; RejectCode::ALL.len()],
    labels: [Counter; LabelOutcome::ALL.len()],
    alerts: Counter,
    model_swaps: Counter,
    model_refusals: Counter,
    decision_latency: Durations,
    end_to_end: Durations,
    checkpoints: Durations,
    resident_bytes: Counter,
    answers: [Counter; RestOutcome::ALL.len()],
    rest_latency: Durations,
    rest: Mutex<RestFigures>,
    foreign: Counter,
    unexplained: Counter,
    queue: Mutex<QueueFigures>,
    /// How the line stood when it last said so, a few times a second.
    line: Mutex<LineState>,
    committed: Mutex<BTreeMap<Source, i64>>,
}

/// The numbers that the board shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Totals {
    /// Payments decided.
    pub decided: u64,
    /// Payments seen before.
    pub duplicates: u64,
    /// Records of either topic that could not be used.
    pub dead_letters: u64,
    /// Alerts raised.
    pub alerts: u64,
    /// Labels that reached their payment.
    pub labels: u64,
}

impl Telemetry {
    /// Telemetry that has counted nothing; `topics` are the names of the payments and the labels topic.
    pub fn new(topics: [String; 2]) -> Self {
        Self {
            topics,
            verdicts: Default::default(),
            duplicates: Counter::default(),
            dead_payments: Counter::default(),
            codes: Default::default(),
            labels: Default::default(),
            alerts: Counter::default(),
            model_swaps: Counter::default(),
            model_refusals: Counter::default(),
            decision_latency: Durations::default(),
            end_to_end: Durations::default(),
            checkpoints: Durations::default(),
            resident_bytes: Counter::default(),
            answers: Default::default(),
            rest_latency: Durations::default(),
            rest: Mutex::default(),
            foreign: Counter::default(),
            unexplained: Counter::default(),
            queue: Mutex::default(),
            line: Mutex::new(LineState::default()),
            committed: Mutex::new(BTreeMap::new()),
        }
    }

    /// A payment was decided, so long after its record had arrived.
    pub fn decided(&self, verdict: Verdict, latency_us: i64) {
        add(&self.verdicts, verdict as usize, 1);
        self.decision_latency.add(latency_us);
    }

    /// Payments had been seen before.
    pub fn duplicates(&self, count: u64) {
        self.duplicates.add(count);
    }

    /// Records of a topic could not be used.
    pub fn dead_letters(&self, topic: Topic, code: RejectCode, count: u64) {
        add(&self.codes, code as usize, count);
        match topic {
            Topic::Payments => self.dead_payments.add(count),
            Topic::Labels => self.labels(LabelOutcome::DeadLetter, count),
        }
    }

    /// Records of the labels topic had this outcome.
    pub fn labels(&self, outcome: LabelOutcome, count: u64) {
        add(&self.labels, outcome as usize, count);
    }

    /// Alerts were raised.
    pub fn alerts(&self, count: u64) {
        self.alerts.add(count);
    }

    /// A caller was answered, so long after his request had come in.
    pub fn answered(&self, outcome: RestOutcome, took_us: i64) {
        add(&self.answers, outcome as usize, 1);
        self.rest_latency.add(took_us);
    }

    /// A caller was told that there is too much to do: no decision, so no time that one took.
    pub fn overloaded(&self) {
        add(&self.answers, RestOutcome::Overloaded as usize, 1);
    }

    /// How the callers' door stands now.
    pub fn rest(&self, figures: RestFigures) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    /// Payments came with decisions that were not made here.
    pub fn foreign(&self, count: u64) {
        self.foreign.add(count);
    }

    /// A reconciliation found so many differences that nothing explains.
    pub fn unexplained(&self, count: u64) {
        self.unexplained.0.store(count, Ordering::Relaxed);
    }

    /// How the analysts' queue stands now.
    pub fn queue(&self, figures: QueueFigures) {
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    /// A model version went live.
    pub fn model_swapped(&self) {
        self.model_swaps.add(1);
    }

    /// A model version was refused.
    pub fn model_refused(&self) {
        self.model_refusals.add(1);
    }

    /// What was written for a record was acknowledged, so long after the record had arrived.
    pub fn acknowledged(&self, since_arrival_us: i64) {
        self.end_to_end.add(since_arrival_us);
    }

    /// A checkpoint took so long.
    pub fn checkpointed(&self, took_us: i64) {
        self.checkpoints.add(took_us);
    }

    /// These next offsets were committed.
    pub fn committed(&self, next: &[(Source, i64)]) {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).extend(next.iter().copied());
    }

    /// How the line stands now. For a few times a second.
    pub fn line(&self, state: LineState) {
        if let Some(bytes) = state.resident_bytes {
            self.resident_bytes.0.store(bytes as u64, Ordering::Relaxed);
        }
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The numbers that the board shows.
    pub fn totals(&self) -> Totals {
        Totals {
            decided: self.verdicts.iter().map(Counter::get).sum(),
            duplicates: self.duplicates.get(),
            dead_letters: self.codes.iter().map(Counter::get).sum(),
            alerts: self.alerts.get(),
            labels: self.labels.get(LabelOutcome::Applied as usize).map_or(0, Counter::get),
        }
    }

    /// Decisions by verdict, in the order of [`Verdict::ALL`].
    pub fn verdicts(&self) -> [(Verdict, u64); Verdict::ALL.len()] {
        Verdict::ALL.map(|verdict| (verdict, self.verdicts.get(verdict as usize).map_or(0, Counter::get)))
    }

    /// Decision latencies so far.
    pub fn latencies(&self) -> Counts {
        self.decision_latency.counts()
    }
}

fn add(counters: &[Counter], at: usize, count: u64) {
    if let Some(counter) = counters.get(at) {
        counter.add(count);
    }
}
