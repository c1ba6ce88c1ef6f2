//! Events in, feature vectors out: the one way by which a payment or a label changes state.
//!
//! Everything that decides what a value is happens here, in the order in which batches are applied: identity,
//! lateness, the rows of each entity, labels that came before their payment. Not here: decoding, scoring, time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use schemas::payment::{ContentHash, Label, Payment};
use schemas::time::DurationMs;
use schemas::value::FeatureValue;
use smallvec::SmallVec;

use crate::definition::{Definitions, Kind, Request};
use crate::files::FileOptions;
use crate::identity::{Day, EntityRow, Identity, NO_TIE, TransactionKey};
use crate::state::{Bounds, Scratch};
use crate::store::embedded::{Embedded, Restored};
use crate::store::{Source, Store, StoreError, Topic};

mod checkpoint;
mod preview;
mod waiting;

pub use preview::{Ahead, Glimpse, LookUp};

use waiting::Waiting;

/// Limits in event time and memory, from the config.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A payment older than its partition's newest by more than this is a dead letter.
    pub allowed_lateness: DurationMs,
    /// How long a transaction id is remembered, behind its partition's newest event.
    pub remember: DurationMs,
    /// Most events kept for one entity.
    pub max_events: usize,
    /// Width of the tiles into which older events fold.
    pub tile: DurationMs,
    /// Most labels waiting for their payment.
    pub waiting_labels: usize,
}

/// What applying a payment came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Applied {
    /// Seen for the first time: its vector was written.
    New(Enriched),
    /// Seen before with the same content: nothing changed.
    Duplicate,
    /// Seen before with other content: nothing changed.
    Conflict,
    /// Older than the allowed lateness: nothing changed.
    Late,
}

/// What a decision records about the state that it saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Enriched {
    /// For each entity of the mapping its version, where it has features and the payment has a key.
    pub versions: SmallVec<[Option<u64>; 4]>,
    /// Whether a window reached behind what is kept.
    pub approximate: bool,
    /// For each partition of the labels topic the offset of the next label that is to be applied.
    pub labels_until: SmallVec<[i64; 4]>,
}

/// What applying a label came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelApplied {
    /// Its payment's entities know it now.
    Applied,
    /// They knew it already, as far as what is kept can tell: it counts in their versions and changes no value.
    Duplicate,
    /// Its payment is not known (yet): it waits.
    Waiting,
}

/// Whether a payment can be too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lateness {
    Counts,
    Waived,
}

/// The state of everything, and the only code that changes it.
pub struct Enricher {
    definitions: Arc<Definitions>,
    limits: Limits,
    bounds: Bounds,
    store: Embedded,
    identity: Identity,
    waiting: Waiting,
    /// Newest event time of each partition of the payments topic, milliseconds.
    newest_ms: BTreeMap<i32, i64>,
    /// Days forgotten since the last checkpoint.
    forgotten: Vec<Day>,
    scratch: Scratch,
}

impl Enricher {
    /// Opens the store in `dir`. Returns what the last checkpoint kept for the caller.
    ///
    /// # Errors
    /// When the store cannot be opened, see [`Embedded::open`].
    pub fn open(
        dir: &Path,
        options: FileOptions,
        definitions: Arc<Definitions>,
        limits: Limits,
        resident_entities: usize,
    ) -> Result<(Self, Vec<u8>), StoreError> {
        let (store, restored) = Embedded::open(dir, options, Arc::clone(&definitions), resident_entities)?;
        let bounds = Bounds {
            max_events: limits.max_events,
            tile_ms: limits.tile.0.max(1),
            allowed_lateness_ms: limits.allowed_lateness.0,
        };
        let mut enricher = Self {
            identity: Identity::new(definitions.plans.len(), limits.remember.0),
            definitions,
            limits,
            bounds,
            store,
            waiting: Waiting::new(limits.waiting_labels),
            newest_ms: BTreeMap::new(),
            forgotten: Vec::new(),
            scratch: Scratch::default(),
        };
        let owner = enricher.restore(restored)?;
        Ok((enricher, owner))
    }

    /// The definitions.
    pub fn definitions(&self) -> &Arc<Definitions> {
        &self.definitions
    }

    /// The store behind it.
    pub fn store(&self) -> &Embedded {
        &self.store
    }

    /// The store, to begin and commit batches.
    pub fn store_mut(&mut self) -> &mut Embedded {
        &mut self.store
    }

    /// Newest event time of a partition of the payments topic, milliseconds.
    pub fn newest_ms(&self, partition: i32) -> Option<i64> {
        self.newest_ms.get(&partition).copied()
    }

    /// The same of all partitions that had payments.
    pub fn newest(&self) -> &BTreeMap<i32, i64> {
        &self.newest_ms
    }

    /// Ids remembered.
    pub fn remembered(&self) -> usize {
        self.identity.len()
    }

    /// How far the labels topic is applied: the next offset of each of its partitions, at least of the first: none at
    /// all would read as not recorded.
    fn labels_until(&self) -> SmallVec<[i64; 4]> {
        let mut until = SmallVec::new();
        for (source, last) in self.store.fences().range(Source { topic: Topic::Labels, partition: 0 }..) {
            until.resize(usize::try_from(source.partition).unwrap_or(0), 0);
            until.push(last + 1);
        }
        if until.is_empty() {
            until.push(0);
        }
        until
    }

    /// Labels waiting for their payments, and how many had to be dropped.
    pub fn waiting(&self) -> (usize, u64) {
        (self.waiting.len(), self.waiting.dropped())
    }

