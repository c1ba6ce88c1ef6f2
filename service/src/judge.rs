//! The judge: one payment, what was seen and what was scored, made into a decision. The stream and the caller's door
//! both come here, so that a decision is the same whoever asked for it. It computes no feature and scores nothing.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use feature_store::definition::{Definitions, Vocabulary};
use feature_store::enricher::Enriched;
use schemas::alert::{Alert, alert_id};
use schemas::decision::{Decision, Door, Feature, Latency, decision_id};
use schemas::mapping::PaymentMapping;
use schemas::name::Name;
use schemas::payment::Payment;
use schemas::reason::EntityVersion;
use schemas::sensitive::masked;
use schemas::value::FeatureValue;

use crate::made::Made;
use crate::pipeline::Deciders;
use crate::policy::{Facts, Lack, ReasonPlan};

/// What a decision is called and explained by: made once of the files.
pub struct Judge {
    entity_names: Vec<Name>,
    feature_names: Vec<Name>,
    features_version: Name,
    reasons: ReasonPlan,
    broken: Broken,
}

/// Rules that had no value for some payment: each is said once.
#[derive(Default)]
struct Broken {
    said: Mutex<BTreeSet<Name>>,
    count: AtomicU64,
}

impl Broken {
    /// Once a rule: a payment that breaks it may come a thousand times a second.
    fn tell(&self, rules: &[Name], decision_id: &str) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for rule in rules {
            if said.len() < MOST_SAID && said.insert(rule.clone()) {
                tracing::warn!(%rule, decision_id, "a rule has no value for this payment and counts as not matched");
            }
        }
    }
}

const MOST_SAID: usize = 1_000;

/// What is known of one payment when it is judged.
pub struct Case<'a> {
    /// The payment.
    pub payment: &'a Payment,
    /// What it saw of its entities.
    pub seen: &'a Enriched,
    /// Its vector, in the order of the features file.
    pub vector: &'a [FeatureValue],
    /// The live model's score.
    pub score: Option<f64>,
    /// What was missing, where something was.
    pub lack: Option<Lack>,
}

/// When and where a decision is made.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// Through which door.
    pub door: Door,
    /// Partition and offset of the record; -1 where it is not in the topic yet.
    pub source: (i32, i64),
    /// Registry id of its schema.
    pub schema_id: i32,
    /// Wall-clock time of the decision, milliseconds.
    pub decided_at_ms: i64,
    /// Wall-clock time by which lists expire, milliseconds.
    pub judged_ms: i64,
    /// Which time this is.
    pub attempt: i32,
    /// Where the time went.
    pub latency_us: Latency,
}

impl Judge {
    /// A judge for these features.
    pub fn new(definitions: &Definitions, mapping: &PaymentMapping) -> Self {
        Self {
            entity_names: mapping.entities.iter().map(|entity| Name::from(entity.name.as_str())).collect(),
            feature_names: definitions.features.iter().map(|f| Name::from(f.name.as_str())).collect(),
            features_version: Name::from(definitions.version.as_str()),
            reasons: ReasonPlan::of(definitions, &Vocabulary::of(mapping)),
            broken: Broken::default(),
        }
    }

    /// Decisions in which a rule had no value.
    pub fn broken(&self) -> u64 {
        self.broken.count.load(Ordering::Relaxed)
    }

    /// Values of one vector.
    pub fn width(&self) -> usize {
        self.feature_names.len()
    }

    /// Decides.
    pub fn decide(&self, deciders: &Deciders, case: &Case<'_>, written: &Written) -> Made {
        let Case { payment, seen, vector, score, lack } = *case;
        let no_model = || (score.is_none() && deciders.model.is_none()).then_some(Lack::NoModel);
        let lack = lack.or_else(no_model);
        let (lists, at_ms) = (&*deciders.lists, written.judged_ms);
        let facts = Facts { score, lack, payment, vector, lists, at_ms };
        let outcome = deciders.policy.decide(&self.reasons, &facts);
        let model = score.and(deciders.model.as_ref()).map(|model| model.id().clone());
        let decision = Decision {
            decision_id: decision_id(&payment.transaction_id),
            transaction_id: payment.transaction_id.to_string(),
            event_time: payment.event_time,
            decided_at_ms: written.decided_at_ms,
            attempt: written.attempt,
            amount: payment.amount,
            currency: payment.currency,
            verdict: outcome.verdict,
            hold: outcome.hold,
            risk_level: outcome.risk_level,
            score,
            expected_loss_minor: outcome.expected_loss_minor,
            reasons: outcome.reasons,
            rules: outcome.rules,
            lists: outcome.lists,
            segment: outcome.segment,
            features: self.features(vector),
            entities: self.entities(payment, seen),
            labels_until: seen.labels_until.to_vec(),
            labels_applied: Vec::new(),
            model,
            policy: deciders.policy.version().clone(),
            features_version: self.features_version.clone(),
            schema_id: written.schema_id,
            fallback: outcome.fallback.as_ref().map(|fallback| fallback.reason.clone()),
            fallback_policy: outcome.fallback.map(|fallback| fallback.policy),
            approximate: seen.approximate,
            door: written.door,
            source_partition: written.source.0,
            source_offset: written.source.1,
            latency_us: written.latency_us,
            alert_id: outcome.alert_rule.as_ref().map(|_| alert_id(&payment.transaction_id)),
        };
        if !outcome.broken.is_empty() {
            self.broken.tell(&outcome.broken, &decision.decision_id);
        }
        Made { decision, alert_rule: outcome.alert_rule }
    }

    fn features(&self, vector: &[FeatureValue]) -> Vec<Feature> {
        let named = self.feature_names.iter().zip(vector);
        named.map(|(name, value)| Feature { name: name.clone(), value: *value }).collect()
    }

    fn entities(&self, payment: &Payment, seen: &Enriched) -> Vec<EntityVersion> {
        let versions = seen.versions.iter().copied().chain(std::iter::repeat(None));
        let keys = payment.entities.iter().zip(versions).zip(&self.entity_names);
        keys.filter_map(|((key, version), entity)| {
            Some(EntityVersion {
                entity: entity.clone(),
                key: masked(key.as_deref()?).into_owned(),
                version: signed(version),
                pending: Vec::new(),
                applied: 0,
            })
        })
        .collect()
    }

    /// The decision that was made before, as the stream emits it: it says where the record stands and which versions
    /// the payment came to when it was applied.
    pub fn adopted(&self, made: &Made, payment: &Payment, seen: &Enriched, source: (i32, i64)) -> Made {
        let mut made = made.clone();
        (made.decision.source_partition, made.decision.source_offset) = source;
        let with_key = payment.entities.iter().zip(&seen.versions).filter(|(key, _)| key.is_some());
        for (entity, (_, version)) in made.decision.entities.iter_mut().zip(with_key) {
            entity.applied = signed(*version);
        }
        made.decision.labels_applied = seen.labels_until.to_vec();
        made
    }
}

fn signed(version: Option<u64>) -> i64 {
    version.map_or(0, |version| i64::try_from(version).unwrap_or(i64::MAX))
}

/// The alert of a decision, if it raised one.
pub fn alert(made: &Made) -> Option<Alert> {
    let Made { decision, alert_rule } = made;
    let rule = alert_rule.clone()?;
    Some(Alert {
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
    })
}
