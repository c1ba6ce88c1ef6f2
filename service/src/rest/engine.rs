//! Engine: what the line and the caller's door share, there once the store is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use feature_store::definition::Definitions;

use crate::accepted::Accepted;
use crate::judge::Judge;
use crate::pipeline::{Pipeline, State};
use crate::stream::line::LineState;

/// The shared parts.
#[derive(Clone)]
pub struct Engine {
    /// The state of every entity, and its lock.
    pub state: Arc<State>,
    /// Makes decisions.
    pub judge: Arc<Judge>,
    /// What is computed.
    pub definitions: Arc<Definitions>,
    /// Who is between a caller and the stream.
    pub accepted: Arc<Accepted>,
}

impl Engine {
    /// The engine of a pipeline.
    pub fn of(pipeline: &Pipeline, accepted: Arc<Accepted>) -> Self {
        accepted.is_at(pipeline.enricher().newest().values().min().copied());
        Self {
            state: Arc::clone(pipeline.state()),
            judge: Arc::clone(pipeline.judge()),
            definitions: Arc::clone(pipeline.enricher().definitions()),
            accepted,
        }
    }
}

/// How far the state is behind the topics: when the line last stood well and had nothing left to apply.
pub struct Freshness {
    started: Instant,
    fresh_ms: AtomicU64,
    caught_up: AtomicBool,
}

impl Default for Freshness {
    fn default() -> Self {
        Self { started: Instant::now(), fresh_ms: AtomicU64::new(0), caught_up: AtomicBool::new(false) }
    }
}

impl Freshness {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The line stands so.
    pub fn line(&self, state: &LineState) {
        if state.recovering == 0 && state.caught_up {
            self.caught_up.store(true, Ordering::Release);
        }
        let stands = state.recovering == 0 && state.unassigned == 0 && state.trouble.is_none();
        let lag: i64 = state.lag.iter().map(|(_, lag)| lag).sum();
        // Under steady load there is always a batch on its way.
        if stands && lag <= NO_LAG {
            self.fresh_ms.store(self.now_ms(), Ordering::Release);
        }
    }

    /// Whether the state has all that was in the topics when the process started. Before, an id that was decided may
    /// not be known, and deciding once goes before answering.
    pub fn has_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }

    /// Whether that is longer ago than this.
    pub fn is_stale(&self, after: Duration) -> bool {
        let behind_ms = self.now_ms().saturating_sub(self.fresh_ms.load(Ordering::Acquire));
        u128::from(behind_ms) > after.as_millis()
    }
}

/// So many records behind is not behind: two batches.
const NO_LAG: i64 = 1_024;
