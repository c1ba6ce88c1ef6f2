//! The ledger: each record of the payments topic beside what came of it, and what came of nothing.
//!
//! A partition's decisions stand in the order of their payments, so both are read side by side, once for each pass; what
//! is out of that order is looked up. Memory: an id and a place for each decision, and what is out of order.

use std::collections::{HashMap, HashSet};
use std::hash::Hasher;

use batch::archive::{ArchiveError, ArchiveStore, Progress};
use schemas::dead_letter::DeadLetter;
use schemas::decision::Decision;
use schemas::mapping::PaymentMapping;
use schemas::payment::Payment;
use serde::Deserialize;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::records::{Own, PaymentRecord, Payments};

/// Partition and offset of a payment.
pub(super) type Place = (i32, i64);

/// What became of a record of the payments topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was decided, here.
    Decided,
    /// It is a dead letter with this code.
    Dead(String),
    /// It repeats a payment that was decided.
    Duplicate,
    /// It stands behind what is archived of its partition's decisions.
    Open,
    /// Nothing is known of it.
    Lost,
}

/// A record of the payments topic with what came of it.
pub(super) struct Entry {
    pub place: Place,
    pub record: PaymentRecord,
    pub fate: Fate,
    /// Its decision, and repetitions of it.
    pub decisions: Vec<Decision>,
}

/// What a walk meets.
pub(super) enum Met {
    /// A payment's record.
    Entry(Box<Entry>),
    /// A decision whose payment is not there. Open: it stands behind the last payment that is archived.
    Orphan { decision: Box<Decision>, is_open: bool },
}

/// Names of the topics, as [`crate::archiver::topics`] has them.
pub(super) struct Ledger<'a> {
    store: &'a ArchiveStore,
    topics: [String; 5],
    mapping: &'a PaymentMapping,
    decided: HashMap<u128, Place>,
    dead: HashMap<Place, String>,
    strays: HashMap<Place, Vec<Decision>>,
    frontier: HashMap<i32, i64>,
    /// The payment of each partition's last decision that is archived.
    last_decided: HashMap<i32, i64>,
    /// How far each topic is archived in time.
    until: [Until; 5],
    /// The next offset of each partition of the labels that is archived.
    pub labels_until: HashMap<i32, i64>,
    /// Records by topic.
    pub counts: [u64; 5],
}

/// Where a decision belongs.
#[derive(Deserialize)]
struct Belonging {
    transaction_id: String,
    source_partition: i32,
    source_offset: i64,
}

/// Up to which time a topic is archived, milliseconds.
pub(super) struct Until(Option<Progress>);

impl Until {
    pub fn of(store: &ArchiveStore, topic: &str) -> Result<Self, ArchiveError> {
        Ok(Self(store.progress(topic)?))
    }

    /// One partition. An archive that does not say it holds all that there was.
    pub fn at(&self, partition: i32) -> i64 {
        let Some(progress) = &self.0 else { return i64::MAX };
        progress.get(&partition).copied().flatten().unwrap_or(i64::MIN)
    }

    /// All partitions.
    fn all(&self) -> i64 {
        let Some(progress) = &self.0 else { return i64::MAX };
        progress.values().map(|until| until.unwrap_or(i64::MIN)).min().unwrap_or(i64::MIN)
    }
}

/// Whether a decision stands in the order of its partition's payments.
#[derive(Default)]
struct InOrder(i64);

impl InOrder {
    fn takes(&mut self, partition: i32, (source, offset): Place) -> bool {
        let takes = source == partition && offset >= self.0;
        if takes {
            self.0 = offset;
        }
        takes
    }
}

/// What columns the first walk needs of a decision.
pub(super) const STANDING: [&str; 17] = [
    "_undecodable",
    "decision_id",
    "transaction_id",
    "event_time",
    "decided_at",
    "amount_minor",
    "currency",
    "decision",
    "source_partition",
    "source_offset",
    "entities",
    "labels_until",
    "labels_applied",
    "fallback",
    "door",
    "attempt",
    "features_version",
];

