//! One record of the user's schema to one [`Payment`].

use std::fmt;
use std::sync::Arc;

use super::aliases::Aliases;
use super::plan::Plan;
use super::projection::Projection;
use super::schema::{CheckedSchema, check_schema};
use super::wanted::of_payment;
use crate::mapping::PaymentMapping;
use crate::payment::Payment;
use crate::reject::Reject;

/// Decodes the payments of one schema. Made once per schema; shared between threads.
pub struct PaymentDecoder {
    mapping: Arc<PaymentMapping>,
    projection: Projection,
}

impl PaymentDecoder {
    /// Plans the records of `writer`.
    ///
    /// # Errors
    /// `SchemaMismatch`, naming the mapped field, when a required field is missing or a field's type can never
    /// be taken. A field that is not required and is missing is null in every payment.
    pub fn new(
        mapping: Arc<PaymentMapping>,
        writer: &CheckedSchema,
        aliases: &Aliases,
    ) -> Result<Self, Reject> {
        let projection = Projection::new(writer, &of_payment(&mapping), aliases)?;
        Ok(Self { mapping, projection })
    }

    /// The same of a schema's text, with the aliases of that one schema: for where single records are read.
    ///
    /// # Errors
    /// `SchemaRefused`, else those of [`Self::new`].
    pub fn of_schema(mapping: Arc<PaymentMapping>, text: &str) -> Result<Self, Reject> {
        let writer = check_schema(text)?;
        let mut aliases = Aliases::new();
        aliases.learn(&writer);
        Self::new(mapping, &writer, &aliases)
    }

    /// Decodes one body.
    ///
    /// # Errors
    /// `Malformed` or `TrailingBytes` when it is not exactly one record of the schema; else what
    /// [`PaymentMapping::assemble`] refuses.
    pub fn decode(&self, body: &[u8]) -> Result<Payment, Reject> {
        self.mapping.assemble(&self.projection.read(body)?)
    }

    /// All that is refused of a body that [`Self::decode`] refuses, each with its place in
    /// [`PaymentMapping::paths`] where it has one.
    pub(crate) fn refusals(&self, body: &[u8]) -> Vec<(Option<usize>, Reject)> {
        let walk = match self.projection.walk(body) {
            Ok(walk) => walk,
            Err(reject) => return vec![(None, reject)],
        };
        if let Some((place, reject)) = self.projection.unfit(&walk) {
            return vec![(Some(place), reject)];
        }
        let refusals = self.mapping.refusals(&walk.raws).into_iter();
        refusals.map(|(place, reject)| (Some(place), reject)).collect()
    }

    /// What it does with each field of the top level.
    pub(crate) fn plans(&self) -> &[Plan] {
        self.projection.plans()
    }
}

impl fmt::Debug for PaymentDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentDecoder").finish_non_exhaustive()
    }
}
