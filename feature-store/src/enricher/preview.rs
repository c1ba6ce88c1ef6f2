//! What a payment would see if it came now: for a caller who waits for its decision. Nothing is changed by it.
//!
//! ```text
//! Enricher ─ glimpse (under the owner's lock: copies) ─► Glimpse ─ see (outside of it) ─► vector
//!                                  payments accepted and not applied yet ──┘
//! ```
//! The copies get what is ahead of the payment and the payment itself by the very code that the stream applies them
//! with, so both see the same value of the same events. Not here: who is ahead; that is the caller's to know.

use std::sync::Arc;

use schemas::payment::Payment;
use schemas::value::FeatureValue;
use smallvec::SmallVec;

use super::{Enriched, Enricher, request_features, undefined_features};
use crate::definition::{Definitions, Query};
use crate::state::{Bounds, EntityState, Scratch};
use crate::store::StoreError;

/// For each entity of the mapping the payments that were accepted and are not applied yet, in their order.
pub type Ahead = SmallVec<[Vec<Arc<Payment>>; 4]>;

/// The states of a payment's entities as of one moment; `None` where it has no key or no feature uses the entity.
#[derive(Debug, Clone)]
pub struct Glimpse {
    states: SmallVec<[Option<EntityState>; 4]>,
    bounds: Bounds,
    labels_until: SmallVec<[i64; 4]>,
}

/// One entity's features.
#[derive(Debug, Clone, PartialEq)]
pub struct LookUp {
    /// Events applied to it.
    pub version: u64,
    /// A window reaches behind what is kept.
    pub approximate: bool,
    /// Its features by name.
    pub values: Vec<(String, FeatureValue)>,
}

impl Enricher {
    /// Copies the states that a payment's features look at. Entities never met are not remembered for it.
    ///
    /// # Errors
    /// When the store cannot read a state.
    pub fn glimpse(&mut self, payment: &Payment) -> Result<Glimpse, StoreError> {
        let definitions = Arc::clone(&self.definitions);
        let mut states = SmallVec::new();
        for (entity, plan) in definitions.plans.iter().enumerate() {
            let key = payment.entities.get(entity).and_then(Option::as_deref).filter(|_| plan.is_used());
            states.push(match key {
                None => None,
                Some(key) => Some(match self.store.peek(entity, key)? {
                    Some(state) => state.clone(),
                    None => EntityState::new(plan),
                }),
            });
        }
        Ok(Glimpse { states, bounds: self.bounds, labels_until: self.labels_until() })
    }

    /// The features of one entity, by its place in the mapping, at a time; `None` if it was never met.
    ///
    /// # Errors
    /// When the store cannot read its state.
    pub fn look_up(&mut self, entity: usize, key: &str, at_ms: i64) -> Result<Option<LookUp>, StoreError> {
        let definitions = Arc::clone(&self.definitions);
        let Some(plan) = definitions.plans.get(entity).filter(|plan| plan.is_used()) else { return Ok(None) };
        let Some(state) = self.store.peek(entity, key)? else { return Ok(None) };
        let mut vector = vec![FeatureValue::Null; definitions.features.len()];
        let approximate = state.evaluate(plan, at_ms, false, &mut Scratch::default(), &mut vector);
        let named = |query: &Query| (definitions.features[query.feature].name.clone(), vector[query.feature]);
        let values = plan.queries.iter().map(named).collect();
        Ok(Some(LookUp { version: state.version(), approximate, values }))
    }

    /// Whether a payment of this time would be too late on every partition that had payments.
    pub fn is_late(&self, time_ms: i64) -> bool {
        let slowest_ms = self.newest_ms.values().min();
        slowest_ms.is_some_and(|slowest_ms| time_ms < slowest_ms - self.limits.allowed_lateness.0)
    }
}

impl Glimpse {
    /// Writes the vector that the payment sees behind `ahead`. Versions count what is ahead and the payment itself.
    pub fn see(
        mut self,
        definitions: &Definitions,
        payment: &Payment,
        ahead: &Ahead,
        vector: &mut [FeatureValue],
    ) -> Enriched {
        let mut scratch = Scratch::default();
        let labels_until = std::mem::take(&mut self.labels_until);
        let mut enriched = Enriched { versions: SmallVec::new(), approximate: false, labels_until };
        request_features(definitions, payment, vector);
        for (entity, (plan, state)) in definitions.plans.iter().zip(&mut self.states).enumerate() {
            let Some(state) = state else {
                undefined_features(definitions, entity, vector);
                enriched.versions.push(None);
                continue;
            };
            for before in ahead.get(entity).into_iter().flatten() {
                state.apply(plan, before, &self.bounds);
            }
            let place = state.apply(plan, payment, &self.bounds);
            let time_ms = payment.event_time.ms();
            enriched.approximate |= state.evaluate(plan, time_ms, place.is_some(), &mut scratch, vector);
            enriched.versions.push(Some(state.version()));
        }
        enriched
    }
}
