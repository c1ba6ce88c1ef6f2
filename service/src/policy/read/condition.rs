//! `[[segment]]` and `[[rule]]`, read and checked: what stands behind `when`, and what follows from it.

use schemas::decision::Verdict;
use schemas::document::Section;
use schemas::name::Name;
use schemas::sensitive::masked;

use super::{RuleName, price, thresholds};
use crate::policy::code::RESERVED;
use crate::policy::cost::Costs;
use crate::policy::expression::{Constants, Expression};
use crate::policy::position::Positions;
use crate::policy::rule::{Rule, Segment};
use crate::policy::terms::Terms;
use crate::policy::threshold::Thresholds;

/// Most rules and segments of a policy: all rules are evaluated for every payment.
const MAX_RULES: usize = 200;
const MAX_SEGMENTS: usize = 50;

/// Most parts of all expressions together, each a step of the evaluation: it bounds what a policy costs a payment.
const MAX_PARTS: usize = 10_000;

/// Longest reason of a rule, bytes: it is in every decision that the rule had a say in.
const MAX_REASON: usize = 500;

/// Everything that has a condition.
pub(super) struct Conditions {
    pub(super) segments: Vec<Segment>,
    pub(super) rules: Vec<Rule>,
    /// Of every segment, those with flaws too.
    pub(super) thresholds: Vec<Thresholds>,
    /// What they were compiled with.
    pub(super) constants: Constants,
}

/// What conditions are read with.
struct Reader<'a> {
    terms: &'a Terms,
    positions: &'a Positions<'a>,
    /// Parts so far.
    parts: usize,
    constants: Constants,
}

/// The segments and the rules. `costs` are the policy's own, for segments without.
pub(super) fn all(
    root: &mut Section,
    costs: Option<Costs>,
    terms: &Terms,
    positions: &Positions<'_>,
) -> Conditions {
    let mut reader = Reader { terms, positions, parts: 0, constants: Constants::default() };
    let (mut segments, mut all_thresholds): (Vec<Segment>, _) = (Vec::new(), Vec::new());
    for mut section in counted(root, "segment", MAX_SEGMENTS) {
        let name = name(&mut section, segments.iter().map(|segment| &segment.name));
        let when = reader.condition(&mut section);
        let own = price::costs(&mut section);
        let thresholds = thresholds(section.section("thresholds"), own.or(costs));
        price::used(&section, own, [&thresholds].into_iter());
        all_thresholds.push(thresholds);
        if let (Some(name), Some(when)) = (name, when) {
            let broken_name = Name::from(format!("segment/{name}"));
            segments.push(Segment { name, broken_name, when, thresholds });
        }
    }
    let mut rules: Vec<Rule> = Vec::new();
    for mut section in counted(root, "rule", MAX_RULES) {
        let name = name(&mut section, rules.iter().map(|rule| &rule.name));
        let when = reader.condition(&mut section);
        let action = section.word("action", &Verdict::ALL.map(|verdict| (verdict.as_str(), verdict)));
        let hold = section.or("hold", false);
        let reason = reason(&mut section);
        if let (Some(name), Some(when)) = (name, when) {
            rules.push(Rule { name, when, action, hold, reason });
        }
    }
    if reader.parts > MAX_PARTS {
        root.report("rule", format!("conditions of {} parts", reader.parts), format!("at most {MAX_PARTS}"));
    }
    Conditions { segments, rules, thresholds: all_thresholds, constants: reader.constants }
}

fn counted(root: &mut Section, key: &str, most: usize) -> Vec<Section> {
    let sections = root.sections(key);
    if sections.len() > most {
        root.report(key, format!("{} of them", sections.len()), format!("at most {most}"));
    }
    sections
}

fn name<'a>(section: &mut Section, mut others: impl Iterator<Item = &'a Name>) -> Option<Name> {
    let name = section.required::<RuleName>("name").map(|name| Name::from(name.0))?;
    if others.any(|other| *other == name) {
        section.report("name", format!("\"{name}\" a second time"), "a name of its own");
    }
    if let Some(reserved) = RESERVED.iter().find(|reserved| name.starts_with(**reserved)) {
        section.report("name", format!("\"{name}\""), format!("a name that does not begin with {reserved}"));
    }
    Some(name)
}

fn reason(section: &mut Section) -> Option<String> {
    let reason: String = section.optional("reason")?;
    if reason.len() > MAX_REASON {
        section.report(
            "reason",
            format!("a text of {} bytes", reason.len()),
            format!("at most {MAX_REASON}"),
        );
    }
    Some(masked(&reason).into_owned())
}

impl Reader<'_> {
    /// `when`: each flaw is reported with its own line and column.
    fn condition(&mut self, section: &mut Section) -> Option<Expression> {
        let source: String = section.required("when")?;
        match Expression::compile(&source, self.terms, &mut self.constants) {
            Ok(expression) => {
                self.parts += expression.parts();
                Some(expression)
            }
            Err(flaws) => {
                for flaw in flaws {
                    let position = self.positions.inside(&section.key("when"), flaw.character);
                    let key = position.map_or("when".to_owned(), |position| format!("when ({position})"));
                    section.report(&key, flaw.found, flaw.expected);
                }
                None
            }
        }
    }
}
