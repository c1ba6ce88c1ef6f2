//! What is sent: payments with ties, late, repeated and changed ones, labels early, late and corrected, and junk.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use feature_store::definition::Definitions;
use feature_store::store::{Source, Topic};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use schemas::codec::{Encoder, SchemaId};
use schemas::contract::Contract;
use schemas::payment::{AmountMinor, ContentHash, Currency, FieldValue, Label, LabelSource, Payment};
use schemas::time::EventTime;
use schemas::transaction::Transaction;
use tripline::stream::memory::Broker;

use crate::checker::{Expectations, Expected};
use crate::oracle::{Oracle, Rules, Said};

/// An id that no registry gives.
pub const UNKNOWN_ID: u32 = 1_000_077;

/// What inputs depend on beside their seed.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Partitions of the payments topic.
    pub partitions: i32,
    /// Wall-clock time of the world, milliseconds.
    pub now_ms: i64,
    /// Registry ids of the transaction and the label schema.
    pub ids: [u32; 2],
}

/// Allowed lateness, memory of ids, and skew of every world.
pub const LATENESS_MS: i64 = 20_000;
pub const REMEMBER_MS: i64 = 10 * 86_400_000;
pub const SKEW_MS: i64 = 3_600_000;

/// What an input record means.
#[derive(Debug, Clone)]
pub enum Meant {
    Payment(Box<Transaction>),
    Label(Label),
    /// A payment in a schema that is not registered yet: a dead letter, or a payment from then on.
    Unregistered(Box<Transaction>),
    /// Ends as a dead letter with this code, whatever was before it.
    Junk(&'static str),
}

/// All inputs, and their bytes.
pub struct Inputs {
    pub meant: BTreeMap<(Source, i64), Meant>,
    /// Topic and partition, key and value of each, in the order of sending.
    pub bytes: Vec<(Source, Vec<u8>, Vec<u8>)>,
    sent: usize,
}

struct Maker {
    draw: Xoshiro256PlusPlus,
    transactions: Encoder,
    labels: Encoder,
    terms: Terms,
    clock_ms: i64,
    made: Vec<(i32, Transaction)>,
}

impl Inputs {
    /// So many inputs of a seed.
    pub fn of(seed: u64, terms: Terms, count: u32) -> Self {
        let mut maker = Maker {
            draw: Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x1a7e),
            transactions: Encoder::new(Contract::Transaction),
            labels: Encoder::new(Contract::Label),
            terms,
            clock_ms: terms.now_ms - i64::from(count) * 2_000 - 400_000,
            made: Vec::new(),
        };
        let mut inputs = Self { meant: BTreeMap::new(), bytes: Vec::new(), sent: 0 };
        let mut next: BTreeMap<Source, i64> = BTreeMap::new();
        for number in 0..count {
            let (source, meant, key, value) = maker.record(number);
            let offset = next.entry(source).or_default();
            inputs.meant.insert((source, *offset), meant);
            *offset += 1;
            inputs.bytes.push((source, key, value));
        }
        inputs
    }

    /// Appends the next so many records to the topics.
    pub fn send(&mut self, broker: &Broker, count: usize) {
        for (source, key, value) in self.bytes.iter().skip(self.sent).take(count) {
            broker.append(*source, key.clone(), value.clone());
        }
        self.sent = (self.sent + count).min(self.bytes.len());
    }

    pub fn all_sent(&self) -> bool {
        self.sent == self.bytes.len()
    }
}

