//! The kernel: every feature of every payment, computed again over whole columns, by an algorithm of its own.
//!
//! ```text
//! payments ─┬─► rows shared out by entity key ──────────┐
//!           └─► identities shared out by transaction ─┐ │     one share at a time, on each core:
//! labels ─────► shared out by transaction ────────────┴─┴─►   sort ─► groups ─► values ─► by chunk of rows
//! ```
//! Two answers for each payment: *by event time*, what it would have been with nothing late; and *as of the log*, what
//! its decision saw by the versions that it recorded. It shares the features file with the stream, and no code of its
//! algebra. Memory is bounded by the largest share; everything else is in files without a name.
//! Not here: where payments come from, what they are compared with.

use std::hash::Hasher;
use std::io;
use std::path::Path;

use feature_store::definition::{Definitions, Kind, Request};
use schemas::payment::{Label, Payment};
use schemas::time::DurationMs;
use schemas::value::FeatureValue;
use siphasher::sip128::{Hasher128, SipHasher24};

mod aggregate;
mod answer;
mod as_of_log;
mod group;
mod join;
mod label;
mod order;
mod plan;
mod share;
mod spill;

pub use answer::{Answers, Chunk};

use join::{Log, Memory};
use label::Epochs;
use plan::EntityTasks;
use spill::Spill;

/// Shares into which rows are split. At ten million payments one has 160,000.
const SHARES: usize = 64;

/// Rows of a chunk of answers: 2^17 x 15 features are 16 MB.
const CHUNK_BITS: u32 = 17;

/// Bits of a topic's offset in a row: 2.8 x 10^14 records of one partition.
const OFFSET_BITS: u32 = 48;

/// Words of an entity's row before those that its features ask for: key (2), time, applied, state, row and epoch,
/// place in the topic.
const ROW_WORDS: usize = 7;

/// In which order payments were applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// In the order in which they are handed in: a file that was replayed.
    Rows,
    /// As their decisions recorded it.
    Recorded,
}

/// What a decision recorded of one entity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Events applied to the entity once the payment was, the payment included.
    pub applied: u64,
    /// Events applied when its features were read, the payment not included.
    pub state: u64,
    /// Payments that it was told of besides, by transaction id.
    pub pending: Vec<String>,
}

/// What a decision recorded of its order.
#[derive(Debug, Clone, Default)]
pub struct Recorded<'a> {
    /// For each entity of the mapping.
    pub standings: Vec<Option<Standing>>,
    /// The next offset of each partition of the labels topic; empty where it was not recorded.
    pub labels_until: &'a [i64],
    /// The same when the payment was applied; empty where that was at once.
    pub labels_applied: &'a [i64],
}

/// Why a decision did not see what event time has it see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A payment came after payments of a later time.
    Late = 1,
    /// A payment was on its way when a caller was answered.
    InFlight = 2,
    /// A label came after the time from which on it was known.
    LabelAfter = 4,
    /// A label came before its payment, and waited for it.
    EarlyLabel = 8,
    /// A label came when its payment had been forgotten.
    LabelForgotten = 16,
}

/// A set of causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Causes(u8);

impl Causes {
    /// Adds one.
    pub fn add(&mut self, cause: Cause) {
        self.0 |= cause as u8;
    }

    /// Whether it has one.
    pub fn has(self, cause: Cause) -> bool {
        self.0 & cause as u8 != 0
    }
}

/// Events of an entity that its versions count and the archive does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Place of the entity in the mapping.
    pub entity: usize,
    /// Its key, see [`entity_key`].
    pub key: [u64; 2],
    /// The first payment that counts them.
    pub row: Option<u32>,
    /// How many; negative where the archive has more than were counted.
    pub missing: i64,
}

