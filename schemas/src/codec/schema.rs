//! A schema from the registry, checked before any parser or decoder relies on it.
//!
//! The registry is another team's: it may hold a schema that nests a million levels, contains itself, or unfolds
//! to more fields than memory holds. Such a schema is refused here with a reason, and its records are data that
//! cannot be read, not a crash.

use std::fmt;
use std::sync::Arc;

use serde_avro_fast::schema::SchemaMut;

use super::parse::Parser;
use super::tree::{Node, Record};
use crate::reject::{Reject, RejectCode};

/// Longest text of a schema, bytes: ten times the largest met in the field.
pub const MAX_SCHEMA_BYTES: usize = 1 << 20;

/// Deepest nesting of brackets in the text: a record in a union in a field takes four.
pub const MAX_JSON_DEPTH: usize = 64;

/// Deepest nesting of types once every name is followed: bounds the decoder's stack.
pub const MAX_SCHEMA_DEPTH: usize = 64;

/// Most fields once every name is followed: bounds the work for a record of few bytes.
pub const MAX_SCHEMA_FIELDS: usize = 2_000;

/// Longest reason, characters.
const MAX_DETAIL_CHARS: usize = 300;

/// A schema that decoders can rely on: a record, bounded, not recursive.
#[derive(Clone)]
pub struct CheckedSchema {
    pub(crate) root: Arc<Record>,
    pub(crate) wire: Arc<serde_avro_fast::Schema>,
    name: String,
}

impl CheckedSchema {
    /// The record's full name, `namespace.name`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for CheckedSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedSchema").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Checks the text of a schema.
///
/// # Errors
/// `SchemaRefused`: not Avro, too large, too deep, recursive, or not a record.
pub fn check_schema(text: &str) -> Result<CheckedSchema, Reject> {
    if text.len() > MAX_SCHEMA_BYTES {
        return Err(refused(format!("{} bytes, at most {MAX_SCHEMA_BYTES} are taken", text.len())));
    }
    if json_depth(text) > MAX_JSON_DEPTH {
        return Err(refused(format!("brackets nest deeper than {MAX_JSON_DEPTH}")));
    }
    // serde_json's message quotes no content, only what it expected and where.
    let json = serde_json::from_str(text).map_err(|error| refused(format!("not JSON: {error}")))?;
    let mut parser = Parser::new();
    let (node, name) = parser.root(&json)?;
    let Node::Record(root) = node else {
        return Err(refused(format!("the top level is {}, not a record", node.word())));
    };
    let wire = SchemaMut::from_nodes(parser.into_nodes()).freeze();
    let wire = wire.map_err(|error| refused(error.to_string()))?;
    Ok(CheckedSchema { root, wire: Arc::new(wire), name })
}

/// A refusal; the schema's own names in it may be as long as the schema, so it is shortened.
pub(crate) fn refused(detail: impl AsRef<str>) -> Reject {
    let detail: String = detail.as_ref().chars().take(MAX_DETAIL_CHARS).collect();
    Reject::new(RejectCode::SchemaRefused, detail)
}

/// Deepest nesting of brackets outside strings. Brackets that do not match are left to the JSON parser.
fn json_depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