impl Maker {
    fn record(&mut self, number: u32) -> (Source, Meant, Vec<u8>, Vec<u8>) {
        match self.draw.random_range(0..20) {
            0..=3 if !self.made.is_empty() => self.label(),
            4 if !self.made.is_empty() => {
                let (partition, transaction) = self.any();
                self.payment(partition, transaction)
            }
            5 if !self.made.is_empty() => {
                let (partition, mut transaction) = self.any();
                transaction.amount = AmountMinor::new(transaction.amount.minor() + 1).unwrap();
                self.payment(partition, transaction)
            }
            6 => self.junk(),
            7 => {
                let mut transaction = self.transaction(number);
                transaction.event_time = EventTime::from_ms(self.terms.now_ms + 100 * SKEW_MS).unwrap();
                let (source, _, key, value) = self.payment(self.partition(&transaction), transaction);
                (source, Meant::Junk("future"), key, value)
            }
            _ => {
                let transaction = self.transaction(number);
                let partition = self.partition(&transaction);
                self.made.push((partition, transaction.clone()));
                self.payment(partition, transaction)
            }
        }
    }

    fn any(&mut self) -> (i32, Transaction) {
        let place = self.draw.random_range(0..self.made.len());
        self.made[place].clone()
    }

    fn transaction(&mut self, number: u32) -> Transaction {
        // Many ties, some late, few too late.
        self.clock_ms += [0, 0, 1_000, 5_000][self.draw.random_range(0..4)];
        let back = [0, 0, 0, 0, 3_000, LATENESS_MS, LATENESS_MS + 1, 60_000][self.draw.random_range(0..8)];
        Transaction {
            transaction_id: format!("t{number}"),
            event_time: EventTime::from_ms(self.clock_ms - back).unwrap(),
            amount: AmountMinor::new(self.draw.random_range(0..10_000)).unwrap(),
            currency: Currency::parse("EUR").unwrap(),
            card_id: format!("card{}", self.draw.random_range(0..4)),
            merchant_id: self.draw.random_bool(0.9).then(|| format!("shop{}", self.draw.random_range(0..3))),
            device_id: None,
            merchant_category: None,
            country: self
                .draw
                .random_bool(0.8)
                .then(|| ["DE", "FR", "IT"][self.draw.random_range(0..3)].to_owned()),
            channel: None,
        }
    }

    /// A card stays on its partition; a shop is met on all.
    fn partition(&self, transaction: &Transaction) -> i32 {
        i32::from(transaction.card_id.as_bytes()[4] - b'0') % self.terms.partitions
    }

    fn payment(&mut self, partition: i32, transaction: Transaction) -> (Source, Meant, Vec<u8>, Vec<u8>) {
        let mut value = Vec::new();
        self.transactions.encode(SchemaId(self.terms.ids[0]), &transaction, &mut value).unwrap();
        let key = transaction.card_id.clone().into_bytes();
        (Source { topic: Topic::Payments, partition }, Meant::Payment(Box::new(transaction)), key, value)
    }

    fn label(&mut self) -> (Source, Meant, Vec<u8>, Vec<u8>) {
        let early = self.draw.random_bool(0.2);
        let id = if early {
            format!("t{}", self.draw.random_range(0..self.made.len() as u32 * 2))
        } else {
            self.any().1.transaction_id
        };
        let label = Label {
            transaction_id: id.into(),
            fraud: self.draw.random_bool(0.6),
            label_time: EventTime::from_ms(self.clock_ms + self.draw.random_range(-20_000..20_000)).unwrap(),
            source: LabelSource::ALL[self.draw.random_range(0..3)],
        };
        let mut value = Vec::new();
        self.labels.encode(SchemaId(self.terms.ids[1]), &label, &mut value).unwrap();
        let source = Source { topic: Topic::Labels, partition: 0 };
        (source, Meant::Label(label), Vec::new(), value)
    }

