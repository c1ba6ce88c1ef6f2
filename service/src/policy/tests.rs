//! Tests of the policy, from the file to the outcome.

mod conditions;
mod examples;
mod fallbacks;
mod precedence;
pub(super) mod world;

use proptest::prelude::*;
use schemas::reason::ReasonSource;

use super::*;
use world::{decide, plan, policy, problems, vector};

const POLICY: &str = r#"
[thresholds]
review = 0.3
challenge = 0.6
decline = 0.9
[fallback]
no_model = "challenge"
model_failed = "decline"
[[alert]]
name = "big_decline"
verdicts = ["decline"]
min_expected_loss_minor = 10_000
[[alert]]
name = "worth_a_look"
verdicts = ["review", "decline"]
"#;

fn verdict_at(policy: &Policy, score: f64) -> Verdict {
    decide(policy, Some(score), 100, &[]).verdict
}

#[test]
fn a_threshold_is_reached_on_it_and_above_not_below() {
    let policy = policy(POLICY);
    for (threshold, reached, below) in [
        (0.3, Verdict::Review, Verdict::Approve),
        (0.6, Verdict::Challenge, Verdict::Review),
        (0.9, Verdict::Decline, Verdict::Challenge),
    ] {
        assert_eq!(verdict_at(&policy, threshold), reached);
        assert_eq!(verdict_at(&policy, threshold.next_up()), reached);
        assert_eq!(verdict_at(&policy, threshold.next_down()), below);
    }
    assert_eq!(verdict_at(&policy, 1.0), Verdict::Decline);
    assert_eq!(verdict_at(&policy, 0.0), Verdict::Approve);
}

#[test]
fn what_can_raise_an_alert_is_told_by_name() {
    let rules = "[[rule]]\nname = \"held\"\nwhen = \"payment.amount_minor > 5\"\nhold = true\n\
                 [[rule]]\nname = \"reviewed\"\nwhen = \"payment.amount_minor > 5\"\naction = \"review\"\n";
    let policy = policy(&format!("{POLICY}{rules}"));
    let names: Vec<_> = policy.alert_rules().map(Name::as_str).collect();
    assert_eq!(names, ["big_decline", "worth_a_look", "held"]);
}

#[test]
fn the_severest_of_equal_thresholds_wins_and_absent_ones_are_never_reached() {
    let tie = policy("[thresholds]\nreview = 0.5\nchallenge = 0.5\ndecline = 0.5\n");
    assert_eq!([0.5, 0.49].map(|score| verdict_at(&tie, score)), [Verdict::Decline, Verdict::Approve]);
    let two = policy("[thresholds]\nreview = 0.5\nchallenge = 0.5\n");
    assert_eq!(verdict_at(&two, 1.0), Verdict::Challenge);
    let everything = policy("[thresholds]\nreview = 0\n");
    assert_eq!(verdict_at(&everything, 0.0), Verdict::Review);
    assert_eq!(verdict_at(&policy(""), 1.0), Verdict::Approve);
}

#[test]
fn thresholds_that_descend_are_refused_by_name() {
    assert_eq!(
        problems("[thresholds]\nreview = 0.7\nchallenge = 0.6\ndecline = 0.5\n"),
        [
            "policy.toml: thresholds.challenge (line 3, column 1): found 0.6, below review = 0.7; expected review <= challenge <= decline",
            "policy.toml: thresholds.decline (line 4, column 1): found 0.5, below review = 0.7; expected review <= challenge <= decline",
        ]
    );
    assert_eq!(problems("[thresholds]\nreview = 0.7\ndecline = 0.5\n").len(), 1);
}

