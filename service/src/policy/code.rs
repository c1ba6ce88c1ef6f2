//! Code: the stable words of a policy's reasons, made once, and the reasons that are not about features.
//!
//! The codes are public interface: dashboards count them. A rule's code is its name, which may not begin like one of
//! these. Not the reasons about features, see `ReasonPlan`.

use schemas::decision::Verdict;
use schemas::name::Name;
use schemas::reason::{Reason, ReasonSource};

use super::fallback::{Lack, StandIn};
use super::lists::{ListKind, Listing};
use super::rule::Rule;
use super::wording::fraction;

/// How the words begin that no rule may take for its name.
pub(super) const RESERVED: [&str; 3] = ["threshold_", "fallback_", "list_"];

/// The words, counted by reference from here on.
#[derive(Debug, Clone)]
pub(super) struct Codes {
    review: Name,
    challenge: Name,
    decline: Name,
    none_reached: Name,
    block: Name,
    allow: Name,
    /// In the order of [`Lack::ALL`].
    lacks: [LackCodes; Lack::ALL.len()],
    /// In the order of [`StandIn::ALL`].
    stand_ins: [Name; StandIn::ALL.len()],
}

/// One cause of a fallback.
#[derive(Debug, Clone)]
struct LackCodes {
    lack: Lack,
    /// The decision's `fallback`.
    fallback: Name,
    /// The reason's code.
    reason: Name,
}

impl Codes {
    /// All words.
    pub(super) fn new() -> Self {
        let lack_codes = |lack: Lack| LackCodes {
            lack,
            fallback: lack.as_str().into(),
            reason: format!("fallback_{}", lack.as_str()).into(),
        };
        Self {
            review: "threshold_review".into(),
            challenge: "threshold_challenge".into(),
            decline: "threshold_decline".into(),
            none_reached: "threshold_none".into(),
            block: "list_block".into(),
            allow: "list_allow".into(),
            lacks: Lack::ALL.map(lack_codes),
            stand_ins: StandIn::ALL.map(|stand_in| stand_in.as_str().into()),
        }
    }

    /// The word for a decision's `fallback`.
    pub(super) fn lack(&self, lack: Lack) -> Name {
        let found = self.lacks.iter().find(|codes| codes.lack == lack);
        found.map_or_else(|| lack.as_str().into(), |codes| codes.fallback.clone())
    }

    /// The word for what stood in.
    pub(super) fn stand_in(&self, stand_in: StandIn) -> Name {
        let word = stand_in.as_str();
        self.stand_ins.iter().find(|name| **name == word).cloned().unwrap_or_else(|| word.into())
    }

    /// Which threshold the score reached; that it reached none, where it is asked about an approval.
    pub(super) fn score_reason(&self, score: f64, reached: Option<(Verdict, f64)>) -> Reason {
        let (verdict, threshold) = reached.map_or((Verdict::Approve, None), |(v, at)| (v, Some(at)));
        let code = match verdict {
            Verdict::Approve => &self.none_reached,
            Verdict::Review => &self.review,
            Verdict::Challenge => &self.challenge,
            Verdict::Decline => &self.decline,
        };
        let word = verdict.as_str();
        let score_text = fraction(score);
        let text = match threshold {
            Some(at) => format!("score {score_text} is at or above {} ({word})", fraction(at)),
            None => format!("score {score_text} is below every threshold ({word})"),
        };
        Reason { value: Some(score), norm: threshold, ..reason(code, text, ReasonSource::Rule) }
    }

    /// Why something stood in for the score's vote.
    pub(super) fn fallback_reason(&self, lack: Lack, stand_in: StandIn) -> Reason {
        let why = match lack {
            Lack::NoModel => "no model is loaded",
            Lack::ModelFailed => "the model gave no score",
            Lack::ModelTimeout => "the model gave no score in time",
            Lack::FeaturesStale => "the features are not of this moment",
            Lack::FeaturesUnavailable => "the features could not be read",
            Lack::Overload => "there was no room to score it",
        };
        let what = match stand_in {
            StandIn::AsScored => "the score counts all the same".to_owned(),
            StandIn::RulesOnly => "lists and rules decide alone".to_owned(),
            StandIn::Verdict(verdict) => format!("the policy's fallback decides ({})", verdict.as_str()),
        };
        let found = self.lacks.iter().find(|codes| codes.lack == lack);
        let code = found.map_or_else(|| lack.as_str().into(), |codes| codes.reason.clone());
        reason(&code, format!("{why}: {what}"), ReasonSource::Rule)
    }

    /// That a key of the payment is listed, by whom and why.
    pub(super) fn list_reason(&self, listing: &Listing) -> Reason {
        let code = match listing.list {
            ListKind::Block => &self.block,
            ListKind::Allow => &self.allow,
        };
        let Listing { list, entity, owner, reason: why, .. } = listing;
        let text = format!("this {entity} is on the {} list by {owner}: {why}", list.as_str());
        reason(code, text, ReasonSource::List)
    }
}

/// That a rule holds: its own words, where it has some.
pub(super) fn rule_reason(rule: &Rule) -> Reason {
    let text = rule.reason.clone().unwrap_or_else(|| format!("the rule {} holds", rule.name));
    reason(&rule.name, text, ReasonSource::Rule)
}

fn reason(code: &Name, text: String, source: ReasonSource) -> Reason {
    Reason { code: code.clone(), text, feature: None, value: None, norm: None, contribution: None, source }
}
