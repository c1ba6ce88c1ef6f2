//! What a type takes, in words: for faults.

use super::fault::{WRONG_TYPE, Wrong};
use super::token::Kind;
use crate::codec::tree::{FixedKind, IntKind, LongKind, Node, TextKind};

/// A value of another kind than its type takes.
pub(super) fn mismatch(expected: &str, found: Kind) -> Wrong {
    Wrong::new(WRONG_TYPE, format!("expected {expected}, found {}", found.words()))
}

/// What a type takes, as words for faults.
pub(super) fn expected(node: &Node) -> String {
    let word = match node {
        Node::Null => "null",
        Node::Boolean => "true or false",
        Node::Int(IntKind::Plain) | Node::Long(LongKind::Plain) => "a whole number",
        Node::Int(IntKind::Date) => "a date or a whole number",
        Node::Int(IntKind::TimeOfDay) | Node::Long(LongKind::TimeOfDay) => "a time of day or a whole number",
        Node::Long(_) => "a time or a whole number",
        Node::Float | Node::Double => "a number",
        Node::Text(TextKind::Plain) => "a string",
        Node::Text(TextKind::Uuid) => "a UUID",
        Node::Enum(_) => "a symbol of the enum",
        Node::Bytes(None) => "bytes as Base64",
        Node::Bytes(Some(_)) => "a decimal as a string, such as \"12.50\"",
        Node::Fixed(fixed) => match fixed.kind {
            FixedKind::Plain => "bytes as Base64",
            FixedKind::Decimal(_) => "a decimal as a string, such as \"12.50\"",
            FixedKind::Uuid => "a UUID",
        },
        Node::Array(_) => "an array",
        Node::Map(_) | Node::Record(_) => "an object",
        Node::Union(branches) => {
            let words: Vec<_> = branches.iter().map(|branch| expected(&branch.node)).collect();
            return words.join(" or ");
        }
    };
    word.to_owned()
}
