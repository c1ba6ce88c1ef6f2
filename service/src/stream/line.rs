//! The line: records in, rulings out, in the one order of steps that loses nothing and doubles nothing.
//!
//! ```text
//!  poll ─► lanes ─► decode ─► pipeline ─► journal row ─► outbox ─► brokers acknowledge
//!                                                                        │ all of it
//!                                              commit offsets ◄─ checkpoint durable
//! ```
//! After a restart the store gives the last checkpoint and the batches after it. They are read from the topic again
//! and applied in the journal's order; what of them is out already is not sent again. One thread runs the line; it is
//! handed its transport and its clock, so the crash tests run the very same code over thousands of seeds.

use std::collections::BTreeMap;
use std::time::Duration;

use feature_store::store::{Source, Store, StoreError, Topic};
use schemas::codec::EncodeError;

use super::lane::Lane;
use super::note::Note;
use super::outbox::Outbox;
pub use super::outbox::OutboxLimits;
use super::resume::{self, ResumeError};
use super::{Event, Record, Transport, TransportError};
use crate::clock::{Clock, Now};
use crate::emit::{Emitter, source_name};
use crate::made::Seal;
use crate::pipeline::{DecidersOfNow, Pipeline, Ruling};
use crate::registry::{SchemaSource, Schemas};

mod batch;
mod checkpoint;
mod decode;
mod watch;

use checkpoint::next_offsets;
pub use watch::{LineState, LineStep, Watch};

/// No records for so long, and a partition has no more of them, microseconds.
const QUIET_US: i64 = 3_000_000;

/// A partition whose records do not come holds the others back no longer than this, microseconds.
const ALIGN_WITHIN_US: i64 = 1_000_000;

/// Bounds of the line.
#[derive(Debug, Clone, Copy)]
pub struct LineLimits {
    /// Most records of one batch.
    pub batch_records: usize,
    /// Most records of one partition that are read and not applied; beyond it the partition is paused.
    pub waiting_records: usize,
    /// Most bytes of them.
    pub waiting_bytes: usize,
    /// Largest value of a record, bytes.
    pub record_bytes: usize,
    /// How far one partition may run ahead of another in event time, while both have records, milliseconds.
    pub align_ms: i64,
    /// What may be on its way out.
    pub outbox: OutboxLimits,
    /// Time between two checkpoints, milliseconds.
    pub checkpoint_every_ms: u64,
    /// A checkpoint is due earlier after this many records.
    pub checkpoint_records: u64,
    /// A checkpoint is written before the line goes on, not beside it: for runs that must repeat exactly.
    pub checkpoint_waits: bool,
}

