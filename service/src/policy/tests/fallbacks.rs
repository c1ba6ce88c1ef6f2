//! Tests of what decides when something is missing or late.

use schemas::decision::Verdict;

use super::world::{policy, problems, without_score};
use crate::policy::{Fallback, Lack, Outcome};

const POLICY: &str = r#"
[thresholds]
review = 0.3
decline = 0.9
[fallback]
no_model = "challenge"
model_failed = "decline"
model_timeout = "rules_only"
features_unavailable = "approve"
[[alert]]
name = "big"
verdicts = ["decline"]
min_expected_loss_minor = 10_000
[[alert]]
name = "worth_a_look"
verdicts = ["review", "decline"]
"#;

fn stood_in(outcome: &Outcome) -> (&str, &str) {
    outcome.fallback.as_ref().map_or(("", ""), |Fallback { reason, policy }| (reason, policy))
}

#[test]
fn without_a_score_the_fallback_decides_and_says_why() {
    let policy = policy(POLICY);
    let no_model = without_score(&policy, None, Some(Lack::NoModel));
    assert_eq!((no_model.verdict, no_model.expected_loss_minor), (Verdict::Challenge, 0));
    assert_eq!(stood_in(&no_model), ("no_model", "challenge"));
    assert_eq!((no_model.alert_rule, no_model.risk_level.as_str()), (None, "unknown"));
    assert_eq!(no_model.reasons.len(), 1);
    assert_eq!(no_model.reasons[0].code, "fallback_no_model");
    assert_eq!(no_model.reasons[0].text, "no model is loaded: the policy's fallback decides (challenge)");
    let failed = without_score(&policy, None, Some(Lack::ModelFailed));
    assert_eq!((failed.verdict, stood_in(&failed)), (Verdict::Decline, ("model_failed", "decline")));
    let rule = failed.alert_rule.as_deref();
    assert_eq!(rule, Some("worth_a_look"), "no loss is known: not the rule with a least one");
    assert_eq!(failed.reasons[0].code, "fallback_model_failed");
}

#[test]
fn each_lack_has_its_word_and_its_default() {
    let empty = policy("");
    for lack in Lack::ALL {
        let outcome = without_score(&empty, None, Some(lack));
        // Stale features without a score: it is the model that failed.
        let word = if lack == Lack::FeaturesStale { "model_failed" } else { lack.as_str() };
        assert_eq!((outcome.verdict, stood_in(&outcome)), (Verdict::Review, (word, "review")));
        assert_eq!(outcome.reasons[0].code, format!("fallback_{word}").as_str());
        let declining = policy(&format!("[fallback]\n{} = \"decline\"", lack.as_str()));
        let score = Some(0.0).filter(|_| lack == Lack::FeaturesStale);
        assert_eq!(without_score(&declining, score, Some(lack)).verdict, Verdict::Decline, "{lack:?}");
    }
    let timeout = without_score(&policy(POLICY), None, Some(Lack::ModelTimeout));
    assert_eq!((timeout.verdict, stood_in(&timeout)), (Verdict::Approve, ("model_timeout", "rules_only")));
    assert!(timeout.reasons.is_empty());
}

#[test]
fn a_score_that_is_none_means_that_the_model_failed() {
    let policy = policy(POLICY);
    let failed = without_score(&policy, None, Some(Lack::ModelFailed));
    for nonsense in [f64::NAN, f64::INFINITY, -0.001, 1.001] {
        assert_eq!(without_score(&policy, Some(nonsense), None), failed, "{nonsense}");
    }
    assert_eq!(without_score(&policy, None, None), failed);
    let scored = without_score(&policy, Some(0.95), None);
    assert_eq!((scored.verdict, scored.fallback), (Verdict::Decline, None));
    // What says that there is no score wins over one that is there.
    let late = without_score(&policy, Some(0.95), Some(Lack::ModelTimeout));
    assert_eq!(late, without_score(&policy, None, Some(Lack::ModelTimeout)));
}

#[test]
fn with_stale_features_the_score_counts_unless_the_policy_says_otherwise() {
    let scored = without_score(&policy(POLICY), Some(0.95), Some(Lack::FeaturesStale));
    assert_eq!((scored.verdict, stood_in(&scored)), (Verdict::Decline, ("features_stale", "as_scored")));
    assert_eq!((scored.expected_loss_minor, scored.risk_level.as_str()), (4_750_000, "critical"));
    let codes: Vec<_> = scored.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, ["threshold_decline", "fallback_features_stale"]);
    let strict = policy("[thresholds]\ndecline = 0.9\n[fallback]\nfeatures_stale = \"review\"");
    let reviewed = without_score(&strict, Some(0.95), Some(Lack::FeaturesStale));
    assert_eq!((reviewed.verdict, reviewed.expected_loss_minor), (Verdict::Review, 0));
    assert_eq!((stood_in(&reviewed).1, reviewed.risk_level.as_str()), ("review", "unknown"));
}

#[test]
fn a_fallback_stands_in_for_the_score_and_not_for_the_rules() {
    let rules = r#"
        [[rule]]
        name = "large"
        when = "score == null && payment.amount_minor > 1000000"
        action = "decline"
        [[rule]]
        name = "trusted"
        when = "entity.card == 'c-2'"
        action = "approve"
    "#;
    let policy = policy(&format!("{POLICY}{rules}"));
    for lack in [Lack::NoModel, Lack::ModelTimeout, Lack::FeaturesUnavailable, Lack::Overload] {
        let outcome = without_score(&policy, None, Some(lack));
        assert_eq!(outcome.verdict, Verdict::Decline, "{lack:?}");
        assert_eq!(outcome.rules, ["large"]);
    }
}

#[test]
fn only_stale_features_can_be_decided_as_scored() {
    let found = problems("[fallback]\noverload = \"as_scored\"\nfeatures_stale = \"rules\"");
    let expected = [
        "policy.toml: fallback.features_stale (line 3, column 1): found \"rules\"; expected one of as_scored, \
         rules_only, approve, review, challenge, decline",
        "policy.toml: fallback.overload (line 2, column 1): found \"as_scored\"; expected one of rules_only, \
         approve, review, challenge, decline",
    ];
    assert_eq!(found, expected);
}
