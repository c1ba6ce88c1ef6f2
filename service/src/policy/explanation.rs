//! Explanation: the reasons of a decision in the order of their weight.
//!
//! What stands higher in the order of precedence comes first: lists, then rules and the score's vote, the severer of
//! them before the other, then what is unusual about the payment.

use std::cmp::Reverse;

use schemas::decision::Verdict;
use schemas::reason::Reason;
use schemas::value::FeatureValue;

use super::StoodIn;
use super::code::{Codes, rule_reason};
use super::fallback::StandIn;
use super::lists::ListMatch;
use super::reason::{MOST_FEATURES, ReasonPlan};
use super::rule::{Judged, Rule};

/// Most list entries and rules that a decision gives as reasons; it names all of them.
const MOST_LISTED: usize = 4;
const MOST_RULES: usize = 8;

/// What the vote gives: the fallback's reason and the score's.
const MOST_VOTES: usize = 2;

/// What there is to explain.
pub(super) struct Explanation<'a> {
    pub(super) codes: &'a Codes,
    pub(super) listed: &'a [ListMatch<'a>],
    pub(super) judged: &'a Judged<'a>,
    pub(super) vote: Verdict,
    pub(super) score: Option<f64>,
    pub(super) reached: Option<(Verdict, f64)>,
    pub(super) stood_in: StoodIn,
}

impl Explanation<'_> {
    /// Lists and rules: what is told also of an approval.
    pub(super) fn in_brief(&self) -> Vec<Reason> {
        if self.listed.is_empty() && self.judged.rules.is_empty() {
            return Vec::new();
        }
        self.listed().chain(self.rules()).collect()
    }

    /// Everything.
    pub(super) fn in_full(&self, plan: &ReasonPlan, vector: &[FeatureValue]) -> Vec<Reason> {
        let most = self.listed.len().min(MOST_LISTED) + self.judged.rules.len().min(MOST_RULES);
        let mut reasons = Vec::with_capacity(most + MOST_VOTES + MOST_FEATURES);
        reasons.extend(self.listed());
        let ruled = self.judged.severest().is_some_and(|severest| severest >= self.vote);
        if ruled || self.judged.approves() {
            reasons.extend(self.rules().chain(self.votes()));
        } else {
            reasons.extend(self.votes().chain(self.rules()));
        }
        plan.furthest(vector, &mut reasons);
        reasons
    }

    fn listed(&self) -> impl Iterator<Item = Reason> {
        self.listed.iter().take(MOST_LISTED).map(|found| self.codes.list_reason(found.listing))
    }

    /// The severest first, the earlier in the file where two are equally severe.
    fn rules(&self) -> impl Iterator<Item = Reason> + use<> {
        let mut rules: Vec<&Rule> = self.judged.rules.clone();
        rules.sort_by_key(|rule| Reverse((rule.action, rule.hold)));
        rules.truncate(MOST_RULES);
        rules.into_iter().map(rule_reason).collect::<Vec<_>>().into_iter()
    }

    fn votes(&self) -> impl Iterator<Item = Reason> {
        let fallback = self.stood_in.map(|(lack, stand_in)| self.codes.fallback_reason(lack, stand_in));
        let scored = self.stood_in.is_none_or(|(_, stand_in)| stand_in == StandIn::AsScored);
        let score = self.score.filter(|_| scored).map(|score| self.codes.score_reason(score, self.reached));
        score.into_iter().chain(fallback)
    }
}
