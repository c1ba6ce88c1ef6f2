//! A payment written as JSON, in the fields of one Avro schema: what the REST door takes.
//!
//! ```text
//!   body ── syntax ──► slices ── Writer ──► Avro bytes ── PaymentDecoder ──► Payment
//!            400                  422                       422
//! ```
//! The way to the payment leads through the very bytes that go to the topic and the decoder that reads them there.
//! So a payment sent by REST and the same one met on the topic have the same values and the same content hash.
//!
//! How a value is written:
//!
//! | Avro | JSON |
//! |---|---|
//! | `null`, `boolean`, `string` | as such; a string without U+0000 and without half of a surrogate pair |
//! | `int`, `long` | a number without fraction and exponent, exact |
//! | `float`, `double` | a number, the nearest one is taken; never infinite |
//! | `bytes`, `fixed` | Base64 with padding |
//! | `enum` | its symbol |
//! | `array`; `map`, `record` | an array; an object |
//! | a union of null and one other | the value itself or null |
//! | a union of more | the value where exactly one branch takes it, else `{"long": 5}` |
//! | `timestamp-*` | a number in the unit, or RFC 3339 with an offset; no digits are dropped, no leap second |
//! | `local-timestamp-*`, `time-*`, `date` | a number in the unit, or the same text without an offset |
//! | `decimal` | a string in plain notation, `"12.50"`, with at most its scale's places; a number went through a float somewhere |
//! | `uuid` | its 36 characters |
//!
//! Names are the schema's, not its aliases. A field that the schema has not is refused, and so is a name that stands
//! twice. A field may be left out if it has a default, which is then written, or can be null.
//! Not here: how long a body may be, HTTP, and what a fault's status is.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::aliases::Aliases;
use super::payment::PaymentDecoder;
use super::schema::CheckedSchema;
use super::tree::{Node, Record};
use crate::mapping::PaymentMapping;
use crate::payment::Payment;
use crate::reject::Reject;

mod bytes;
mod description;
mod example;
mod expectation;
mod fault;
mod leaf;
mod moment;
mod number;
mod pattern;
mod record;
mod role;
mod scalar;
mod token;
mod union;
mod writer;

pub use fault::{FAULT_CODES, Fault, MAX_FAULTS, TOO_LONG};

use expectation::mismatch;
use fault::{At, TOO_SHORT, Wrong};
use role::{Role, pointers, roles};
use token::{Kind, items, scanned};
use writer::{Form, MAX_RECORD_BYTES, Writer};

/// Reads payments written as JSON in the fields of one Avro schema. Made once per schema; shared between threads.
pub struct BodyReader {
    node: Node,
    record: Arc<Record>,
    decoder: PaymentDecoder,
    roles: Vec<Role>,
    /// Where each mapped place stands in a body.
    pointers: Vec<Option<String>>,
}

/// A good body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Its record in Avro's binary form, not framed.
    pub avro: Vec<u8>,
    /// What the stream makes of these bytes.
    pub payment: Payment,
}

/// Why a body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not JSON.
    #[error("not JSON: {detail}")]
    Syntax {
        /// What was expected, with line and column.
        detail: String,
    },
    /// JSON, but no payment of the schema: 1 to [`MAX_FAULTS`] faults.
    #[error("no payment of the schema: {} faults", .0.len())]
    Meaning(Vec<Fault>),
}

impl BodyReader {
    /// Plans the bodies of a schema.
    ///
    /// # Errors
    /// Those of [`PaymentDecoder::new`].
    pub fn new(
        mapping: Arc<PaymentMapping>,
        schema: &CheckedSchema,
        aliases: &Aliases,
    ) -> Result<Self, Reject> {
        let roles = roles(&mapping);
        let decoder = PaymentDecoder::new(mapping, schema, aliases)?;
        let record = schema.root.clone();
        let pointers = pointers(&record, decoder.plans(), roles.len());
        Ok(Self { node: Node::Record(record.clone()), record, decoder, roles, pointers })
    }

