//! Labels that came before their payment. Bounded: beyond it the one known longest makes room and is counted.

use std::collections::{BTreeMap, BTreeSet};

use schemas::payment::{Label, LabelSource};
use schemas::time::EventTime;
use smallvec::SmallVec;

use crate::identity::TransactionKey;
use crate::varint::{Reader, put, put_bytes, put_signed};

/// The labels that wait, by payment and by age.
#[derive(Debug)]
pub(super) struct Waiting {
    by_key: BTreeMap<TransactionKey, SmallVec<[Label; 1]>>,
    by_time: BTreeSet<(i64, TransactionKey)>,
    /// Labels; two of one payment known at the same time share a place in `by_time`.
    len: usize,
    most: usize,
    dropped: u64,
}

impl Waiting {
    pub fn new(most: usize) -> Self {
        Self { by_key: BTreeMap::new(), by_time: BTreeSet::new(), len: 0, most, dropped: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Keeps a label; those known since before `forget_ms` go.
    pub fn add(&mut self, key: TransactionKey, label: &Label, forget_ms: i64) {
        let labels = self.by_key.entry(key).or_default();
        if !labels.contains(label) {
            labels.push(label.clone());
            self.by_time.insert((label.label_time.ms(), key));
            self.len += 1;
        }
        while let Some((time_ms, oldest)) = self.by_time.first().copied() {
            if time_ms >= forget_ms && self.len <= self.most {
                break;
            }
            self.drop_known(time_ms, oldest);
        }
    }

    /// Drops the labels of a payment known since `time_ms`; its newer ones wait on.
    fn drop_known(&mut self, time_ms: i64, key: TransactionKey) {
        self.by_time.remove(&(time_ms, key));
        let Some(labels) = self.by_key.get_mut(&key) else { return };
        let before = labels.len();
        labels.retain(|label| label.label_time.ms() != time_ms);
        self.len -= before - labels.len();
        self.dropped += (before - labels.len()) as u64;
        if labels.is_empty() {
            self.by_key.remove(&key);
        }
    }

    /// The labels of a payment that has come.
    pub fn take(&mut self, key: TransactionKey) -> SmallVec<[Label; 1]> {
        if self.by_key.is_empty() {
            return SmallVec::new();
        }
        let labels = self.by_key.remove(&key).unwrap_or_default();
        for label in &labels {
            self.by_time.remove(&(label.label_time.ms(), key));
        }
        self.len -= labels.len();
        labels
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.dropped);
        put(out, self.by_key.values().map(SmallVec::len).sum::<usize>() as u64);
        for (key, labels) in &self.by_key {
            for label in labels {
                out.extend_from_slice(&key.0.to_le_bytes());
                put_bytes(out, label.transaction_id.as_bytes());
                put(out, u64::from(label.fraud));
                put(out, label.source as u64);
                put_signed(out, label.label_time.ms());
            }
        }
    }

    pub fn decode(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        self.dropped = reader.take()?;
        for _ in 0..reader.take_count()? {
            let key = TransactionKey(u128::from_le_bytes(reader.take_bytes(16)?.try_into().ok()?));
            let transaction_id = std::str::from_utf8(reader.take_sized()?).ok()?.into();
            let fraud = reader.take()? == 1;
            let source = *LabelSource::ALL.get(reader.take()? as usize)?;
            let label_time = EventTime::from_ms(reader.take_signed()?)?;
            self.add(key, &Label { transaction_id, fraud, label_time, source }, i64::MIN);
        }
        Some(())
    }
}
