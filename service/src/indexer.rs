//! The indexer: the thread that reads the decisions topic into the decision index.
//!
//! It has no group and commits nothing: the index's own fences say where to go on. Brokers and registry that are away
//! are waited for. What it cannot read is counted, named once and passed over, since the line's own records are
//! readable; only the index itself, when it cannot be written, ends it.
//!
//! Not here: what the index is ([`crate::index`]), and what makes the decisions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use schemas::codec::{SchemaId, unframe};
use schemas::reject::Reject;
use schemas::time::HOUR_MS;

use crate::clock::Clock;
use crate::index::{DecisionIndex, IndexError, Row, RowSchema};
use crate::registry::SchemaSource;
use crate::stream::kafka::KafkaOptions;

mod progress;
pub(crate) mod reader;
#[cfg(test)]
mod tests;
mod texts;

pub use progress::{IndexerState, Progress};

use reader::{HURRIED, Reader, Retained, Taken};
use texts::Texts;

/// Most records of one batch, and how long one may be collected.
const BATCH_RECORDS: usize = 512;
const BATCH_WITHIN: Duration = Duration::from_millis(100);
/// The topic's partitions are looked at this often; there may be more of them.
const LOOK_EVERY_US: u64 = 60_000_000;
/// Days that are over are dropped this often.
const FORGET_EVERY_US: u64 = HOUR_MS.unsigned_abs() * 1_000;
/// What is not there is asked for again after this time.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How often a wait looks whether it is to end.
const STEP: Duration = Duration::from_millis(50);

/// What ended the indexer.
#[derive(Debug, thiserror::Error)]
pub enum IndexerError {
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A client that cannot be made.
    #[error("kafka: {0}")]
    Kafka(String),
}

/// All that the indexer needs.
pub struct Indexer<S> {
    /// Where decisions go.
    pub index: DecisionIndex,
    /// Where they come from: the first of the outputs.
    pub kafka: KafkaOptions,
    /// For the schemas of the records.
    pub source: S,
    /// For what is to be done now and then.
    pub clock: Box<dyn Clock>,
    /// Who is told how far it is.
    pub progress: Arc<Progress>,
    /// Set when it is to end.
    pub stop: Arc<AtomicBool>,
}

impl<S: SchemaSource> Indexer<S> {
    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// When the index cannot be written, or a property is refused by librdkafka.
    pub fn run(self) -> Result<(), IndexerError> {
        let Self { index, kafka, source, clock, progress, stop } = self;
        let reader = Reader::new(&kafka, &kafka.outputs[0], "index", Arc::clone(&progress), HURRIED)
            .map_err(|e| IndexerError::Kafka(e.to_string()))?;
        let texts = Texts::new(source);
        // Also by an error or a panic: what waits for it must not believe in it any more.
        let _ended = Ends(Arc::clone(&progress));
        Running { index, reader, texts, clock, progress, stop, assigned: 0, unreadable: false }.turn()
    }
}

