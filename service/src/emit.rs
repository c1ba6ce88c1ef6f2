//! Emit: rulings to records of the output topics. Pure: bytes in the contracts' Avro, and headers; sending is the
//! transport's.

use feature_store::store::Source;
use schemas::alert::Alert;
use schemas::codec::{EncodeError, Encoder, SchemaId};
use schemas::contract::Contract;
use schemas::dead_letter::DeadLetter;
use schemas::decision::Decision;
use schemas::reject::Reject;
use schemas::sensitive::masked;

use crate::stream::{Outgoing, Output, Record, topic_word};

/// The id and the encoder of one contract.
pub struct Bound {
    /// Registry id that is written before every record.
    pub id: SchemaId,
    /// Writes in that id's schema.
    pub encoder: Encoder,
}

impl Bound {
    /// The contract's own text under an id.
    pub fn own(contract: Contract, id: u32) -> Self {
        Self { id: SchemaId(id), encoder: Encoder::new(contract) }
    }
}

/// Makes the records of the three output topics.
pub struct Emitter {
    decisions: Bound,
    alerts: Bound,
    dead_letters: Bound,
    /// Partitions of the output topics, as many as of the payments topic.
    partitions: i32,
    /// Names of the input topics, for dead letters.
    topics: [String; 2],
}

impl Emitter {
    /// An emitter; `topics` are the names of the payments and the labels topic.
    pub fn new(
        decisions: Bound,
        alerts: Bound,
        dead_letters: Bound,
        partitions: i32,
        topics: [String; 2],
    ) -> Self {
        Self { decisions, alerts, dead_letters, partitions: partitions.max(1), topics }
    }

    /// The output partition that answers a source: the same for payments.
    pub fn partition(&self, source: Source) -> i32 {
        source.partition.rem_euclid(self.partitions)
    }

    /// The record of a decision.
    ///
    /// # Errors
    /// A decision that its contract cannot hold: a bug.
    pub fn decision(&mut self, record: &Record, decision: &Decision) -> Result<Outgoing, EncodeError> {
        let mut value = Vec::with_capacity(1_024);
        self.decisions.encoder.encode(self.decisions.id, decision, &mut value)?;
        let traceparent = traceparent(record.traceparent.as_deref(), &decision.decision_id);
        Ok(self.outgoing(record, Output::Decisions, value, Some(&decision.decision_id), traceparent))
    }

    /// The record of an alert.
    ///
    /// # Errors
    /// An alert that its contract cannot hold: a bug.
    pub fn alert(&mut self, record: &Record, alert: &Alert) -> Result<Outgoing, EncodeError> {
        let mut value = Vec::with_capacity(1_024);
        self.alerts.encoder.encode(self.alerts.id, alert, &mut value)?;
        let traceparent = traceparent(record.traceparent.as_deref(), &alert.decision_id);
        Ok(self.outgoing(record, Output::Alerts, value, Some(&alert.decision_id), traceparent))
    }

    /// The record of a dead letter.
    ///
    /// # Errors
    /// A dead letter that its contract cannot hold: a bug.
    pub fn dead_letter(
        &mut self,
        record: &Record,
        reject: &Reject,
        now_ms: i64,
        attempt: i32,
    ) -> Result<Outgoing, EncodeError> {
        let Source { topic, partition } = record.source;
        let topic = self.topics.get(topic as usize).map_or("", String::as_str);
        let letter = DeadLetter::new(topic, partition, record.offset, &record.value, reject, now_ms);
        let letter = DeadLetter { attempt, ..letter };
        let mut value = Vec::with_capacity(256);
        self.dead_letters.encoder.encode(self.dead_letters.id, &letter, &mut value)?;
        let traceparent = traceparent(record.traceparent.as_deref(), &letter.value_sha256);
        Ok(self.outgoing(record, Output::DeadLetters, value, None, traceparent))
    }

    fn outgoing(
        &self,
        record: &Record,
        output: Output,
        value: Vec<u8>,
        decision_id: Option<&str>,
        traceparent: Option<Box<str>>,
    ) -> Outgoing {
        Outgoing {
            output,
            partition: self.partition(record.source),
            key: safe_key(&record.key),
            value,
            source: record.source,
            offset: record.offset,
            decision_id: decision_id.map(Into::into),
            traceparent,
            arrived_us: record.arrived_us,
        }
    }
}

/// The input's key, masked where it is a card number: no topic of ours carries one (I15).
fn safe_key(key: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(key) {
        Ok(text) => masked(text).into_owned().into_bytes(),
        Err(_) => key.to_vec(),
    }
}

/// The trace context of what we write: the input's trace with a span of our own, or a trace of our own. Both ids are
/// taken from `seed`, the hexadecimal digits of an id, so that a repetition carries the same.
pub fn traceparent(given: Option<&str>, seed: &str) -> Option<Box<str>> {
    let digits = seed.rsplit('_').next().unwrap_or(seed);
    let (trace, span) = (digits.get(..32)?, digits.get(16..32)?);
    let trace = given.and_then(|given| given.get(3..35)).unwrap_or(trace);
    let flags = given.and_then(|given| given.get(53..55)).unwrap_or("01");
    Some(format!("00-{trace}-{span}-{flags}").into())
}

/// Whether a header is a trace context of version 00 that may be passed on (W3C Trace Context, 3.2).
pub fn is_traceparent(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let hex = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let nonzero = |part: &str| part.bytes().any(|b| b != b'0');
    match parts.as_slice() {
        ["00", trace, span, flags] => {
            hex(trace, 32) && nonzero(trace) && hex(span, 16) && nonzero(span) && hex(flags, 2)
        }
        _ => false,
    }
}

/// The topic's word for logs.
pub fn source_name(source: Source) -> String {
    let topic = topic_word(source.topic);
    format!("{topic} {}", source.partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_and_a_missing_one_begins() {
        let id = "dec_8c2ed7cc224912a438ea21e86f1e4a5f";
        let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_traceparent(given));
        for bad in ["", "00-0-0-01", &given.to_uppercase(), &given.replace("0af", "0xf"), &given[..54]] {
            assert!(!is_traceparent(bad), "{bad}");
        }
        let onward = traceparent(Some(given), id).unwrap();
        assert!(is_traceparent(&onward) && onward[3..35] == given[3..35] && onward[36..52] != given[36..52]);
        let unsampled = traceparent(Some(&given.replace("31-01", "31-00")), id).unwrap();
        assert!(
            onward.ends_with("-01") && unsampled.ends_with("-00"),
            "sampled is for whoever began it to say"
        );
        let own = traceparent(None, id).unwrap();
        assert!(is_traceparent(&own));
        assert_eq!(Some(own), traceparent(None, id), "a repetition carries the same");
    }

    #[test]
    fn i15_a_card_number_as_key_is_masked() {
        assert_eq!(safe_key(b"4111111111111111"), b"411111******1111");
        assert_eq!(safe_key(b"card_7"), b"card_7");
    }
}