/// Collects payments and labels.
#[derive(Debug)]
pub struct Kernel {
    tasks: Vec<EntityTasks>,
    requests: Vec<(usize, Request)>,
    features: usize,
    order: Order,
    rows: u32,
    epochs: Epochs,
    memory: Memory,
    /// Time and amount of each row, by chunk.
    basis: Vec<[i64; 2]>,
    entities: Vec<Spill>,
    identities: Spill,
    labels: Spill,
    pending: Spill,
    folder: std::path::PathBuf,
    words: Vec<u64>,
}

impl Kernel {
    /// A kernel for these features, with its files in a folder.
    ///
    /// # Errors
    /// When the system gives no files.
    pub fn new(definitions: &Definitions, order: Order, folder: &Path) -> io::Result<Self> {
        let tasks = EntityTasks::of(definitions).map_err(io::Error::other)?;
        let entities = tasks.iter().map(|_| Spill::new(folder, SHARES));
        let request = |(place, feature): (usize, &feature_store::definition::Feature)| match feature.kind {
            Kind::Request(request) => Some((place, request)),
            Kind::Windowed(_) => None,
        };
        Ok(Self {
            entities: entities.collect::<io::Result<_>>()?,
            requests: definitions.features.iter().enumerate().filter_map(request).collect(),
            features: definitions.features.len(),
            order,
            rows: 0,
            epochs: Epochs::default(),
            memory: Memory::default(),
            basis: Vec::new(),
            identities: Spill::new(folder, SHARES)?,
            labels: Spill::new(folder, SHARES)?,
            pending: Spill::new(folder, SHARES)?,
            folder: folder.to_owned(),
            tasks,
            words: Vec::new(),
        })
    }

    /// The same for a stream that knows an id for so long: labels that come later find nobody.
    #[must_use]
    pub fn that_forgets(mut self, after: DurationMs) -> Self {
        self.memory.remember_ms = Some(after.0);
        self
    }

    /// Takes a payment that was applied, and what its decision recorded; `None` when there is no decision. Returns its
    /// row.
    ///
    /// # Errors
    /// When a file cannot be written, or after 2^32 payments.
    pub fn payment(
        &mut self,
        source: (i32, i64),
        payment: &Payment,
        recorded: Option<&Recorded<'_>>,
    ) -> io::Result<u32> {
        let row = self.rows;
        self.rows = row.checked_add(1).ok_or_else(|| io::Error::other("more than 2^32 payments"))?;
        self.basis.push([payment.event_time.ms(), payment.amount.minor()]);
        let epoch = recorded.map_or(label::ALL_EPOCHS, |recorded| self.epochs.number(recorded.labels_until));
        let own = transaction_key(&payment.transaction_id);
        let partition = u64::from(source.0.unsigned_abs());
        let mut identity = vec![own[0], own[1], u64::from(row) | u64::from(epoch) << 32, partition];
        if let Some(recorded) = recorded.filter(|recorded| !recorded.labels_until.is_empty()) {
            let applied = Some(recorded.labels_applied).filter(|applied| !applied.is_empty());
            let applied = self.epochs.number(applied.unwrap_or(recorded.labels_until));
            self.memory.hear(source.0, payment.event_time.ms(), applied);
        }
        for (place, tasks) in self.tasks.iter().enumerate() {
            let Some(key) = payment.entities.get(tasks.entity).and_then(Option::as_deref) else {
                identity.push(u64::MAX);
                continue;
            };
            let key = transaction_key(key);
            let share = share_of(key);
            identity.push(share as u64);
            let standing = recorded.and_then(|recorded| recorded.standings.get(tasks.entity)?.as_ref());
            let (applied, state) = match (self.order, standing) {
                (Order::Rows, _) => (order::twice(u64::from(row) + 1), order::twice(u64::from(row))),
                (Order::Recorded, Some(standing)) => {
                    (order::twice(standing.applied), order::twice(standing.state))
                }
                (Order::Recorded, None) => (order::UNKNOWN, order::UNKNOWN),
            };
            self.words.clear();
            let time_ms = payment.event_time.ms().cast_unsigned();
            let row_and_epoch = u64::from(row) | u64::from(epoch) << 32;
            let source = source_word(source);
            self.words.extend([key[0], key[1], time_ms, applied, state, row_and_epoch, source]);
            tasks.write(payment, &mut self.words);
            self.entities[place].push(share, &self.words)?;
            for told in standing.into_iter().flat_map(|standing| &standing.pending) {
                let told = transaction_key(told);
                self.pending
                    .push(share_of(told), &[told[0], told[1], u64::from(row) | (place as u64) << 32])?;
            }
        }
        self.identities.push(share_of(own), &identity)?;
        Ok(row)
    }

