//! A row to be indexed: a decision's bytes, and what the index needs of it.

use schemas::codec::{decode_own, frame};
use schemas::decision::{Door, Verdict};
use schemas::reject::Reject;
use serde::Deserialize;

use super::RowSchema;
use super::block::Summary;
use super::key;

/// One decision of the topic.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// Its offset in its partition of the decisions topic.
    pub(super) offset: i64,
    pub(super) schema: &'a RowSchema,
    body: &'a [u8],
    entry: Entry<'a>,
    /// The key of its id.
    pub(super) id: [u8; 17],
}

/// What lists go by. Reading all of a decision would cost three times as much, for nothing.
#[derive(Debug, Clone, Deserialize)]
struct Entry<'a> {
    decision_id: &'a str,
    #[serde(rename = "decided_at")]
    decided_at_ms: i64,
    #[serde(default = "first")]
    attempt: i32,
    amount_minor: i64,
    #[serde(rename = "decision")]
    verdict: Verdict,
    #[serde(default)]
    score: Option<f64>,
    #[serde(default, borrow)]
    entities: Vec<EntryEntity<'a>>,
    #[serde(default)]
    door: Door,
    #[serde(default)]
    alert_id: Option<&'a str>,
}

#[derive(Debug, Clone, Deserialize)]
struct EntryEntity<'a> {
    entity: &'a str,
    #[serde(default)]
    key: &'a str,
}

fn first() -> i32 {
    1
}

impl<'a> Row<'a> {
    /// A decision of the topic: its offset, the schema it is written in, and its Avro body without the frame.
    ///
    /// # Errors
    /// Why it is no decision.
    pub fn read(offset: i64, schema: &'a RowSchema, body: &'a [u8]) -> Result<Self, Reject> {
        let entry: Entry<'a> = decode_own(&schema.checked, body)?;
        let id = key::id(entry.decision_id);
        Ok(Self { offset, schema, body, entry, id })
    }

    /// When it was decided, as keys hold it.
    pub(super) fn time_ms(&self) -> i64 {
        key::time_ms(self.entry.decided_at_ms)
    }

    /// Whether it was written before, perhaps.
    pub(super) fn is_repeated(&self) -> bool {
        self.entry.attempt > 1
    }

    pub(super) fn summary(&self) -> Summary {
        let Entry { verdict, door, score, amount_minor, .. } = self.entry;
        Summary { verdict, door, alerted: self.entry.alert_id.is_some(), score, amount_minor }
    }

    /// The keys of its entities' lists.
    pub(super) fn entities(&self) -> impl Iterator<Item = [u8; 9]> {
        let known = self.entry.entities.iter().filter(|entity| !entity.key.is_empty());
        known.map(|entity| key::entity(entity.entity, entity.key))
    }

    /// Appends its bytes, framed with the number of its schema.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        frame(self.schema.version, out);
        out.extend_from_slice(self.body);
    }
}
