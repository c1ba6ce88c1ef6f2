//! Code: the stable words of a policy's reasons, made once, and the reasons that speak of the score itself.
//!
//! The codes are public interface: dashboards count them. Not the reasons about features, see `ReasonPlan`.

use schemas::decision::Verdict;
use schemas::name::Name;
use schemas::reason::{Reason, ReasonSource};

use super::Missing;
use super::wording::fraction;

/// The words, counted by reference from here on.
#[derive(Debug, Clone)]
pub(super) struct Codes {
    review: Name,
    challenge: Name,
    decline: Name,
    none_reached: Name,
    no_model: FallbackCodes,
    model_failed: FallbackCodes,
}

/// One cause of a fallback.
#[derive(Debug, Clone)]
struct FallbackCodes {
    /// The decision's `fallback`.
    fallback: Name,
    /// The reason's code.
    reason: Name,
}

impl Codes {
    /// All words.
    pub(super) fn new() -> Self {
        Self {
            review: "threshold_review".into(),
            challenge: "threshold_challenge".into(),
            decline: "threshold_decline".into(),
            none_reached: "threshold_none".into(),
            no_model: FallbackCodes { fallback: "no_model".into(), reason: "fallback_no_model".into() },
            model_failed: FallbackCodes {
                fallback: "model_failed".into(),
                reason: "fallback_model_failed".into(),
            },
        }
    }

    /// The word for a decision's `fallback`.
    pub(super) fn fallback(&self, missing: Missing) -> Name {
        self.of(missing).fallback.clone()
    }

    /// Which threshold the score reached; that it reached none, where an alert rule asks about an approval.
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
        rule(code, text, Some(score), threshold)
    }

    /// Why the fallback decided.
    pub(super) fn fallback_reason(&self, missing: Missing, verdict: Verdict) -> Reason {
        let why = match missing {
            Missing::NoModel => "no model is loaded",
            Missing::ModelFailed => "the model gave no score",
        };
        let text = format!("{why}: the policy's fallback decides ({})", verdict.as_str());
        rule(&self.of(missing).reason, text, None, None)
    }

    fn of(&self, missing: Missing) -> &FallbackCodes {
        match missing {
            Missing::NoModel => &self.no_model,
            Missing::ModelFailed => &self.model_failed,
        }
    }
}

fn rule(code: &Name, text: String, value: Option<f64>, norm: Option<f64>) -> Reason {
    Reason {
        code: code.clone(),
        text,
        feature: None,
        value,
        norm,
        contribution: None,
        source: ReasonSource::Rule,
    }
}
