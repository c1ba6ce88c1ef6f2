//! The policy file, read and checked.

use std::hash::Hasher;

use schemas::decision::Verdict;
use schemas::document::{FromToml, Section, quoted};
use schemas::name::Name;
use schemas::payment::MAX_AMOUNT_MINOR;
use schemas::problem::Problems;
use siphasher::sip::SipHasher13;
use toml::Value;

use super::code::Codes;
use super::{AlertRule, Fallback, Policy, Thresholds};

/// Most alert rules of a policy: each is looked at for every payment until one matches.
const MAX_ALERT_RULES: usize = 100;

/// Longest name of an alert rule, bytes: it is in every alert that the rule raises.
const MAX_RULE_NAME: usize = 64;

/// A probability.
struct Score(f64);

impl FromToml for Score {
    const EXPECTED: &'static str = "a score of 0 to 1, such as 0.9";
    fn from_toml(value: &Value) -> Option<Self> {
        // Plus 0.0: minus zero is zero, also in the version.
        f64::from_toml(value).filter(|score| (0.0..=1.0).contains(score)).map(|score| Score(score + 0.0))
    }
}

/// An alert rule's name.
struct RuleName(String);

impl FromToml for RuleName {
    const EXPECTED: &'static str = "a name of 1 to 64 letters, digits, '_' and '-', such as \"worth_a_look\"";
    fn from_toml(value: &Value) -> Option<Self> {
        let name = value.as_str()?;
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        ((1..=MAX_RULE_NAME).contains(&name.len()) && plain).then(|| RuleName(name.to_owned()))
    }
}

impl Policy {
    /// Reads the text of a policy file. Every key is optional: a policy without thresholds approves whatever
    /// has a score, and one without alert rules raises none.
    ///
    /// # Errors
    /// Every problem of the file.
    pub fn parse(file: &str, text: &str) -> Result<Policy, Problems> {
        let (mut root, sink) = Section::open(file, text);
        let thresholds = thresholds(root.section("thresholds"));
        let fallback = fallback(root.section("fallback"));
        let alert_rules = alert_rules(&mut root);
        drop(root);
        let version = version(thresholds, fallback, &alert_rules);
        let policy = Policy { thresholds, fallback, alert_rules, codes: Codes::new(), version };
        sink.problems().or(Some(policy))
    }
}

fn thresholds(mut section: Section) -> Thresholds {
    let mut score = |key| section.optional::<Score>(key).map(|score| score.0);
    let thresholds =
        Thresholds { review: score("review"), challenge: score("challenge"), decline: score("decline") };
    let mut highest: Option<(Verdict, f64)> = None;
    for (verdict, threshold) in thresholds.ascending() {
        let Some(threshold) = threshold else { continue };
        match highest {
            Some((milder, above)) if threshold < above => section.report(
                verdict.as_str(),
                format!("{threshold}, below {} = {above}", milder.as_str()),
                "review <= challenge <= decline",
            ),
            _ => highest = Some((verdict, threshold)),
        }
    }
    thresholds
}

fn fallback(mut section: Section) -> Fallback {
    let words = Verdict::ALL.map(|verdict| (verdict.as_str(), verdict));
    let mut verdict = |key| section.word(key, &words).unwrap_or(Verdict::Review);
    Fallback { no_model: verdict("no_model"), model_failed: verdict("model_failed") }
}

fn alert_rules(root: &mut Section) -> Vec<AlertRule> {
    let sections = root.sections("alert");
    if sections.len() > MAX_ALERT_RULES {
        root.report("alert", format!("{} rules", sections.len()), format!("at most {MAX_ALERT_RULES}"));
    }
    let mut rules: Vec<AlertRule> = Vec::new();
    for mut section in sections {
        let name = section.required::<RuleName>("name").map(|name| Name::from(name.0));
        let verdicts = verdicts(&mut section);
        let min_expected_loss_minor =
            section.integer_within("min_expected_loss_minor", 0, 0..=MAX_AMOUNT_MINOR);
        let Some(name) = name else { continue };
        if rules.iter().any(|rule| rule.name == name) {
            section.report("name", format!("\"{name}\" a second time"), "a name of its own");
        }
        rules.push(AlertRule { name, verdicts, min_expected_loss_minor });
    }
    rules
}

/// The list of verdicts, each wrong entry reported by its place.
fn verdicts(section: &mut Section) -> [bool; Verdict::ALL.len()] {
    let expected = format!("one of {}", Verdict::ALL.map(Verdict::as_str).join(", "));
    let mut wanted = [false; Verdict::ALL.len()];
    match section.raw("verdicts") {
        Some(Value::Array(values)) if !values.is_empty() => {
            for (i, value) in values.iter().enumerate() {
                let verdict = value.as_str().and_then(Verdict::parse);
                if verdict.is_none() {
                    section.report(&format!("verdicts[{i}]"), quoted(value), expected.as_str());
                }
                for (slot, candidate) in wanted.iter_mut().zip(Verdict::ALL) {
                    *slot |= verdict == Some(candidate);
                }
            }
        }
        found => {
            let found = found.as_ref().map_or_else(|| "nothing".to_owned(), quoted);
            section.report("verdicts", found, "a list of verdicts, such as [\"review\", \"decline\"]");
        }
    }
    wanted
}

/// The hash of a text that says all that the policy means, and nothing else. The text is fixed: another one
/// for the same meaning would give every installation's policy a new version.
fn version(thresholds: Thresholds, fallback: Fallback, alert_rules: &[AlertRule]) -> Name {
    let mut meaning = String::from("policy 1");
    for (verdict, threshold) in thresholds.ascending() {
        let threshold = threshold.map_or_else(|| "never".to_owned(), |at| at.to_string());
        meaning += &format!("\n{} from {threshold}", verdict.as_str());
    }
    let (no_model, model_failed) = (fallback.no_model.as_str(), fallback.model_failed.as_str());
    meaning += &format!("\nno_model {no_model}\nmodel_failed {model_failed}");
    for rule in alert_rules {
        let chosen = Verdict::ALL.into_iter().zip(rule.verdicts).filter(|(_, wanted)| *wanted);
        let chosen: Vec<_> = chosen.map(|(verdict, _)| verdict.as_str()).collect();
        let (name, least) = (&rule.name, rule.min_expected_loss_minor);
        meaning += &format!("\nalert {name} on {} from {least}", chosen.join(" "));
    }
    let mut hash = SipHasher13::new();
    hash.write(meaning.as_bytes());
    Name::from(format!("pol_{:016x}", hash.finish()))
}
