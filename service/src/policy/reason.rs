//! Reason plan: which features can be set beside their norm, and with what words; made once of the features file.
//!
//! A payment that needs reasons then costs one pass over the vector and the texts of three sentences. These
//! are not the model's reasons: they say what is unusual, not what moved the score.

use feature_store::definition::{Definitions, Vocabulary};
use schemas::name::Name;
use schemas::reason::{Reason, ReasonSource};
use schemas::value::FeatureValue;

use super::norm::Norm;
use super::wording::Wording;

/// Most features named in a decision: what an analyst takes in at a glance.
pub(super) const MOST_FEATURES: usize = 3;

/// The features that can give a reason.
#[derive(Debug, Clone)]
pub struct ReasonPlan {
    compared: Vec<Compared>,
}

#[derive(Debug, Clone)]
struct Compared {
    place: usize,
    norm: Norm,
    name: Name,
    wording: Wording,
}

/// One feature of one payment that is far from its norm.
#[derive(Debug, Clone, Copy)]
struct Finding<'a> {
    compared: &'a Compared,
    times: f64,
    value: f64,
    usual: f64,
}

impl ReasonPlan {
    /// The plan for vectors of these definitions, in the names of the mapping that they were read with.
    pub fn of(definitions: &Definitions, vocabulary: &Vocabulary) -> Self {
        let compared = |(place, feature): (usize, &feature_store::definition::Feature)| {
            let norm = Norm::of(&definitions.features, place, vocabulary)?;
            let wording = Wording::of(feature, vocabulary);
            Some(Compared { place, norm, name: Name::from(feature.name.as_str()), wording })
        };
        Self { compared: definitions.features.iter().enumerate().filter_map(compared).collect() }
    }

    /// Adds up to three reasons: the features furthest from what is usual, furthest first, the earlier in the
    /// file where two are equally far. Undefined values and norms give none.
    pub(super) fn furthest(&self, vector: &[FeatureValue], reasons: &mut Vec<Reason>) {
        let mut top: [Option<Finding<'_>>; MOST_FEATURES] = [None; MOST_FEATURES];
        for compared in &self.compared {
            let mut next = compared.finding(vector);
            for slot in &mut top {
                if next.is_some_and(|next| slot.is_none_or(|slot| next.times > slot.times)) {
                    std::mem::swap(slot, &mut next);
                }
            }
        }
        reasons.extend(top.iter().flatten().map(Finding::reason));
    }
}

impl Compared {
    fn finding(&self, vector: &[FeatureValue]) -> Option<Finding<'_>> {
        let number = |place| vector.get(place).and_then(|value: &FeatureValue| value.as_f64());
        let value = number(self.place)?;
        let usual = self.norm.usual(value, number(self.norm.place())?);
        let times = self.norm.times(value, usual)?;
        Some(Finding { compared: self, times, value, usual })
    }
}

impl Finding<'_> {
    fn reason(&self) -> Reason {
        let Finding { compared, value, usual, .. } = *self;
        Reason {
            code: compared.name.clone(),
            text: compared.wording.sentence(value, usual),
            feature: Some(compared.name.clone()),
            value: Some(value),
            norm: Some(usual),
            contribution: None,
            source: ReasonSource::Model,
        }
    }
}

#[cfg(test)]
impl ReasonPlan {
    /// The features that can give a reason.
    pub(super) fn names(&self) -> Vec<Name> {
        self.compared.iter().map(|compared| compared.name.clone()).collect()
    }

    /// Every feature with a finding, and how far it is.
    pub(super) fn times(&self, vector: &[FeatureValue]) -> Vec<(Name, f64)> {
        let finding = |compared: &Compared| Some((compared.name.clone(), compared.finding(vector)?.times));
        self.compared.iter().filter_map(finding).collect()
    }
}
