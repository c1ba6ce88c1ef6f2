//! The pipeline: one batch of payments of one partition is enriched, scored and decided.
//!
//! ```text
//! Item ─► enrich: rows and vectors, in order ─► one call scores all ─► judge ─► Ruling
//!            └ under the state's lock              └ outside of it
//! ```
//! It is blind to transports: it is given parsed payments (or why there is none) and gives a ruling for each. The
//! same code runs behind Kafka, the memory transport and `replay`. It changes state and makes nothing durable;
//! that is the line's, under the same lock, so that whoever reads the state sees only what a restart would make again.
//! A payment that was decided for a caller before is not decided again: it is applied, and its decision adopted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use feature_store::enricher::{Applied, Enriched, Enricher};
use feature_store::store::StoreError;
use models::Model;
use schemas::alert::Alert;
use schemas::decision::{Decision, Door, Latency};
use schemas::mapping::PaymentMapping;
use schemas::payment::{Label, Payment};
use schemas::reject::{Reject, RejectCode};
use schemas::time::DurationMs;
use schemas::value::FeatureValue;

use crate::accepted::{Accepted, Left, Taken};
use crate::clock::Clock;
use crate::judge::{self, Case, Judge, Written};
use crate::made::Made;
use crate::policy::{Lists, Policy};

/// What decides: taken once for a batch, so that no batch mixes versions.
#[derive(Clone)]
pub struct Deciders {
    /// The live model, if there is one.
    pub model: Option<Arc<Model>>,
    /// The policy.
    pub policy: Arc<Policy>,
    /// The block and allow lists.
    pub lists: Arc<Lists>,
}

/// Gives the model, the policy and the lists of now.
pub type DecidersOfNow = Arc<dyn Fn() -> Deciders + Send + Sync>;

/// One record of a batch, parsed.
#[derive(Debug)]
pub struct Item {
    /// Offset in its partition; a row's number in a file.
    pub offset: i64,
    /// Registry id of its schema, 0 without one.
    pub schema_id: i32,
    /// The payment, or why it cannot be decided.
    pub payment: Result<Payment, Reject>,
    /// The decision that it carries or had before a restart.
    pub made: Option<Arc<Made>>,
    /// Monotonic time at which it came into the process, microseconds.
    pub arrived_us: u64,
    /// Labels that are applied right before it: replay's, which has payments and labels in one order.
    pub labels_before: Vec<Label>,
}

/// What came of one item.
#[derive(Debug)]
pub enum Ruling {
    /// Decided, perhaps with an alert.
    Decided(Box<Decision>, Option<Box<Alert>>),
    /// Seen before with the same content: no second effect.
    Duplicate,
    /// It cannot be decided.
    Dead(Reject),
}

/// What the batch is part of.
#[derive(Debug, Clone, Copy)]
pub struct BatchFacts {
    /// Partition of the payments topic.
    pub partition: i32,
    /// Wall-clock time at which events count as from the future, milliseconds: the batch's own, also when it is
    /// run again after a restart.
    pub judged_ms: i64,
    /// Which time this is: 1, or 2 when the batch may have been emitted before a restart.
    pub attempt: i32,
    /// Microseconds that decoding took, for the whole batch.
    pub decode_us: i64,
}

/// The state, and the lock under which it is read and changed.
pub type State = Mutex<Enricher>;

/// The state, for as long as the guard lives.
pub fn lock(state: &State) -> MutexGuard<'_, Enricher> {
    // Poisoned: the line panicked half way, and the process is ending.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Enrich, score, decide.
pub struct Pipeline {
    state: Arc<State>,
    accepted: Arc<Accepted>,
    judge: Arc<Judge>,
    allowed_skew: DurationMs,
    vectors: Vec<FeatureValue>,
    scores: Vec<Option<f64>>,
    /// Batches that the model failed.
    model_failures: u64,
}

/// A batch after enriching: what it changed is in the state, and nothing is decided.
pub struct EnrichedBatch {
    items: Vec<EnrichedItem>,
    started_us: u64,
    /// What was taken over from the callers and is in no record: a restart cannot know it by itself.
    pub adopted: Vec<(i64, Arc<Made>)>,
    /// What was refused for it: likewise.
    pub refused: Vec<(i64, Reject)>,
}

struct EnrichedItem {
    offset: i64,
    schema_id: i32,
    arrived_us: u64,
    outcome: Enrichment,
}

