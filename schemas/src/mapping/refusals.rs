//! All that a mapping refuses of one record, where [`PaymentMapping::assemble`] stops at the first: for whoever
//! wrote the record and waits for the answer. Off the path of good payments.

use super::{CurrencySource, PaymentMapping, Raw, amount, currency, event_time, field_value, key_text};
use crate::reject::{Reject, RejectCode};

impl PaymentMapping {
    /// What is refused, each with its place in [`Self::paths`], in that order. Empty exactly when
    /// [`Self::assemble`] makes a payment; else the first is what that one says.
    pub fn refusals(&self, raws: &[Raw<'_>]) -> Vec<(usize, Reject)> {
        let mut raws = raws.iter();
        let mut next = || raws.next().unwrap_or(&Raw::Null);
        let id = key_text(next(), "transaction_id").and_then(|id| {
            id.map(|_| ()).ok_or_else(|| Reject::new(RejectCode::FieldMissing, "transaction_id is null"))
        });
        let mut results = vec![
            id,
            event_time(next(), self.event_time_unit, "event_time").map(|_| ()),
            amount(next(), self.amount_unit).map(|_| ()),
        ];
        if matches!(self.currency, CurrencySource::Field(_)) {
            results.push(currency(next()).map(|_| ()));
        }
        for entity in &self.entities {
            results.extend(entity.key.iter().map(|_| key_text(next(), &entity.name).map(|_| ())));
        }
        results.extend(self.fields.iter().map(|field| field_value(field, next()).map(|_| ())));
        let refused = |(place, result): (usize, Result<(), Reject>)| Some((place, result.err()?));
        results.into_iter().enumerate().filter_map(refused).collect()
    }
}
