//! Bytes to types and back: Confluent's framing, Avro through the registry's schema, and nothing trusted.
//!
//! ```text
//!   registry text ── check_schema ──► CheckedSchema ─┬─► PaymentDecoder ── decode ──► Payment
//!                                         │          └─► LabelDecoder   ── decode ──► Label
//!                                         └─► Aliases::learn
//!   topic bytes   ── unframe ──► (SchemaId, body)              own types ── Encoder ──► framed bytes
//!   JSON body     ── BodyReader ──► Avro bytes ── PaymentDecoder ──► Payment
//! ```
//! A schema is checked and planned once; then each record is walked once, visiting what is mapped and stepping
//! over the rest. Everything is refused that is not exactly one record of its schema: a record cut anywhere, bytes
//! left over, an index out of range, invalid UTF-8, a bomb, also where the value itself is not wanted.
//! Not here: fetching schemas, caching them, and what to do with a refusal.

mod aliases;
mod attributes;
mod binary;
mod frame;
mod json;
mod label;
mod own;
mod parse;
mod payment;
mod plan;
mod projection;
mod schema;
mod step_over;
mod tree;
mod walk;
mod wanted;

pub use aliases::Aliases;
pub use frame::{FRAME_BYTES, SchemaId, frame, unframe};
pub use json::{Body, BodyError, BodyReader, FAULT_CODES, Fault, MAX_FAULTS, TOO_LONG};
pub use label::LabelDecoder;
pub use own::{EncodeError, Encoder, decode_own};
pub use payment::PaymentDecoder;
pub use schema::{
    CheckedSchema, MAX_JSON_DEPTH, MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, MAX_SCHEMA_FIELDS, check_schema,
};
