//! The memory transport: topics in a process's memory that outlive the line, and a link to them that fails on purpose.
//!
//! A [`Broker`] is what the brokers keep: it survives a crash of the line. A [`MemoryTransport`] is one process's link
//! to it. Faults are drawn from a seed, so a failing run can be run again: sends are refused or delayed, what was not
//! acknowledged at a crash is lost or not, partition by partition and always as a suffix; records are delivered again;
//! partitions are taken away and given back; the link breaks at a chosen call. It has no thread and no clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use feature_store::store::{Source, Topic};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::{Event, Origin, Outgoing, Output, Record, Retained, Tail, Transport, TransportError};

/// Key and value of a record.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// What the brokers keep.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Records of the input topics: key and value; an offset is a place.
    pub inputs: BTreeMap<Source, Vec<KeyValue>>,
    /// Headers `tripline-decision` of those that have one.
    pub decided: BTreeMap<(Source, i64), Box<[u8]>>,
    /// Records of the output topics.
    pub outputs: BTreeMap<(Output, i32), Vec<Outgoing>>,
    /// Next offsets that were committed.
    pub committed: BTreeMap<Source, i64>,
}

/// The brokers: shared by the test, and by one process after the other.
#[derive(Debug, Clone, Default)]
pub struct Broker(Arc<Mutex<Log>>);

impl Broker {
    /// Empty topics with so many partitions each.
    pub fn new(payments: i32, labels: i32) -> Self {
        let broker = Self::default();
        let mut log = broker.log();
        for (topic, partitions) in [(Topic::Payments, payments), (Topic::Labels, labels)] {
            for partition in 0..partitions {
                log.inputs.insert(Source { topic, partition }, Vec::new());
            }
        }
        drop(log);
        broker
    }

    /// What is kept, to read or change.
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a record to an input topic; gives its offset.
    pub fn append(&self, source: Source, key: Vec<u8>, value: Vec<u8>) -> i64 {
        self.append_decided(source, key, value, None)
    }

    /// The same with a decision in its header.
    pub fn append_decided(
        &self,
        source: Source,
        key: Vec<u8>,
        value: Vec<u8>,
        decision: Option<Box<[u8]>>,
    ) -> i64 {
        let mut log = self.log();
        let records = log.inputs.entry(source).or_default();
        let offset = records.len() as i64;
        records.push((key, value));
        if let Some(decision) = decision {
            log.decided.insert((source, offset), decision);
        }
        offset
    }

    /// Whether the line has read and committed everything.
    pub fn all_committed(&self) -> bool {
        let log = self.log();
        log.inputs.iter().all(|(source, records)| {
            records.is_empty() || log.committed.get(source) == Some(&(records.len() as i64))
        })
    }
}

/// How a link misbehaves: probabilities of each call, and when it breaks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Chooses what happens.
    pub seed: u64,
    /// A send is refused as if the buffer were full.
    pub refuse: f64,
    /// A poll moves nothing of what was sent.
    pub delay: f64,
    /// A poll delivers records again from an earlier offset.
    pub redeliver: f64,
    /// A poll takes all partitions away; the next one gives them back.
    pub revoke: f64,
    /// A commit is not heard.
    pub commit_lost: f64,
    /// The link breaks for good at this call, counted from 1; 0 for never.
    pub break_at: u64,
}

/// One process's link to a [`Broker`].
#[derive(Debug)]
pub struct MemoryTransport {
    broker: Broker,
    faults: Faults,
    draw: Xoshiro256PlusPlus,
    calls: u64,
    begin: BTreeMap<Source, i64>,
    /// Next offset of each assigned source.
    positions: BTreeMap<Source, i64>,
    paused: BTreeMap<Source, bool>,
    /// Sent and not with the broker yet.
    pending: VecDeque<Outgoing>,
    assigned: bool,
    breaker: Arc<AtomicBool>,
}

impl MemoryTransport {
    /// A link to the broker.
    pub fn new(broker: Broker, faults: Faults) -> Self {
        Self {
            broker,
            draw: Xoshiro256PlusPlus::seed_from_u64(faults.seed),
            faults,
            calls: 0,
            begin: BTreeMap::new(),
            positions: BTreeMap::new(),
            paused: BTreeMap::new(),
            pending: VecDeque::new(),
            assigned: false,
            breaker: Arc::default(),
        }
    }

