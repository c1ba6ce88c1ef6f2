//! A schema as the plans see it: types and logical types by position, names and aliases of fields.
//!
//! Without recursion (the parser refuses it), so every walk over it ends. A record met again by name is shared,
//! not copied: a schema of a few lines can otherwise unfold to gigabytes.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::mapping::TimeUnit;

/// One type of a schema.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Null,
    Boolean,
    Int(IntKind),
    Long(LongKind),
    Float,
    Double,
    Text(TextKind),
    /// With the digits of `decimal`.
    Bytes(Option<Digits>),
    Fixed(Arc<Fixed>),
    Enum(Arc<Enum>),
    Array(Box<Node>),
    Map(Box<Node>),
    Union(Vec<Branch>),
    Record(Arc<Record>),
}

/// What an int stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntKind {
    Plain,
    /// Days since 1970-01-01.
    Date,
    /// Milliseconds since midnight.
    TimeOfDay,
}

/// What a long stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LongKind {
    Plain,
    /// An instant in this unit since the epoch.
    Timestamp(TimeUnit),
    /// The same without a time zone.
    LocalTimestamp(TimeUnit),
    /// Microseconds since midnight.
    TimeOfDay,
}

/// What a string stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextKind {
    Plain,
    Uuid,
}

/// What a fixed stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FixedKind {
    Plain,
    Decimal(Digits),
    Uuid,
}

/// The digits of a decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digits {
    /// All of them.
    pub(crate) precision: u32,
    /// Those after the point.
    pub(crate) scale: u32,
}

/// A fixed.
#[derive(Debug)]
pub(crate) struct Fixed {
    /// Full name.
    pub(crate) name: Box<str>,
    pub(crate) bytes: usize,
    pub(crate) kind: FixedKind,
}

/// An enum.
#[derive(Debug)]
pub(crate) struct Enum {
    /// Full name.
    pub(crate) name: Box<str>,
    pub(crate) symbols: Arc<[Box<str>]>,
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
    /// Full name.
    pub(crate) name: Box<str>,
    pub(crate) doc: Option<Box<str>>,
    pub(crate) fields: Vec<Field>,
    /// Places of the fields, in the order of their names.
    by_name: Box<[usize]>,
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
    pub(crate) doc: Option<Box<str>>,
    /// As it is written in the schema, unchecked: readers of bytes have no use for it.
    pub(crate) default: Option<Value>,
    /// Its bytes, made when first wanted; `None` inside when the schema's default is not one of the type.
    pub(crate) default_bytes: OnceLock<Option<Box<[u8]>>>,
}

impl Record {
    pub(crate) fn new(name: Box<str>, doc: Option<Box<str>>, fields: Vec<Field>) -> Self {
        let mut by_name: Box<[usize]> = (0..fields.len()).collect();
        by_name.sort_unstable_by_key(|at| fields.get(*at).map(|field| &field.name));
        let below = fields.iter().map(|field| field.node.unfolded());
        let unfolded = below.fold(fields.len(), usize::saturating_add);
        let depth = 1 + fields.iter().map(|field| field.node.depth()).max().unwrap_or(0);
        Self { name, doc, fields, by_name, unfolded, depth }
    }

    /// The place of the field of this name.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        let name_at = |at: &usize| self.fields.get(*at).map_or("", |field| &field.name);
        let found = self.by_name.binary_search_by(|at| name_at(at).cmp(name)).ok()?;
        self.by_name.get(found).copied()
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

    /// The name under which Avro's JSON form gives a branch of this type.
    pub(crate) fn branch_name(&self) -> &str {
        match self {
            Node::Null => "null",
            Node::Boolean => "boolean",
            Node::Int(_) => "int",
            Node::Long(_) => "long",
            Node::Float => "float",
            Node::Double => "double",
            Node::Text(_) => "string",
            Node::Bytes(_) => "bytes",
            Node::Fixed(fixed) => &fixed.name,
            Node::Enum(of) => &of.name,
            Node::Array(_) => "array",
            Node::Map(_) => "map",
            Node::Union(_) => "union",
            Node::Record(record) => &record.name,
        }
    }

    /// The type as a word, for refusals.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Boolean => "a boolean",
            Node::Int(_) => "an int",
            Node::Long(LongKind::Plain | LongKind::TimeOfDay) => "a long without a timestamp's logical type",
            Node::Long(LongKind::Timestamp(_) | LongKind::LocalTimestamp(_)) => "a timestamp",
            Node::Float => "a float",
            Node::Double => "a double",
            Node::Text(_) => "a string",
            Node::Bytes(None) => "bytes",
            Node::Bytes(Some(_)) => "a decimal",
            Node::Fixed(fixed) => match fixed.kind {
                FixedKind::Plain => "a fixed",
                FixedKind::Decimal(_) => "a decimal",
                FixedKind::Uuid => "a uuid",
            },
            Node::Enum(_) => "an enum",
            Node::Array(_) => "an array",
            Node::Map(_) => "a map",
            Node::Union(_) => "a union",
            Node::Record(_) => "a record",
        }
    }
}