#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are the large one, and a box would cost an allocation each"
)]
enum Enrichment {
    /// To be scored and decided.
    New { payment: Payment, seen: Enriched, waited_for: bool },
    /// Decided before it came.
    Adopted(Box<Made>),
    /// Ruled already.
    Ruled(Ruling),
}

impl Pipeline {
    /// A pipeline over an opened enricher.
    pub fn new(enricher: Enricher, mapping: &PaymentMapping, allowed_skew: DurationMs) -> Self {
        Self {
            judge: Arc::new(Judge::new(enricher.definitions(), mapping)),
            state: Arc::new(Mutex::new(enricher)),
            accepted: Arc::default(),
            allowed_skew,
            vectors: Vec::new(),
            scores: Vec::new(),
            model_failures: 0,
        }
    }

    /// The same, with what callers were answered.
    #[must_use]
    pub fn with_accepted(self, accepted: Arc<Accepted>) -> Self {
        Self { accepted, ..self }
    }

    /// The state.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// The state, locked.
    pub fn enricher(&self) -> MutexGuard<'_, Enricher> {
        lock(&self.state)
    }

    /// Whether callers are between their answer and the stream.
    pub fn has_callers(&self) -> bool {
        self.accepted.open() > 0
    }

    /// Who decides.
    pub fn judge(&self) -> &Arc<Judge> {
        &self.judge
    }

    /// Batches that the model failed so far.
    pub fn model_failures(&self) -> u64 {
        self.model_failures
    }

    /// Runs one batch; `rulings` gets one for each item, in order.
    ///
    /// # Errors
    /// When the store cannot read a state. The state is then half changed: the process must end.
    pub fn run(
        &mut self,
        items: Vec<Item>,
        facts: BatchFacts,
        deciders: &Deciders,
        clock: &dyn Clock,
        rulings: &mut Vec<Ruling>,
    ) -> Result<(), StoreError> {
        let state = Arc::clone(&self.state);
        let batch = self.enrich(&mut lock(&state), items, facts, clock)?;
        self.decide(batch, facts, deciders, clock, rulings);
        Ok(())
    }

    /// The first half of a batch, under the state's lock.
    ///
    /// # Errors
    /// When the store cannot read a state. The state is then half changed: the process must end.
    pub fn enrich(
        &mut self,
        enricher: &mut Enricher,
        items: Vec<Item>,
        facts: BatchFacts,
        clock: &dyn Clock,
    ) -> Result<EnrichedBatch, StoreError> {
        let started_us = clock.now().monotonic_us;
        self.vectors.clear();
        let mut batch =
            EnrichedBatch { items: Vec::new(), started_us, adopted: Vec::new(), refused: Vec::new() };
        batch.items.reserve(items.len());
        for item in items {
            for label in &item.labels_before {
                enricher.label(label)?;
            }
            let (offset, schema_id, arrived_us) = (item.offset, item.schema_id, item.arrived_us);
            let outcome = match item.payment {
                Err(reject) => Enrichment::Ruled(Ruling::Dead(reject)),
                Ok(payment) => self.apply(enricher, payment, item.made, offset, facts, &mut batch)?,
            };
            batch.items.push(EnrichedItem { offset, schema_id, arrived_us, outcome });
        }
        self.accepted.is_at(enricher.newest().values().min().copied());
        Ok(batch)
    }

    fn apply(
        &mut self,
        enricher: &mut Enricher,
        payment: Payment,
        made: Option<Arc<Made>>,
        offset: i64,
        facts: BatchFacts,
        batch: &mut EnrichedBatch,
    ) -> Result<Enrichment, StoreError> {
        let dead = |code, detail: String| Enrichment::Ruled(Ruling::Dead(Reject::new(code, detail)));
        if made.is_none() && payment.event_time.ms() > facts.judged_ms.saturating_add(self.allowed_skew.0) {
            let detail = format!("the event time is more than {} in the future", self.allowed_skew);
            return Ok(dead(RejectCode::Future, detail));
        }
        if made.is_none() && self.accepted.conflicts(&payment) {
            let reject = Reject::new(RejectCode::Conflict, CONFLICT);
            batch.refused.push((offset, reject.clone()));
            return Ok(Enrichment::Ruled(Ruling::Dead(reject)));
        }
        let (from, width) = (self.vectors.len(), self.judge.width());
        self.vectors.resize(from + width, FeatureValue::Null);
        let vector = self.vectors.get_mut(from..).unwrap_or_default();
        let applied = match made {
            Some(_) => enricher.accepted_payment(facts.partition, &payment, vector)?,
            None => enricher.payment(facts.partition, &payment, vector)?,
        };
        let outcome = match applied {
            Applied::New(seen) => {
                let taken = self.accepted.applied(&payment);
                let waited_for = taken == Taken::Overtook;
                let stands = match (made, taken) {
                    (Some(made), _) => made,
                    (None, Taken::Adopted(made)) => {
                        batch.adopted.push((offset, Arc::clone(&made)));
                        made
                    }
                    (None, _) => return Ok(Enrichment::New { payment, seen, waited_for }),
                };
                let source = (facts.partition, offset);
                Enrichment::Adopted(Box::new(self.judge.adopted(&stands, &payment, &seen, source)))
            }
            Applied::Duplicate => {
                // One that was kept over a restart may be in the topic already.
                self.accepted.met_again(&payment);
                Enrichment::Ruled(Ruling::Duplicate)
            }
            Applied::Conflict => {
                // One that was decided for a caller while nobody could tell that its id was taken.
                self.accepted.refused(&payment, Left::Conflict);
                dead(RejectCode::Conflict, CONFLICT.to_owned())
            }
            Applied::Late => dead(RejectCode::Late, LATE.to_owned()),
        };
        self.vectors.truncate(from);
        Ok(outcome)
    }

    /// The second half: scores in one call, and rulings in the order of the items.
    pub fn decide(
        &mut self,
        batch: EnrichedBatch,
        facts: BatchFacts,
        deciders: &Deciders,
        clock: &dyn Clock,
        rulings: &mut Vec<Ruling>,
    ) {
        let count = i64::try_from(batch.items.len().max(1)).unwrap_or(i64::MAX);
        let enriched_at = clock.now();
        self.score(deciders);
        let scored_at = clock.now();
        let mut latency_us = Latency {
            decode: facts.decode_us / count,
            features: enriched_at.since_us(batch.started_us) / count,
            model: scored_at.since_us(enriched_at.monotonic_us) / count,
            ..Latency::default()
        };
        let width = self.judge.width();
        let from = rulings.len();
        let mut row = 0;
        for item in batch.items {
            let (payment, seen, waited_for) = match item.outcome {
                Enrichment::New { payment, seen, waited_for } => (payment, seen, waited_for),
                Enrichment::Adopted(made) => {
                    rulings.push(ruling(*made));
                    continue;
                }
                Enrichment::Ruled(ruling) => {
                    rulings.push(ruling);
                    continue;
                }
            };
            let vector = self.vectors.get(row * width..(row + 1) * width).unwrap_or_default();
            let score = self.scores.get(row).copied().flatten();
            row += 1;
            latency_us.total = scored_at.since_us(item.arrived_us);
            let written = Written {
                door: Door::Topic,
                source: (facts.partition, item.offset),
                schema_id: item.schema_id,
                decided_at_ms: scored_at.wall_ms,
                judged_ms: facts.judged_ms,
                attempt: facts.attempt,
                latency_us,
            };
            let case = Case { payment: &payment, seen: &seen, vector, score, lack: None };
            let made = self.judge.decide(deciders, &case, &written);
            if waited_for {
                self.accepted.overtaken(&payment.transaction_id, made.clone());
            }
            rulings.push(ruling(made));
        }
        let policy_us = clock.now().since_us(scored_at.monotonic_us) / count;
        for ruling in rulings.iter_mut().skip(from) {
            if let Ruling::Decided(decision, _) = ruling
                && decision.door == Door::Topic
            {
                decision.latency_us.policy = policy_us;
                decision.latency_us.total += policy_us;
            }
        }
    }

    /// Scores the vectors in one call. A batch that the model fails has no scores, and the policy says what then.
    fn score(&mut self, deciders: &Deciders) {
        let width = self.judge.width();
        self.scores.clear();
        let Some(model) = deciders.model.as_ref().filter(|_| !self.vectors.is_empty()) else { return };
        if let Err(error) = model.score(&self.vectors, width, &mut self.scores) {
            self.model_failures += 1;
            self.scores.clear();
            tracing::warn!(model = %model.id(), %error, "the model failed a batch: the policy's fallback decides");
        }
    }
}

const CONFLICT: &str = "a payment with this transaction id and other content was decided before";
const LATE: &str =
    "the event time is further behind its partition's newest payment than limits.lateness allows";

fn ruling(made: Made) -> Ruling {
    let alert = judge::alert(&made).map(Box::new);
    Ruling::Decided(Box::new(made.decision), alert)
}