#[test]
fn every_bad_input_is_reported_at_once() {
    let text = r#"
        speed = 3
        [thresholds]
        review = 1.1
        challenge = "high"
        decline = nan
        refuse = 0.5
        [fallback]
        no_model = "Approve"
        model_failed = 7
        [[alert]]
        verdicts = []
        [[alert]]
        name = "two words"
        verdicts = ["deny", "review", 4]
        min_expected_loss_minor = -1
        [[alert]]
        name = "twice"
        verdicts = "decline"
        [[alert]]
        name = "twice"
        verdicts = ["decline"]
        max = 3
    "#;
    let found = problems(text);
    for wanted in [
        "speed (line 2, column 9): found an unknown key",
        "thresholds.review (line 4, column 9): found 1.1; expected a score of 0 to 1",
        "thresholds.challenge (line 5, column 9): found \"high\"; expected a score of 0 to 1",
        "thresholds.decline (line 6, column 9): found nan; expected a score of 0 to 1",
        "thresholds.refuse (line 7, column 9): found an unknown key; expected one of challenge, computed, decline, review",
        "fallback.no_model (line 9, column 9): found \"Approve\"; expected one of rules_only, approve, review, challenge, decline",
        "fallback.model_failed (line 10, column 9): found 7;",
        "alert[0].name (line 11, column 9): found nothing; expected a name of 1 to 64",
        "alert[0].verdicts (line 12, column 9): found []; expected a list of verdicts",
        "alert[1].name (line 14, column 9): found \"two words\"; expected a name of 1 to 64",
        "alert[1].verdicts[0] (line 15, column 21): found \"deny\"; expected one of approve, review, challenge, decline",
        "alert[1].verdicts[2] (line 15, column 39): found 4; expected one of approve",
        "alert[1].min_expected_loss_minor (line 16, column 9): found -1; expected 0 to 1000000000000000",
        "alert[2].verdicts (line 19, column 9): found \"decline\"; expected a list of verdicts",
        "alert[3].name (line 21, column 9): found \"twice\" a second time",
        "alert[3].max (line 23, column 9): found an unknown key",
    ] {
        let wanted = format!("policy.toml: {wanted}");
        assert!(found.iter().any(|line| line.starts_with(&wanted)), "{wanted} not in\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), 16, "{}", found.join("\n"));
    let broken = problems("[thresholds]\nreview = = 1\n");
    assert!(broken[0].starts_with("policy.toml: line 2, column 10: "), "{broken:?}");
    let many = "[[alert]]\nname = \"x\"\nverdicts = [\"review\"]\n".repeat(101);
    assert!(problems(&many)[0].contains("101 rules; expected at most 100"), "{:?}", problems(&many)[0]);
}

#[test]
fn the_version_is_of_the_meaning() {
    let base = policy(POLICY);
    // Pinned: it is in every decision of every installation.
    assert_eq!(base.version().as_str(), "pol_39adbc25a4da5af6");
    let rewritten =
        POLICY.replace("review = 0.3\nchallenge = 0.6", "challenge = 0.600 # why\n\n  review = 3e-1");
    let rewritten = rewritten.replace("[\"review\", \"decline\"]", "[\"decline\", \"review\", \"review\"]");
    assert_ne!(rewritten, POLICY);
    assert_eq!(policy(&rewritten).version(), base.version());
    assert_eq!(policy("[thresholds]\nreview = -0.0").version(), policy("[thresholds]\nreview = 0").version());
    let mut versions = vec![base.version().clone(), policy("").version().clone()];
    for (from, to) in [
        ("0.3", "0.31"),
        ("decline = 0.9\n", ""),
        ("no_model = \"challenge\"", "no_model = \"review\""),
        ("model_failed = \"decline\"", "model_failed = \"review\""),
        ("10_000", "10_001"),
        ("big_decline", "large_decline"),
        ("\"review\", \"decline\"", "\"review\""),
    ] {
        let changed = POLICY.replacen(from, to, 1);
        assert_ne!(changed, POLICY, "{from}");
        versions.push(policy(&changed).version().clone());
    }
    let all = versions.len();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), all);
}

#[test]
fn the_first_rule_that_matches_raises_the_alert() {
    let policy = policy(POLICY);
    let rule = |score, minor| decide(&policy, Some(score), minor, &[]).alert_rule;
    assert_eq!(rule(1.0, 10_000), Some("big_decline".into()));
    assert_eq!(rule(1.0, 9_999), Some("worth_a_look".into()));
    assert_eq!(rule(0.3, 1_000_000), Some("worth_a_look".into()));
    assert_eq!(rule(0.6, 1_000_000), None);
    assert_eq!(rule(0.1, 1_000_000), None);
}

