//! Rule: the conditions of a policy, and which of them hold for one payment.
//!
//! A condition that has no value for a payment counts as not met, and is named: a rule that looks at a feature which
//! is undefined says nothing, and must not stop the line. What follows from the rules that hold is not decided here.

use schemas::decision::Verdict;
use schemas::name::Name;

use super::expression::{Expression, Values, context};
use super::threshold::Thresholds;

/// `[[rule]]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) name: Name,
    pub(super) when: Expression,
    /// The least that becomes of the payment; `None` for a rule that only marks or holds.
    pub(super) action: Option<Verdict>,
    /// Whether the payment waits for a person.
    pub(super) hold: bool,
    /// What the analyst reads.
    pub(super) reason: Option<String>,
}

/// `[[segment]]`: payments with thresholds of their own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    pub(super) name: Name,
    /// How it is named among what has no value: `segment/name`.
    pub(super) broken_name: Name,
    pub(super) when: Expression,
    pub(super) thresholds: Thresholds,
}

/// The conditions that hold for a payment.
#[derive(Debug, Default)]
pub(super) struct Judged<'p> {
    /// The first segment.
    pub(super) segment: Option<&'p Segment>,
    /// Every rule, in the order of the file.
    pub(super) rules: Vec<&'p Rule>,
    /// What had no value.
    pub(super) broken: Vec<Name>,
}

impl<'p> Judged<'p> {
    /// Goes through the segments up to the first that holds, and through all rules.
    pub(super) fn of(segments: &'p [Segment], rules: &'p [Rule], values: &Values<'_>) -> Self {
        let mut judged = Self::default();
        if segments.is_empty() && rules.is_empty() {
            return judged;
        }
        let context = context(values);
        for segment in segments {
            match segment.when.holds(&context) {
                Ok(false) => continue,
                Ok(true) => judged.segment = Some(segment),
                Err(_) => {
                    judged.broken.push(segment.broken_name.clone());
                    continue;
                }
            }
            break;
        }
        for rule in rules {
            match rule.when.holds(&context) {
                Ok(false) => {}
                Ok(true) => judged.rules.push(rule),
                Err(_) => judged.broken.push(rule.name.clone()),
            }
        }
        judged
    }

    /// The severest action of the rules that hold.
    pub(super) fn severest(&self) -> Option<Verdict> {
        self.rules.iter().filter_map(|rule| rule.action).max()
    }

    /// Whether a rule approves, which takes the score's vote away.
    pub(super) fn approves(&self) -> bool {
        self.rules.iter().any(|rule| rule.action == Some(Verdict::Approve))
    }

    /// The first rule that holds the payment back.
    pub(super) fn holding(&self) -> Option<&'p Rule> {
        self.rules.iter().copied().find(|rule| rule.hold)
    }
}
