//! Policy: the user's rules, lists, thresholds, costs, fallbacks and alerts, and the pure step from facts to a
//! decision.
//!
//! ```text
//! policy.toml ─► Policy ────┐
//! features ───► ReasonPlan ─┼─► decide(facts) ─► verdict, hold, expected loss, alert, reasons
//! payment, score, lists ────┘
//! ```
//! # The order of precedence
//!
//! 1. **The score votes** by the thresholds of the first `[[segment]]` that holds, else by `[thresholds]`. Without a
//!    score (or with one that `[fallback]` does not trust) what `[fallback]` says votes in its place.
//! 2. **Rules**: every `[[rule]]` that holds has its say, and the severest of all verdicts wins, the vote's among them.
//!    A rule that approves takes the vote away; it takes nothing away from another rule.
//! 3. **The allow list** makes the payment at most what `[lists] allow` says, and lets no rule hold it.
//! 4. **The block list** makes it at least what `[lists] block` says. A payment on both lists is blocked: the allow
//!    list does nothing.
//!
//! So a list entry, which somebody made for one key, stands above rules, which are for all; what a person has ruled
//! stands above a score; and where two of one rank disagree, the careful one wins. A block never makes a payment
//! milder than it would have been, an allowance never severer.
//!
//! A payment that is held raises an alert in any case, since it waits for a person: where no `[[alert]]` matches,
//! under the name of the rule that holds it.
//!
//! Nothing here reads a clock, a store or a file: the same policy, plan and facts give the same outcome to the
//! last bit, on every machine and in every replay. It does not score, and it does not raise the alert: it says
//! that one is due.

use std::sync::Arc;

use schemas::decision::Verdict;
use schemas::name::Name;
use schemas::payment::Payment;
use schemas::reason::Reason;
use schemas::value::FeatureValue;

mod code;
mod cost;
mod explanation;
mod expression;
mod fallback;
mod lists;
mod loss;
mod norm;
mod position;
mod read;
mod reason;
mod risk;
mod rule;
mod terms;
mod threshold;
mod version;
mod wording;

pub use fallback::Lack;
pub use lists::{Digester, KeyDigest, ListKind, ListMatch, Listing, Lists, SALT_BYTES};
pub use reason::ReasonPlan;
pub use terms::Terms;

use code::Codes;
use explanation::Explanation;
use expression::{Constants, Values};
use fallback::{Fallbacks, StandIn};
use loss::expected_loss_minor;
use risk::RiskLevels;
use rule::{Judged, Rule, Segment};
use threshold::Thresholds;

/// A policy file, checked.
#[derive(Debug, Clone)]
pub struct Policy {
    contents: Contents,
    constants: Constants,
    risk_levels: RiskLevels,
    codes: Codes,
    version: Name,
    text: Arc<str>,
}

/// What the file says.
#[derive(Debug, Clone)]
struct Contents {
    thresholds: Thresholds,
    fallbacks: Fallbacks,
    alert_rules: Vec<AlertRule>,
    rules: Vec<Rule>,
    segments: Vec<Segment>,
    list_actions: ListActions,
    /// Medium, high, critical, where they are written.
    risk_levels: [Option<f64>; 3],
}

/// What being on a list leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ListActions {
    /// At least this.
    block: Verdict,
    /// At most this.
    allow: Verdict,
}

impl Default for ListActions {
    fn default() -> Self {
        Self { block: Verdict::Decline, allow: Verdict::Approve }
    }
}

/// What raises an alert.
#[derive(Debug, Clone, PartialEq)]
struct AlertRule {
    name: Name,
    /// By `Verdict as usize`.
    verdicts: [bool; Verdict::ALL.len()],
    min_expected_loss_minor: i64,
}

impl AlertRule {
    fn matches(&self, verdict: Verdict, expected_loss_minor: i64) -> bool {
        let wanted = Verdict::ALL.into_iter().zip(self.verdicts).any(|(v, wanted)| wanted && v == verdict);
        wanted && expected_loss_minor >= self.min_expected_loss_minor
    }
}

/// What a decision is made of.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The live model's probability of fraud. A score that is not within 0 to 1 is no score: the model failed.
    pub score: Option<f64>,
    /// What was missing or late; `None` in normal operation. Where there is no score and nothing is said to be
    /// missing, the model failed. A score beside any lack but stale features is not looked at.
    pub lack: Option<Lack>,
    /// The payment.
    pub payment: &'a Payment,
    /// Its feature vector, in the order of the features file; all null where there are no features.
    pub vector: &'a [FeatureValue],
    /// The block and allow lists.
    pub lists: &'a Lists,
    /// The time by which their entries expire, milliseconds since 1970.
    pub at_ms: i64,
}

impl Facts<'_> {
    /// The score, where it is one, and what is lacking otherwise.
    fn known(&self) -> (Option<f64>, Option<Lack>) {
        let score = self.score.filter(|score| (0.0..=1.0).contains(score));
        match (score, self.lack) {
            (Some(score), lack @ (None | Some(Lack::FeaturesStale))) => (Some(score), lack),
            (None, None | Some(Lack::FeaturesStale)) => (None, Some(Lack::ModelFailed)),
            (_, lack) => (None, lack),
        }
    }
}

/// That something was missing or late, and what the policy says for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// [`Lack::as_str`].
    pub reason: Name,
    /// `as_scored`, `rules_only`, `approve`, `review`, `challenge` or `decline`.
    pub policy: Name,
}