#[test]
fn reasons_name_the_threshold_then_the_features_furthest_from_their_norm() {
    let values = vector(&[
        (0, FeatureValue::Int(7)),
        (1, FeatureValue::Int(223)),
        (2, FeatureValue::Real(950.0)),
        (3, FeatureValue::Real(3_010.0)),
        (4, FeatureValue::Real(0.125)),
        (5, FeatureValue::Real(0.008)),
        (6, FeatureValue::Real(1.0)),
        (7, FeatureValue::Int(2_400)),
        (8, FeatureValue::Int(9)),
        (9, FeatureValue::Int(90)),
    ]);
    let outcome = decide(&policy(POLICY), Some(0.93), 95_000, &values);
    assert_eq!(outcome.expected_loss_minor, 88_350);
    let codes: Vec<_> = outcome.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, ["threshold_decline", "amount", "payments_1h", "risk_7d"]);
    let texts: Vec<_> = outcome.reasons.iter().map(|reason| reason.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "score 0.93 is at or above 0.90 (decline)",
            "amount 950.00, usually 30.10",
            "7 payments of this card in 1 h, usually 0.3",
            "12.5 % of the payments of this merchant in 7 d, up to 3 d ago known as fraud, usually 0.8 %",
        ]
    );
    let [threshold, amount, payments, _] = &outcome.reasons[..] else { panic!("four reasons") };
    assert_eq!(
        (threshold.value, threshold.norm, threshold.source),
        (Some(0.93), Some(0.9), ReasonSource::Rule)
    );
    assert_eq!(threshold.feature, None);
    assert_eq!((amount.value, amount.norm, amount.contribution), (Some(950.0), Some(30.1), None));
    assert_eq!((payments.value, payments.norm), (Some(7.0), Some(216.0 / 719.0)));
    assert_eq!((payments.feature.as_deref(), payments.source), (Some("payments_1h"), ReasonSource::Model));
}

#[test]
fn a_filter_and_other_units_are_said_and_converted() {
    // 950.00 in one hour; in the other 23 hours of the day 2,300 minor units, that is 1.00 an hour.
    let values = vector(&[(6, FeatureValue::Real(950.0)), (7, FeatureValue::Int(97_300))]);
    let outcome = decide(&policy(POLICY), Some(0.3), 100, &values);
    let reason = outcome.reasons.get(1).expect("the sum is far from its norm");
    assert_eq!(
        reason.text,
        "total amount 950.00 of this card (channel online or phone) in 1 h, usually 1.00"
    );
}

#[test]
fn of_equally_far_features_the_earlier_comes_first() {
    // Each is 9 where nothing is usual.
    let values = vector(&[
        (0, FeatureValue::Int(9)),
        (1, FeatureValue::Int(9)),
        (2, FeatureValue::Real(9.0)),
        (3, FeatureValue::Int(0)),
        (6, FeatureValue::Real(9.0)),
        (7, FeatureValue::Int(900)),
    ]);
    let outcome = decide(&policy(POLICY), Some(0.3), 100, &values);
    let codes: Vec<_> = outcome.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, ["threshold_review", "payments_1h", "amount", "online_1h"]);
}

#[test]
fn an_approval_has_reasons_only_with_an_alert() {
    let values = vector(&[(0, FeatureValue::Int(70)), (1, FeatureValue::Int(70))]);
    let quiet = decide(&policy(POLICY), Some(0.1), 100, &values);
    assert_eq!((quiet.verdict, quiet.reasons.capacity()), (Verdict::Approve, 0));
    let curious = policy("[[alert]]\nname = \"all\"\nverdicts = [\"approve\"]\n");
    let outcome = decide(&curious, Some(0.129), 100, &values);
    assert_eq!(outcome.reasons[0].code, "threshold_none");
    assert_eq!(outcome.reasons[0].text, "score 0.129 is below every threshold (approve)");
    assert_eq!(outcome.reasons[1].text, "70 payments of this card in 1 h, usually 0");
}

