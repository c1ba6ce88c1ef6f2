//! A schema as the plans see it: types and logical types by position, names and aliases of fields.
//!
//! Without recursion (the parser refuses it), so every walk over it ends. A record met again by name is shared,
//! not copied: a schema of a few lines can otherwise unfold to gigabytes.

use std::sync::Arc;

use crate::mapping::TimeUnit;

/// One type of a schema.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Null,
    Boolean,
    Int,
    /// With the unit of `timestamp-*` and `local-timestamp-*`.
    Long(Option<TimeUnit>),
    Float,
    Double,
    Text,
    /// With the scale of `decimal`.
    Bytes(Option<u32>),
    Fixed(FixedKind),
    /// Its symbols.
    Enum(Arc<[Box<str>]>),
    Array(Box<Node>),
    Map(Box<Node>),
    Union(Vec<Branch>),
    Record(Arc<Record>),
}

/// What a fixed stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FixedKind {
    Plain,
    /// With its scale.
    Decimal(u32),
    Uuid,
}

/// One branch of a union, with the name under which the reader reports it.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub(crate) wire_name: Box<str>,
    pub(crate) node: Node,
}

/// A record's fields in the order of the bytes.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) fields: Vec<Field>,
    /// Fields of this record and of all below it, a shared record counted each time it stands there.
    pub(crate) unfolded: usize,
    /// Levels from here to the deepest leaf.
    pub(crate) depth: usize,
}

/// One field of a record.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: Box<str>,
    pub(crate) aliases: Vec<Box<str>>,
    pub(crate) node: Node,
}

impl Record {
    pub(crate) fn new(fields: Vec<Field>) -> Self {
        let below = fields.iter().map(|field| field.node.unfolded());
        let unfolded = below.fold(fields.len(), usize::saturating_add);
        let depth = 1 + fields.iter().map(|field| field.node.depth()).max().unwrap_or(0);
        Self { fields, unfolded, depth }
    }
}

impl Node {
    /// Fields of all records below.
    pub(crate) fn unfolded(&self) -> usize {
        match self {
            Node::Record(record) => record.unfolded,
            Node::Array(items) | Node::Map(items) => items.unfolded(),
            Node::Union(branches) => {
                branches.iter().map(|branch| branch.node.unfolded()).fold(0, usize::saturating_add)
            }
            _ => 0,
        }
    }

    /// Levels from here to the deepest leaf.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Node::Record(record) => record.depth,
            Node::Array(items) | Node::Map(items) => 1 + items.depth(),
            Node::Union(branches) => 1 + branches.iter().map(|branch| branch.node.depth()).max().unwrap_or(0),
            _ => 1,
        }
    }

    /// The type as a word, for refusals.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Boolean => "a boolean",
            Node::Int => "an int",
            Node::Long(None) => "a long without a timestamp's logical type",
            Node::Long(Some(_)) => "a timestamp",
            Node::Float => "a float",
            Node::Double => "a double",
            Node::Text => "a string",
            Node::Bytes(None) => "bytes",
            Node::Fixed(FixedKind::Plain) => "a fixed",
            Node::Bytes(Some(_)) | Node::Fixed(FixedKind::Decimal(_)) => "a decimal",
            Node::Fixed(FixedKind::Uuid) => "a uuid",
            Node::Enum(_) => "an enum",
            Node::Array(_) => "an array",
            Node::Map(_) => "a map",
            Node::Union(_) => "a union",
            Node::Record(_) => "a record",
        }
    }
}
