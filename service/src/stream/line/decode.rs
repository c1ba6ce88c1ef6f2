//! Decoding the waiting records of a lane, as far as their schemas are known.

use std::sync::Arc;

use feature_store::store::Topic;
use schemas::codec::{SchemaId, unframe};
use schemas::payment::{Label, Payment};
use schemas::reject::{Reject, RejectCode};

use super::{Note, Now, Record};
use crate::made::{Made, Seal};
use crate::registry::{Lookup, SchemaSource, Schemas};

/// What a record of the payments topic carries.
pub(super) struct Carried {
    /// Registry id of its schema; 0 without one.
    pub schema_id: i32,
    /// The payment, or why there is none.
    pub payment: Result<Payment, Reject>,
    /// The decision that was made before it came.
    pub made: Option<Arc<Made>>,
}

/// What was decoded, in the order of the records.
pub(super) enum Values {
    /// Payments.
    Payments(Vec<Carried>),
    /// Labels.
    Labels(Vec<Result<Label, Reject>>),
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Values::Payments(values) => values.len(),
            Values::Labels(values) => values.len(),
        }
    }
}

/// The records up to the first whose schema is not here yet.
pub(super) struct Decoded {
    pub values: Values,
    /// What was refused for the registry's answer or our limits, which may be others after a restart.
    pub refused: Vec<(i64, Reject)>,
    /// Why it stopped before the last record, if it did.
    pub blocked: Option<String>,
    /// Headers with a decision that was not made here: they are as if they were not there.
    pub foreign: u64,
}

/// Decodes records of one lane. `before` is the note of the batch, when it is applied again.
pub(super) fn decode<'a, S: SchemaSource>(
    schemas: &mut Schemas<S>,
    seal: Option<&Seal>,
    records: impl Iterator<Item = &'a Record>,
    before: Option<&Note>,
    now: Now,
    record_bytes: usize,
) -> Decoded {
    let mut payments = Vec::new();
    let mut labels = Vec::new();
    let mut decoded =
        Decoded { values: Values::Labels(Vec::new()), refused: Vec::new(), blocked: None, foreign: 0 };
    let mut topic = Topic::Labels;
    for record in records {
        topic = record.source.topic;
        let known = before.and_then(|note| note.refusal(record.offset)).cloned();
        let framed = match known {
            Some(reject) => Err(reject),
            None if record.value.len() > record_bytes && before.is_none() => {
                Err(too_large(record, record_bytes))
            }
            None => unframe(&record.value),
        };
        let id = framed.as_ref().map_or(0, |(id, _)| i32::try_from(id.0).unwrap_or(0));
        let stop = match topic {
            Topic::Payments => {
                let payment = body(framed, |id, bytes| match schemas.payment(id, now.wall_ms) {
                    Lookup::Ready(decoder) => Some(decoder.decode(bytes)),
                    Lookup::Refused(reject) => Some(Err(reject)),
                    Lookup::Waiting => None,
                });
                let made = made(record, before, seal, &mut decoded.foreign);
                payment.map(|payment| payments.push(Carried { schema_id: id, payment, made })).is_none()
            }
            Topic::Labels => {
                let label = body(framed, |id, bytes| match schemas.label(id, now.wall_ms) {
                    Lookup::Ready(decoder) => Some(decoder.decode(bytes)),
                    Lookup::Refused(reject) => Some(Err(reject)),
                    Lookup::Waiting => None,
                });
                label.map(|label| labels.push(label)).is_none()
            }
        };
        if stop {
            decoded.blocked = Some(schemas.blocked().unwrap_or_else(|| format!("waits for schema {id}")));
            break;
        }
        let rejected = match topic {
            Topic::Payments => payments.last().and_then(|carried: &Carried| carried.payment.as_ref().err()),
            Topic::Labels => labels.last().and_then(|label| label.as_ref().err()),
        };
        if let Some(reject) = rejected.filter(|reject| depends_on_more_than_the_record(reject.code)) {
            decoded.refused.push((record.offset, reject.clone()));
        }
    }
    decoded.values = match topic {
        Topic::Payments => Values::Payments(payments),
        Topic::Labels => Values::Labels(labels),
    };
    decoded
}

/// The decision that a payment had before it came: of the batch's note, or of its own header.
fn made(record: &Record, before: Option<&Note>, seal: Option<&Seal>, foreign: &mut u64) -> Option<Arc<Made>> {
    if let Some(made) = before.and_then(|note| note.made(record.offset)) {
        return Some(Arc::clone(made));
    }
    let header = record.decision.as_ref()?;
    let opened = seal.and_then(|seal| seal.open(header, &record.value));
    if opened.is_none() {
        *foreign += 1;
    }
    opened.map(Arc::new)
}

/// The decoded body; `None` while its schema is not here.
fn body<T>(
    framed: Result<(SchemaId, &[u8]), Reject>,
    decode: impl FnOnce(SchemaId, &[u8]) -> Option<Result<T, Reject>>,
) -> Option<Result<T, Reject>> {
    match framed {
        Err(reject) => Some(Err(reject)),
        Ok((id, bytes)) => decode(id, bytes),
    }
}

fn too_large(record: &Record, most: usize) -> Reject {
    let detail = format!("{} bytes, limits.record_bytes is {most}", record.value.len());
    Reject::new(RejectCode::TooLarge, detail)
}

fn depends_on_more_than_the_record(code: RejectCode) -> bool {
    matches!(
        code,
        RejectCode::SchemaUnknown
            | RejectCode::SchemaRefused
            | RejectCode::SchemaMismatch
            | RejectCode::TooLarge
    )
}