    /// The content of the payment with this id, if it was applied and is remembered.
    pub fn known(&self, transaction_id: &str) -> Option<ContentHash> {
        self.identity.get(TransactionKey::of(transaction_id)).map(|seen| seen.content)
    }

    /// Applies one payment of a partition and writes its feature vector.
    ///
    /// # Errors
    /// When the store cannot read a state.
    pub fn payment(
        &mut self,
        partition: i32,
        payment: &Payment,
        vector: &mut [FeatureValue],
    ) -> Result<Applied, StoreError> {
        self.admit(partition, payment, vector, Lateness::Counts)
    }

    /// The same for a payment that was decided and answered before it came to its partition: however late it is by
    /// now, it is applied where it belongs.
    ///
    /// # Errors
    /// When the store cannot read a state.
    pub fn accepted_payment(
        &mut self,
        partition: i32,
        payment: &Payment,
        vector: &mut [FeatureValue],
    ) -> Result<Applied, StoreError> {
        self.admit(partition, payment, vector, Lateness::Waived)
    }

    fn admit(
        &mut self,
        partition: i32,
        payment: &Payment,
        vector: &mut [FeatureValue],
        lateness: Lateness,
    ) -> Result<Applied, StoreError> {
        let key = TransactionKey::of(&payment.transaction_id);
        if let Some(seen) = self.identity.get(key) {
            let same = seen.content == payment.content;
            return Ok(if same { Applied::Duplicate } else { Applied::Conflict });
        }
        let time_ms = payment.event_time.ms();
        if !self.advance(partition, time_ms) && lateness == Lateness::Counts {
            return Ok(Applied::Late);
        }
        let definitions = Arc::clone(&self.definitions);
        request_features(&definitions, payment, vector);
        let labels_until = self.labels_until();
        let mut enriched = Enriched { versions: SmallVec::new(), approximate: false, labels_until };
        let mut rows: SmallVec<[EntityRow; 4]> = SmallVec::new();
        for (entity, plan) in definitions.plans.iter().enumerate() {
            let key = payment.entities.get(entity).and_then(Option::as_deref).filter(|_| plan.is_used());
            let Some(key) = key else {
                undefined_features(&definitions, entity, vector);
                enriched.versions.push(None);
                rows.push(None);
                continue;
            };
            let slot = self.store.slot(entity, key);
            let state = self.store.state(slot)?;
            let place = state.apply(plan, payment, &self.bounds);
            let approximate = state.evaluate(plan, time_ms, place.is_some(), &mut self.scratch, vector);
            enriched.approximate |= approximate;
            enriched.versions.push(Some(state.version()));
            rows.push(Some((slot, place.map_or(NO_TIE, |place| place.tie))));
        }
        self.identity.insert(partition, key, payment.content, time_ms, rows.into_iter());
        for label in self.waiting.take(key) {
            self.label(&label)?;
        }
        Ok(Applied::New(enriched))
    }

    /// Moves the partition's event time on. `false` when the payment is too late.
    fn advance(&mut self, partition: i32, time_ms: i64) -> bool {
        let newest_ms = self.newest_ms.entry(partition).or_insert(time_ms);
        if time_ms < *newest_ms - self.limits.allowed_lateness.0 {
            return false;
        }
        if time_ms > *newest_ms {
            *newest_ms = time_ms;
            self.forgotten.extend(self.identity.forget(partition, time_ms));
        }
        true
    }

    /// Applies one label, or keeps it until its payment comes.
    ///
    /// # Errors
    /// When the store cannot read a state.
    pub fn label(&mut self, label: &Label) -> Result<LabelApplied, StoreError> {
        let key = TransactionKey::of(&label.transaction_id);
        let Some(seen) = self.identity.get(key) else {
            let newest_ms = self.newest_ms.values().max().copied().unwrap_or(0);
            self.waiting.add(key, label, newest_ms - self.limits.remember.0);
            return Ok(LabelApplied::Waiting);
        };
        let rows: SmallVec<[_; 4]> = seen.rows().collect();
        // Every entity of a payment hears of every label: what one row knows, all have heard.
        let mut known = false;
        for (entity, slot, place) in rows {
            let plan = &self.definitions.plans[entity];
            known |= !self.store.state(slot)?.apply_label(plan, place, label);
        }
        Ok(if known { LabelApplied::Duplicate } else { LabelApplied::Applied })
    }
}

/// Writes the features of the payment alone.
fn request_features(definitions: &Definitions, payment: &Payment, vector: &mut [FeatureValue]) {
    let time = payment.event_time;
    for (feature, value) in definitions.features.iter().zip(vector) {
        let Kind::Request(request) = feature.kind else { continue };
        *value = match request {
            Request::Amount { major_scale: None } => FeatureValue::Int(payment.amount.minor()),
            Request::Amount { major_scale: Some(scale) } => {
                FeatureValue::Real(payment.amount.minor() as f64 / 10_i64.pow(scale) as f64)
            }
            Request::Hour => FeatureValue::Int(time.hour()),
            Request::Weekday => FeatureValue::Int(time.weekday()),
            Request::Weekend => FeatureValue::Flag(time.weekday() >= 5),
            Request::Night { until_hour } => FeatureValue::Flag(time.hour() <= until_hour),
        };
    }
}

/// Writes the features of an entity that the payment has no key for.
fn undefined_features(definitions: &Definitions, entity: usize, vector: &mut [FeatureValue]) {
    for query in &definitions.plans[entity].queries {
        let kind = definitions.features[query.feature].value_kind();
        vector[query.feature] = crate::state::undefined(&query.windowed, kind);
    }
}
