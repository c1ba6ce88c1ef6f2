//! Unions: which branch a value means.
//!
//! With null and one other branch the value is written as it is. With more, it may be written as it is where exactly
//! one branch takes it, or name its branch as Avro's JSON does: `{"long": 5}`, a named type by its full name. An
//! object whose only name is that of a branch always names it, so no map can be mistaken for one.

use super::expectation::{expected, mismatch};
use super::fault::{AMBIGUOUS_BRANCH, At, Faults, WRONG_TYPE, Wrong};
use super::token::{Kind, entries, text};
use super::writer::{Form, Writer};
use crate::codec::tree::{Branch, IntKind, LongKind, Node};

type Candidate<'a> = (usize, &'a Branch);

impl Writer {
    /// Writes a value as one branch of a union.
    pub(super) fn union(&mut self, branches: &[Branch], raw: &str, at: &At<'_>) {
        if self.form == Form::Body
            && names_branches(branches)
            && let Some(((index, branch), inner)) = named(branches, raw)
        {
            self.index(index);
            return self.value(&branch.node, inner, &At::Name(at, branch.node.branch_name()));
        }
        let kind = Kind::of(raw);
        let takers: Vec<Candidate<'_>> =
            branches.iter().enumerate().filter(|(_, branch)| takes(&branch.node, kind)).collect();
        match takers.as_slice() {
            [] => {
                let words: Vec<_> = branches.iter().map(|branch| expected(&branch.node)).collect();
                self.faults.push(at, mismatch(&words.join(" or "), kind));
            }
            // Its faults are then told where they are, however deep.
            [(index, branch)] => {
                self.index(*index);
                self.value(&branch.node, raw, at);
            }
            _ => self.only_fit(&takers, raw, at),
        }
    }

    /// Tries each branch; the value must fit exactly one. In a default the first one is meant.
    fn only_fit(&mut self, takers: &[Candidate<'_>], raw: &str, at: &At<'_>) {
        let start = self.out.len();
        let mut fits: Vec<&str> = Vec::new();
        for (index, branch) in takers {
            let before = self.out.len();
            let faults = std::mem::replace(&mut self.faults, Faults::new(1));
            self.index(*index);
            self.value(&branch.node, raw, at);
            let tried = std::mem::replace(&mut self.faults, faults);
            if tried.is_empty() {
                fits.push(branch.node.branch_name());
            } else {
                self.out.truncate(before);
            }
            if fits.len() == 1 && self.form == Form::Default {
                return;
            }
        }
        match fits.as_slice() {
            [_] => {}
            [] => {
                let words: Vec<_> = takers.iter().map(|(_, branch)| expected(&branch.node)).collect();
                let detail = format!("fits none of: {}", words.join(", "));
                self.faults.push(at, Wrong::new(WRONG_TYPE, detail));
            }
            [first, ..] => {
                self.out.truncate(start);
                let detail = format!("fits {}: name the one, such as {{\"{first}\": …}}", fits.join(" and "));
                self.faults.push(at, Wrong::new(AMBIGUOUS_BRANCH, detail));
            }
        }
    }

    fn index(&mut self, index: usize) {
        self.whole(i64::try_from(index).unwrap_or(i64::MAX));
    }
}

/// Whether a value may name its branch: with null and one other there is nothing to tell apart.
pub(super) fn names_branches(branches: &[Branch]) -> bool {
    branches.iter().filter(|branch| !matches!(branch.node, Node::Null)).count() > 1
}

/// The branch that an object of one entry names, and the value in it.
fn named<'a, 'b>(branches: &'b [Branch], raw: &'a str) -> Option<(Candidate<'b>, &'a str)> {
    if Kind::of(raw) != Kind::Object {
        return None;
    }
    let (mut only, mut count) = (None, 0_usize);
    entries(raw, |name, value| {
        only = Some((name, value));
        count = count.saturating_add(1);
    })
    .ok()?;
    let (name, inner) = only.filter(|_| count == 1)?;
    let name = text(name).ok()?;
    let branch = branches.iter().enumerate().find(|(_, branch)| branch.node.branch_name() == name)?;
    Some((branch, inner))
}

/// Whether the type takes any value of the kind.
fn takes(node: &Node, kind: Kind) -> bool {
    match node {
        Node::Null => kind == Kind::Null,
        Node::Boolean => kind == Kind::Flag,
        Node::Int(IntKind::Plain) | Node::Long(LongKind::Plain) | Node::Float | Node::Double => {
            kind == Kind::Number
        }
        Node::Int(_) | Node::Long(_) => matches!(kind, Kind::Number | Kind::Text),
        Node::Text(_) | Node::Enum(_) | Node::Bytes(_) | Node::Fixed(_) => kind == Kind::Text,
        Node::Array(_) => kind == Kind::Array,
        Node::Map(_) | Node::Record(_) => kind == Kind::Object,
        Node::Union(_) => false,
    }
}