    /// Reads one body.
    ///
    /// # Errors
    /// `Syntax`, or `Meaning` with the faults that were found: those of the schema, else those of the mapping.
    pub fn read(&self, body: &[u8]) -> Result<Body, BodyError> {
        self.one(checked(body)?)
    }

    /// Reads an array of 1 to `most` bodies. Each has its own outcome, with pointers into that body.
    ///
    /// # Errors
    /// `Syntax` when the whole is not JSON; `Meaning` when it is no array, empty, or too long.
    pub fn read_batch(&self, body: &[u8], most: usize) -> Result<Vec<Result<Body, BodyError>>, BodyError> {
        let raw = checked(body)?;
        let whole = |wrong| Err(BodyError::Meaning(vec![fault(&At::Top, wrong)]));
        if Kind::of(raw) != Kind::Array {
            return whole(mismatch("an array of payments", Kind::of(raw)));
        }
        let (bodies, count) = items(raw, most).map_err(|error| syntax(&error))?;
        match count {
            0 => whole(Wrong::new(TOO_SHORT, format!("no payment, expected 1 to {most}"))),
            _ if count > most => {
                whole(Wrong::new(TOO_LONG, format!("{count} payments, expected 1 to {most}")))
            }
            _ => Ok(bodies.into_iter().map(|raw| self.one(raw)).collect()),
        }
    }

    /// The JSON Schema of a body (2020-12, which OpenAPI 3.1 takes as it is), without references.
    ///
    /// Every body that is taken fits it. What it cannot say is refused all the same: bytes instead of characters
    /// in a key, the days of a month, a value that fits two branches of a union.
    pub fn json_schema(&self) -> Value {
        description::of_record(&self.record, Some(self.decoder.plans()), &self.roles)
    }

    /// A body that is taken, with every field.
    pub fn example(&self) -> Value {
        example::of_record(&self.record, Some(self.decoder.plans()), &self.roles)
    }

    fn one(&self, raw: &str) -> Result<Body, BodyError> {
        let mut writer = Writer::new(Form::Body, MAX_RECORD_BYTES, MAX_FAULTS);
        writer.out.reserve(raw.len());
        writer.value(&self.node, raw, &At::Top);
        if !writer.faults.is_empty() {
            return Err(BodyError::Meaning(writer.faults.into_vec()));
        }
        match self.decoder.decode(&writer.out) {
            Ok(payment) => Ok(Body { avro: writer.out, payment }),
            Err(first) => Err(BodyError::Meaning(self.refused(&writer.out, first))),
        }
    }

    /// What the decoder and the mapping refuse, where it stands in the body.
    fn refused(&self, avro: &[u8], first: Reject) -> Vec<Fault> {
        let mut refusals = self.decoder.refusals(avro);
        if refusals.is_empty() {
            refusals.push((None, first));
        }
        let faults = refusals.into_iter().take(MAX_FAULTS).map(|(place, reject)| {
            let pointer = place.and_then(|place| self.pointers.get(place).cloned().flatten());
            Fault { pointer: pointer.unwrap_or_default(), code: reject.code.as_str(), detail: reject.detail }
        });
        faults.collect()
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader").field("schema", &self.record.name).finish_non_exhaustive()
    }
}

/// The body's one value, once it is UTF-8 and JSON.
fn checked(body: &[u8]) -> Result<&str, BodyError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let good = body.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + good.iter().rev().take_while(|byte| **byte != b'\n').count();
        BodyError::Syntax { detail: format!("not UTF-8 at line {line} column {column}") }
    })?;
    scanned(text).map_err(|error| syntax(&error))
}

fn syntax(error: &serde_json::Error) -> BodyError {
    BodyError::Syntax { detail: error.to_string() }
}

fn fault(at: &At<'_>, wrong: Wrong) -> Fault {
    Fault { pointer: at.pointer(), code: wrong.code, detail: wrong.detail }
}