/// What ends the line.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The transport is broken.
    #[error("stream: {0}")]
    Transport(#[from] TransportError),
    /// The store is broken.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// A decision that its contract cannot hold: a bug.
    #[error("emit: {0}")]
    Encode(#[from] EncodeError),
    /// Going on would lose payments or invent them.
    #[error("{0}")]
    Refused(String),
}

impl From<ResumeError> for LineError {
    fn from(error: ResumeError) -> Self {
        match error {
            ResumeError::Transport(error) => Self::Transport(error),
            ResumeError::Refused(why) => Self::Refused(why),
        }
    }
}

/// The parts that a line joins.
pub struct Parts<T, S> {
    /// Topics in and out.
    pub transport: T,
    /// Decoders by schema id.
    pub schemas: Schemas<S>,
    /// Enrich, score, decide.
    pub pipeline: Pipeline,
    /// Rulings to records.
    pub emitter: Emitter,
    /// Opens the decisions that payments carry; without it they are as if they were not there.
    pub seal: Option<Seal>,
    /// The model and policy of the next batch.
    pub deciders: DecidersOfNow,
    /// Time.
    pub clock: Box<dyn Clock>,
    /// Who is told what happened.
    pub watch: Box<dyn Watch>,
    /// Bounds.
    pub limits: LineLimits,
}

/// The parts of a line that did not start, and why.
pub type NotStarted<T, S> = Box<(Parts<T, S>, LineError)>;

/// The line. See the module.
pub struct Line<T, S> {
    transport: T,
    schemas: Schemas<S>,
    pipeline: Pipeline,
    emitter: Emitter,
    seal: Option<Seal>,
    deciders: DecidersOfNow,
    clock: Box<dyn Clock>,
    watch: Box<dyn Watch>,
    limits: LineLimits,
    lanes: BTreeMap<Source, Lane>,
    outbox: Outbox,
    /// Records applied since the last checkpoint was started.
    since_checkpoint: u64,
    checkpoint_started_us: u64,
    /// The next offsets of the newest checkpoint started.
    to_commit: Vec<(Source, i64)>,
    /// When they are to be committed, microseconds; `None` while the checkpoint is written, and when they are.
    commit_due_us: Option<u64>,
    /// A checkpoint is due: no new batch until everything is acknowledged.
    draining: bool,
    /// Records that the last round applied.
    applied: usize,
    trouble: Option<String>,
    records: Vec<Record>,
    events: Vec<Event>,
    rulings: Vec<Ruling>,
}

impl<T: Transport, S: SchemaSource> Line<T, S> {
    /// Joins the parts, looks up where every partition goes on and what is out, and begins to read.
    ///
    /// # Errors
    /// `Transport(Unavailable)` when the brokers do not answer (nothing was changed: try again), `Refused` when the
    /// topics do not reach back to the store's position. The parts come back with it.
    pub fn start(parts: Parts<T, S>) -> Result<Self, NotStarted<T, S>> {
        let mut parts = parts;
        match open_lanes(&mut parts) {
            Err(error) => Err(Box::new((parts, error))),
            Ok(lanes) => {
                let Parts { transport, schemas, pipeline, emitter, seal, deciders, clock, watch, limits } =
                    parts;
                let now_us = clock.now().monotonic_us;
                // What the store's checkpoint holds was acknowledged before it was written.
                let to_commit = next_offsets(&pipeline);
                Ok(Self {
                    transport,
                    schemas,
                    pipeline,
                    emitter,
                    seal,
                    deciders,
                    clock,
                    watch,
                    limits,
                    lanes,
                    outbox: Outbox::new(limits.outbox),
                    since_checkpoint: 0,
                    checkpoint_started_us: now_us,
                    to_commit,
                    commit_due_us: Some(now_us),
                    draining: false,
                    applied: 0,
                    trouble: None,
                    records: Vec::new(),
                    events: Vec::new(),
                    rulings: Vec::new(),
                })
            }
        }
    }

    /// One round: take in, apply what can be applied, send, checkpoint. Waits at most `wait` when there is nothing to
    /// do. Returns how many records were applied.
    ///
    /// # Errors
    /// Only what ends the line.
    pub fn step(&mut self, wait: Duration) -> Result<usize, LineError> {
        let may_begin = self.may_begin();
        let work =
            may_begin && self.lanes.values().any(|lane| !lane.waiting.is_empty() && lane.blocked.is_none());
        let wait = if work && self.applied > 0 { Duration::ZERO } else { wait };
        let most = if may_begin { self.limits.batch_records } else { 0 };
        self.take_in(most, wait)?;
        let mut applied = 0;
        if self.may_begin() && self.is_recovering() {
            applied = self.recover()?;
        } else if self.may_begin() {
            for source in self.in_turn() {
                applied += self.advance(source)?;
                if !self.may_begin() {
                    break;
                }
            }
        }
        self.outbox.send(&mut self.transport)?;
        if applied > 0 {
            self.watch.reached(LineStep::Sent);
        }
        self.checkpoint()?;
        self.applied = applied;
        Ok(applied)
    }

    /// Whether batches of before the restart are still to be applied.
    pub fn is_recovering(&self) -> bool {
        self.pipeline.enricher().store().next_recovering().is_some()
    }

    /// The lanes that may go on. Merchants and devices are met on many partitions, and a state keeps events only so long
    /// behind its newest; so while several partitions have records, none runs further ahead in event time than
    /// `align_ms`. A backlog is then worked off in step, and its features are exact.
    fn in_turn(&self) -> Vec<Source> {
        let now = self.clock.now();
        let has_more = |lane: &Lane| {
            let reads = lane.log_next > lane.read_next && now.since_us(lane.pushed_us) < ALIGN_WITHIN_US;
            let waits = lane.blocked.is_none() && (!lane.waiting.is_empty() || reads);
            waits && lane.source.topic == Topic::Payments
        };
        let newest_ms = self.pipeline.enricher().newest().clone();
        let time_ms = |lane: &Lane| newest_ms.get(&lane.source.partition).copied().unwrap_or(i64::MIN);
        let slowest_ms = self.lanes.values().filter(|lane| has_more(lane)).map(time_ms).min();
        let most_ms =
            slowest_ms.map_or(i64::MAX, |slowest_ms| slowest_ms.saturating_add(self.limits.align_ms));
        let goes_on = |lane: &&Lane| {
            lane.source.topic == Topic::Labels || lane.blocked.is_some() || time_ms(lane) <= most_ms
        };
        self.lanes.values().filter(goes_on).map(|lane| lane.source).collect()
    }

    fn may_begin(&self) -> bool {
        !self.draining && self.outbox.has_room()
    }

    fn take_in(&mut self, most: usize, wait: Duration) -> Result<(), LineError> {
        self.transport.poll(most, wait, &mut self.records, &mut self.events)?;
        for event in std::mem::take(&mut self.events) {
            self.event(event)?;
        }
        let mut records = std::mem::take(&mut self.records);
        if !records.is_empty() {
            self.trouble = None;
            self.watch.reached(LineStep::Polled);
        }
        let now_us = self.clock.now().monotonic_us;
        for record in records.drain(..) {
            if let Some(lane) = self.lanes.get_mut(&record.source) {
                lane.pushed_us = now_us;
                lane.push(record);
            }
        }
        self.records = records;
        self.bound_lanes()
    }

    fn event(&mut self, event: Event) -> Result<(), LineError> {
        match event {
            Event::Acknowledged(count) => {
                self.trouble = None;
                let now = self.clock.now();
                let watch = &mut self.watch;
                self.outbox.acknowledged(count, |arrived_us| watch.acknowledged(now.since_us(arrived_us)));
                watch.reached(LineStep::Acknowledged);
            }
            Event::Assigned(sources) => {
                self.trouble = None;
                for source in sources {
                    let known = self.lanes.get_mut(&source).ok_or_else(|| {
                        let name = source_name(source);
                        LineError::Refused(format!(
                            "partitions_changed: {name} was not there at the start: restart"
                        ))
                    })?;
                    known.assigned = true;
                    known.pushed_us = self.clock.now().monotonic_us;
                }
            }
            Event::CommitFailed => self.commit_due_us = Some(self.retry_us()),
            Event::Revoked(sources) => {
                for source in sources {
                    let next = self.pipeline.enricher().store().fence(source).map(|fence| fence + 1);
                    if let Some(lane) = self.lanes.get_mut(&source) {
                        lane.assigned = false;
                        lane.restart_at(next.unwrap_or(0));
                    }
                }
            }
            Event::Trouble(what) => {
                if self.trouble.as_ref() != Some(&what) {
                    tracing::warn!(%what, "the brokers do not answer as they should");
                }
                self.trouble = Some(what);
            }
        }
        Ok(())
    }

    /// Pauses lanes with too much waiting, and lets those go on that have room again.
    fn bound_lanes(&mut self) -> Result<(), LineError> {
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        // A batch of before the restart may be larger than today's bounds: its lane is read to the batch's end.
        let needed = {
            let enricher = self.pipeline.enricher();
            enricher.store().next_recovering().map(|batch| (batch.source, batch.last))
        };
        for lane in self.lanes.values_mut().filter(|lane| lane.assigned) {
            let full = lane.waiting.len() >= self.limits.waiting_records
                || lane.waiting_bytes >= self.limits.waiting_bytes;
            let half = lane.waiting.len() <= self.limits.waiting_records / 2
                && lane.waiting_bytes <= self.limits.waiting_bytes / 2;
            let reads_on =
                needed.is_some_and(|(source, last)| source == lane.source && lane.read_next <= last);
            let (full, half) = (full && !reads_on, half || reads_on);
            if full && !lane.paused {
                lane.paused = true;
                pause.push(lane.source);
            } else if half && lane.paused {
                lane.paused = false;
                resume.push(lane.source);
            }
        }
        if !pause.is_empty() {
            self.transport.pause(&pause)?;
        }
        if !resume.is_empty() {
            self.transport.resume(&resume)?;
        }
        Ok(())
    }

    /// How the line stands, for `/readyz` and metrics.
    pub fn state(&self) -> LineState {
        let enricher = self.pipeline.enricher();
        let (entities, resident, _) = enricher.store().counts();
        let (waiting_labels, waiting_dropped) = enricher.waiting();
        let now = self.clock.now();
        // A log may end with markers of transactions, which are no records: then it is quiet, and nothing waits.
        let has_caught_up = |lane: &Lane| {
            let next = enricher.store().fence(lane.source).map_or(0, |fence| fence + 1);
            let is_quiet =
                lane.assigned && lane.waiting.is_empty() && now.since_us(lane.pushed_us) > QUIET_US;
            next >= lane.start_next || is_quiet
        };
        let position = |lane: &Lane| enricher.store().fence(lane.source).map_or(0, |fence| fence + 1);
        LineState {
            recovering: enricher.store().recovering().count(),
            unassigned: self.lanes.values().filter(|lane| !lane.assigned).count(),
            caught_up: self.lanes.values().all(has_caught_up),
            blocked: self
                .lanes
                .values()
                .filter_map(|lane| Some((lane.source, lane.blocked.clone()?)))
                .collect(),
            lag: self
                .lanes
                .values()
                .map(|lane| (lane.source, (lane.log_next - position(lane)).max(0)))
                .collect(),
            trouble: self.trouble.clone(),
            in_flight: self.outbox.len(),
            has_room: self.outbox.has_room(),
            entities,
            resident,
            rows_since_checkpoint: enricher.store().rows_since_checkpoint(),
            ids: enricher.remembered(),
            waiting_labels,
            waiting_dropped,
            resident_bytes: None,
            schema_answers: self.schemas.answers(),
            model_failures: self.pipeline.model_failures(),
        }
    }

    /// The pipeline, for a look at its state.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Whether something is on its way out.
    pub fn is_busy(&self) -> bool {
        !self.outbox.is_empty() || self.is_recovering()
    }

    /// Whether nothing waits, nothing is on its way and nothing is left to commit.
    pub fn is_quiet(&self) -> bool {
        let idle = self.lanes.values().all(|lane| lane.waiting.is_empty());
        let kept = self.since_checkpoint == 0 && self.commit_due_us.is_none() && !self.is_recovering();
        idle && self.outbox.is_empty() && kept
    }

    /// Lets go of the line and gives back its transport: what a crash leaves.
    pub fn into_transport(self) -> T {
        self.transport
    }
}

fn open_lanes<T: Transport, S>(parts: &mut Parts<T, S>) -> Result<BTreeMap<Source, Lane>, LineError> {
    let mut lanes = BTreeMap::new();
    for source in parts.transport.sources()? {
        let mut lane = Lane::new(source);
        let fence = parts.pipeline.enricher().store().fence(source);
        resume::open(&mut lane, &mut parts.transport, parts.emitter.partition(source), fence)?;
        parts.transport.begin_at(source, lane.read_next);
        lanes.insert(source, lane);
    }
    let enricher = parts.pipeline.enricher();
    let known = enricher.store().fences().keys();
    if let Some(lost) = known.copied().find(|source| !lanes.contains_key(source)) {
        return Err(LineError::Refused(format!("partitions_changed: {} is gone", source_name(lost))));
    }
    Ok(lanes)
}
