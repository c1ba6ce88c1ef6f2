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

use feature_store::store::{Batch, Begin, Source, Store, StoreError, Topic};
use schemas::codec::EncodeError;
use schemas::reject::Reject;

use super::lane::Lane;
use super::note::Note;
use super::outbox::Outbox;
pub use super::outbox::OutboxLimits;
use super::resume::{self, ResumeError};
use super::{Event, Output, Record, Transport, TransportError};
use crate::clock::{Clock, Now};
use crate::emit::{Emitter, source_name};
use crate::pipeline::{BatchFacts, Deciders, Item, Pipeline, Ruling};
use crate::registry::{SchemaSource, Schemas};

mod decode;
mod watch;

pub use watch::{LineState, LineStep, Watch};

/// A commit that was not heard is said again after this time, microseconds.
const COMMIT_AGAIN_US: u64 = 1_000_000;

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
    /// The model and policy of the next batch.
    pub deciders: Box<dyn Fn() -> Deciders + Send>,
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
    deciders: Box<dyn Fn() -> Deciders + Send>,
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
                let Parts { transport, schemas, pipeline, emitter, deciders, clock, watch, limits } = parts;
                let now_us = clock.now().monotonic_us;
                // What the store's checkpoint holds was acknowledged before it was written.
                let to_commit = next_offsets(&pipeline);
                Ok(Self {
                    transport,
                    schemas,
                    pipeline,
                    emitter,
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
        let wait = if work { Duration::ZERO } else { wait };
        let most = if may_begin || self.is_recovering() { self.limits.batch_records } else { 0 };
        self.take_in(most, wait)?;
        let mut applied = 0;
        if self.is_recovering() {
            applied = self.recover()?;
        } else if self.may_begin() {
            let sources: Vec<_> = self.lanes.keys().copied().collect();
            for source in sources {
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
        Ok(applied)
    }

    /// Whether batches of before the restart are still to be applied.
    pub fn is_recovering(&self) -> bool {
        self.pipeline.enricher().store().next_recovering().is_some()
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
            self.watch.reached(LineStep::Polled);
        }
        for record in records.drain(..) {
            if let Some(lane) = self.lanes.get_mut(&record.source) {
                lane.push(record);
            }
        }
        self.records = records;
        self.bound_lanes()
    }

    fn event(&mut self, event: Event) -> Result<(), LineError> {
        match event {
            Event::Acknowledged(count) => {
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
        for lane in self.lanes.values_mut().filter(|lane| lane.assigned) {
            let full = lane.waiting.len() >= self.limits.waiting_records
                || lane.waiting_bytes >= self.limits.waiting_bytes;
            let half = lane.waiting.len() <= self.limits.waiting_records / 2
                && lane.waiting_bytes <= self.limits.waiting_bytes / 2;
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

    /// Applies the next batch of before the restart, if all its records are here.
    fn recover(&mut self) -> Result<usize, LineError> {
        let Some(batch) = self.pipeline.enricher().store().next_recovering().cloned() else { return Ok(0) };
        let name = source_name(batch.source);
        let gone = |what: &str| {
            LineError::Refused(format!(
                "log_changed: {name} {what} (the store's journal has records {} to {}): the topic is not the one that \
                 the store was made from. Point store.path at an empty folder to rebuild the state",
                batch.first, batch.last
            ))
        };
        let Some(lane) = self.lanes.get(&batch.source) else { return Err(gone("is not there any more")) };
        let count = lane.waiting.iter().take_while(|record| record.offset <= batch.last).count();
        match lane.waiting.front() {
            None => return Ok(0),
            Some(first) if first.offset != batch.first => return Err(gone("lacks its first record")),
            Some(_) => {}
        }
        let has_last =
            count > 0 && lane.waiting.get(count - 1).is_some_and(|record| record.offset == batch.last);
        if !has_last {
            return if count < lane.waiting.len() { Err(gone("lacks its last record")) } else { Ok(0) };
        }
        let note = Note::decode(&batch.note).ok_or(StoreError::Unreadable("the note of a journal row"))?;
        self.apply(batch.source, count, Some((batch, note)))
    }

    /// Applies the next batch of a lane, as far as its schemas are known.
    fn advance(&mut self, source: Source) -> Result<usize, LineError> {
        let waiting = self.lanes.get(&source).map_or(0, |lane| lane.waiting.len());
        if waiting == 0 {
            return Ok(0);
        }
        self.apply(source, waiting.min(self.limits.batch_records), None)
    }

    /// Decodes up to `count` records of a lane and applies them: all or none of a recovered batch, otherwise those
    /// before the first whose schema is not here yet.
    fn apply(
        &mut self,
        source: Source,
        count: usize,
        again: Option<(Batch, Note)>,
    ) -> Result<usize, LineError> {
        let now = self.clock.now();
        let note_before = again.as_ref().map(|(_, note)| note);
        let lane =
            self.lanes.get_mut(&source).ok_or(TransportError::Fatal("an unknown partition".to_owned()))?;
        let records = lane.waiting.iter().take(count);
        let decoded = decode::decode(&mut self.schemas, records, note_before, now, self.limits.record_bytes);
        lane.blocked = decoded.blocked;
        let usable = decoded.values.len();
        if usable == 0 || (again.is_some() && usable < count) {
            return Ok(0);
        }
        let records = lane.take(usable);
        let deciders = (self.deciders)();
        let (batch, judged_ms, attempt) = match again {
            Some((batch, note)) => (batch, note.judged_ms, 2),
            None => {
                let note = Note {
                    judged_ms: now.wall_ms,
                    model: deciders.model.as_ref().map_or_else(String::new, |model| model.id().to_string()),
                    policy: deciders.policy.version().to_string(),
                    refused: decoded.refused,
                };
                (self.batch(source, &records, &note), now.wall_ms, 1)
            }
        };
        match self.pipeline.enricher().store().begin(&batch) {
            Begin::Ready => {}
            Begin::Duplicate => return Ok(0),
            Begin::Gap { have } => {
                let (name, first) = (source_name(source), batch.first);
                return Err(LineError::Refused(format!(
                    "gap: {name} went on at {first}, the store has {have:?}"
                )));
            }
        }
        let decode_us = self.clock.now().since_us(now.monotonic_us);
        match decoded.values {
            decode::Values::Payments(values) => {
                let facts = BatchFacts { partition: source.partition, judged_ms, attempt, decode_us };
                self.rule(&records, values, facts, &deciders)?;
            }
            decode::Values::Labels(values) => self.label(&records, values, attempt)?,
        }
        self.watch.reached(LineStep::Applied);
        self.pipeline.enricher_mut().store_mut().commit(&batch)?;
        self.watch.applied(&batch, attempt > 1);
        self.watch.reached(LineStep::Journaled);
        self.transport.begin_at(source, batch.last + 1);
        self.since_checkpoint += usable as u64;
        self.emit(&records, attempt)?;
        self.watch.reached(LineStep::Emitted);
        Ok(usable)
    }

    fn batch(&self, source: Source, records: &[Record], note: &Note) -> Batch {
        Batch {
            source,
            prev: self.pipeline.enricher().store().fence(source),
            first: records.first().map_or(0, |record| record.offset),
            last: records.last().map_or(0, |record| record.offset),
            note: note.encode(),
        }
    }

    fn rule(
        &mut self,
        records: &[Record],
        values: Vec<(i32, Result<schemas::payment::Payment, Reject>)>,
        facts: BatchFacts,
        deciders: &Deciders,
    ) -> Result<(), LineError> {
        let items = records.iter().zip(values).map(|(record, (schema_id, payment))| Item {
            offset: record.offset,
            schema_id,
            payment,
            arrived_us: record.arrived_us,
            labels_before: Vec::new(),
        });
        self.rulings.clear();
        self.pipeline.run(items.collect(), facts, deciders, &*self.clock, &mut self.rulings)?;
        Ok(())
    }

    fn label(
        &mut self,
        records: &[Record],
        values: Vec<Result<schemas::payment::Label, Reject>>,
        attempt: i32,
    ) -> Result<(), LineError> {
        self.rulings.clear();
        for (_, value) in records.iter().zip(values) {
            match value {
                Ok(label) => {
                    let applied = self.pipeline.label(&label)?;
                    if attempt == 1 {
                        self.watch.label(applied);
                    }
                    self.rulings.push(Ruling::Duplicate);
                }
                Err(reject) => self.rulings.push(Ruling::Dead(reject)),
            }
        }
        Ok(())
    }

    /// Puts into the outbox what is not out yet. Only after the journal row is written.
    fn emit(&mut self, records: &[Record], attempt: i32) -> Result<(), LineError> {
        let Some(lane) = records.first().and_then(|record| self.lanes.get(&record.source)) else {
            return Ok(());
        };
        let is_payment = lane.source.topic == Topic::Payments;
        let now = self.clock.now();
        for (record, ruling) in records.iter().zip(&self.rulings) {
            let is_out = |output| lane.is_out(output, record.offset);
            match ruling {
                Ruling::Decided(decision, alert) => {
                    if !is_out(Output::Decisions) {
                        self.outbox.push(self.emitter.decision(record, decision)?);
                        self.watch.decided(decision, alert.as_deref());
                    }
                    if let Some(alert) = alert
                        && !is_out(Output::Alerts)
                    {
                        self.outbox.push(self.emitter.alert(record, alert)?);
                    }
                }
                Ruling::Duplicate if is_payment && attempt == 1 => self.watch.duplicate(),
                Ruling::Duplicate => {}
                Ruling::Dead(reject) => {
                    if !is_out(Output::DeadLetters) {
                        self.outbox.push(self.emitter.dead_letter(record, reject, now.wall_ms, attempt)?);
                        self.watch.dead(lane.source, reject);
                    }
                }
            }
        }
        Ok(())
    }

    /// Starts a checkpoint when one is due and everything made so far is acknowledged; commits offsets when one is
    /// durable.
    fn checkpoint(&mut self) -> Result<(), LineError> {
        let now = self.clock.now();
        if self.pipeline.enricher_mut().store_mut().finish_checkpoint(false)? {
            self.checkpointed(now);
        }
        if self.commit_due_us.is_some_and(|due_us| now.monotonic_us >= due_us) {
            self.commit(false);
        }
        let store = self.pipeline.enricher().store();
        if self.is_recovering() || store.checkpoint_running() || self.since_checkpoint == 0 {
            return Ok(());
        }
        let elapsed_ms = now.monotonic_us.saturating_sub(self.checkpoint_started_us) / 1_000;
        let is_due = elapsed_ms >= self.limits.checkpoint_every_ms
            || self.since_checkpoint >= self.limits.checkpoint_records
            || store.is_crowded();
        self.draining |= is_due;
        if self.draining && self.outbox.is_empty() {
            self.start_checkpoint(now)?;
            if self.limits.checkpoint_waits
                && self.pipeline.enricher_mut().store_mut().finish_checkpoint(true)?
            {
                self.checkpointed(now);
                self.commit(false);
            }
        }
        Ok(())
    }

    fn start_checkpoint(&mut self, now: Now) -> Result<(), LineError> {
        self.to_commit = next_offsets(&self.pipeline);
        self.commit_due_us = None;
        self.pipeline.enricher_mut().start_checkpoint(&[])?;
        self.watch.reached(LineStep::CheckpointStarted);
        self.checkpoint_started_us = now.monotonic_us;
        self.since_checkpoint = 0;
        self.draining = false;
        Ok(())
    }

    /// A checkpoint is durable: what it holds is decided, acknowledged and kept, so it may be committed.
    fn checkpointed(&mut self, now: Now) {
        self.watch.checkpointed(now.since_us(self.checkpoint_started_us));
        self.commit_due_us = Some(now.monotonic_us);
        self.watch.reached(LineStep::CheckpointDurable);
    }

    fn commit(&mut self, wait: bool) {
        if self.lanes.values().any(|lane| !lane.assigned) {
            self.commit_due_us = Some(self.retry_us());
            return;
        }
        match self.transport.commit(&self.to_commit, wait) {
            Ok(()) => {
                self.commit_due_us = None;
                self.watch.committed(&self.to_commit);
                self.watch.reached(LineStep::Committed);
            }
            Err(error) => {
                self.commit_due_us = Some(self.retry_us());
                tracing::warn!(%error, "offsets could not be committed and will be again");
            }
        }
    }

    fn retry_us(&self) -> u64 {
        self.clock.now().monotonic_us + COMMIT_AGAIN_US
    }

    /// Ends the line: sends what is made, waits for its acknowledgement, checkpoints, commits and leaves the group.
    /// Returns how many records were not acknowledged in time; a restart sends them.
    ///
    /// # Errors
    /// Only what ends the line anyway.
    pub fn drain(&mut self, within: Duration) -> Result<usize, LineError> {
        let until_us = self.clock.now().monotonic_us + u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
        while !self.outbox.is_empty() && self.clock.now().monotonic_us < until_us {
            self.outbox.send(&mut self.transport)?;
            self.take_in(0, Duration::from_millis(20))?;
        }
        let unacknowledged = self.outbox.len();
        if self.pipeline.enricher_mut().store_mut().finish_checkpoint(true)? {
            self.checkpointed(self.clock.now());
        }
        if unacknowledged == 0 && !self.is_recovering() && self.since_checkpoint > 0 {
            self.start_checkpoint(self.clock.now())?;
            if self.pipeline.enricher_mut().store_mut().finish_checkpoint(true)? {
                self.checkpointed(self.clock.now());
            }
        }
        if self.commit_due_us.is_some() {
            self.commit(true);
        }
        self.transport.close();
        Ok(unacknowledged)
    }

    /// How the line stands, for `/readyz` and metrics.
    pub fn state(&self) -> LineState {
        let enricher = self.pipeline.enricher();
        let (entities, resident, _) = enricher.store().counts();
        let (waiting_labels, waiting_dropped) = enricher.waiting();
        let position = |lane: &Lane| enricher.store().fence(lane.source).map_or(0, |fence| fence + 1);
        LineState {
            recovering: enricher.store().recovering().count(),
            unassigned: self.lanes.values().filter(|lane| !lane.assigned).count(),
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

/// The offsets behind what the store holds.
fn next_offsets(pipeline: &Pipeline) -> Vec<(Source, i64)> {
    let fences = pipeline.enricher().store().fences();
    fences.iter().map(|(source, fence)| (*source, fence + 1)).collect()
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
    let known = parts.pipeline.enricher().store().fences().keys();
    if let Some(lost) = known.copied().find(|source| !lanes.contains_key(source)) {
        return Err(LineError::Refused(format!("partitions_changed: {} is gone", source_name(lost))));
    }
    Ok(lanes)
}
