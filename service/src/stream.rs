//! The stream: topics in, topics out, and the line that joins them.
//!
//! Topics are behind one trait, [`Transport`], with two implementations: Kafka, and memory, which is deterministic
//! and can crash, delay, redeliver and lose. [`line::Line`] runs on both unchanged: it owns the order of steps that
//! makes decisions complete and unique (journal, then emit, then checkpoint, then commit).

pub mod kafka;
mod lane;
pub mod line;
pub mod memory;
mod note;
mod outbox;
mod resume;

use std::time::Duration;

use feature_store::store::{Source, Topic};

pub use line::Line;

/// A topic that the line writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Output {
    /// One decision for each payment.
    Decisions = 0,
    /// Alerts.
    Alerts = 1,
    /// What cannot be decided.
    DeadLetters = 2,
}

impl Output {
    /// All of them.
    pub const ALL: [Output; 3] = [Output::Decisions, Output::Alerts, Output::DeadLetters];
}

/// A record of the payments or the labels topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Topic and partition.
    pub source: Source,
    /// Offset.
    pub offset: i64,
    /// Key; empty when it has none.
    pub key: Vec<u8>,
    /// Value; empty when it has none.
    pub value: Vec<u8>,
    /// W3C trace context of its header, if it carries a valid one.
    pub traceparent: Option<Box<str>>,
    /// Header `tripline-decision` as it came, if there is one.
    pub decision: Option<Box<[u8]>>,
    /// Monotonic time of its arrival, microseconds.
    pub arrived_us: u64,
}

impl Record {
    /// Bytes that it holds, for bounds.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.value.len() + self.decision.as_ref().map_or(0, |header| header.len())
    }
}

/// A record to be written, and the input that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub output: Output,
    /// Which partition.
    pub partition: i32,
    /// The input's key.
    pub key: Vec<u8>,
    /// Framed Avro.
    pub value: Vec<u8>,
    /// The input's topic and partition: headers `src-topic`, `src-partition`.
    pub source: Source,
    /// The input's offset: header `src-offset`.
    pub offset: i64,
    /// Header `decision-id`.
    pub decision_id: Option<Box<str>>,
    /// Header `traceparent`.
    pub traceparent: Option<Box<str>>,
    /// Monotonic time at which the input arrived, microseconds; not written.
    pub arrived_us: u64,
}

impl Outgoing {
    /// Bytes that it holds, for bounds.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

/// The word of an input topic in the header `src-topic`.
pub fn topic_word(topic: Topic) -> &'static str {
    match topic {
        Topic::Payments => "transactions",
        Topic::Labels => "labels",
    }
}

/// Which input an output record answers, from its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Topic and partition.
    pub source: Source,
    /// Offset.
    pub offset: i64,
}

/// The newest records of one output partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// What they answer, oldest first; records without our headers are left out.
    pub origins: Vec<Origin>,
    /// Whether nothing older is retained.
    pub whole: bool,
}

/// The offsets between which a source's records are retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retained {
    /// The first offset still there.
    pub first: i64,
    /// The offset that the next record will get.
    pub next: i64,
}

/// What happens on a transport beside records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// These are ours from now on, beginning where [`Transport::begin_at`] said.
    Assigned(Vec<Source>),
    /// These are no longer ours.
    Revoked(Vec<Source>),
    /// The brokers acknowledged this many more of the records sent, oldest first.
    Acknowledged(usize),
    /// A commit that was on its way did not arrive.
    CommitFailed,
    /// Something that passes: for the log and `/readyz`.
    Trouble(String),
}

/// What ends a transport.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// It does not work and will not: only a restart helps.
    #[error("{0}")]
    Fatal(String),
    /// The brokers did not answer in time: try again.
    #[error("{0}")]
    Unavailable(String),
}

/// Topics in and out.
pub trait Transport {
    /// Where reading a source begins when it is assigned; sources never told begin with the first record.
    fn begin_at(&mut self, source: Source, offset: i64);

    /// Waits at most `wait` for something to happen and takes in at most `most` records.
    ///
    /// # Errors
    /// `Fatal` only.
    fn poll(
        &mut self,
        most: usize,
        wait: Duration,
        records: &mut Vec<Record>,
        events: &mut Vec<Event>,
    ) -> Result<(), TransportError>;

    /// No more records of these sources until they are resumed; what was read ahead is read again then.
    ///
    /// # Errors
    /// `Fatal` only.
    fn pause(&mut self, sources: &[Source]) -> Result<(), TransportError>;

    /// The end of a pause: reading goes on at these offsets.
    ///
    /// # Errors
    /// `Fatal` only.
    fn resume(&mut self, sources: &[Source]) -> Result<(), TransportError>;

    /// Sends a record; `Some` gives it back when the transport's buffer is full.
    ///
    /// # Errors
    /// `Fatal` only.
    fn send(&mut self, outgoing: Outgoing) -> Result<Option<Outgoing>, TransportError>;

    /// Commits the next offset of each source.
    ///
    /// # Errors
    /// `Unavailable`: the next commit says it again.
    fn commit(&mut self, next: &[(Source, i64)], wait: bool) -> Result<(), TransportError>;

    /// The sources that there are.
    ///
    /// # Errors
    /// `Unavailable`, or `Fatal` where topics are missing or do not fit.
    fn sources(&mut self) -> Result<Vec<Source>, TransportError>;

    /// What is retained of a source.
    ///
    /// # Errors
    /// `Unavailable`.
    fn retained(&mut self, source: Source) -> Result<Retained, TransportError>;

    /// The next offset that was committed of a source, if any was.
    ///
    /// # Errors
    /// `Unavailable`.
    fn committed(&mut self, source: Source) -> Result<Option<i64>, TransportError>;

    /// The newest `most` records of an output partition.
    ///
    /// # Errors
    /// `Unavailable`.
    fn tail(&mut self, output: Output, partition: i32, most: usize) -> Result<Tail, TransportError>;

    /// Leaves the group and lets go of everything.
    fn close(&mut self);
}