impl<'a> Ledger<'a> {
    pub fn open(
        store: &'a ArchiveStore,
        topics: [String; 5],
        mapping: &'a PaymentMapping,
    ) -> Result<Self, ArchiveError> {
        // Before the files are listed: what it promises is there then.
        let [payments, labels, decisions, alerts, letters] = &topics;
        let until = |topic: &str| Until::of(store, topic);
        let until = [until(payments)?, until(labels)?, until(decisions)?, until(alerts)?, until(letters)?];
        let mut own = Self {
            store,
            topics,
            mapping,
            decided: HashMap::new(),
            dead: HashMap::new(),
            strays: HashMap::new(),
            frontier: HashMap::new(),
            last_decided: HashMap::new(),
            until,
            labels_until: HashMap::new(),
            counts: [0; 5],
        };
        let mut strays = false;
        let columns = ["_undecodable", "transaction_id", "source_partition", "source_offset"];
        for (partition, mut decisions) in Own::<Belonging>::of(store, &own.topics[2], Some(&columns))? {
            let mut order = InOrder::default();
            while let Some(one) = decisions.next_record()? {
                let place = (one.source_partition, one.source_offset);
                own.counts[2] += 1;
                own.decided.entry(id_hash(&one.transaction_id)).or_insert(place);
                if order.takes(partition, place) {
                    own.reaches(place);
                    own.last_decided.insert(partition, place.1);
                } else {
                    strays = true;
                }
            }
        }
        if strays {
            own.read_strays()?;
        }
        for (_, mut letters) in Own::<DeadLetter>::of(store, &own.topics[4], None)? {
            while let Some(letter) = letters.next_record()? {
                own.counts[4] += 1;
                if letter.topic == own.topics[0] {
                    own.reaches((letter.partition, letter.offset));
                    own.dead.insert((letter.partition, letter.offset), letter.code);
                }
            }
        }
        Ok(own)
    }

    fn reaches(&mut self, (partition, offset): Place) {
        let frontier = self.frontier.entry(partition).or_insert(offset);
        *frontier = offset.max(*frontier);
    }

    fn read_strays(&mut self) -> Result<(), ArchiveError> {
        for (partition, mut decisions) in Own::<Decision>::of(self.store, &self.topics[2], None)? {
            let mut order = InOrder::default();
            while let Some(decision) = decisions.next_record()? {
                let place = (decision.source_partition, decision.source_offset);
                if !order.takes(partition, place) {
                    self.strays.entry(place).or_default().push(decision);
                }
            }
        }
        Ok(())
    }

    /// Walks the whole ledger, partition by partition, in the order of the payments' offsets; the same each time.
    /// `columns` are those that are wanted of decisions.
    pub fn walk<E: From<ArchiveError>>(
        &self,
        columns: Option<&[&str]>,
        mut meet: impl FnMut(Met) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut decisions: HashMap<i32, Own<'_, Decision>> =
            Own::of(self.store, &self.topics[2], columns)?.into_iter().collect();
        let mut met: HashSet<Place> = HashSet::new();
        for (partition, mut payments) in Payments::of(self.store, &self.topics[0], self.mapping)? {
            let mut side = Side::of(partition, decisions.remove(&partition));
            let mut last = -1;
            while let Some(record) = payments.next_record()? {
                last = record.offset;
                while let Some(decision) = side.before(record.offset)? {
                    meet(Met::Orphan { decision: Box::new(decision), is_open: false })?;
                }
                let place = (partition, record.offset);
                let mut here = side.at(record.offset)?;
                if let Some(strays) = self.strays.get(&place) {
                    met.insert(place);
                    here.extend(strays.iter().cloned());
                }
                let (own, others): (Vec<_>, Vec<_>) =
                    here.into_iter().partition(|decision| is_of(decision, &record.payment));
                for other in others {
                    meet(Met::Orphan { decision: Box::new(other), is_open: false })?;
                }
                let fate = match self.fate(place, &record, &own) {
                    Fate::Lost if self.is_open(place, side.next_at_ms()?) => Fate::Open,
                    fate => fate,
                };
                meet(Met::Entry(Box::new(Entry { place, record, fate, decisions: own })))?;
            }
            while let Some(decision) = side.before(i64::MAX)? {
                let is_open = decision.source_offset > last;
                meet(Met::Orphan { decision: Box::new(decision), is_open })?;
            }
        }
        for (partition, rest) in decisions {
            let mut side = Side::of(partition, Some(rest));
            while let Some(decision) = side.before(i64::MAX)? {
                meet(Met::Orphan { decision: Box::new(decision), is_open: false })?;
            }
        }
        let mut left: Vec<&Place> = self.strays.keys().filter(|place| !met.contains(*place)).collect();
        left.sort_unstable();
        for decision in left.into_iter().flat_map(|place| &self.strays[place]) {
            meet(Met::Orphan { decision: Box::new(decision.clone()), is_open: false })?;
        }
        Ok(())
    }

