//! Tests of the order of precedence: the vote, rules, lists, holds, and the reasons that follow.

use proptest::prelude::*;
use schemas::decision::Verdict;
use schemas::reason::ReasonSource;

use super::world::{decide, entry, listed, lists, paying, payment, plan, policy, problems};
use crate::policy::{Facts, ListKind, Lists, Outcome};

const POLICY: &str = r#"
[thresholds]
review = 0.3
challenge = 0.6
decline = 0.9
[[rule]]
name = "marked"
when = "payment.currency == 'EUR'"
[[rule]]
name = "large"
when = "payment.amount_minor >= 500_00"
action = "review"
hold = true
reason = "more than 500.00"
[[rule]]
name = "huge"
when = "payment.amount_minor >= 5000_00"
action = "challenge"
[[rule]]
name = "house"
when = "payment.amount_minor == 70007 || payment.amount_minor == 600006"
action = "approve"
"#;

/// CEL has no digits in groups.
fn text() -> String {
    POLICY.replace("500_00", "50000").replace("5000_00", "500000")
}

fn codes(outcome: &Outcome) -> Vec<&str> {
    outcome.reasons.iter().map(|reason| reason.code.as_str()).collect()
}

#[test]
fn the_severest_of_vote_and_rules_wins_and_comes_first() {
    let policy = policy(&text());
    let small = decide(&policy, Some(0.1), 100, &[]);
    assert_eq!((small.verdict, small.hold, codes(&small)), (Verdict::Approve, false, vec!["marked"]));
    let large = decide(&policy, Some(0.1), 60_000, &[]);
    assert_eq!((large.verdict, large.hold), (Verdict::Review, true));
    assert_eq!(codes(&large), ["large", "marked", "threshold_none"]);
    assert_eq!(large.reasons[0].text, "more than 500.00");
    assert_eq!(large.reasons[1].text, "the rule marked holds");
    assert!(large.reasons.iter().all(|reason| reason.source == ReasonSource::Rule));
    let scored = decide(&policy, Some(0.95), 600_000, &[]);
    assert_eq!((scored.verdict, scored.rules.len()), (Verdict::Decline, 3));
    assert_eq!(codes(&scored), ["threshold_decline", "huge", "large", "marked"]);
    let ruled = decide(&policy, Some(0.4), 600_000, &[]);
    assert_eq!(ruled.verdict, Verdict::Challenge);
    assert_eq!(codes(&ruled), ["huge", "large", "marked", "threshold_review"]);
    assert_eq!(ruled.rules, ["marked", "large", "huge"], "in the order of the file");
}

#[test]
fn a_rule_that_approves_takes_the_scores_vote_and_no_other_rules() {
    let policy = policy(&text());
    assert_eq!(decide(&policy, Some(0.95), 70_008, &[]).verdict, Verdict::Decline);
    assert_eq!(decide(&policy, Some(0.95), 70_007, &[]).verdict, Verdict::Review, "large still has its say");
    assert_eq!(decide(&policy, Some(0.95), 600_006, &[]).verdict, Verdict::Challenge);
}

#[test]
fn a_held_payment_raises_an_alert_in_any_case() {
    let quiet = policy(&text());
    assert_eq!(decide(&quiet, Some(0.1), 60_000, &[]).alert_rule.as_deref(), Some("large"));
    assert_eq!(decide(&quiet, Some(0.95), 100, &[]).alert_rule, None);
    let alerting = policy(&format!("{}[[alert]]\nname = \"all\"\nverdicts = [\"review\"]\n", text()));
    assert_eq!(decide(&alerting, Some(0.1), 60_000, &[]).alert_rule.as_deref(), Some("all"));
}

#[test]
fn a_blocked_key_is_declined_whatever_else_and_the_owner_is_named() {
    let policy = policy(&text());
    let outcome = listed(&policy, 0.0, &[entry(ListKind::Block, "card", "c-1", None)]);
    assert_eq!((outcome.verdict, outcome.lists.len()), (Verdict::Decline, 1));
    assert_eq!(outcome.lists, ["block/card"]);
    let reason = &outcome.reasons[0];
    assert_eq!((reason.code.as_str(), reason.source), ("list_block", ReasonSource::List));
    assert_eq!(reason.text, "this card is on the block list by ana: two chargebacks");
    let both =
        [entry(ListKind::Allow, "device", "d-1", None), entry(ListKind::Block, "merchant", "m-1", None)];
    let outcome = listed(&policy, 0.0, &both);
    assert_eq!(outcome.verdict, Verdict::Decline, "block stands over allow");
    assert_eq!(outcome.lists, ["allow/device", "block/merchant"]);
}

