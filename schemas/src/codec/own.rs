//! Our own contracts' records, written and read back.

use std::fmt;

use serde::Serialize;
use serde::de::Deserialize;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};
use serde_avro_fast::ser::SerializerConfig;
use std::io::BufRead;

use super::frame::{SchemaId, frame};
use super::schema::{CheckedSchema, MAX_SCHEMA_DEPTH, check_schema};
use super::tree::{Node, Record};
use crate::contract::Contract;
use crate::reject::{Reject, RejectCode};

/// A value cannot be written in its contract: a bug of ours or a registry that holds another schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{contract}: {detail}")]
pub struct EncodeError {
    /// The contract's name.
    pub contract: &'static str,
    /// What does not fit.
    pub detail: String,
}

/// Writes the records of one contract.
pub struct Encoder {
    contract: Contract,
    schema: Result<CheckedSchema, Reject>,
}

impl Encoder {
    /// Writes in the contract's own text, for a registry that holds it.
    pub fn new(contract: Contract) -> Self {
        Self { contract, schema: contract.schema().cloned() }
    }

    /// Writes in the registered schema, for a registry whose schema [`Contract::compare`] found compatible: the
    /// id on the record is that schema's, so the bytes must be too.
    ///
    /// # Errors
    /// When it lacks a field of the contract, or has one more that cannot be null.
    pub fn registered(contract: Contract, registered: &str) -> Result<Self, EncodeError> {
        let error = |detail: String| EncodeError { contract: contract.name(), detail };
        let ours = contract.schema().map_err(|reject| error(reject.to_string()))?;
        let theirs = check_schema(registered).map_err(|reject| error(reject.to_string()))?;
        writable(&ours.root, &theirs.root).map_err(error)?;
        Ok(Self { contract, schema: Ok(theirs) })
    }

    /// Appends one framed record to `out`. After an error `out` is as it was.
    ///
    /// # Errors
    /// When the value is not of the contract's shape.
    pub fn encode(
        &mut self,
        id: SchemaId,
        value: &impl Serialize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let error = |detail: String| EncodeError { contract: self.contract.name(), detail };
        let schema = self.schema.as_ref().map_err(|reject| error(reject.to_string()))?;
        let start = out.len();
        frame(id, out);
        // The configuration holds buffers for fields out of order; ours are in order, so it holds nothing.
        let mut config = SerializerConfig::new(&schema.wire);
        let written = serde_avro_fast::to_datum(value, &mut *out, &mut config).map(|_| ());
        written.map_err(|failed| {
            out.truncate(start);
            error(failed.to_string())
        })
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("contract", &self.contract).finish_non_exhaustive()
    }
}

/// Whether a value of our record can be written as theirs, field by field.
fn writable(ours: &Record, theirs: &Record) -> Result<(), String> {
    for field in &ours.fields {
        let there = theirs.fields.iter().find(|there| there.name == field.name);
        let there = there.ok_or_else(|| format!("the registered schema has no field \"{}\"", field.name))?;
        inner(&field.node, &there.node)?;
    }
    let more = theirs.fields.iter().find(|there| {
        let ours = ours.fields.iter().any(|field| field.name == there.name);
        !ours && !matches!(&there.node, Node::Union(branches) if branches.iter().any(|b| matches!(b.node, Node::Null)))
    });
    match more {
        None => Ok(()),
        Some(more) => {
            Err(format!("the registered schema's field \"{}\" is not ours and cannot be null", more.name))
        }
    }
}

fn inner(ours: &Node, theirs: &Node) -> Result<(), String> {
    match (ours, theirs) {
        (Node::Record(ours), Node::Record(theirs)) => writable(ours, theirs),
        (Node::Array(ours), Node::Array(theirs)) => inner(ours, theirs),
        _ => Ok(()),
    }
}

/// Reads a record of our own contracts back: `writer` is the schema in which it was written, our own
/// ([`Contract::schema`]) or another version from the registry. Fields go by name; what `T` does not know is left out, and
/// its texts may be borrowed from `body`.
///
/// # Errors
/// `Malformed` or `TrailingBytes`.
pub fn decode_own<'a, T: Deserialize<'a>>(writer: &CheckedSchema, body: &'a [u8]) -> Result<T, Reject> {
    let mut config = DeserializerConfig::new(&writer.wire);
    // An item takes a byte at least in every contract, so none has more items than bytes.
    config.max_seq_size = body.len();
    config.allowed_depth = MAX_SCHEMA_DEPTH + 1;
    let mut state = DeserializerState::with_config(SliceRead::new(body), config);
    let value = <T as Deserialize>::deserialize(state.deserializer())
        .map_err(|error| Reject::new(RejectCode::Malformed, error.to_string()))?;
    let left = state.into_reader().fill_buf().map_or(0, <[u8]>::len);
    if left > 0 {
        return Err(Reject::new(
            RejectCode::TrailingBytes,
            format!("{left} bytes are left after the record"),
        ));
    }
    Ok(value)
}