    /// Takes a label, by its place in its topic.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn label(&mut self, partition: i32, offset: i64, label: &Label) -> io::Result<()> {
        let key = transaction_key(&label.transaction_id);
        let what =
            u64::from(label.fraud) | (label.source as u64) << 1 | u64::from(partition.unsigned_abs()) << 32;
        let words = [key[0], key[1], label.label_time.ms().cast_unsigned(), what, offset.cast_unsigned()];
        self.labels.push(share_of(key), &words)
    }

    /// Payments so far.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Computes; `progress` hears how many shares are done, and of how many.
    ///
    /// # Errors
    /// When a file cannot be written or read.
    pub fn compute(mut self, progress: &(dyn Fn(usize, usize) + Sync)) -> io::Result<Answers> {
        self.epochs.close();
        let joined = join::join(
            &mut self.identities,
            &mut self.labels,
            &mut self.pending,
            &Log { epochs: &self.epochs, memory: &self.memory, basis: &self.basis },
            self.tasks.len(),
            &self.folder,
        )?;
        let chunks = (self.rows >> CHUNK_BITS) as usize + 1;
        let work = share::Work {
            tasks: &self.tasks,
            epochs: &self.epochs,
            pending: &joined.pending,
            chunks,
            folder: &self.folder,
        };
        let done = share::run(&work, self.entities, joined.labels, progress)?;
        Ok(Answers::new(self.tasks, self.requests, self.features, self.basis, done, joined.early))
    }
}

/// An entity's key as [`Gap`] has it.
pub fn entity_key(key: &str) -> [u64; 2] {
    transaction_key(key)
}

/// 128 bits of a key; two of 10^9 share them with a probability of 10^-21.
fn transaction_key(id: &str) -> [u64; 2] {
    let mut hash = SipHasher24::new();
    hash.write(id.as_bytes());
    let hash = hash.finish128();
    [hash.h1, hash.h2]
}

fn share_of(key: [u64; 2]) -> usize {
    (key[1] % SHARES as u64) as usize
}

/// A place in the topic as one word: partition, then offset.
fn source_word((partition, offset): (i32, i64)) -> u64 {
    u64::from(partition.unsigned_abs()) << OFFSET_BITS | offset.unsigned_abs() & ((1 << OFFSET_BITS) - 1)
}

/// The features of the payment alone.
fn request_value(request: Request, time_ms: i64, amount_minor: i64) -> FeatureValue {
    const HOUR_MS: i64 = 3_600_000;
    let (day, in_day_ms) = (time_ms.div_euclid(24 * HOUR_MS), time_ms.rem_euclid(24 * HOUR_MS));
    // 1970-01-01 was a Thursday, the fourth day of its week.
    let weekday = (day + 3).rem_euclid(7);
    match request {
        Request::Amount { major_scale: None } => FeatureValue::Int(amount_minor),
        Request::Amount { major_scale: Some(scale) } => {
            FeatureValue::Real(amount_minor as f64 / 10_i64.pow(scale) as f64)
        }
        Request::Hour => FeatureValue::Int(in_day_ms / HOUR_MS),
        Request::Weekday => FeatureValue::Int(weekday),
        Request::Weekend => FeatureValue::Flag(weekday > 4),
        Request::Night { until_hour } => FeatureValue::Flag(in_day_ms < (until_hour + 1) * HOUR_MS),
    }
}