#[test]
fn an_allowed_key_is_approved_and_not_held() {
    let policy = policy(&text());
    let allowed = [entry(ListKind::Allow, "card", "c-1", None)];
    let outcome = listed(&policy, 0.99, &allowed);
    assert_eq!((outcome.verdict, codes(&outcome)), (Verdict::Approve, vec!["list_allow", "marked"]));
    let lists = lists(&allowed);
    let payment = paying(600_000);
    let facts =
        Facts { score: Some(0.99), lack: None, payment: &payment, vector: &[], lists: &lists, at_ms: 0 };
    let outcome = policy.decide(&plan(), &facts);
    assert_eq!((outcome.verdict, outcome.hold, outcome.alert_rule), (Verdict::Approve, false, None));
    assert_eq!(outcome.rules, ["marked", "large", "huge"], "what was overruled is named");
}

#[test]
fn list_actions_are_a_floor_and_a_ceiling() {
    let mild = policy(&format!("[lists]\nblock = \"review\"\nallow = \"challenge\"\n{}", text()));
    let (block, allow) =
        (entry(ListKind::Block, "card", "c-1", None), entry(ListKind::Allow, "card", "c-1", None));
    let verdicts = [0.1, 0.4, 0.7, 0.95].map(|score| {
        let on = |entry: &_| listed(&mild, score, std::slice::from_ref(entry)).verdict;
        (on(&block), on(&allow))
    });
    let [approve, review, challenge, decline] = Verdict::ALL;
    assert_eq!(verdicts, [(review, approve), (review, review), (challenge, challenge), (decline, challenge)]);
}

#[test]
fn an_entry_holds_until_it_expires_and_only_for_its_key_and_entity() {
    let policy = policy(&text());
    // Decided at 1,000.
    for (entry, verdict) in [
        (entry(ListKind::Block, "card", "c-1", Some(1_001)), Verdict::Decline),
        (entry(ListKind::Block, "card", "c-1", Some(1_000)), Verdict::Approve),
        (entry(ListKind::Block, "card", "c-10", None), Verdict::Approve),
        (entry(ListKind::Block, "device", "c-1", None), Verdict::Approve),
        (entry(ListKind::Block, "nobody", "c-1", None), Verdict::Approve),
    ] {
        assert_eq!(listed(&policy, 0.0, std::slice::from_ref(&entry)).verdict, verdict, "{entry:?}");
    }
    let mut without = payment();
    without.entities[0] = None;
    assert!(lists(&[entry(ListKind::Block, "card", "c-1", None)]).matching(&without, 0).is_empty());
}

#[test]
fn lists_do_not_know_the_keys() {
    let lists = lists(&[entry(ListKind::Block, "card", "4111111111111111", None)]);
    assert!(!format!("{lists:?}").contains("1111"), "a key shows");
    assert_eq!((lists.len(), Lists::empty().len()), (1, 0));
    let (a, b) = (super::world::digester(), crate::policy::Digester::new(&[8; 32]));
    assert_ne!(a.digest("card", "1"), b.digest("card", "1"), "another salt");
    assert_ne!(a.digest("card", "1"), a.digest("car", "d1"));
}

#[test]
fn names_are_unique_and_do_not_begin_like_other_reasons() {
    let rule = |name: &str| format!("[[rule]]\nname = \"{name}\"\nwhen = \"true\"\n");
    let found = problems(&[rule("a"), rule("a"), rule("list_block")].concat());
    assert_eq!(
        found,
        [
            "policy.toml: rule[1].name (line 5, column 1): found \"a\" a second time; expected a name of its own",
            "policy.toml: rule[2].name (line 8, column 1): found \"list_block\"; expected a name that does not \
             begin with list_",
        ]
    );
    let many = "[[segment]]\nname = \"x\"\nwhen = \"true\"\n".repeat(51);
    let first = &problems(&many)[0];
    assert!(first.contains("segment (line 1, column 3): found 51 of them; expected at most 50"), "{first}");
}

proptest! {
    #[test]
    fn a_list_never_works_the_wrong_way(
        score in 0.0..=1.0, block in 0..4_usize, allow in 0..4_usize, on_block in any::<bool>(), on_allow in any::<bool>(),
    ) {
        let actions = [Verdict::ALL[block].as_str(), Verdict::ALL[allow].as_str()];
        let policy = policy(&format!("[lists]\nblock = \"{}\"\nallow = \"{}\"\n{}", actions[0], actions[1], text()));
        let mut entries = Vec::new();
        entries.extend(on_block.then(|| entry(ListKind::Block, "device", "d-1", None)));
        entries.extend(on_allow.then(|| entry(ListKind::Allow, "card", "c-1", None)));
        let (with, without) = (listed(&policy, score, &entries).verdict, listed(&policy, score, &[]).verdict);
        match (on_block, on_allow) {
            (true, _) => prop_assert!(with >= without && with >= Verdict::ALL[block]),
            (false, true) => prop_assert!(with <= without && with <= Verdict::ALL[allow]),
            (false, false) => prop_assert_eq!(with, without),
        }
    }
}
