//! Policy: the user's thresholds, fallbacks and alert rules, and the pure step from facts to a decision.
//!
//! ```text
//! policy.toml ─► Policy ────┐
//! features ───► ReasonPlan ─┼─► decide(facts) ─► verdict, expected loss, alert, reasons
//! ```
//!
//! Nothing here reads a clock, a store or a file: the same policy, plan and facts give the same outcome to the
//! last bit, on every machine and in every replay. It does not score, and it does not raise the alert: it says
//! that one is due.

use schemas::decision::Verdict;
use schemas::name::Name;
use schemas::payment::AmountMinor;
use schemas::reason::Reason;
use schemas::value::FeatureValue;

mod code;
mod loss;
mod norm;
mod read;
mod reason;
mod wording;

pub use reason::ReasonPlan;

use code::Codes;
use loss::expected_loss_minor;
use reason::MOST_FEATURES;

/// Most reasons of a decision: the score's and the features'.
const MOST_REASONS: usize = 1 + MOST_FEATURES;

/// A policy file, checked.
#[derive(Debug, Clone)]
pub struct Policy {
    thresholds: Thresholds,
    fallback: Fallback,
    alert_rules: Vec<AlertRule>,
    codes: Codes,
    version: Name,
}

/// The scores from which on a verdict holds, 0 to 1; `None` where the score never leads to that verdict.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Thresholds {
    review: Option<f64>,
    challenge: Option<f64>,
    decline: Option<f64>,
}

impl Thresholds {
    /// Mildest first, which is also the order in which they must not descend.
    fn ascending(self) -> [(Verdict, Option<f64>); 3] {
        [
            (Verdict::Review, self.review),
            (Verdict::Challenge, self.challenge),
            (Verdict::Decline, self.decline),
        ]
    }

    /// The severest verdict whose threshold the score reaches, with that threshold.
    fn reached(self, score: f64) -> Option<(Verdict, f64)> {
        let reached = |(verdict, threshold): (Verdict, Option<f64>)| Some((verdict, threshold?));
        self.ascending().into_iter().rev().filter_map(reached).find(|(_, threshold)| score >= *threshold)
    }
}

/// The verdicts for payments without a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fallback {
    no_model: Verdict,
    model_failed: Verdict,
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

/// Why there is no score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Missing {
    /// No model is loaded.
    NoModel,
    /// The model failed on this payment.
    ModelFailed,
}

/// What a decision is made of.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The live model's probability of fraud. A score that is not within 0 to 1 is no score: the model failed.
    pub score: Option<f64>,
    /// Why there is no score; not looked at where there is one.
    pub missing: Missing,
    /// The payment's amount.
    pub amount: AmountMinor,
    /// The payment's feature vector, in the order of the features file.
    pub vector: &'a [FeatureValue],
}

/// What a decision comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What becomes of the payment.
    pub verdict: Verdict,
    /// Score times amount, minor units, the exact product rounded half to even. Without a score 0: nothing is
    /// known, and an alert rule with a minimum loss does not match.
    pub expected_loss_minor: i64,
    /// Why, weightiest first. Empty for an approval without an alert, which nobody asks about.
    pub reasons: Vec<Reason>,
    /// The alert rule that raised an alert, if one did.
    pub alert_rule: Option<Name>,
    /// `no_model` or `model_failed` where the fallback decided and not a score.
    pub fallback: Option<Name>,
}

impl Policy {
    /// `pol_` and 16 hexadecimal digits: a hash of what the file means. Comments, white space and the order of
    /// keys do not change it; a threshold does.
    pub fn version(&self) -> &Name {
        &self.version
    }

    /// Decides one payment. `plan` is made once of the features file by which `facts.vector` was computed.
    pub fn decide(&self, plan: &ReasonPlan, facts: &Facts<'_>) -> Outcome {
        let score = match facts.score {
            Some(score) if (0.0..=1.0).contains(&score) => Ok(score),
            Some(_) => Err(Missing::ModelFailed),
            None => Err(facts.missing),
        };
        let reached = score.ok().and_then(|score| self.thresholds.reached(score));
        let verdict = match score {
            Ok(_) => reached.map_or(Verdict::Approve, |(verdict, _)| verdict),
            Err(Missing::NoModel) => self.fallback.no_model,
            Err(Missing::ModelFailed) => self.fallback.model_failed,
        };
        let expected_loss_minor = score.map_or(0, |score| expected_loss_minor(score, facts.amount));
        let alert_rule = self.alert_rules.iter().find(|rule| rule.matches(verdict, expected_loss_minor));
        let mut reasons = Vec::new();
        if verdict != Verdict::Approve || alert_rule.is_some() {
            reasons.reserve_exact(MOST_REASONS);
            reasons.push(match score {
                Ok(score) => self.codes.score_reason(score, reached),
                Err(missing) => self.codes.fallback_reason(missing, verdict),
            });
            plan.furthest(facts.vector, &mut reasons);
        }
        Outcome {
            verdict,
            expected_loss_minor,
            reasons,
            alert_rule: alert_rule.map(|rule| rule.name.clone()),
            fallback: score.err().map(|missing| self.codes.fallback(missing)),
        }
    }
}

#[cfg(test)]
mod tests;
