//! The pipeline: one batch of payments of one partition is enriched, scored and decided.
//!
//! ```text
//! Item ─► enrich: rows and vectors, in order ─► one call scores all ─► policy ─► Ruling
//! ```
//! It is blind to transports: it is given parsed payments (or why there is none) and gives a ruling for each. The
//! same code runs behind Kafka, the memory transport and `replay`. It changes state and makes nothing durable;
//! that is the line's.

use std::sync::Arc;

use feature_store::definition::Vocabulary;
use feature_store::enricher::{Applied, Enriched, Enricher, LabelApplied};
use feature_store::store::StoreError;
use models::Model;
use schemas::alert::{Alert, alert_id};
use schemas::decision::{Decision, Door, Feature, Latency, decision_id};
use schemas::mapping::PaymentMapping;
use schemas::name::Name;
use schemas::payment::{Label, Payment};
use schemas::reason::EntityVersion;
use schemas::reject::{Reject, RejectCode};
use schemas::sensitive::masked;
use schemas::time::DurationMs;
use schemas::value::FeatureValue;

use crate::clock::{Clock, Now};
use crate::policy::{Facts, Missing, Outcome, Policy, ReasonPlan};

/// What decides: taken once for a batch, so that no batch mixes versions.
#[derive(Clone)]
pub struct Deciders {
    /// The live model, if there is one.
    pub model: Option<Arc<Model>>,
    /// The policy.
    pub policy: Arc<Policy>,
}

/// One record of a batch, parsed.
#[derive(Debug)]
pub struct Item {
    /// Offset in its partition; a row's number in a file.
    pub offset: i64,
    /// Registry id of its schema, 0 without one.
    pub schema_id: i32,
    /// The payment, or why it cannot be decided.
    pub payment: Result<Payment, Reject>,
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

/// Enrich, score, decide.
pub struct Pipeline {
    enricher: Enricher,
    entity_names: Vec<Name>,
    feature_names: Vec<Name>,
    features_version: Name,
    reasons: ReasonPlan,
    allowed_skew: DurationMs,
    vectors: Vec<FeatureValue>,
    scores: Vec<Option<f64>>,
    /// Batches that the model failed.
    model_failures: u64,
}

/// An item after enriching: its payment and what it saw, or its ruling already.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are the large one, and a box would cost an allocation each"
)]
enum Enrichment {
    New(Payment, Enriched),
    Ruled(Ruling),
}

impl Pipeline {
    /// A pipeline over an opened enricher.
    pub fn new(enricher: Enricher, mapping: &PaymentMapping, allowed_skew: DurationMs) -> Self {
        let definitions = enricher.definitions();
        Self {
            entity_names: mapping.entities.iter().map(|entity| Name::from(entity.name.as_str())).collect(),
            feature_names: definitions.features.iter().map(|f| Name::from(f.name.as_str())).collect(),
            features_version: Name::from(definitions.version.as_str()),
            reasons: ReasonPlan::of(definitions, &Vocabulary::of(mapping)),
            enricher,
            allowed_skew,
            vectors: Vec::new(),
            scores: Vec::new(),
            model_failures: 0,
        }
    }

    /// The state.
    pub fn enricher(&self) -> &Enricher {
        &self.enricher
    }

    /// The state, to commit and checkpoint.
    pub fn enricher_mut(&mut self) -> &mut Enricher {
        &mut self.enricher
    }

    /// Batches that the model failed so far.
    pub fn model_failures(&self) -> u64 {
        self.model_failures
    }

    /// Applies one label.
    ///
    /// # Errors
    /// When the store cannot read a state.
    pub fn label(&mut self, label: &Label) -> Result<LabelApplied, StoreError> {
        self.enricher.label(label)
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
        let count = i64::try_from(items.len().max(1)).unwrap_or(i64::MAX);
        let started = clock.now();
        let arrivals: Vec<_> =
            items.iter().map(|item| (item.offset, item.schema_id, item.arrived_us)).collect();
        let enriched = self.enrich(items, facts)?;
        let enriched_at = clock.now();
        self.score(deciders);
        let scored_at = clock.now();
        let mut latency = Latency {
            decode: facts.decode_us / count,
            features: enriched_at.since_us(started.monotonic_us) / count,
            model: scored_at.since_us(enriched_at.monotonic_us) / count,
            ..Latency::default()
        };
        let width = self.feature_names.len();
        let from = rulings.len();
        let mut row = 0;
        for (enrichment, (offset, schema_id, arrived_us)) in enriched.into_iter().zip(arrivals) {
            let (payment, seen) = match enrichment {
                Enrichment::New(payment, seen) => (payment, seen),
                Enrichment::Ruled(ruling) => {
                    rulings.push(ruling);
                    continue;
                }
            };
            let vector = self.vectors.get(row * width..(row + 1) * width).unwrap_or_default();
            let score = self.scores.get(row).copied().flatten();
            row += 1;
            let missing = if deciders.model.is_some() { Missing::ModelFailed } else { Missing::NoModel };
            let policy_facts = Facts { score, missing, amount: payment.amount, vector };
            let outcome = deciders.policy.decide(&self.reasons, &policy_facts);
            latency.total = scored_at.since_us(arrived_us);
            let written = Written { offset, schema_id, latency, now: scored_at };
            rulings.push(self.ruling(payment, seen, vector, score, outcome, deciders, facts, written));
        }
        let policy_us = clock.now().since_us(scored_at.monotonic_us) / count;
        for ruling in rulings.iter_mut().skip(from) {
            if let Ruling::Decided(decision, _) = ruling {
                decision.latency_us.policy = policy_us;
                decision.latency_us.total += policy_us;
            }
        }
        Ok(())
    }