struct Ends(Arc<Progress>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

struct Running<S> {
    index: DecisionIndex,
    reader: Reader,
    texts: Texts<S>,
    clock: Box<dyn Clock>,
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    /// Partitions that are read.
    assigned: usize,
    /// A record that could not be read was named.
    unreadable: bool,
}

impl<S: SchemaSource> Running<S> {
    fn turn(&mut self) -> Result<(), IndexerError> {
        let (mut forgot, mut looked) = (None, None);
        let mut records = Vec::with_capacity(BATCH_RECORDS);
        while !self.stopped() {
            let now = self.clock.now();
            let due = |last: Option<u64>, every| {
                last.is_none_or(|last| now.monotonic_us.saturating_sub(last) >= every)
            };
            if due(forgot, FORGET_EVERY_US) {
                let days = self.index.forget(now.wall_ms)?;
                if days > 0 {
                    tracing::info!(days, "days of the decision index are over");
                }
                forgot = Some(now.monotonic_us);
            }
            if due(looked, LOOK_EVERY_US) {
                if !self.look(looked.is_none())? {
                    continue;
                }
                looked = Some(now.monotonic_us);
            }
            records.clear();
            match self.reader.take(BATCH_RECORDS, BATCH_WITHIN, &mut records) {
                Taken::Records => {}
                Taken::OutOfRange => looked = None,
                Taken::Trouble(why) => _ = self.progress.waits_for(Some(why)),
            }
            if !records.is_empty() {
                self.progress.waits_for(None);
                self.take_in(&records)?;
            }
        }
        Ok(())
    }

    /// Looks at the topic's partitions, and begins to read them when asked to or when there are others. `false` when
    /// nobody answered.
    fn look(&mut self, begin: bool) -> Result<bool, IndexerError> {
        let retained = match self.reader.retained(|| self.stopped()) {
            Ok(retained) => retained,
            Err(why) => {
                self.wait(&why);
                return Ok(false);
            }
        };
        self.progress.waits_for(None);
        self.progress.ends(retained.iter().map(|(partition, retained)| (*partition, retained.next)));
        if !begin && retained.len() == self.assigned {
            return Ok(true);
        }
        let mut fences = self.index.fences();
        for (partition, retained) in &retained {
            let fence = fences.get(partition).copied();
            let from = begin_at(fence, *retained);
            if let Some(fence) = fence.filter(|fence| *fence != from) {
                tracing::warn!(
                    partition,
                    fence,
                    from,
                    "offset_out_of_range: the decisions topic has not the next record any more; the index goes on with \
                     the first that there is"
                );
                self.index.set_fence(*partition, from)?;
            }
            fences.insert(*partition, from);
        }
        fences.retain(|partition, _| retained.contains_key(partition));
        match self.reader.assign(&fences) {
            Ok(()) => self.assigned = fences.len(),
            Err(why) => {
                self.wait(&why);
                return Ok(false);
            }
        }
        self.progress.indexed(fences);
        Ok(true)
    }

    /// Indexes records, a batch for each partition.
    fn take_in(&mut self, records: &[reader::Record]) -> Result<(), IndexerError> {
        let mut schemas = Vec::with_capacity(records.len());
        for record in records {
            let id = unframe(&record.value).map(|(id, _)| id);
            let Some(schema) = self.schema(id) else { return Ok(()) };
            schemas.push(schema);
        }
        let mut partitions: BTreeMap<i32, (i64, Vec<Row<'_>>)> = BTreeMap::new();
        for (record, schema) in records.iter().zip(&schemas) {
            let (next, rows) = partitions.entry(record.partition).or_default();
            *next = record.offset + 1;
            match row(record, schema) {
                Ok(row) => rows.push(row),
                Err(reject) => self.pass_over(record, &reject),
            }
        }
        for (partition, (next, rows)) in &partitions {
            self.index.apply(*partition, *next, rows)?;
            self.progress.took(rows.len());
        }
        self.progress
            .indexed(partitions.into_iter().map(|(partition, (next, _))| (partition, next)).collect());
        Ok(())
    }

    /// The schema of an id, waited for; `None` when it is to stop.
    fn schema(&mut self, id: Result<SchemaId, Reject>) -> Option<Result<Arc<RowSchema>, Reject>> {
        let id = match id {
            Ok(id) => id,
            Err(reject) => return Some(Err(reject)),
        };
        loop {
            let now_us = self.clock.now().monotonic_us;
            match self.texts.get(id, now_us) {
                Ok(Some(known)) => return Some(known),
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(why) => self.wait(&format!("the registry does not answer for schema {}: {why}", id.0)),
            }
            if self.stopped() {
                return None;
            }
        }
    }

    fn pass_over(&mut self, record: &reader::Record, reject: &Reject) {
        self.progress.passed_over();
        if !self.unreadable {
            self.unreadable = true;
            let (partition, offset, code) = (record.partition, record.offset, reject.code);
            tracing::error!(
                partition,
                offset,
                ?code,
                "a record of the decisions topic is no decision and is not indexed; more of them are only counted"
            );
        }
    }

    /// Says what is waited for, and waits a little.
    fn wait(&self, why: &str) {
        if self.progress.waits_for(Some(why.to_owned())) {
            tracing::warn!(why, "the indexer waits");
        }
        let mut left = AGAIN_AFTER;
        while !self.stopped() && !left.is_zero() {
            std::thread::sleep(STEP.min(left));
            left = left.saturating_sub(STEP);
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn row<'a>(
    record: &'a reader::Record,
    schema: &'a Result<Arc<RowSchema>, Reject>,
) -> Result<Row<'a>, Reject> {
    let (_, body) = unframe(&record.value)?;
    Row::read(record.offset, schema.as_ref().map_err(Clone::clone)?, body)
}

/// Where to begin in a partition. A fence that lies before what is retained, or behind its end since the topic is
/// another one now, gives the first record that there is.
pub(crate) fn begin_at(fence: Option<i64>, retained: Retained) -> i64 {
    fence.filter(|fence| (retained.first..=retained.next).contains(fence)).unwrap_or(retained.first)
}
