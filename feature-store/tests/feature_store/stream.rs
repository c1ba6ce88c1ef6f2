//! Random logs: ties, late and too late events, repeated and changed payments, labels early, late, corrected and
//! repeated, from several sources and partitions.

use std::collections::BTreeMap;

use feature_store::store::{Batch, Topic};
use proptest::prelude::*;
use proptest::sample::select;
use schemas::payment::{Label, LabelSource, Payment};
use schemas::time::EventTime;

use super::{Draft, Logged, Record, Span, label, source, span};

/// A batch before times and ids are known.
#[derive(Debug, Clone)]
pub(super) enum RawBatch {
    Payments { partition: u8, holes: i64, records: Vec<RawPayment> },
    Labels { partition: u8, holes: i64, records: Vec<RawLabel> },
}

#[derive(Debug, Clone)]
pub(super) enum RawPayment {
    /// So many units after the partition's clock, give or take.
    New(i64, i64, Draft),
    /// One sent before, so many payments back.
    Again { back: usize, changed: bool },
}

#[derive(Debug, Clone)]
pub(super) enum RawLabel {
    /// About a payment so many back, or not sent yet; known so long after the clock.
    New { back: i64, fraud: bool, source: usize, at: Span },
    /// One sent before, said to be known earlier, at the same time or later.
    Again { back: usize, shift: i64 },
}

fn draft() -> impl Strategy<Value = Draft> {
    let key = || prop_oneof![1 => Just(None), 9 => select(vec![0_u8, 0, 1, 2]).prop_map(Some)];
    let amount = prop_oneof![4 => select(vec![0, 1, 99, 2_500, 1_000_000_000_000_000]), 1 => 0..100_000_i64];
    let items = select(vec![None, Some(0), Some(1), Some(-5), Some(7), Some(1_000_000_000_000_000)]);
    let tip = select(vec![None, Some(0), Some(150), Some(-7)]);
    (
        [key(), key(), key()],
        amount,
        prop::option::of(0..4_u8),
        items,
        select(vec![None, Some(false), Some(true)]),
        tip,
    )
        .prop_map(|(keys, amount, channel, items, online, tip)| Draft {
            keys,
            amount,
            channel,
            items,
            online,
            tip,
        })
}

fn raw_payment() -> impl Strategy<Value = RawPayment> {
    let step = select(vec![0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 8, -1, -1, -2, -3, -6, -9]);
    let jitter = select(vec![0, 0, 0, 0, 0, -1, 1]);
    prop_oneof![
        9 => (step, jitter, draft()).prop_map(|(step, jitter, draft)| RawPayment::New(step, jitter, draft)),
        1 => (0..30_usize, any::<bool>()).prop_map(|(back, changed)| RawPayment::Again { back, changed }),
    ]
}

fn raw_label() -> impl Strategy<Value = RawLabel> {
    let new =
        (select(vec![-2, -1, 0, 0, 1, 1, 2, 3, 5, 8, 13, 30]), any::<bool>(), 0..3_usize, span(-12..=6));
    let again = (0..6_usize, select(vec![-3, -1, 0, 0, 1, 3]));
    prop_oneof![
        3 => new.prop_map(|(back, fraud, source, at)| RawLabel::New { back, fraud, source, at }),
        1 => again.prop_map(|(back, shift)| RawLabel::Again { back, shift }),
    ]
}

pub(super) fn raw_batch(partitions: u8) -> impl Strategy<Value = RawBatch> {
    let holes = || select(vec![0, 0, 0, 1, 5]);
    let payments = prop::collection::vec(raw_payment(), 1..=8);
    let labels = prop::collection::vec(raw_label(), 1..=5);
    prop_oneof![
        3 => (0..partitions, holes(), payments).prop_map(
            |(partition, holes, records)| RawBatch::Payments { partition, holes, records }
        ),
        1 => (0..2_u8, holes(), labels).prop_map(
            |(partition, holes, records)| RawBatch::Labels { partition, holes, records }
        ),
    ]
}

