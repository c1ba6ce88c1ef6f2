//! The wanted values of the records of one schema: the plan, the reader and its limits.
//!
//! A record may say in four bytes that an array holds 2^40 nulls. So every value visited is paid from a budget that
//! grows with the record's length.

use std::io::BufRead;
use std::sync::Arc;

use serde::de::Deserializer;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};

use super::aliases::Aliases;
use super::plan::{Plan, plan};
use super::schema::{CheckedSchema, MAX_SCHEMA_DEPTH};
use super::walk::{Raws, TopRecord, Walk};
use super::wanted::Wanted;
use crate::reject::{Reject, RejectCode};

/// Values visited that any record may have: twice the fields of the largest schema.
const BASE_BUDGET: usize = 4_096;

/// Further values visited for each byte: null fields in an array's records take none.
const BUDGET_PER_BYTE: usize = 16;

/// Reads the wanted values from records of one schema.
pub(crate) struct Projection {
    wire: Arc<serde_avro_fast::Schema>,
    fields: Box<[Plan]>,
    /// The top level's field names, for refusals.
    names: Box<[Box<str>]>,
    /// The wanted places' names, for refusals.
    places: Box<[Box<str>]>,
}

impl Projection {
    /// Plans the records of a schema.
    ///
    /// # Errors
    /// `SchemaMismatch`, see [`plan`].
    pub(crate) fn new(writer: &CheckedSchema, wanted: &[Wanted], aliases: &Aliases) -> Result<Self, Reject> {
        Ok(Self {
            wire: writer.wire.clone(),
            fields: plan(&writer.root, wanted, aliases)?,
            names: writer.root.fields.iter().map(|field| field.name.clone()).collect(),
            places: wanted.iter().map(|wanted| wanted.name.as_str().into()).collect(),
        })
    }

    /// The wanted values of one record.
    ///
    /// # Errors
    /// `Malformed`, `TrailingBytes`, or `FieldInvalid` for a wanted value of a type that no mapping can take.
    pub(crate) fn read<'a>(&'a self, body: &'a [u8]) -> Result<Raws<'a>, Reject> {
        let walk = self.walk(body)?;
        match self.unfit(&walk) {
            Some((_, reject)) => Err(reject),
            None => Ok(walk.raws),
        }
    }

    /// The plan of each field of the top level.
    pub(crate) fn plans(&self) -> &[Plan] {
        &self.fields
    }

    /// A place whose value is of a type that no mapping can take.
    pub(crate) fn unfit(&self, walk: &Walk<'_>) -> Option<(usize, Reject)> {
        let place = usize::from(walk.unfit?);
        let name = self.places.get(place)?;
        let detail = format!("{name} is of a type that is not taken");
        Some((place, Reject::new(RejectCode::FieldInvalid, detail)))
    }

    /// The walk over one record.
    ///
    /// # Errors
    /// `Malformed`, `TrailingBytes`.
    pub(crate) fn walk<'a>(&'a self, body: &'a [u8]) -> Result<Walk<'a>, Reject> {
        let budget = BASE_BUDGET.saturating_add(body.len().saturating_mul(BUDGET_PER_BYTE));
        let mut walk = Walk::new(self.places.len(), budget);
        let mut config = DeserializerConfig::new(&self.wire);
        config.max_seq_size = budget;
        config.allowed_depth = MAX_SCHEMA_DEPTH + 1;
        let mut state = DeserializerState::with_config(SliceRead::new(body), config);
        let read = state.deserializer().deserialize_any(TopRecord { fields: &self.fields, walk: &mut walk });
        if let Err(error) = read {
            return Err(self.malformed(walk.field, body.len(), &error.to_string()));
        }
        let left = state.into_reader().fill_buf().map_or(0, <[u8]>::len);
        if left > 0 {
            let detail = format!("{left} of {} bytes are left after the record", body.len());
            return Err(Reject::new(RejectCode::TrailingBytes, detail));
        }
        Ok(walk)
    }

    fn malformed(&self, field: usize, bytes: usize, why: &str) -> Reject {
        let field = self.names.get(field).map_or("", |name| name);
        Reject::new(
            RejectCode::Malformed,
            format!("not readable at the field \"{field}\" ({bytes} bytes): {why}"),
        )
    }
}
