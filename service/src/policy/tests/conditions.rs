//! Tests of rules and segments: what is refused when a policy is read, what holds for a payment, what has no value.

use schemas::decision::Verdict;
use schemas::value::FeatureValue;

use super::world::{decide, policy, problems, vector};
use crate::policy::Outcome;

fn rule(when: &str) -> String {
    format!("[[rule]]\nname = \"r\"\naction = \"decline\"\nwhen = {when:?}\n")
}

fn outcome(when: &str) -> Outcome {
    let values = vector(&[(0, FeatureValue::Int(7)), (2, FeatureValue::Real(9.5))]);
    decide(&policy(&rule(when)), Some(0.25), 100, &values)
}

#[test]
fn conditions_see_the_payment_its_features_and_its_score() {
    for when in [
        "payment.amount_minor == 100",
        "payment.amount_minor + 1 > 100 && payment.amount_minor * 2 == 200 && payment.amount_minor % 7 == 2",
        "payment.currency in ['USD', 'EUR']",
        "payment.transaction_id.startsWith('tx-') && size(payment.transaction_id) == 4",
        "payment.event_time == 1523170799999",
        "payment.hour == 6 && payment.weekday == 6",
        "entity.card == 'c-1' && entity.merchant == 'm-1'",
        "field.channel == 'online' && field.installments > 2 && field.present == null",
        "feature.payments_1h == 7 && feature.payments_1h > 6.5 && double(feature.payments_1h) / 2.0 == 3.5",
        "feature.amount > 9 && int(feature.amount) == 9",
        "feature.payments_30d == null",
        "feature.payments_30d == null || feature.payments_30d > 3",
        "!(feature.payments_30d != null && feature.payments_30d > 3)",
        "score > 0.2 && score <= 0.25",
        "(score > 0.5 ? 1 : 2) == 2",
        "!list.block && !list.allow && !('block/card' in list.names)",
        "-payment.amount_minor < 0 // said in words",
        "feature.`payments_1h` == 7",
    ] {
        let found = outcome(when);
        assert_eq!((found.verdict, found.broken.len()), (Verdict::Decline, 0), "{when}");
    }
    for when in ["false", "score > 0.25", "feature.payments_1h > 7", "field.channel == 'Online'"] {
        let found = outcome(when);
        assert_eq!(
            (found.verdict, found.broken.len(), found.rules.len()),
            (Verdict::Approve, 0, 0),
            "{when}"
        );
    }
}

#[test]
fn a_condition_without_a_value_counts_as_not_met_and_is_named() {
    for when in [
        "feature.payments_30d > 3",
        "field.present",
        "!field.present",
        "payment.amount_minor / (payment.amount_minor - 100) > 1",
        "payment.amount_minor * 9223372036854775807 > 1",
        "feature.payments_30d > 3 && payment.amount_minor == 100",
        "size(entity.card.contains('x') ? entity.card : 'a') / 0 == 1",
        "feature.payments_30d in [1, 2] && feature.payments_30d + 1 == 2 || feature.payments_30d > 1",
    ] {
        let found = outcome(when);
        assert_eq!((found.verdict, found.broken.as_slice()), (Verdict::Approve, &["r".into()][..]), "{when}");
        assert!(found.rules.is_empty() && found.reasons.is_empty(), "{when}");
    }
    // One side is enough, as CEL has it.
    assert!(outcome("feature.payments_30d > 3 || payment.amount_minor == 100").broken.is_empty());
    assert!(outcome("feature.payments_30d > 3 && payment.amount_minor == 1").broken.is_empty());
}

#[test]
fn the_first_segment_that_holds_has_its_own_thresholds() {
    let text = r#"
        [thresholds]
        decline = 0.9
        [[segment]]
        name = "undefined"
        when = "feature.payments_30d > 3"
        [[segment]]
        name = "small"
        when = "payment.amount_minor < 1000"
        thresholds = { review = 0.5 }
        [[segment]]
        name = "online"
        when = "field.channel == 'online'"
        [segment.thresholds]
        review = 0.1
        challenge = 0.2
    "#;
    let policy = policy(text);
    let small = decide(&policy, Some(0.95), 999, &[]);
    assert_eq!((small.verdict, small.segment.as_deref()), (Verdict::Review, Some("small")));
    assert_eq!(small.broken, ["segment/undefined"]);
    let online = decide(&policy, Some(0.95), 1_000, &[]);
    assert_eq!((online.verdict, online.segment.as_deref()), (Verdict::Challenge, Some("online")));
    assert_eq!(online.risk_level, "critical", "bands are the same for all");
    assert_eq!(online.reasons[0].text, "score 0.95 is at or above 0.20 (challenge)");
    let known = vector(&[(1, FeatureValue::Int(4))]);
    let first = decide(&policy, Some(0.95), 1_000, &known);
    assert_eq!((first.verdict, first.segment.as_deref()), (Verdict::Approve, Some("undefined")));
}

