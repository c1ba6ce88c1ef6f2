//! The numbers of a run, counted as findings come.

use std::collections::{BTreeMap, HashMap};

use batch::numbers::{
    Calibration, Cell, Check as CheckNumbers, Class as ClassNumbers, Confusion, Conservation, Example, Money,
    Numbers, Quantiles,
};
use schemas::correction::Correction;
use schemas::decision::{Decision, Latency, Verdict};

use super::finding::{Check, Class, Finding};
use super::ledger::{Entry, Fate, id_hash};

/// Examples of a class.
const EXAMPLES: usize = 5;
/// Keys of a class that are named.
const KEYS: usize = 10;
/// Keys that are counted; beyond it new ones are not.
const MOST_KEYS: usize = 100_000;
/// Bins of the score.
const BINS: usize = 10;

#[derive(Default)]
struct OfClass {
    count: u64,
    /// Payments that were counted, by a hash of their ids.
    payments: std::collections::HashSet<u128>,
    money: Money,
    examples: Vec<Example>,
    keys: HashMap<(String, String), u64>,
}

/// What is counted.
#[derive(Default)]
pub(super) struct Tally {
    compared: BTreeMap<Check, u64>,
    differences: BTreeMap<Check, [u64; 2]>,
    classes: BTreeMap<Class, OfClass>,
    by_day: BTreeMap<(String, Class), u64>,
    by_feature: BTreeMap<(String, Class), u64>,
    conservation: BTreeMap<i32, Conservation>,
    corrections: Money,
    decisions: BTreeMap<(String, Verdict), u64>,
    latency: [Vec<u32>; 5],
    confusion: BTreeMap<Verdict, [Money; 3]>,
    calibration: [(u64, f64, u64); BINS],
    days: Option<(String, String)>,
}

