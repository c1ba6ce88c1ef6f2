//! The checker: what came out, held against what must come out. It knows neither transport nor pipeline: it is given
//! what each input means and what stands in the output topics, and names every breach by its invariant.

use std::collections::{BTreeMap, BTreeSet};

use feature_store::store::{Source, Topic};
use schemas::alert::Alert;
use schemas::dead_letter::DeadLetter;
use schemas::decision::Decision;
use schemas::value::FeatureValue;

/// What must come of one input record.
#[derive(Debug, Clone)]
pub enum Expected {
    Decision {
        transaction_id: String,
        values: Vec<FeatureValue>,
        versions: Vec<Option<u64>>,
        alert: bool,
        /// Further behind an entity's newest event than events may be late: only such a vector may be approximate,
        /// and says so.
        behind: bool,
    },
    DeadLetter(&'static str),
    /// Seen before, or a label: nothing comes out.
    Nothing,
}

/// What stands in the output topics, each in the order of its partition.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub decisions: Vec<Decision>,
    pub alerts: Vec<Alert>,
    pub dead_letters: Vec<DeadLetter>,
}

/// Inputs with what is expected of them.
pub type Expectations = BTreeMap<(Source, i64), Expected>;

/// Every breach, named.
pub fn breaches(expected: &Expectations, seen: &Seen, payments_topic: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let source = |topic, partition| Source { topic, partition };
    let mut decided: BTreeMap<(Source, i64), &Decision> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for decision in &seen.decisions {
        let place = (source(Topic::Payments, decision.source_partition), decision.source_offset);
        let id = &decision.transaction_id;
        match expected.get(&place) {
            Some(Expected::Decision { transaction_id, .. }) if transaction_id == id => {}
            Some(other) => {
                breaches.push(format!("I3 decision {id} at {place:?} where {other:?} was expected"))
            }
            None => breaches.push(format!("I3 decision {id} points at {place:?}, where there is no input")),
        }
        if !ids.insert(id) {
            breaches.push(format!("I2 two decisions of {id}"));
        }
        decided.insert(place, decision);
    }
    order(seen, &mut breaches);
    let mut letters: BTreeMap<(Source, i64), Vec<&DeadLetter>> = BTreeMap::new();
    for letter in &seen.dead_letters {
        let topic = if letter.topic == payments_topic { Topic::Payments } else { Topic::Labels };
        letters.entry((source(topic, letter.partition), letter.offset)).or_default().push(letter);
    }
    let alerts: BTreeMap<&str, usize> = seen.alerts.iter().fold(BTreeMap::new(), |mut counts, alert| {
        *counts.entry(alert.transaction_id.as_str()).or_default() += 1;
        counts
    });
    for (place, expected) in expected {
        let decision = decided.get(place).copied();
        let letters = letters.remove(place).unwrap_or_default();
        one(place, expected, decision, &letters, &alerts, &mut breaches);
    }
    for place in letters.keys() {
        breaches.push(format!("I3 a dead letter points at {place:?}, where there is no input"));
    }
    conservation(expected, seen, payments_topic, &mut breaches);
    breaches
}

