//! What a decision and an alert both carry: why, and what they saw of each entity.

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// One reason for a decision, as the contract's `Reason`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable word: a rule's or a feature's name.
    pub code: Name,
    /// The reason as a sentence for an analyst.
    #[serde(default)]
    pub text: String,
    /// The feature that it speaks of, if any.
    #[serde(default)]
    pub feature: Option<Name>,
    /// That feature's value for this payment.
    #[serde(default)]
    pub value: Option<f64>,
    /// What is usual for that feature.
    #[serde(default)]
    pub norm: Option<f64>,
    /// What the feature added to the model's raw score (log-odds).
    #[serde(default)]
    pub contribution: Option<f64>,
    /// What gave the reason.
    #[serde(default)]
    pub source: ReasonSource,
}

/// What gave a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReasonSource {
    /// The model's attribution.
    #[default]
    Model,
    /// A rule of the policy.
    Rule,
    /// A list of the policy.
    List,
}

/// One entity as a decision saw it, as the contract's `EntityVersion`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityVersion {
    /// The entity's name in the features file.
    pub entity: Name,
    /// The entity's key. Whoever fills it in masks it first (`sensitive::masked`).
    #[serde(default)]
    pub key: String,
    /// Events of the entity that the decision counted, this payment included.
    #[serde(default)]
    pub version: i64,
    /// Of those the payments accepted over REST and not yet applied from the topic, in the order in which they were
    /// counted, without this one. So a decision over REST saw `version - pending.len() - 1` applied events.
    #[serde(default)]
    pub pending: Vec<String>,
    /// The version at which a payment decided over REST was applied; 0 for one decided from the topic.
    #[serde(default)]
    pub applied: i64,
}
