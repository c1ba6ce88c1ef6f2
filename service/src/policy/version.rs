//! Version: a hash of what a policy means. Comments, white space and the order of keys do not change it; a threshold
//! does, and so does the order of rules, which an analyst sees in the reasons.

use std::fmt::Write;
use std::hash::Hasher;

use schemas::decision::Verdict;
use schemas::name::Name;
use siphasher::sip::SipHasher13;

use super::cost::{Costs, Price};
use super::fallback::Lack;
use super::rule::{Rule, Segment};
use super::threshold::Thresholds;
use super::{Contents, ListActions};

/// `pol_` and 16 hexadecimal digits of a text that says all that the policy means, and nothing else.
///
/// The text is fixed: another one for the same meaning would give every installation's policy a new version. What
/// came later says nothing where it is as it was before there was such a thing.
pub(super) fn version(contents: &Contents) -> Name {
    let mut meaning = String::from("policy 1");
    thresholds(&mut meaning, &contents.thresholds);
    for lack in Lack::ALL {
        let stand_in = contents.fallbacks.stand_in(lack);
        if matches!(lack, Lack::NoModel | Lack::ModelFailed) || stand_in != lack.default_stand_in() {
            add(&mut meaning, format_args!("\n{} {}", lack.as_str(), stand_in.as_str()));
        }
    }
    for rule in &contents.alert_rules {
        let chosen = Verdict::ALL.into_iter().zip(rule.verdicts).filter(|(_, wanted)| *wanted);
        let chosen: Vec<_> = chosen.map(|(verdict, _)| verdict.as_str()).collect();
        let (name, least) = (&rule.name, rule.min_expected_loss_minor);
        add(&mut meaning, format_args!("\nalert {name} on {} from {least}", chosen.join(" ")));
    }
    contents.rules.iter().for_each(|each| rule(&mut meaning, each));
    contents.segments.iter().for_each(|each| segment(&mut meaning, each));
    let ListActions { block, allow } = contents.list_actions;
    if contents.list_actions != ListActions::default() {
        add(&mut meaning, format_args!("\nlists {} {}", block.as_str(), allow.as_str()));
    }
    if contents.risk_levels.iter().any(Option::is_some) {
        let [medium, high, critical] = contents.risk_levels.map(score);
        add(&mut meaning, format_args!("\nrisk {medium} {high} {critical}"));
    }
    let mut hash = SipHasher13::new();
    hash.write(meaning.as_bytes());
    Name::from(format!("pol_{:016x}", hash.finish()))
}

fn thresholds(meaning: &mut String, thresholds: &Thresholds) {
    match thresholds {
        Thresholds::Fixed(bounds) => {
            for (verdict, threshold) in bounds.ascending() {
                add(meaning, format_args!("\n{} from {}", verdict.as_str(), score(threshold)));
            }
        }
        Thresholds::Computed(costs) => computed(meaning, costs),
    }
}

fn computed(meaning: &mut String, costs: &Costs) {
    let price = |price: Price| format!("{} {}", price.times_amount, price.plus_minor);
    add(meaning, format_args!("\nfraud costs {}", price(costs.fraud)));
    for (verdict, measure) in [(Verdict::Review, costs.review), (Verdict::Challenge, costs.challenge)] {
        if let Some(measure) = measure {
            let word = verdict.as_str();
            add(meaning, format_args!("\n{word} costs {} saves {}", price(measure.price), measure.saves));
        }
    }
    if let Some(decline) = costs.decline {
        add(meaning, format_args!("\ndecline costs {}", price(decline)));
    }
}

fn rule(meaning: &mut String, rule: &Rule) {
    let Rule { name, when, action, hold, reason } = rule;
    let action = action.map_or("mark", Verdict::as_str);
    add(meaning, format_args!("\nrule {name} {action}{}", if *hold { " hold" } else { "" }));
    text(meaning, when.source());
    text(meaning, reason.as_deref().unwrap_or_default());
}

fn segment(meaning: &mut String, segment: &Segment) {
    add(meaning, format_args!("\nsegment {}", segment.name));
    text(meaning, segment.when.source());
    thresholds(meaning, &segment.thresholds);
}

/// A text of the user's, with its length before it: it cannot be taken for what follows.
fn text(meaning: &mut String, text: &str) {
    add(meaning, format_args!(" {}:{text}", text.len()));
}

fn score(score: Option<f64>) -> String {
    score.map_or_else(|| "never".to_owned(), |at| at.to_string())
}

fn add(meaning: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    _ = meaning.write_fmt(words);
}
