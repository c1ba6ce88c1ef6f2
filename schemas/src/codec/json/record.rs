//! Records: names to places, and what is absent to its default.

use smallvec::{SmallVec, smallvec};

use super::fault::{At, DUPLICATE_FIELD, MISSING_FIELD, UNKNOWN_FIELD, Wrong};
use super::token::{entries, text};
use super::writer::{Form, Writer};
use crate::codec::tree::{Field, Node, Record};

/// Longest default, bytes: a body may ask for it many times over.
const MAX_DEFAULT_BYTES: usize = 4_096;

impl Writer {
    /// Writes an object as a record.
    pub(super) fn record(&mut self, record: &Record, raw: &str, at: &At<'_>) {
        let mut found: SmallVec<[Option<&str>; 32]> = smallvec![None; record.fields.len()];
        let faults = &mut self.faults;
        let read = entries(raw, |name, value| {
            let name = match text(name) {
                Ok(name) => name,
                Err(wrong) => return faults.push(at, wrong),
            };
            match record.position(&name).and_then(|place| found.get_mut(place)) {
                None => faults.push(&At::Name(at, &name), unknown()),
                Some(known @ None) => *known = Some(value),
                Some(Some(_)) => faults.push(&At::Name(at, &name), duplicate()),
            }
        });
        self.note(read, at);
        for (field, value) in record.fields.iter().zip(found) {
            match value {
                Some(raw) => self.value(&field.node, raw, &At::Name(at, &field.name)),
                None => self.absent(field, at),
            }
            if self.is_done() {
                return;
            }
        }
    }

    fn absent(&mut self, field: &Field, at: &At<'_>) {
        if let Some(bytes) = default_bytes(field) {
            self.out.extend_from_slice(bytes);
        } else if let Some(index) = null_branch(&field.node) {
            self.whole(i64::try_from(index).unwrap_or(i64::MAX));
        } else if !matches!(field.node, Node::Null) {
            let detail = "the schema has no default for it, and it is never null";
            self.faults.push(&At::Name(at, &field.name), Wrong::new(MISSING_FIELD, detail));
        }
    }
}

/// The bytes of a field's default; `None` where it has none, or one that its type does not take: a registry
/// lets such schemas pass.
pub(super) fn default_bytes(field: &Field) -> Option<&[u8]> {
    let default = field.default.as_ref()?;
    let bytes = field.default_bytes.get_or_init(|| {
        let mut writer = Writer::new(Form::Default, MAX_DEFAULT_BYTES, 1);
        writer.value(&field.node, &default.to_string(), &At::Top);
        writer.faults.is_empty().then(|| writer.out.into_boxed_slice())
    });
    bytes.as_deref()
}

/// Where null stands in a union.
pub(super) fn null_branch(node: &Node) -> Option<usize> {
    let Node::Union(branches) = node else { return None };
    branches.iter().position(|branch| matches!(branch.node, Node::Null))
}

/// Whether a body may leave the field out.
pub(super) fn is_optional(field: &Field) -> bool {
    default_bytes(field).is_some() || null_branch(&field.node).is_some() || matches!(field.node, Node::Null)
}

fn unknown() -> Wrong {
    Wrong::new(UNKNOWN_FIELD, "the schema has no such field")
}

pub(super) fn duplicate() -> Wrong {
    Wrong::new(DUPLICATE_FIELD, "the name stands twice in its object")
}
