//! One record of a label schema to one [`Label`]: the contract's, an older or newer version of it, or another's
//! with the same field names.

use std::fmt;

use super::aliases::Aliases;
use super::projection::Projection;
use super::schema::CheckedSchema;
use super::wanted::of_label;
use crate::mapping::{Raw, event_time, key_text};
use crate::payment::{Label, LabelSource};
use crate::reject::{Reject, RejectCode};

/// Decodes the labels of one schema. Made once per schema; shared between threads.
pub struct LabelDecoder {
    projection: Projection,
}

impl LabelDecoder {
    /// Plans the records of `writer`: fields are found by name (or alias), wherever they stand.
    ///
    /// # Errors
    /// `SchemaMismatch` unless it has `transaction_id` (string or integer), `fraud` (boolean, or 0 and 1) and
    /// `label_time` (timestamp). Without `source` the labels' source is `other`.
    pub fn new(writer: &CheckedSchema) -> Result<Self, Reject> {
        Ok(Self { projection: Projection::new(writer, &of_label(), &Aliases::new())? })
    }

    /// Decodes one body.
    ///
    /// # Errors
    /// `Malformed` or `TrailingBytes` when it is not exactly one record of the schema; else the first field that
    /// is missing or out of range.
    pub fn decode(&self, body: &[u8]) -> Result<Label, Reject> {
        Self::assemble(&self.projection.read(body)?)
    }

    /// A label of its four values: transaction_id, fraud, label_time, source.
    ///
    /// # Errors
    /// The first that is missing or out of range.
    pub fn assemble(raws: &[Raw<'_>]) -> Result<Label, Reject> {
        let [transaction_id, fraud, label_time, source] = raws else {
            return Err(Reject::new(RejectCode::SchemaMismatch, "a label has four fields"));
        };
        let transaction_id = key_text(transaction_id, "transaction_id")?
            .ok_or_else(|| Reject::new(RejectCode::FieldMissing, "transaction_id is null"))?;
        Ok(Label {
            transaction_id: transaction_id.into(),
            fraud: flag(fraud)?,
            label_time: event_time(label_time, None, "label_time")?,
            source: match source {
                Raw::Text(word) => LabelSource::parse(word),
                _ => LabelSource::Other,
            },
        })
    }
}

fn flag(raw: &Raw<'_>) -> Result<bool, Reject> {
    match raw {
        Raw::Flag(value) => Ok(*value),
        Raw::Int(value @ (0 | 1)) => Ok(*value == 1),
        Raw::Null => Err(Reject::new(RejectCode::FieldMissing, "fraud is null")),
        _ => Err(Reject::new(RejectCode::FieldInvalid, "fraud is neither a boolean nor 0 or 1")),
    }
}

impl fmt::Debug for LabelDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LabelDecoder").finish_non_exhaustive()
    }
}