/// What a decision comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What becomes of the payment.
    pub verdict: Verdict,
    /// It waits until a person has looked at it.
    pub hold: bool,
    /// `low`, `medium`, `high` or `critical` by the score; `unknown` without one.
    pub risk_level: Name,
    /// Score times amount, minor units, the exact product rounded half to even. Without a score 0: nothing is
    /// known, and an alert rule with a minimum loss does not match.
    pub expected_loss_minor: i64,
    /// Why, weightiest first. For an approval without hold and alert, which nobody asks about, only lists and rules.
    pub reasons: Vec<Reason>,
    /// The rules that hold, in the order of the file, also those that were overruled.
    pub rules: Vec<Name>,
    /// The list entries that matched, each as `list/entity`, also those that were overruled.
    pub lists: Vec<Name>,
    /// The segment whose thresholds the score was set beside; `None` for those of all.
    pub segment: Option<Name>,
    /// The alert rule that raised an alert, if one did; a rule that holds where no alert rule matched.
    pub alert_rule: Option<Name>,
    /// What was missing or late, if anything.
    pub fallback: Option<Fallback>,
    /// Rules, and segments as `segment/name`, that had no value for this payment and counted as not holding.
    pub broken: Vec<Name>,
}

/// What stood in for the score's vote, and why.
type StoodIn = Option<(Lack, StandIn)>;

impl Policy {
    /// `pol_` and 16 hexadecimal digits: a hash of what the file means. Comments, white space and the order of
    /// keys do not change it; a threshold does, and the order of rules.
    pub fn version(&self) -> &Name {
        &self.version
    }

    /// The file as it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What an alert can be raised under: the alert rules, and the rules that hold a payment back.
    pub fn alert_rules(&self) -> impl Iterator<Item = &Name> {
        let holding = self.contents.rules.iter().filter(|rule| rule.hold).map(|rule| &rule.name);
        self.contents.alert_rules.iter().map(|rule| &rule.name).chain(holding)
    }

    /// Decides one payment. `plan` is made once of the features file by which `facts.vector` was computed.
    pub fn decide(&self, plan: &ReasonPlan, facts: &Facts<'_>) -> Outcome {
        let (score, stood_in) = self.trusted(facts);
        let listed = facts.lists.matching(facts.payment, facts.at_ms);
        let (payment, vector, constants) = (facts.payment, facts.vector, &self.constants);
        let values = Values { payment, vector, score, listed: &listed, constants };
        let judged = Judged::of(&self.contents.segments, &self.contents.rules, &values);

        let thresholds = judged.segment.map_or(&self.contents.thresholds, |segment| &segment.thresholds);
        let reached = score.and_then(|score| thresholds.bounds(facts.payment.amount).reached(score));
        let by_score = reached.map_or(Verdict::Approve, |(verdict, _)| verdict);
        let vote = stood_in.and_then(|(_, stand_in)| stand_in.verdict()).unwrap_or(by_score);
        let (verdict, holding) = self.weighed(vote, &judged, &listed);

        let expected_loss_minor = score.map_or(0, |score| expected_loss_minor(score, facts.payment.amount));
        let alert_rule = self.alert_rule(verdict, expected_loss_minor).or(holding.map(|rule| &rule.name));
        let explanation = Explanation {
            codes: &self.codes,
            listed: &listed,
            judged: &judged,
            vote,
            score,
            reached,
            stood_in,
        };
        let asked = verdict != Verdict::Approve || holding.is_some() || alert_rule.is_some();
        Outcome {
            verdict,
            hold: holding.is_some(),
            risk_level: self.risk_levels.level(score).clone(),
            expected_loss_minor,
            reasons: if asked { explanation.in_full(plan, facts.vector) } else { explanation.in_brief() },
            rules: judged.rules.iter().map(|rule| rule.name.clone()).collect(),
            lists: listed.iter().map(|found| found.name.clone()).collect(),
            segment: judged.segment.map(|segment| segment.name.clone()),
            alert_rule: alert_rule.cloned(),
            fallback: stood_in.map(|(lack, stand_in)| Fallback {
                reason: self.codes.lack(lack),
                policy: self.codes.stand_in(stand_in),
            }),
            broken: judged.broken,
        }
    }

    /// The score that counts, and what stands in for it.
    fn trusted(&self, facts: &Facts<'_>) -> (Option<f64>, StoodIn) {
        let (score, lack) = facts.known();
        let stood_in = lack.map(|lack| (lack, self.contents.fallbacks.stand_in(lack)));
        let counts = stood_in.is_none_or(|(_, stand_in)| stand_in == StandIn::AsScored);
        (score.filter(|_| counts), stood_in)
    }

    /// The order of precedence: the vote, over it the rules, over them the lists. And the rule that holds, if any.
    fn weighed<'p>(
        &self,
        vote: Verdict,
        judged: &Judged<'p>,
        listed: &[ListMatch<'_>],
    ) -> (Verdict, Option<&'p Rule>) {
        let vote = if judged.approves() { Verdict::Approve } else { vote };
        let ruled = judged.severest().map_or(vote, |severest| severest.max(vote));
        let on = |list| listed.iter().any(|found| found.listing.list == list);
        let ListActions { block, allow } = self.contents.list_actions;
        if on(ListKind::Block) {
            (ruled.max(block), judged.holding())
        } else if on(ListKind::Allow) {
            (ruled.min(allow), None)
        } else {
            (ruled, judged.holding())
        }
    }

    fn alert_rule(&self, verdict: Verdict, expected_loss_minor: i64) -> Option<&Name> {
        let matches = |rule: &&AlertRule| rule.matches(verdict, expected_loss_minor);
        self.contents.alert_rules.iter().find(matches).map(|rule| &rule.name)
    }
}

#[cfg(test)]
mod tests;