    /// Setting it breaks the link at its next call.
    pub fn breaker(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.breaker)
    }

    /// The process dies: of what it had sent, each partition may have received a first part.
    pub fn crash(&mut self) {
        let mut by_partition: BTreeMap<(Output, i32), Vec<Outgoing>> = BTreeMap::new();
        for outgoing in self.pending.drain(..) {
            by_partition.entry((outgoing.output, outgoing.partition)).or_default().push(outgoing);
        }
        for (place, mut sent) in by_partition {
            sent.truncate(self.draw.random_range(0..=sent.len()));
            self.broker.log().outputs.entry(place).or_default().append(&mut sent);
        }
    }

    /// Whether the link broke where its faults said.
    pub fn is_broken(&self) -> bool {
        let due = self.faults.break_at > 0 && self.calls >= self.faults.break_at;
        due || self.breaker.load(Ordering::Relaxed)
    }

    fn call(&mut self) -> Result<(), TransportError> {
        self.calls += 1;
        if self.is_broken() {
            return Err(TransportError::Fatal(format!("the link broke at call {}", self.calls)));
        }
        Ok(())
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.draw.random_bool(probability)
    }

    /// Moves some of what was sent to the broker; gives how many.
    fn deliver(&mut self) -> usize {
        if self.pending.is_empty() || self.chance(self.faults.delay) {
            return 0;
        }
        let most = if self.faults.delay > 0.0 {
            self.draw.random_range(1..=self.pending.len())
        } else {
            self.pending.len()
        };
        let mut log = self.broker.log();
        for outgoing in self.pending.drain(..most) {
            log.outputs.entry((outgoing.output, outgoing.partition)).or_default().push(outgoing);
        }
        most
    }

    fn assign(&mut self, events: &mut Vec<Event>) {
        let sources: Vec<_> = self.broker.log().inputs.keys().copied().collect();
        self.positions = sources.iter().map(|s| (*s, self.begin.get(s).copied().unwrap_or(0))).collect();
        self.paused.clear();
        self.assigned = true;
        events.push(Event::Assigned(sources));
    }

    fn read(&mut self, most: usize, records: &mut Vec<Record>) {
        let log = self.broker.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = most;
        for (source, position) in &mut self.positions {
            let Some(inputs) = log.inputs.get(source) else { continue };
            if self.paused.get(source).copied().unwrap_or(false) {
                continue;
            }
            let from = usize::try_from(*position).unwrap_or(0);
            let count = left.min(inputs.len().saturating_sub(from)).min(self.draw.random_range(0..=most));
            for (offset, (key, value)) in (*position..).zip(inputs.iter().skip(from).take(count)) {
                let (key, value) = (key.clone(), value.clone());
                records.push(Record {
                    source: *source,
                    offset,
                    key,
                    value,
                    traceparent: None,
                    decision: log.decided.get(&(*source, offset)).cloned(),
                    arrived_us: 0,
                });
            }
            *position += count as i64;
            left -= count;
        }
    }
}

impl Transport for MemoryTransport {
    fn begin_at(&mut self, source: Source, offset: i64) {
        self.begin.insert(source, offset);
    }

    fn poll(
        &mut self,
        most: usize,
        _wait: Duration,
        records: &mut Vec<Record>,
        events: &mut Vec<Event>,
    ) -> Result<(), TransportError> {
        self.call()?;
        let delivered = self.deliver();
        if delivered > 0 {
            events.push(Event::Acknowledged(delivered));
        }
        if !self.assigned {
            self.assign(events);
        } else if self.chance(self.faults.revoke) {
            self.assigned = false;
            events.push(Event::Revoked(std::mem::take(&mut self.positions).into_keys().collect()));
            return Ok(());
        }
        if self.chance(self.faults.redeliver) {
            for position in self.positions.values_mut() {
                *position = self.draw.random_range(0..=*position);
            }
        }
        if most > 0 {
            self.read(most, records);
        }
        Ok(())
    }

    fn pause(&mut self, sources: &[Source]) -> Result<(), TransportError> {
        self.paused.extend(sources.iter().map(|source| (*source, true)));
        self.call()
    }

    fn resume(&mut self, sources: &[Source]) -> Result<(), TransportError> {
        self.paused.extend(sources.iter().map(|source| (*source, false)));
        self.call()
    }

    fn send(&mut self, outgoing: Outgoing) -> Result<Option<Outgoing>, TransportError> {
        self.call()?;
        if self.chance(self.faults.refuse) {
            return Ok(Some(outgoing));
        }
        self.pending.push_back(outgoing);
        Ok(None)
    }

    fn commit(&mut self, next: &[(Source, i64)], _wait: bool) -> Result<(), TransportError> {
        self.call()?;
        if self.chance(self.faults.commit_lost) {
            return Err(TransportError::Unavailable("the commit was not answered".to_owned()));
        }
        self.broker.log().committed.extend(next.iter().copied());
        Ok(())
    }

    fn sources(&mut self) -> Result<Vec<Source>, TransportError> {
        Ok(self.broker.log().inputs.keys().copied().collect())
    }

    fn retained(&mut self, source: Source) -> Result<Retained, TransportError> {
        let next = self.broker.log().inputs.get(&source).map_or(0, Vec::len) as i64;
        Ok(Retained { first: 0, next })
    }

    fn committed(&mut self, source: Source) -> Result<Option<i64>, TransportError> {
        Ok(self.broker.log().committed.get(&source).copied())
    }

    fn tail(&mut self, output: Output, partition: i32, most: usize) -> Result<Tail, TransportError> {
        let log = self.broker.log();
        let records = log.outputs.get(&(output, partition)).map(Vec::as_slice).unwrap_or_default();
        let newest = records.len().saturating_sub(most);
        let origins = records.iter().skip(newest).map(|o| Origin { source: o.source, offset: o.offset });
        Ok(Tail { origins: origins.collect(), whole: newest == 0 })
    }

    fn close(&mut self) {
        self.assigned = false;
    }
}