#[test]
fn thresholds_are_computed_from_costs_for_the_amount() {
    let text = r#"
        [thresholds]
        computed = true
        [cost]
        decline = { plus_minor = 1_000 }
        [[segment]]
        name = "dear"
        when = "field.channel == 'online' && payment.amount_minor == 9001"
        thresholds = { computed = true }
        cost = { fraud = { times_amount = 0.5 }, decline = { plus_minor = 9_000 } }
    "#;
    let policy = policy(text);
    // 10.00 / (10.00 + 90.00)
    let at = |score: f64| decide(&policy, Some(score), 9_000, &[]).verdict;
    assert_eq!([at(0.1), at(0.1_f64.next_down())], [Verdict::Decline, Verdict::Approve]);
    assert_eq!(decide(&policy, Some(0.2), 1_000, &[]).verdict, Verdict::Approve);
    let own = decide(&policy, Some(0.5), 9_001, &[]);
    assert_eq!((own.verdict, own.segment.as_deref()), (Verdict::Approve, Some("dear")));
}

#[test]
fn costs_that_make_no_sense_are_refused() {
    let found = problems(
        "[thresholds]\ncomputed = true\nreview = 0.3\n[cost]\nfraud = { times_amount = -1 }\n\
         review = { plus_minor = 300, catches = 0.9 }\nchallenge = { plus_minor = 50, stops = 0.5 }\n\
         decline = { plus_minor = 10 }\n",
    );
    for (line, wanted) in found.iter().zip([
        "policy.toml: cost.fraud.times_amount (line 5, column 11): found -1; expected a number of 0 to 100",
        "policy.toml: cost.challenge.stops (line 7, column 32): found 0.5, below review.catches = 0.9; expected at",
        "policy.toml: cost.decline (line 8, column 1): found a lower price than challenge has; expected a price",
        "policy.toml: thresholds.computed (line 2, column 1): found true beside thresholds; expected either",
    ]) {
        assert!(line.starts_with(wanted), "{line}");
    }
    assert_eq!(found.len(), 4, "{found:#?}");
    for (text, wanted) in [
        (
            "[thresholds]\ncomputed = true",
            "computed (line 2, column 1): found true without costs; expected [cost]",
        ),
        ("[cost]\ndecline = {}", "cost (line 1, column 2): found prices that nothing is computed from"),
        (
            "[thresholds]\ncomputed = true\n[cost]\nfraud = {}",
            "cost (line 3, column 2): found no verdict's price",
        ),
        ("[cost]\nreview = {}", "cost.review.catches (line 2, column 1): found nothing; expected a share"),
    ] {
        assert!(problems(text)[0].contains(wanted), "{text}: {:?}", problems(text));
    }
}

#[test]
fn what_cannot_be_evaluated_is_refused_with_line_and_column() {
    // All begin at line 4, column 9.
    for (when, column, wanted) in [
        ("score > 0.5 &&", 23, "mismatched input '<EOF>'"),
        ("score > 0,5", 18, "mismatched input ','; expected an expression in CEL"),
        ("score >> 1", 16, "extraneous input '>'"),
        ("", 1, "a text in quotes, not empty"),
        (
            "scor > 0.5",
            9,
            "the unknown word scor; expected payment.NAME, entity.NAME, field.NAME, feature.NAME",
        ),
        (
            "score > 0.5 && feature.payments_1d > 1",
            24,
            "feature.payments_1d; expected feature. and payments_1h, p",
        ),
        ("entity.customer == 'x'", 9, "the unknown word entity.customer; expected entity. and card, "),
        ("feature == 1", 9, "the unknown word feature"),
        ("payment.amount > 1", 9, "payment.amount; expected payment. and amount_minor"),
        ("payment.amount_minor", 9, "found a whole number (int); expected a condition"),
        ("'é' == 'e' && scor", 23, "the unknown word scor"),
        ("entity.card > 5", 9, "found a text (string) compared with a whole number (int)"),
        ("entity.card == 5", 9, "found a text (string) compared with a whole number (int)"),
        (
            "payment.amount_minor * 1.5 > 2.0",
            9,
            "found a whole number (int) and a number (double); expected two",
        ),
        ("feature.amount % 2.0 == 1.0", 9, "expected two whole numbers"),
        ("true && entity.card", 17, "found a text (string); expected true or false (bool)"),
        ("!payment.hour", 10, "found a whole number (int); expected true or false"),
        ("has(feature.amount)", 9, "found has(); expected text.startsWith"),
        ("['a'].exists(x, x == 'a')", 9, "found exists();"),
        ("entity.card.matches('a+')", 9, "found matches();"),
        ("entity.card[0] == 'a'", 9, "found `[]`;"),
        ("entity.card in ['a', 1]", 30, "found a whole number (int); expected a text"),
        (
            "entity.card in entity.device",
            24,
            "found a text (string); expected a list in brackets, or list.names",
        ),
        ("payment.hour in list.names", 9, "found a whole number (int); expected a text"),
        ("{'a': 1} == null", 9, "found a map or a message"),
        ("payment.hour == 1u", 25, "found an unsigned number"),
        ("field.channel.x == 'a'", 9, "found a field of a value"),
        ("(score > 0.5 ? 1 : 'a') == 1", 10, "found a whole number (int) or else a text (string)"),
        ("size(score) == 1", 14, "found a number (double); expected a text"),
    ] {
        let found = problems(&rule(when));
        assert_eq!(found.len(), 1, "{when}: {found:#?}");
        let place = format!("policy.toml: rule[0].when (line 4, column {column}): ");
        assert!(found[0].starts_with(&place) && found[0].contains(wanted), "{when}: {found:#?}");
    }
    // Several flaws at once, across lines.
    let text =
        "[[segment]]\nname = 's'\nwhen = '''\nscor > 1\n  && foo.bar == 2'''\n[[rule]]\nname='r'\nwhen='1'";
    let places: Vec<_> =
        problems(text).iter().filter_map(|line| Some(line.split_once("): ")?.0.to_owned())).collect();
    assert_eq!(
        places,
        [
            "policy.toml: segment[0].when (line 4, column 1",
            "policy.toml: segment[0].when (line 5, column 6",
            "policy.toml: rule[0].when (line 8, column 7",
        ]
    );
}