    /// Whether what became of a payment is perhaps not archived yet, when the one after it was decided at this time.
    fn is_open(&self, (partition, _): Place, next_at_ms: Option<i64>) -> bool {
        // It may be a dead letter, or repeat one that was decided anywhere.
        next_at_ms.is_none_or(|at_ms| at_ms > self.until[4].at(partition).min(self.until[2].all()))
    }

    fn fate(&self, place: Place, record: &PaymentRecord, decisions: &[Decision]) -> Fate {
        if !decisions.is_empty() {
            return Fate::Decided;
        }
        if let Some(code) = self.dead.get(&place) {
            return Fate::Dead(code.clone());
        }
        if let Ok(payment) = &record.payment
            && self.decided.contains_key(&id_hash(&payment.transaction_id))
        {
            return Fate::Duplicate;
        }
        if self.frontier.get(&place.0).is_none_or(|frontier| place.1 > *frontier) {
            Fate::Open
        } else {
            Fate::Lost
        }
    }

    /// Whether a decision counts what is perhaps not archived yet.
    pub fn is_ahead(&self, decision: &Decision) -> bool {
        let mut labels = (0..).zip(&decision.labels_until);
        let known = |partition: i32| self.labels_until.get(&partition).copied().unwrap_or(0);
        labels.any(|(partition, until)| *until > known(partition))
            || decision.decided_at_ms > self.until[0].all().min(self.until[2].all())
    }

    /// Whether a payment stands behind the last of its partition whose decision is archived.
    pub fn is_behind(&self, (partition, offset): Place) -> bool {
        self.last_decided.get(&partition).is_none_or(|last| offset > *last)
    }

    /// Whether the alert of a decision is perhaps not archived yet.
    pub fn may_have_alert(&self, decision: &Decision) -> bool {
        decision.decided_at_ms > self.until[3].at(decision.source_partition)
    }

    /// Where an id was decided first.
    pub fn decided_at(&self, transaction_id: &str) -> Option<Place> {
        self.decided.get(&id_hash(transaction_id)).copied()
    }
}

fn is_of(decision: &Decision, payment: &Result<Payment, schemas::reject::Reject>) -> bool {
    payment.as_ref().is_ok_and(|payment| *payment.transaction_id == *decision.transaction_id)
}

/// A partition's decisions in order, the next one looked at.
struct Side<'a> {
    partition: i32,
    decisions: Option<Own<'a, Decision>>,
    order: InOrder,
    next: Option<Decision>,
}

impl<'a> Side<'a> {
    fn of(partition: i32, decisions: Option<Own<'a, Decision>>) -> Self {
        Self { partition, decisions, order: InOrder::default(), next: None }
    }

    fn peek(&mut self) -> Result<Option<i64>, ArchiveError> {
        while self.next.is_none() {
            let Some(decisions) = &mut self.decisions else { return Ok(None) };
            let Some(decision) = decisions.next_record()? else { return Ok(None) };
            if self.order.takes(self.partition, (decision.source_partition, decision.source_offset)) {
                self.next = Some(decision);
            }
        }
        Ok(self.next.as_ref().map(|decision| decision.source_offset))
    }

    /// When the next decision was made.
    fn next_at_ms(&mut self) -> Result<Option<i64>, ArchiveError> {
        self.peek()?;
        Ok(self.next.as_ref().map(|decision| decision.decided_at_ms))
    }

    /// The next decision of a payment before this offset.
    fn before(&mut self, offset: i64) -> Result<Option<Decision>, ArchiveError> {
        let is_before = self.peek()?.is_some_and(|next| next < offset);
        Ok(if is_before { self.next.take() } else { None })
    }

    /// Those of the payment at this offset.
    fn at(&mut self, offset: i64) -> Result<Vec<Decision>, ArchiveError> {
        let mut here = Vec::new();
        while self.peek()? == Some(offset) {
            here.extend(self.next.take());
        }
        Ok(here)
    }
}

/// 128 bits of an id: two of 10^9 share them with a probability of 10^-21.
pub(super) fn id_hash(id: &str) -> u128 {
    let mut hash = SipHasher13::new();
    hash.write(id.as_bytes());
    hash.finish128().as_u128()
}
