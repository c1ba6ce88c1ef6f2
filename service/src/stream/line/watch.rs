//! Who is told what the line does: metrics, the demo's terminal, the board. It hears of decisions when they are made
//! and not yet out, and cannot hold the line up.

use feature_store::enricher::LabelApplied;
use feature_store::store::{Batch, Source};
use schemas::alert::Alert;
use schemas::decision::Decision;
use schemas::reject::Reject;

/// The moments between the steps of the line: where tests kill the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineStep {
    /// Records or events came from the transport.
    Polled,
    /// A batch changed the state; its journal row is not written.
    Applied,
    /// Its journal row is written; nothing of it is out.
    Journaled,
    /// Its records are in the outbox.
    Emitted,
    /// The transport has taken what it could of them.
    Sent,
    /// The brokers acknowledged some.
    Acknowledged,
    /// A checkpoint was started.
    CheckpointStarted,
    /// It is durable; offsets are not committed.
    CheckpointDurable,
    /// Offsets are committed.
    Committed,
}

impl LineStep {
    /// Every step, in the order of a batch.
    pub const ALL: [LineStep; 9] = [
        LineStep::Polled,
        LineStep::Applied,
        LineStep::Journaled,
        LineStep::Emitted,
        LineStep::Sent,
        LineStep::Acknowledged,
        LineStep::CheckpointStarted,
        LineStep::CheckpointDurable,
        LineStep::Committed,
    ];
}

/// Hears what happens on the line.
pub trait Watch: Send {
    /// The line is between two steps.
    fn reached(&mut self, _: LineStep) {}
    /// A batch was applied and is in the journal; `again`: it was there before a restart.
    fn applied(&mut self, _: &Batch, _again: bool) {}
    /// A payment was decided.
    fn decided(&mut self, _: &Decision, _: Option<&Alert>) {}
    /// A payment was seen before.
    fn duplicate(&mut self) {}
    /// Payments came with a decision in their header that was not made here.
    fn foreign(&mut self, _count: u64) {}
    /// A record cannot be decided or is no label.
    fn dead(&mut self, _: Source, _: &Reject) {}
    /// A label was applied.
    fn label(&mut self, _: LabelApplied) {}
    /// A record written was acknowledged so long after its input had arrived.
    fn acknowledged(&mut self, _since_arrival_us: i64) {}
    /// A checkpoint took so long.
    fn checkpointed(&mut self, _took_us: i64) {}
    /// These next offsets were committed.
    fn committed(&mut self, _: &[(Source, i64)]) {}
}

/// Nobody.
impl Watch for () {}

/// Several, one after the other.
impl Watch for Vec<Box<dyn Watch>> {
    fn reached(&mut self, step: LineStep) {
        self.iter_mut().for_each(|watch| watch.reached(step));
    }
    fn applied(&mut self, batch: &Batch, again: bool) {
        self.iter_mut().for_each(|watch| watch.applied(batch, again));
    }
    fn decided(&mut self, decision: &Decision, alert: Option<&Alert>) {
        self.iter_mut().for_each(|watch| watch.decided(decision, alert));
    }
    fn duplicate(&mut self) {
        self.iter_mut().for_each(|watch| watch.duplicate());
    }
    fn foreign(&mut self, count: u64) {
        self.iter_mut().for_each(|watch| watch.foreign(count));
    }
    fn dead(&mut self, source: Source, reject: &Reject) {
        self.iter_mut().for_each(|watch| watch.dead(source, reject));
    }
    fn label(&mut self, applied: LabelApplied) {
        self.iter_mut().for_each(|watch| watch.label(applied));
    }
    fn acknowledged(&mut self, since_arrival_us: i64) {
        self.iter_mut().for_each(|watch| watch.acknowledged(since_arrival_us));
    }
    fn checkpointed(&mut self, took_us: i64) {
        self.iter_mut().for_each(|watch| watch.checkpointed(took_us));
    }
    fn committed(&mut self, next: &[(Source, i64)]) {
        self.iter_mut().for_each(|watch| watch.committed(next));
    }
}

/// How the line stands.
#[derive(Debug, Clone, Default)]
pub struct LineState {
    /// Batches of before the restart that are still to be applied.
    pub recovering: usize,
    /// Partitions not assigned to us.
    pub unassigned: usize,
    /// Whether everything is applied that was in the topics at the start: from then on all ids are known.
    pub caught_up: bool,
    /// Partitions that do not go on, and why.
    pub blocked: Vec<(Source, String)>,
    /// Records of each partition behind the newest that was heard of.
    pub lag: Vec<(Source, i64)>,
    /// What the brokers last complained of.
    pub trouble: Option<String>,
    /// Records made and not acknowledged.
    pub in_flight: usize,
    /// Whether a new batch may be begun.
    pub has_room: bool,
    /// Entities known.
    pub entities: usize,
    /// Entities in memory.
    pub resident: usize,
    /// Batches that a restart would apply again.
    pub rows_since_checkpoint: u64,
    /// Transaction ids remembered.
    pub ids: usize,
    /// Labels whose payment has not come.
    pub waiting_labels: usize,
    /// Such labels that had to make room.
    pub waiting_dropped: u64,
    /// Bytes of the states in memory; not said each time, since all of them are walked to know.
    pub resident_bytes: Option<usize>,
    /// What the registry answered: schemas, that there is none, nothing usable.
    pub schema_answers: [u64; 3],
    /// Batches that the model failed.
    pub model_failures: u64,
}
