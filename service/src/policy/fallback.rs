//! Fallback: what the policy says when something that a decision needs is missing or late.
//!
//! It stands in for the score's vote and for nothing else: lists and rules hold as ever. So a fallback never makes a
//! payment milder than its rules do.

use schemas::decision::Verdict;

/// What was missing or late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lack {
    /// No model is loaded.
    NoModel,
    /// The model failed on this payment.
    ModelFailed,
    /// The model gave no score in time.
    ModelTimeout,
    /// The features are not those of this moment.
    FeaturesStale,
    /// The features could not be read: all are null.
    FeaturesUnavailable,
    /// There was no room to do more than lists and rules.
    Overload,
}

impl Lack {
    /// Every one.
    pub const ALL: [Lack; 6] = [
        Lack::NoModel,
        Lack::ModelFailed,
        Lack::ModelTimeout,
        Lack::FeaturesStale,
        Lack::FeaturesUnavailable,
        Lack::Overload,
    ];

    /// The word in policies, decisions and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Lack::NoModel => "no_model",
            Lack::ModelFailed => "model_failed",
            Lack::ModelTimeout => "model_timeout",
            Lack::FeaturesStale => "features_stale",
            Lack::FeaturesUnavailable => "features_unavailable",
            Lack::Overload => "overload",
        }
    }

    /// What stands in where the policy does not say.
    pub(super) fn default_stand_in(self) -> StandIn {
        match self {
            Lack::FeaturesStale => StandIn::AsScored,
            _ => StandIn::Verdict(Verdict::Review),
        }
    }
}

/// What takes the place of the score's vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandIn {
    /// The score all the same: there is one.
    AsScored,
    /// Nothing: a payment that no list and no rule speaks of is approved.
    RulesOnly,
    /// This verdict.
    Verdict(Verdict),
}

impl StandIn {
    /// Every one, with its word.
    pub(super) const ALL: [StandIn; 6] = [
        StandIn::AsScored,
        StandIn::RulesOnly,
        StandIn::Verdict(Verdict::Approve),
        StandIn::Verdict(Verdict::Review),
        StandIn::Verdict(Verdict::Challenge),
        StandIn::Verdict(Verdict::Decline),
    ];

    /// The word in policies, decisions and answers.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            StandIn::AsScored => "as_scored",
            StandIn::RulesOnly => "rules_only",
            StandIn::Verdict(verdict) => verdict.as_str(),
        }
    }

    /// Its vote; none of its own where the score votes all the same.
    pub(super) fn verdict(self) -> Option<Verdict> {
        match self {
            StandIn::AsScored => None,
            StandIn::RulesOnly => Some(Verdict::Approve),
            StandIn::Verdict(verdict) => Some(verdict),
        }
    }
}

/// What stands in for each lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fallbacks {
    /// In the order of [`Lack::ALL`].
    stand_ins: [StandIn; Lack::ALL.len()],
}

impl Fallbacks {
    /// As `stand_in` says for each.
    pub(super) fn of(stand_in: impl FnMut(Lack) -> StandIn) -> Self {
        Self { stand_ins: Lack::ALL.map(stand_in) }
    }

    /// What stands in for this one.
    pub(super) fn stand_in(&self, lack: Lack) -> StandIn {
        let found = Lack::ALL.into_iter().zip(self.stand_ins).find(|(other, _)| *other == lack);
        found.map_or(lack.default_stand_in(), |(_, stand_in)| stand_in)
    }
}
