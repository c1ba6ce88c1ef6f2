//! What holds of the index: rows come back, lists are in order, days go, and a crash loses nothing that is not read
//! again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use schemas::codec::{Encoder, FRAME_BYTES, SchemaId};
use schemas::contract::Contract;
use schemas::decision::{Decision, Door, Feature, Latency, Verdict, decision_id};
use schemas::payment::{AmountMinor, Currency};
use schemas::reason::{EntityVersion, Reason, ReasonSource};
use schemas::time::{DAY_MS, DurationMs, EventTime, HOUR_MS};
use schemas::value::FeatureValue;
use tempfile::TempDir;

use super::*;

mod crash;
mod lists;
mod rows;

/// A day in 2023.
const DAY: i64 = 19_700;

const OPTIONS: IndexOptions = IndexOptions { keep: DurationMs(40 * DAY_MS), cache_bytes: 4 << 20 };

/// A decision, a function of its number.
fn decision(n: u64, decided_at_ms: i64) -> Decision {
    let transaction_id = format!("tx-{n}");
    let entity = |name: &str, key: u64| EntityVersion {
        entity: name.into(),
        key: format!("{name}-{key}"),
        version: n as i64,
        pending: Vec::new(),
        applied: 0,
    };
    let reason = Reason {
        code: "velocity".into(),
        text: format!("{n} payments in an hour, usual is 1"),
        feature: Some("count_1h".into()),
        value: Some(n as f64),
        norm: Some(1.0 / 3.0),
        contribution: Some(-0.1),
        source: ReasonSource::Rule,
    };
    Decision {
        decision_id: decision_id(&transaction_id),
        transaction_id,
        event_time: EventTime::EPOCH,
        decided_at_ms,
        attempt: 1,
        amount: AmountMinor::new((n * 7 % 100) as i64).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        verdict: Verdict::ALL[n as usize % 4],
        hold: false,
        risk_level: "low".into(),
        score: (!n.is_multiple_of(5)).then_some((n % 10) as f64 / 10.0),
        expected_loss_minor: 1,
        reasons: vec![reason],
        rules: Vec::new(),
        lists: Vec::new(),
        segment: None,
        features: vec![Feature { name: "mean".into(), value: FeatureValue::Real(0.1 + n as f64 / 3.0) }],
        entities: vec![entity("card", n % 11), entity("merchant", n % 3)],
        model: None,
        policy: "p".into(),
        features_version: "f".into(),
        schema_id: 1,
        fallback: None,
        fallback_policy: None,
        approximate: false,
        labels_until: Vec::new(),
        labels_applied: Vec::new(),
        door: if n.is_multiple_of(3) { Door::Rest } else { Door::Topic },
        source_partition: 0,
        source_offset: n as i64,
        latency_us: Latency::default(),
        alert_id: n.is_multiple_of(6).then(|| "alr".to_owned()),
    }
}

fn schema() -> RowSchema {
    RowSchema::new(Contract::Decision.text()).unwrap()
}

fn body(decision: &Decision) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(Contract::Decision).encode(SchemaId(1), decision, &mut out).unwrap();
    out.split_off(FRAME_BYTES)
}

/// An index in a folder that goes with it.
struct World {
    dir: TempDir,
    index: DecisionIndex,
}

impl World {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let index = opened(dir.path());
        Self { dir, index }
    }

    /// Indexes decisions from an offset on.
    fn apply(&self, partition: i32, from: i64, decisions: &[Decision]) {
        apply(&self.index, partition, from, decisions);
    }

    /// Closed and opened again.
    fn again(self) -> Self {
        let Self { dir, index } = self;
        drop(index);
        let index = opened(dir.path());
        Self { dir, index }
    }
}

/// Opens an index. What merges a day holds the folder of one that was closed until it is done.
fn opened(dir: &Path) -> DecisionIndex {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match DecisionIndex::open(dir, OPTIONS) {
            Err(IndexError::InUse(_)) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            index => return index.unwrap(),
        }
    }
}

fn apply(index: &DecisionIndex, partition: i32, from: i64, decisions: &[Decision]) {
    let bodies: Vec<_> = decisions.iter().map(body).collect();
    let schema = schema();
    let rows: Vec<_> =
        (from..).zip(&bodies).map(|(offset, body)| Row::read(offset, &schema, body).unwrap()).collect();
    index.apply(partition, from + decisions.len() as i64, &rows).unwrap();
}

/// The numbers of the transactions of all pages of a query.
fn all(index: &DecisionIndex, query: &Query) -> Vec<u64> {
    let mut query = query.clone();
    let mut found = Vec::new();
    loop {
        let page = index.list(&query).unwrap();
        assert!(page.decisions.len() <= query.limit);
        found.extend(page.decisions.iter().map(number));
        // As a caller does: through its text.
        match page.next {
            Some(next) => query.after = Some(next.to_string().parse().unwrap()),
            None => return found,
        }
    }
}

fn number(decision: &Decision) -> u64 {
    decision.transaction_id[3..].parse().unwrap()
}
