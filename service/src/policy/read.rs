//! The policy file, read and checked.

use std::sync::Arc;

use schemas::decision::Verdict;
use schemas::document::{FromToml, Section, quoted};
use schemas::name::Name;
use schemas::payment::MAX_AMOUNT_MINOR;
use schemas::problem::{Problem, Problems};
use toml::Value;

use super::code::Codes;
use super::cost::Costs;
use super::fallback::{Fallbacks, Lack, StandIn};
use super::position::Positions;
use super::risk::RiskLevels;
use super::terms::Terms;
use super::threshold::{Bounds, Thresholds};
use super::version::version;
use super::{AlertRule, Contents, ListActions, Policy};

mod condition;
mod price;

/// Most alert rules of a policy: each is looked at for every payment until one matches.
const MAX_ALERT_RULES: usize = 100;

/// Longest name of a rule or a segment, bytes: it is in decisions and alerts.
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

/// The name of a rule, a segment or an alert rule.
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
    /// Every problem of the file, each with line and column.
    pub fn parse(file: &str, text: &str, terms: &Terms) -> Result<Policy, Problems> {
        let (mut root, sink) = Section::open(file, text);
        let positions = Positions::of(text);
        let costs = price::costs(&mut root);
        let conditions = condition::all(&mut root, costs, terms, &positions);
        let thresholds = thresholds(root.section("thresholds"), costs);
        price::used(&root, costs, conditions.thresholds.iter().chain([&thresholds]));
        let bounds = match thresholds {
            Thresholds::Fixed(bounds) => bounds,
            Thresholds::Computed(_) => Bounds::default(),
        };
        let contents = Contents {
            thresholds,
            fallbacks: fallbacks(root.section("fallback")),
            alert_rules: alert_rules(&mut root),
            rules: conditions.rules,
            segments: conditions.segments,
            list_actions: list_actions(root.section("lists")),
            risk_levels: risk_levels(root.section("risk_levels")),
        };
        drop(root);
        let policy = Policy {
            risk_levels: RiskLevels::of(contents.risk_levels, bounds),
            codes: Codes::new(),
            version: version(&contents),
            text: Arc::from(text),
            constants: conditions.constants,
            contents,
        };
        located(sink.problems(), &positions).or(Some(policy))
    }
}

/// The problems with line and column behind their keys, in the order of the file.
fn located(problems: Problems, positions: &Positions<'_>) -> Problems {
    let with_position = |problem: Problem| match positions.key(&problem.key) {
        Some(position) if !problem.key.contains("(line ") => {
            Problem { key: format!("{} ({position})", problem.key), ..problem }
        }
        _ => problem,
    };
    Problems(problems.0.into_iter().map(with_position).collect())
}

/// The thresholds of one table; `costs` are those it may be computed of.
fn thresholds(mut section: Section, costs: Option<Costs>) -> Thresholds {
    let computed = section.or("computed", false);
    let mut score = |key| section.optional::<Score>(key).map(|score| score.0);
    let bounds = Bounds { review: score("review"), challenge: score("challenge"), decline: score("decline") };
    ascend(&section, bounds.ascending().map(|(verdict, threshold)| (verdict.as_str(), threshold)));
    if !computed {
        return Thresholds::Fixed(bounds);
    }
    if bounds != Bounds::default() {
        section.report("computed", "true beside thresholds", "either computed thresholds or written ones");
    }
    let Some(costs) = costs else {
        let expected = "[cost] with the prices of review, challenge or decline";
        section.report("computed", "true without costs", expected);
        return Thresholds::Fixed(bounds);
    };
    Thresholds::Computed(costs)
}

/// Reports what is below one that stands before it.
fn ascend(section: &Section, scores: [(&str, Option<f64>); 3]) {
    let expected = scores.map(|(key, _)| key).join(" <= ");
    let mut highest: Option<(&str, f64)> = None;
    for (key, score) in scores {
        let Some(score) = score else { continue };
        match highest {
            Some((milder, above)) if score < above => {
                section.report(key, format!("{score}, below {milder} = {above}"), expected.as_str());
            }
            _ => highest = Some((key, score)),
        }
    }
}

fn fallbacks(mut section: Section) -> Fallbacks {
    Fallbacks::of(|lack| {
        // A score is there only where features are stale.
        let possible = |stand_in: &StandIn| lack == Lack::FeaturesStale || *stand_in != StandIn::AsScored;
        let words: Vec<_> =
            StandIn::ALL.into_iter().filter(possible).map(|stand_in| (stand_in.as_str(), stand_in)).collect();
        section.word(lack.as_str(), &words).unwrap_or(lack.default_stand_in())
    })
}

fn list_actions(mut section: Section) -> ListActions {
    let words = Verdict::ALL.map(|verdict| (verdict.as_str(), verdict));
    let usual = ListActions::default();
    ListActions {
        block: section.word("block", &words).unwrap_or(usual.block),
        allow: section.word("allow", &words).unwrap_or(usual.allow),
    }
}

fn risk_levels(mut section: Section) -> [Option<f64>; 3] {
    let keys = ["medium", "high", "critical"];
    let levels = keys.map(|key| section.optional::<Score>(key).map(|score| score.0));
    let [medium, high, critical] = levels;
    ascend(&section, [("medium", medium), ("high", high), ("critical", critical)]);
    levels
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