    fn junk(&mut self) -> (Source, Meant, Vec<u8>, Vec<u8>) {
        let partition = self.draw.random_range(0..self.terms.partitions);
        let transaction = self.transaction(9_999);
        let (_, _, _, whole) = self.payment(partition, transaction.clone());
        let (code, value) = match self.draw.random_range(0..6) {
            0 => ("empty", Vec::new()),
            1 => ("frame_truncated", whole[..3].to_vec()),
            2 => ("bad_magic", b"{\"transaction_id\":1}".to_vec()),
            3 => ("schema_unknown", [&[0][..], &UNKNOWN_ID.to_be_bytes(), &whole[5..]].concat()),
            4 => ("malformed", whole[..whole.len() - 3].to_vec()),
            _ => ("trailing_bytes", [&whole[..], b"x"].concat()),
        };
        let topic = if self.draw.random_bool(0.8) { Topic::Payments } else { Topic::Labels };
        let source = match topic {
            Topic::Payments => Source { topic, partition },
            Topic::Labels => Source { topic, partition: 0 },
        };
        // A payment's bytes are no label: cut or whole, its fields do not fit the label's schema.
        let value = match (topic, code) {
            (Topic::Labels, "schema_unknown") => [&[0][..], &(UNKNOWN_ID + 1).to_be_bytes()].concat(),
            (Topic::Labels, "malformed" | "trailing_bytes") => {
                return (source, Meant::Junk("empty"), Vec::new(), Vec::new());
            }
            _ => value,
        };
        match (code, topic) {
            ("schema_unknown", Topic::Payments) => {
                (source, Meant::Unregistered(Box::new(transaction)), Vec::new(), value)
            }
            _ => (source, Meant::Junk(code), Vec::new(), value),
        }
    }
}

/// The payment that a transaction is by the world's mapping.
pub fn payment(transaction: &Transaction) -> Payment {
    let key = |text: &str| Some(text.into());
    let country = transaction.country.as_deref();
    Payment {
        transaction_id: transaction.transaction_id.as_str().into(),
        event_time: transaction.event_time,
        amount: transaction.amount,
        currency: transaction.currency,
        entities: [key(&transaction.card_id), transaction.merchant_id.as_deref().and_then(key)]
            .into_iter()
            .collect(),
        fields: [country.map_or(FieldValue::Null, |text| FieldValue::Text(text.into()))]
            .into_iter()
            .collect(),
        content: ContentHash(0),
    }
}

/// A batch that was applied: its source and offsets.
pub type Applied = (Source, RangeInclusive<i64>);

/// What the oracle says of every input applied, in the order in which batches were; from batch `registered_from` on
/// the registry knew the unregistered schema.
pub fn expected(
    inputs: &Inputs,
    definitions: &Definitions,
    order: &[Applied],
    registered_from: usize,
) -> Expectations {
    let rules = Rules { lateness_ms: LATENESS_MS, remember_ms: REMEMBER_MS };
    let mut oracle = Oracle::new(&definitions.features, 2, rules);
    let mut expected = BTreeMap::new();
    for (number, (source, offsets)) in order.iter().enumerate() {
        for offset in offsets.clone() {
            let place = (*source, offset);
            expected.insert(
                place,
                expectation(&mut oracle, *source, &inputs.meant[&place], number >= registered_from),
            );
        }
    }
    expected
}

fn expectation(oracle: &mut Oracle, source: Source, meant: &Meant, registered: bool) -> Expected {
    match meant {
        Meant::Junk(code) => Expected::DeadLetter(code),
        Meant::Unregistered(_) if !registered => Expected::DeadLetter("schema_unknown"),
        Meant::Label(label) => {
            assert_eq!(source.topic, Topic::Labels);
            oracle.label(label);
            Expected::Nothing
        }
        Meant::Payment(transaction) | Meant::Unregistered(transaction) => {
            let payment = payment(transaction);
            match oracle.payment(source.partition, &payment) {
                Said::New(vector) => Expected::Decision {
                    transaction_id: transaction.transaction_id.clone(),
                    values: vector.values,
                    versions: vector.versions,
                    alert: true,
                    behind: vector.behind,
                },
                Said::Duplicate => Expected::Nothing,
                Said::Conflict => Expected::DeadLetter("conflict"),
                Said::Late => Expected::DeadLetter("late"),
                Said::Labelled(_) | Said::Waiting => unreachable!(),
            }
        }
    }
}