    fn enrich(&mut self, items: Vec<Item>, facts: BatchFacts) -> Result<Vec<Enrichment>, StoreError> {
        let width = self.feature_names.len();
        self.vectors.clear();
        let mut enriched = Vec::with_capacity(items.len());
        for item in items {
            for label in &item.labels_before {
                self.enricher.label(label)?;
            }
            let payment = match item.payment {
                Ok(payment) => payment,
                Err(reject) => {
                    enriched.push(Enrichment::Ruled(Ruling::Dead(reject)));
                    continue;
                }
            };
            if payment.event_time.ms() > facts.judged_ms.saturating_add(self.allowed_skew.0) {
                let detail = format!("the event time is more than {} in the future", self.allowed_skew);
                enriched.push(Enrichment::Ruled(Ruling::Dead(Reject::new(RejectCode::Future, detail))));
                continue;
            }
            let from = self.vectors.len();
            self.vectors.resize(from + width, FeatureValue::Null);
            let vector = self.vectors.get_mut(from..).unwrap_or_default();
            let ruled = match self.enricher.payment(facts.partition, &payment, vector)? {
                Applied::New(seen) => {
                    enriched.push(Enrichment::New(payment, seen));
                    continue;
                }
                Applied::Duplicate => Ruling::Duplicate,
                Applied::Conflict => Ruling::Dead(Reject::new(
                    RejectCode::Conflict,
                    "a payment with this transaction id and other content was decided before",
                )),
                Applied::Late => Ruling::Dead(Reject::new(
                    RejectCode::Late,
                    "the event time is further behind its partition's newest payment than limits.lateness allows",
                )),
            };
            self.vectors.truncate(from);
            enriched.push(Enrichment::Ruled(ruled));
        }
        Ok(enriched)
    }

    /// Scores the vectors in one call. A batch that the model fails has no scores, and the policy says what then.
    fn score(&mut self, deciders: &Deciders) {
        let width = self.feature_names.len();
        self.scores.clear();
        let Some(model) = deciders.model.as_ref().filter(|_| !self.vectors.is_empty()) else { return };
        if let Err(error) = model.score(&self.vectors, width, &mut self.scores) {
            self.model_failures += 1;
            self.scores.clear();
            tracing::warn!(model = %model.id(), %error, "the model failed a batch: the policy's fallback decides");
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one decision, gathered here once")]
    fn ruling(
        &self,
        payment: Payment,
        seen: Enriched,
        vector: &[FeatureValue],
        score: Option<f64>,
        outcome: Outcome,
        deciders: &Deciders,
        facts: BatchFacts,
        written: Written,
    ) -> Ruling {
        let entities = self.entities(&payment, &seen);
        let model = score.and(deciders.model.as_ref()).map(|model| model.id().clone());
        let decision = Decision {
            decision_id: decision_id(&payment.transaction_id),
            transaction_id: payment.transaction_id.into(),
            event_time: payment.event_time,
            decided_at_ms: written.now.wall_ms,
            attempt: facts.attempt,
            amount: payment.amount,
            currency: payment.currency,
            verdict: outcome.verdict,
            hold: false,
            risk_level: Name::default(),
            rules: Vec::new(),
            lists: Vec::new(),
            segment: None,
            fallback_policy: None,
            door: Door::Topic,
            score,
            expected_loss_minor: outcome.expected_loss_minor,
            reasons: outcome.reasons,
            features: features(&self.feature_names, vector),
            entities,
            model,
            policy: deciders.policy.version().clone(),
            features_version: self.features_version.clone(),
            schema_id: written.schema_id,
            fallback: outcome.fallback,
            approximate: seen.approximate,
            source_partition: facts.partition,
            source_offset: written.offset,
            latency_us: written.latency,
            alert_id: None,
        };
        match outcome.alert_rule {
            None => Ruling::Decided(Box::new(decision), None),
            Some(rule) => {
                let alert = alert(&decision, rule);
                let decision = Decision { alert_id: Some(alert.alert_id.clone()), ..decision };
                Ruling::Decided(Box::new(decision), Some(Box::new(alert)))
            }
        }
    }

    fn entities(&self, payment: &Payment, seen: &Enriched) -> Vec<EntityVersion> {
        let keys = payment.entities.iter().zip(&seen.versions).zip(&self.entity_names);
        keys.filter_map(|((key, version), entity)| {
            Some(EntityVersion {
                entity: entity.clone(),
                key: masked(key.as_deref()?).into_owned(),
                version: version.map_or(0, |version| i64::try_from(version).unwrap_or(i64::MAX)),
                pending: Vec::new(),
                applied: 0,
            })
        })
        .collect()
    }
}

/// What a decision says about when and where it was made.
#[derive(Clone, Copy)]
struct Written {
    offset: i64,
    schema_id: i32,
    latency: Latency,
    now: Now,
}

fn features(names: &[Name], vector: &[FeatureValue]) -> Vec<Feature> {
    names.iter().zip(vector).map(|(name, value)| Feature { name: name.clone(), value: *value }).collect()
}

fn alert(decision: &Decision, rule: Name) -> Alert {
    Alert {
        alert_id: alert_id(&decision.transaction_id),
        decision_id: decision.decision_id.clone(),
        transaction_id: decision.transaction_id.clone(),
        event_time: decision.event_time,
        raised_at_ms: decision.decided_at_ms,
        attempt: decision.attempt,
        verdict: decision.verdict,
        hold: decision.hold,
        rule,
        score: decision.score,
        amount: decision.amount,
        currency: decision.currency,
        expected_loss_minor: decision.expected_loss_minor,
        entities: decision.entities.clone(),
        reasons: decision.reasons.clone(),
        model: decision.model.clone(),
        policy: decision.policy.clone(),
        source_partition: decision.source_partition,
        source_offset: decision.source_offset,
    }
}