type Step = (&'static str, fn(&Latency) -> i64);

/// The steps of a latency, in their order.
const STEPS: [Step; 5] = [
    ("decode", |latency| latency.decode),
    ("features", |latency| latency.features),
    ("model", |latency| latency.model),
    ("policy", |latency| latency.policy),
    ("total", |latency| latency.total),
];

impl Tally {
    pub fn finding(&mut self, finding: &Finding) {
        let counts = self.differences.entry(finding.check).or_default();
        counts[0] += 1;
        counts[1] += u64::from(finding.class == Class::Unexplained);
        *self.by_day.entry((day(finding.event_time_ms), finding.class)).or_default() += 1;
        if matches!(finding.check, Check::AsOfLog | Check::ByEventTime) {
            *self.by_feature.entry((finding.field.clone(), finding.class)).or_default() += 1;
        }
        let class = self.classes.entry(finding.class).or_default();
        class.count += 1;
        if !finding.currency.is_empty() && class.payments.insert(id_hash(&finding.transaction_id)) {
            add(&mut class.money, &finding.currency, finding.amount_minor);
        }
        if class.examples.len() < EXAMPLES {
            class.examples.push(Example {
                transaction_id: finding.transaction_id.clone(),
                event_time_ms: finding.event_time_ms,
                check: finding.check.as_str().to_owned(),
                field: finding.field.clone(),
                recorded: finding.recorded.clone(),
                computed: finding.computed.clone(),
            });
        }
        if let Some(key) = &finding.key
            && (class.keys.len() < MOST_KEYS || class.keys.contains_key(key))
        {
            *class.keys.entry(key.clone()).or_default() += 1;
        }
    }

    pub fn compared(&mut self, check: Check, count: u64) {
        *self.compared.entry(check).or_default() += count;
    }

    pub fn correction(&mut self, correction: &Correction) {
        add(&mut self.corrections, correction.currency.as_str(), correction.amount.minor());
    }

    /// Where a record of the payments topic went.
    pub fn entry(&mut self, entry: &Entry) {
        let own = self.conservation.entry(entry.place.0).or_default();
        own.partition = entry.place.0;
        own.records += 1;
        match entry.fate {
            Fate::Decided => own.decided += 1,
            Fate::Dead(_) => own.dead += 1,
            Fate::Duplicate => own.duplicates += 1,
            Fate::Open | Fate::Lost => own.unaccounted += 1,
        }
    }

    /// What a decision adds to the picture of the whole.
    pub fn decision(&mut self, decision: &Decision, fraud: Option<bool>) {
        let day = day(decision.event_time.ms());
        self.days = Some(match self.days.take() {
            Some((first, last)) => (first.min(day.clone()), last.max(day.clone())),
            None => (day.clone(), day.clone()),
        });
        *self.decisions.entry((day, decision.verdict)).or_default() += 1;
        for ((_, of), values) in STEPS.iter().zip(&mut self.latency) {
            values.push(u32::try_from(of(&decision.latency_us).max(0)).unwrap_or(u32::MAX));
        }
        let place = fraud.map_or(2, |fraud| usize::from(!fraud));
        let of_verdict = self.confusion.entry(decision.verdict).or_default();
        add(&mut of_verdict[place], decision.currency.as_str(), decision.amount.minor());
        if let (Some(score), Some(fraud)) = (decision.score, fraud) {
            let bin = ((score * BINS as f64) as usize).min(BINS - 1);
            let (count, sum, frauds) = &mut self.calibration[bin];
            *count += 1;
            *sum += score;
            *frauds += u64::from(fraud);
        }
    }

    /// All of it.
    pub fn numbers(self, run: &str, records: BTreeMap<String, u64>) -> Numbers {
        let checks = Check::ALL.iter().map(|check| {
            let [differences, unexplained] = self.differences.get(check).copied().unwrap_or_default();
            let compared = self.compared.get(check).copied().unwrap_or_default();
            CheckNumbers { check: check.as_str().to_owned(), compared, differences, unexplained }
        });
        let cells = |counts: BTreeMap<(String, Class), u64>| -> Vec<Cell> {
            let cells = counts.into_iter();
            cells
                .map(|((row, class), count)| Cell { row, column: class.as_str().to_owned(), count })
                .collect()
        };
        let decisions = self.decisions.into_iter();
        let confusion = self.confusion.into_iter().map(|(verdict, [fraud, legitimate, unknown])| Confusion {
            verdict: verdict.as_str().to_owned(),
            fraud,
            legitimate,
            unknown,
        });
        let latency = STEPS.iter().zip(self.latency);
        Numbers {
            run: run.to_owned(),
            days: self.days,
            records,
            checks: checks.collect(),
            classes: self.classes.into_iter().map(|(class, of)| of_class(class, of)).collect(),
            by_day: cells(self.by_day),
            by_feature: cells(self.by_feature),
            conservation: self.conservation.into_values().collect(),
            corrections: self.corrections,
            decisions: decisions
                .map(|((row, verdict), count)| Cell { row, column: verdict.as_str().to_owned(), count })
                .collect(),
            drift: Vec::new(),
            reference: Default::default(),
            latency_us: latency.map(|((step, _), values)| ((*step).to_owned(), quantiles(values))).collect(),
            confusion: confusion.collect(),
            calibration: calibration(self.calibration),
        }
    }
}

fn of_class(class: Class, of: OfClass) -> ClassNumbers {
    let mut keys: Vec<_> = of.keys.into_iter().map(|((entity, key), count)| (entity, key, count)).collect();
    keys.sort_by(|one, other| other.2.cmp(&one.2).then_with(|| one.cmp(other)));
    keys.truncate(KEYS);
    ClassNumbers {
        class: class.as_str().to_owned(),
        meaning: class.meaning().to_owned(),
        count: of.count,
        payments: of.money,
        examples: of.examples,
        keys,
    }
}

fn calibration(bins: [(u64, f64, u64); BINS]) -> Vec<Calibration> {
    let filled = bins.into_iter().enumerate().filter(|(_, (count, ..))| *count > 0);
    let bin = |(at, (count, sum, frauds)): (usize, (u64, f64, u64))| Calibration {
        from: at as f64 / BINS as f64,
        to: (at + 1) as f64 / BINS as f64,
        count,
        mean_score: sum / count as f64,
        fraud_share: frauds as f64 / count as f64,
    };
    filled.map(bin).collect()
}

fn quantiles(mut values: Vec<u32>) -> Quantiles {
    values.sort_unstable();
    let at = |share: f64| {
        let place = (values.len() as f64 * share).ceil() as usize;
        values.get(place.saturating_sub(1)).copied().unwrap_or(0).into()
    };
    Quantiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) }
}

pub(super) fn add(money: &mut Money, currency: &str, minor: i64) {
    money.count += 1;
    *money.amount_minor.entry(currency.to_owned()).or_default() += minor;
}

/// `YYYY-MM-DD` of a time; nothing where there is none.
fn day(ms: i64) -> String {
    if ms == 0 {
        return String::new();
    }
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.to_string().chars().take("2026-11-26".len()).collect()
}