/// What has been written so far.
pub(super) struct Log {
    base_ms: i64,
    unit: i64,
    /// Most units that a partition's clock stays behind the newest.
    skew: i64,
    clocks: BTreeMap<u8, i64>,
    sent: Vec<Payment>,
    labels: Vec<Label>,
    count: usize,
    ends: BTreeMap<(u8, u8), i64>,
}

impl Log {
    pub(super) fn new(base_ms: i64, unit: i64, skew: i64) -> Self {
        let (clocks, ends) = (BTreeMap::new(), BTreeMap::new());
        Self { base_ms, unit, skew, clocks, sent: Vec::new(), labels: Vec::new(), count: 0, ends }
    }

    pub(super) fn all(mut self, batches: Vec<RawBatch>) -> Vec<Logged> {
        batches.into_iter().enumerate().map(|(place, raw)| self.batch(place, raw)).collect()
    }

    fn batch(&mut self, place: usize, raw: RawBatch) -> Logged {
        let (topic, partition, holes, records): (_, _, _, Vec<Record>) = match raw {
            RawBatch::Payments { partition, holes, records } => {
                let records = records.into_iter().map(|raw| Record::Payment(self.payment(partition, raw)));
                (Topic::Payments, partition, holes, records.collect())
            }
            RawBatch::Labels { partition, holes, records } => {
                let records = records.into_iter().map(|raw| Record::Label(self.label(raw)));
                (Topic::Labels, partition, holes, records.collect())
            }
        };
        let end = self.ends.get(&(topic as u8, partition)).copied();
        let first = end.map_or(holes, |end| end + 1 + holes);
        let last = first + records.len() as i64 - 1 + holes;
        self.ends.insert((topic as u8, partition), last);
        let note = format!("batch {place}").into_bytes();
        let source = source(topic, i32::from(partition));
        Logged { batch: Batch { source, prev: end, first, last, note }, records }
    }

    fn newest(&self) -> i64 {
        self.clocks.values().max().copied().unwrap_or(0)
    }

    fn payment(&mut self, partition: u8, raw: RawPayment) -> Payment {
        let (step, jitter, draft) = match raw {
            RawPayment::Again { back, changed } if !self.sent.is_empty() => {
                let place = self.sent.len() - 1 - back % self.sent.len();
                let mut payment = self.sent[place].clone();
                if changed {
                    payment.content.0 ^= 1;
                }
                return payment;
            }
            RawPayment::Again { .. } => (0, 0, Draft { keys: [Some(0); 3], ..Draft::default() }),
            RawPayment::New(step, jitter, draft) => (step, jitter, draft),
        };
        let behind = self.newest() - self.skew;
        let clock = self.clocks.entry(partition).or_insert(behind.max(0));
        let units = (*clock).max(behind) + step;
        *clock = (*clock).max(units);
        let time_ms = (self.base_ms + units * self.unit + jitter).max(0);
        let payment = draft.payment(&format!("t{}", self.count), time_ms);
        self.count += 1;
        self.sent.push(payment.clone());
        payment
    }

    fn label(&mut self, raw: RawLabel) -> Label {
        let label = match raw {
            RawLabel::Again { back, shift } if !self.labels.is_empty() => {
                let mut label = self.labels[self.labels.len() - 1 - back % self.labels.len()].clone();
                let time_ms = (label.label_time.ms() + shift * self.unit).max(0);
                label.label_time = EventTime::from_ms(time_ms).unwrap();
                label
            }
            RawLabel::Again { .. } => label("t0", true, LabelSource::Analyst, self.base_ms),
            RawLabel::New { back, fraud, source, at } => {
                let about = (self.count as i64 - 1 - back).max(0);
                let time_ms = (self.base_ms + self.newest() * self.unit + at.ms(self.unit)).max(0);
                label(&format!("t{about}"), fraud, LabelSource::ALL[source], time_ms)
            }
        };
        self.labels.push(label.clone());
        label
    }
}