fn one(
    place: &(Source, i64),
    expected: &Expected,
    decision: Option<&Decision>,
    letters: &[&DeadLetter],
    alerts: &BTreeMap<&str, usize>,
    breaches: &mut Vec<String>,
) {
    let codes: Vec<_> = letters.iter().map(|letter| letter.code.as_str()).collect();
    match expected {
        Expected::Decision { transaction_id, values, versions, alert, behind } => {
            let Some(decision) = decision else {
                breaches.push(format!(
                    "I1 no decision of {transaction_id} at {place:?} (dead letters: {codes:?})"
                ));
                return;
            };
            let same = decision.features.len() == values.len()
                && decision
                    .features
                    .iter()
                    .zip(values)
                    .all(|(feature, value)| feature.value.same_bits(*value));
            if decision.approximate && !behind {
                breaches.push(format!("I6 {transaction_id}: approximate, and not behind"));
            } else if !same && !decision.approximate {
                let found: Vec<_> = decision.features.iter().map(|feature| feature.value).collect();
                breaches.push(format!("I6 {transaction_id}: features {found:?}, the oracle says {values:?}"));
            }
            let known: Vec<_> = versions.iter().flatten().map(|version| *version as i64).collect();
            let found: Vec<_> =
                decision.entities.iter().map(|entity| entity.version).filter(|v| *v > 0).collect();
            if known != found {
                breaches.push(format!("I7 {transaction_id}: versions {found:?}, the oracle says {known:?}"));
            }
            let raised = alerts.get(transaction_id.as_str()).copied().unwrap_or(0);
            if raised != usize::from(*alert) || decision.alert_id.is_some() != *alert {
                breaches.push(format!("I9 {transaction_id}: {raised} alerts, expected {alert}"));
            }
        }
        Expected::DeadLetter(code) if codes != [*code] => {
            breaches.push(format!("I10 {place:?}: dead letters {codes:?}, expected {code}"));
        }
        Expected::Nothing if !codes.is_empty() => {
            breaches.push(format!("I10 {place:?}: dead letters {codes:?}, expected none"));
        }
        _ => {}
    }
}

/// I5: decisions of one partition, and so of one card, are in input order.
fn order(seen: &Seen, breaches: &mut Vec<String>) {
    let mut newest: BTreeMap<i32, i64> = BTreeMap::new();
    for decision in &seen.decisions {
        let last = newest.entry(decision.source_partition).or_insert(-1);
        if decision.source_offset <= *last {
            breaches.push(format!(
                "I5 partition {}: the decision of offset {} comes after that of {last}",
                decision.source_partition, decision.source_offset
            ));
        }
        *last = decision.source_offset;
    }
}

/// I10: inputs = decided + dead letters + declared duplicates, to the record, per partition.
fn conservation(expected: &Expectations, seen: &Seen, payments_topic: &str, breaches: &mut Vec<String>) {
    let mut balance: BTreeMap<i32, i64> = BTreeMap::new();
    for ((source, _), expected) in expected {
        if source.topic == Topic::Payments {
            *balance.entry(source.partition).or_default() +=
                i64::from(!matches!(expected, Expected::Nothing));
        }
    }
    for decision in &seen.decisions {
        *balance.entry(decision.source_partition).or_default() -= 1;
    }
    for letter in seen.dead_letters.iter().filter(|letter| letter.topic == payments_topic) {
        *balance.entry(letter.partition).or_default() -= 1;
    }
    for (partition, left) in balance {
        if left != 0 {
            breaches.push(format!("I10 partition {partition}: {left} inputs are neither decided nor dead"));
        }
    }
}

/// I4: everything below the committed offsets is out.
pub fn unsafe_commits(
    expected: &Expectations,
    seen: &Seen,
    committed: &BTreeMap<Source, i64>,
) -> Vec<String> {
    let below = |(source, offset): &(Source, i64)| committed.get(source).is_some_and(|next| offset < next);
    let below: Expectations =
        expected.iter().filter(|(place, _)| below(place)).map(|(p, e)| (*p, e.clone())).collect();
    let decided: BTreeSet<_> =
        seen.decisions.iter().map(|decision| (decision.source_partition, decision.source_offset)).collect();
    let alerted: BTreeSet<_> =
        seen.alerts.iter().map(|alert| (alert.source_partition, alert.source_offset)).collect();
    let dead: BTreeSet<_> =
        seen.dead_letters.iter().map(|letter| (letter.partition, letter.offset)).collect();
    let mut breaches = Vec::new();
    for ((source, offset), expected) in below {
        let place = (source.partition, offset);
        let missing = match expected {
            Expected::Decision { alert, .. } => {
                !decided.contains(&place) || (alert && !alerted.contains(&place))
            }
            Expected::DeadLetter(_) => !dead.contains(&place),
            Expected::Nothing => false,
        };
        if missing {
            breaches.push(format!("I4 {source:?} {offset} is committed and not out"));
        }
    }
    breaches
}
