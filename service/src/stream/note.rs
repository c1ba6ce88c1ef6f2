//! What a journal row says so that a batch can be made again after a restart: all that was not a function of its
//! records. The time at which events counted as from the future; the records refused for what the registry answered,
//! which may answer otherwise tomorrow, or for what a caller had been answered; and the decisions taken over from
//! callers that are in no record.

use std::sync::Arc;

use feature_store::varint::{Reader, put, put_bytes, put_signed};
use schemas::reject::{Reject, RejectCode};

use crate::made::Made;

/// The note of one batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Note {
    /// Wall-clock time of the batch, milliseconds.
    pub judged_ms: i64,
    /// The live model's id; empty without one.
    pub model: String,
    /// The policy's version.
    pub policy: String,
    /// Records refused for more than what they hold, in the order of their offsets.
    pub refused: Vec<(i64, Reject)>,
    /// Decisions of records that do not carry them, in the order of their offsets.
    pub adopted: Vec<(i64, Arc<Made>)>,
}

impl Note {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put_signed(&mut out, self.judged_ms);
        put_bytes(&mut out, self.model.as_bytes());
        put_bytes(&mut out, self.policy.as_bytes());
        put(&mut out, self.refused.len() as u64);
        for (offset, reject) in &self.refused {
            put_signed(&mut out, *offset);
            put_bytes(&mut out, reject.code.as_str().as_bytes());
            put_bytes(&mut out, reject.detail.as_bytes());
        }
        put(&mut out, self.adopted.len() as u64);
        for (offset, made) in &self.adopted {
            put_signed(&mut out, *offset);
            // Plain data, which JSON can always hold.
            put_bytes(&mut out, &serde_json::to_vec(&**made).unwrap_or_default());
        }
        out
    }

    /// The note of these bytes; `None` when another build wrote them.
    pub fn decode(bytes: &[u8]) -> Option<Note> {
        let mut reader = Reader::new(bytes);
        let judged_ms = reader.take_signed()?;
        let model = text(&mut reader)?;
        let policy = text(&mut reader)?;
        let mut refused = Vec::new();
        for _ in 0..reader.take_count()? {
            let offset = reader.take_signed()?;
            let word = text(&mut reader)?;
            let code = RejectCode::ALL.iter().copied().find(|code| code.as_str() == word)?;
            refused.push((offset, Reject::new(code, text(&mut reader)?)));
        }
        let mut adopted = Vec::new();
        // Rows of before there were callers end here.
        let count = if reader.is_empty() { 0 } else { reader.take_count()? };
        for _ in 0..count {
            let offset = reader.take_signed()?;
            adopted.push((offset, Arc::new(serde_json::from_slice(reader.take_sized()?).ok()?)));
        }
        reader.is_empty().then_some(Note { judged_ms, model, policy, refused, adopted })
    }

    /// Why the record at this offset was refused, if it was.
    pub fn refusal(&self, offset: i64) -> Option<&Reject> {
        let found = self.refused.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        self.refused.get(found).map(|(_, reject)| reject)
    }

    /// The decision that the record at this offset had been given, if it was not its own.
    pub fn made(&self, offset: i64) -> Option<&Arc<Made>> {
        let found = self.adopted.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        self.adopted.get(found).map(|(_, made)| made)
    }
}

fn text(reader: &mut Reader<'_>) -> Option<String> {
    String::from_utf8(reader.take_sized()?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back_and_cut_ones_do_not() {
        let reject = Reject::new(RejectCode::SchemaUnknown, "no schema 7");
        let refused = vec![(3, reject.clone()), (9, reject.clone())];
        let note = Note {
            judged_ms: 1_700_000_000_000,
            model: "m/1".into(),
            policy: "pol_1".into(),
            refused,
            adopted: Vec::new(),
        };
        let bytes = note.encode();
        assert_eq!(Note::decode(&bytes).as_ref(), Some(&note));
        assert_eq!((note.refusal(9), note.refusal(4)), (Some(&reject), None));
        // One byte less is a row of the build before this, which had no adopted decisions.
        assert_eq!(Note::decode(&bytes[..bytes.len() - 1]).as_ref(), Some(&note));
        for cut in 0..bytes.len() - 1 {
            assert_eq!(Note::decode(&bytes[..cut]), None);
        }
    }

    #[test]
    fn i11_an_adopted_decision_comes_back_to_the_last_bit_after_a_restart() {
        let made = Arc::new(crate::accepted::tests::made("a"));
        let note = Note { adopted: vec![(4, Arc::clone(&made))], ..Note::default() };
        let bytes = note.encode();
        let back = Note::decode(&bytes).unwrap();
        assert_eq!((back.made(4), back.made(5)), (Some(&made), None));
        for cut in 0..bytes.len() {
            assert!(Note::decode(&bytes[..cut]).is_none_or(|note| note.adopted.is_empty()), "cut at {cut}");
        }
    }
}