#[test]
fn what_is_usual_or_undefined_gives_no_reason() {
    let policy = policy(POLICY);
    for values in [
        vector(&[]),
        Vec::new(),
        vector(&[(0, FeatureValue::Int(70))]),
        vector(&[(1, FeatureValue::Int(70))]),
        // One payment where there was none before.
        vector(&[(0, FeatureValue::Int(1)), (1, FeatureValue::Int(1))]),
        vector(&[(2, FeatureValue::Real(60.0)), (3, FeatureValue::Real(3_010.0))]),
        // Counts of different values over another window cannot be compared.
        vector(&[(8, FeatureValue::Int(1)), (9, FeatureValue::Int(90))]),
        vector(&[(2, FeatureValue::Real(f64::NAN)), (3, FeatureValue::Real(3_010.0))]),
        vector(&[(2, FeatureValue::Real(60.0)), (3, FeatureValue::Real(f64::INFINITY))]),
    ] {
        let outcome = decide(&policy, Some(0.95), 100, &values);
        assert_eq!(outcome.reasons.len(), 1, "{values:?}: {:?}", outcome.reasons);
    }
}

#[test]
fn zero_norms_and_sides_of_zero_stay_finite() {
    let norm_of = |value, norm| {
        let values = vector(&[(2, FeatureValue::Real(value)), (3, FeatureValue::Real(norm))]);
        decide(&policy(POLICY), Some(0.95), 100, &values).reasons.get(1).map(|reason| reason.text.clone())
    };
    assert_eq!(norm_of(50.0, 0.0).as_deref(), Some("amount 50.00, usually 0.00"));
    assert_eq!(norm_of(0.0, 5_000.0).as_deref(), Some("amount 0.00, usually 50.00"));
    assert_eq!(norm_of(-50.0, 5_000.0).as_deref(), Some("amount -50.00, usually 50.00"));
    assert_eq!(norm_of(0.0, 0.0), None);
}

fn any_value() -> impl Strategy<Value = FeatureValue> {
    prop_oneof![
        Just(FeatureValue::Null),
        Just(FeatureValue::Int(0)),
        any::<i64>().prop_map(FeatureValue::Int),
        (-5_i64..5_000).prop_map(FeatureValue::Int),
        any::<f64>().prop_map(FeatureValue::Real),
        (0.0..1.0).prop_map(FeatureValue::Real),
        any::<bool>().prop_map(FeatureValue::Flag),
    ]
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let threshold = || proptest::option::of(prop_oneof![0.0..=1.0, Just(0.0), Just(0.5), Just(1.0)]);
    (threshold(), threshold(), threshold()).prop_map(|(review, challenge, decline)| {
        let mut given: Vec<f64> = [review, challenge, decline].into_iter().flatten().collect();
        given.sort_by(f64::total_cmp);
        let mut given = given.into_iter();
        let mut text = String::from("[thresholds]\n");
        for (key, threshold) in [("review", review), ("challenge", challenge), ("decline", decline)] {
            if let Some(threshold) = threshold.and_then(|_| given.next()) {
                text += &format!("{key} = {threshold:?}\n");
            }
        }
        policy(&text)
    })
}

proptest! {
    #[test]
    fn verdict_and_loss_never_fall_when_the_score_rises(
        policy in any_policy(), a in 0.0..=1.0, b in 0.0..=1.0, minor in 0..=schemas::payment::MAX_AMOUNT_MINOR
    ) {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let [low, high] = [low, high].map(|score| decide(&policy, Some(score), minor, &[]));
        prop_assert!(low.verdict <= high.verdict);
        prop_assert!(low.expected_loss_minor <= high.expected_loss_minor);
        prop_assert!((0..=minor).contains(&high.expected_loss_minor));
    }

    #[test]
    fn reasons_are_ranked_finite_and_at_most_four(values in proptest::collection::vec(any_value(), 10)) {
        let plan = plan();
        let outcome = decide(&policy(POLICY), Some(0.95), 100, &values);
        prop_assert!((1..=4).contains(&outcome.reasons.len()));
        for reason in &outcome.reasons {
            prop_assert!(reason.value.is_some_and(f64::is_finite) && reason.norm.is_some_and(f64::is_finite));
            prop_assert!(reason.text.len() < 1_000);
        }
        // The slow way: all of them, sorted (stable, so that the earlier comes first among equals).
        let mut all = plan.times(&values);
        all.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let wanted: Vec<_> = all.into_iter().take(3).map(|(name, _)| name).collect();
        let named: Vec<_> = outcome.reasons.iter().skip(1).map(|reason| reason.code.clone()).collect();
        prop_assert_eq!(named, wanted);
    }
}