#[test]
fn conditions_are_bounded() {
    for (when, wanted) in [
        ("true".to_owned() + &" ".repeat(8_000), "an expression of 8004 bytes; expected at most 8000"),
        ("(".repeat(600), "too deep a nesting"),
        ("!".repeat(41) + "field.present == " + &"(".repeat(20) + "true" + &")".repeat(20), ""),
        (format!("1{} == 1", " + 1".repeat(40)), "found too deep a nesting; expected at most 32 levels"),
        (format!("size({}) == 1", ["score"; 10].join(".")), "a field of a value"),
        (format!("payment.hour in [{}]", vec!["1"; 1_100].join(",")), "more than 1000 parts"),
    ] {
        match wanted {
            "" => assert!(policy(&rule(&when)).text().contains("field.present")),
            _ => assert!(problems(&rule(&when))[0].contains(wanted), "{:?}", problems(&rule(&when))),
        }
    }
    let wide = format!("payment.hour in [{}]", vec!["1"; 900].join(","));
    let many: String = (0..12).map(|n| format!("[[rule]]\nname = \"r{n}\"\nwhen = \"{wide}\"\n")).collect();
    assert!(
        problems(&many)[0].contains("conditions of 10836 parts; expected at most 10000"),
        "{:?}",
        problems(&many)
    );
    let long = format!("[[rule]]\nname = \"r\"\nwhen = \"true\"\nreason = \"{}\"", "x".repeat(501));
    assert!(problems(&long)[0].contains("a text of 501 bytes; expected at most 500"));
}

#[test]
fn the_version_changes_with_every_part_of_the_meaning_and_nothing_else() {
    let base = r#"
        [thresholds]
        computed = true
        [cost]
        fraud = { plus_minor = 100 }
        review = { plus_minor = 300, catches = 0.7 }
        [lists]
        block = "challenge"
        [risk_levels]
        high = 0.8
        [fallback]
        overload = "approve"
        [[segment]]
        name = "s"
        when = "payment.hour < 6"
        thresholds = { review = 0.5 }
        [[rule]]
        name = "a"
        when = "payment.hour < 6"
        action = "review"
        [[rule]]
        name = "b"
        when = "payment.hour < 7"
        hold = true
        reason = "late"
    "#;
    let version = |text: &str| policy(text).version().clone();
    assert_eq!(version(base), "pol_df308d348de0d087");
    let mut versions = vec![version(base)];
    for (from, to) in [
        ("plus_minor = 100", "plus_minor = 101"),
        ("plus_minor = 300", "plus_minor = 301"),
        ("catches = 0.7", "catches = 0.71"),
        ("block = \"challenge\"", "block = \"review\""),
        ("block = \"challenge\"", "allow = \"challenge\""),
        ("high = 0.8", "critical = 0.8"),
        ("overload = \"approve\"", "overload = \"rules_only\""),
        ("overload = \"approve\"", "overload = \"review\""),
        ("name = \"s\"", "name = \"t\""),
        ("review = 0.5", "review = 0.51"),
        ("< 6", "< 5"),
        ("action = \"review\"", ""),
        ("action = \"review\"", "action = \"decline\""),
        ("hold = true", ""),
        ("reason = \"late\"", "reason = \"early\""),
        ("name = \"a\"", "name = \"c\""),
    ] {
        let changed = base.replacen(from, to, 1);
        assert_ne!(changed, base, "{from}");
        versions.push(version(&changed));
    }
    let (first, rest) = base.split_once("[[rule]]").unwrap();
    let (a, b) = rest.split_once("[[rule]]").unwrap();
    versions.push(version(&format!("{first}[[rule]]{b}[[rule]]{a}")));
    let all = versions.len();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), all);
    let (tables, rules) = base.split_once("[[segment]]").unwrap();
    let moved = format!("# why\n[[segment]]{rules}\n{tables}")
        .replace("\"payment.hour < 7\"", "' payment.hour < 7 '");
    assert_eq!(version(&moved), version(base), "comments and order of tables");
    assert_eq!(policy(base).text(), base);
}
