//! The naive oracle: all applied events in one list, and a loop over them for each feature of each payment.
//!
//! Written from the words of the semantics with no regard to speed; it shares nothing with the crate but the types
//! of a definition. Where the crate says otherwise, the crate is wrong.

use feature_store::definition::{Aggregate, Condition, Constant, Feature, Kind, Number, Request, Windowed};
use schemas::payment::{FieldValue, Label, Payment};
use schemas::value::FeatureValue;

const DAY_MS: i64 = 86_400_000;

/// Limits in event time, milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub lateness_ms: i64,
    pub remember_ms: i64,
}

/// Something that was applied.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a few in memory, and boxing would blur the tests")]
pub enum Event {
    Payment {
        partition: i32,
        payment: Payment,
    },
    /// A verdict about the payment at `of`.
    Label {
        of: usize,
        label: Label,
    },
}

/// What must come of a record.
#[derive(Debug, Clone)]
pub enum Said {
    New(Vector),
    Duplicate,
    Conflict,
    Late,
    Labelled(Labelled),
    Waiting,
}

/// What a new payment must see.
#[derive(Debug, Clone)]
pub struct Vector {
    pub values: Vec<FeatureValue>,
    pub versions: Vec<Option<u64>>,
    /// Further behind the newest event of one of its entities than events may be late: possible only when the
    /// partitions' clocks differ. Such a payment may be approximate, any other may not.
    pub behind: bool,
}

/// What a label must come to.
#[derive(Debug, Clone, Copy)]
pub struct Labelled {
    /// Source and verdict were known, and not from later on.
    pub repeated: bool,
    /// Some entity with a feature over labels can still reach the payment.
    pub in_reach: bool,
}

/// All that was ever applied, in the order in which it was.
#[derive(Debug)]
pub struct Oracle {
    features: Vec<Feature>,
    entities: usize,
    rules: Rules,
    events: Vec<Event>,
    waiting: Vec<Label>,
}

impl Oracle {
    pub fn new(features: &[Feature], entities: usize, rules: Rules) -> Self {
        Self { features: features.to_vec(), entities, rules, events: Vec::new(), waiting: Vec::new() }
    }

    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The payment at a place of the list.
    pub fn payment_at(&self, at: usize) -> &Payment {
        match &self.events[at] {
            Event::Payment { payment, .. } => payment,
            Event::Label { .. } => panic!("event {at} is a label"),
        }
    }

    /// The place of the newest payment applied.
    pub fn newest_payment(&self) -> usize {
        self.events.iter().rposition(|event| matches!(event, Event::Payment { .. })).unwrap()
    }

    pub fn payment(&mut self, partition: i32, payment: &Payment) -> Said {
        if let Some(seen) = self.remembered(&payment.transaction_id) {
            return if self.payment_at(seen) == payment { Said::Duplicate } else { Said::Conflict };
        }
        let newest = self.newest(|other, _| other == partition);
        if newest.is_some_and(|newest| payment.event_time.ms() < newest - self.rules.lateness_ms) {
            return Said::Late;
        }
        let at = self.events.len();
        self.events.push(Event::Payment { partition, payment: payment.clone() });
        let vector = Vector {
            values: (0..self.features.len()).map(|feature| self.value(feature, at)).collect(),
            versions: (0..self.entities).map(|entity| self.version(entity, payment)).collect(),
            behind: self.is_behind(payment),
        };
        // Labels that came before their payment are applied right after it.
        let (own, others) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|label: &Label| label.transaction_id == payment.transaction_id);
        self.waiting = others;
        self.events.extend(own.into_iter().map(|label| Event::Label { of: at, label }));
        Said::New(vector)
    }

    pub fn label(&mut self, label: &Label) -> Said {
        let Some(of) = self.remembered(&label.transaction_id) else {
            let forget_ms = self.newest(|_, _| true).unwrap_or(0) - self.rules.remember_ms;
            if !self.waiting.contains(label) {
                self.waiting.push(label.clone());
            }
            self.waiting.retain(|waiting| waiting.label_time.ms() >= forget_ms);
            return Said::Waiting;
        };
        let same = |known: &Label| (known.source, known.fraud) == (label.source, label.fraud);
        let repeated =
            self.labels_of(of).any(|known| same(known) && known.label_time.ms() <= label.label_time.ms());
        let in_reach = self.is_in_reach(of);
        self.events.push(Event::Label { of, label: label.clone() });
        Said::Labelled(Labelled { repeated, in_reach })
    }

    /// The applied payment with this id, unless its day ended longer ago than ids are remembered.
    fn remembered(&self, id: &str) -> Option<usize> {
        let is_it = |(at, event): (usize, &Event)| match event {
            Event::Payment { partition, payment } if *payment.transaction_id == *id => {
                let newest = self.newest(|other, _| other == *partition).unwrap();
                let first_day = (newest - self.rules.remember_ms).div_euclid(DAY_MS);
                (payment.event_time.ms().div_euclid(DAY_MS) >= first_day).then_some(at)
            }
            _ => None,
        };
        self.events.iter().enumerate().find_map(is_it)
    }

    /// Newest event time of the applied payments that are asked for.
    fn newest(&self, wanted: impl Fn(i32, &Payment) -> bool) -> Option<i64> {
        let time = |event: &Event| match event {
            Event::Payment { partition, payment } if wanted(*partition, payment) => {
                Some(payment.event_time.ms())
            }
            _ => None,
        };
        self.events.iter().filter_map(time).max()
    }

    fn windowed(&self) -> impl Iterator<Item = &Windowed> {
        self.features.iter().filter_map(|feature| match &feature.kind {
            Kind::Windowed(windowed) => Some(windowed),
            Kind::Request(_) => None,
        })
    }

    fn is_behind(&self, payment: &Payment) -> bool {
        (0..self.entities).filter(|entity| payment.entities[*entity].is_some()).any(|entity| {
            let newest = self.newest(|_, other| other.entities[entity] == payment.entities[entity]).unwrap();
            payment.event_time.ms() < newest - self.rules.lateness_ms
        })
    }

    fn is_in_reach(&self, of: usize) -> bool {
        let payment = self.payment_at(of);
        let about_labels =
            |windowed: &Windowed| matches!(windowed.aggregate, Aggregate::FraudCount | Aggregate::FraudRatio);
        (0..self.entities).filter(|entity| payment.entities[*entity].is_some()).any(|entity| {
            let own = || self.windowed().filter(|windowed| windowed.entity == entity);
            let reach = own().map(|windowed| windowed.window.0 + windowed.delay.0).max().unwrap_or(0);
            let newest = self.newest(|_, other| other.entities[entity] == payment.entities[entity]).unwrap();
            own().any(about_labels) && payment.event_time.ms() > newest - reach - self.rules.lateness_ms
        })
    }

    /// Events applied to the payment's entity: payments, and labels of them.
    fn version(&self, entity: usize, payment: &Payment) -> Option<u64> {
        let key = payment.entities[entity].as_ref()?;
        self.windowed().find(|windowed| windowed.entity == entity)?;
        let is_own = |event: &&Event| match event {
            Event::Payment { payment, .. } => payment.entities[entity].as_ref() == Some(key),
            Event::Label { of, .. } => self.payment_at(*of).entities[entity].as_ref() == Some(key),
        };
        Some(self.events.iter().filter(is_own).count() as u64)
    }

    /// The value of a feature for the payment at `at`, which is the newest event applied.
    fn value(&self, feature: usize, at: usize) -> FeatureValue {
        let payment = self.payment_at(at);
        match &self.features[feature].kind {
            Kind::Request(request) => request_value(*request, payment),
            Kind::Windowed(windowed) => match payment.entities[windowed.entity] {
                None => undefined(windowed),
                Some(_) => self.aggregate(windowed, at, &self.window(windowed, at)),
            },
        }
    }

    /// The payments that count: same entity, applied before (or the payment itself), `e.t - D - W < x.t <= e.t - D`.
    pub fn window(&self, windowed: &Windowed, at: usize) -> Vec<usize> {
        let asking = self.payment_at(at);
        let until = asking.event_time.ms() - windowed.delay.0;
        let after = until - windowed.window.0;
        let counts = |place: &usize| {
            let Event::Payment { payment, .. } = &self.events[*place] else { return false };
            let time = payment.event_time.ms();
            payment.entities[windowed.entity] == asking.entities[windowed.entity]
                && after < time
                && time <= until
                && (*place != at || windowed.include_current)
                && windowed.filter.iter().all(|condition| meets(payment, condition))
        };
        (0..=at).filter(counts).collect()
    }

    /// The aggregate over the payments of these places.
    pub fn aggregate(&self, windowed: &Windowed, at: usize, places: &[usize]) -> FeatureValue {
        let now = self.payment_at(at).event_time.ms();
        let payments = || places.iter().map(|place| self.payment_at(*place));
        let numbers = |of: Number| -> Vec<i128> {
            payments().filter_map(|payment| number(payment, of)).map(i128::from).collect()
        };
        let frauds = || places.iter().filter(|place| self.is_known_fraud(**place, now)).count() as i64;
        match windowed.aggregate {
            Aggregate::Count => FeatureValue::Int(places.len() as i64),
            Aggregate::Sum(of) => whole(windowed, numbers(of).iter().sum()),
            Aggregate::Mean(of) => mean(windowed, &numbers(of)),
            Aggregate::Min(of) => {
                numbers(of).into_iter().min().map_or(undefined(windowed), |found| whole(windowed, found))
            }
            Aggregate::Max(of) => {
                numbers(of).into_iter().max().map_or(undefined(windowed), |found| whole(windowed, found))
            }
            Aggregate::Distinct(field) => {
                let mut seen: Vec<&FieldValue> = Vec::new();
                for value in payments().map(|payment| &payment.fields[field]) {
                    if *value != FieldValue::Null && !seen.contains(&value) {
                        seen.push(value);
                    }
                }
                FeatureValue::Int(seen.len() as i64)
            }
            Aggregate::TimeSinceLast => {
                let others = places.iter().filter(|place| **place != at);
                let last = others.map(|place| self.payment_at(*place).event_time.ms()).max();
                last.map_or(undefined(windowed), |last| FeatureValue::Int(now - last))
            }
            Aggregate::FraudCount => FeatureValue::Int(frauds()),
            Aggregate::FraudRatio if places.is_empty() => undefined(windowed),
            Aggregate::FraudRatio => FeatureValue::Real(frauds() as f64 / places.len() as f64),
        }
    }

    /// Labels applied to the payment at `of`.
    fn labels_of(&self, of: usize) -> impl Iterator<Item = &Label> {
        self.events.iter().filter_map(move |event| match event {
            Event::Label { of: payment, label } if *payment == of => Some(label),
            _ => None,
        })
    }

    /// Whether the newest label known at `now` says fraud; at equal times fraud wins. A source that says the same
    /// again says nothing new: the earliest time stands.
    fn is_known_fraud(&self, of: usize, now: i64) -> bool {
        let first_said = |label: &Label| {
            let same = self
                .labels_of(of)
                .filter(|other| (other.source, other.fraud) == (label.source, label.fraud))
                .map(|other| other.label_time.ms());
            same.min().unwrap()
        };
        let known = self.labels_of(of).map(|label| (first_said(label), label.fraud));
        known.filter(|(since, _)| *since <= now).max().is_some_and(|(_, fraud)| fraud)
    }
}

fn meets(payment: &Payment, condition: &Condition) -> bool {
    condition.any_of.iter().any(|wanted| match (wanted, &payment.fields[condition.field]) {
        (Constant::Text(wanted), FieldValue::Text(found)) => **found == **wanted,
        (Constant::Int(wanted), FieldValue::Int(found)) => found == wanted,
        (Constant::Flag(wanted), FieldValue::Flag(found)) => found == wanted,
        _ => false,
    })
}

fn number(payment: &Payment, of: Number) -> Option<i64> {
    match of {
        Number::Amount => Some(payment.amount.minor()),
        Number::Field(field) => match payment.fields[field] {
            FieldValue::Int(value) => Some(value),
            _ => None,
        },
    }
}

/// Whole units, or their quotient by the power of ten.
fn whole(windowed: &Windowed, value: i128) -> FeatureValue {
    match windowed.major_scale {
        None => FeatureValue::Int(i64::try_from(value).unwrap()),
        Some(scale) => FeatureValue::Real(value as f64 / 10_i128.pow(scale) as f64),
    }
}

/// One division of two integers.
fn mean(windowed: &Windowed, numbers: &[i128]) -> FeatureValue {
    if numbers.is_empty() {
        return undefined(windowed);
    }
    let by = numbers.len() as i128 * 10_i128.pow(windowed.major_scale.unwrap_or(0));
    FeatureValue::Real(numbers.iter().sum::<i128>() as f64 / by as f64)
}

/// `empty`, of the kind that the feature's other values have.
pub fn undefined(windowed: &Windowed) -> FeatureValue {
    let is_real = matches!(windowed.aggregate, Aggregate::Mean(_) | Aggregate::FraudRatio)
        || windowed.major_scale.is_some();
    match windowed.empty {
        None => FeatureValue::Null,
        Some(value) if is_real => FeatureValue::Real(value as f64),
        Some(value) => FeatureValue::Int(value),
    }
}

fn request_value(request: Request, payment: &Payment) -> FeatureValue {
    let ms = payment.event_time.ms();
    let hour = ms % DAY_MS / 3_600_000;
    let weekday = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"][(ms / DAY_MS % 7) as usize];
    let place =
        |day| ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().position(|known| *known == day);
    match request {
        Request::Amount { major_scale: None } => FeatureValue::Int(payment.amount.minor()),
        Request::Amount { major_scale: Some(scale) } => {
            FeatureValue::Real(payment.amount.minor() as f64 / 10_f64.powi(scale as i32))
        }
        Request::Hour => FeatureValue::Int(hour),
        Request::Weekday => FeatureValue::Int(place(weekday).unwrap() as i64),
        Request::Weekend => FeatureValue::Flag(matches!(weekday, "sat" | "sun")),
        Request::Night { until_hour } => FeatureValue::Flag(ms % DAY_MS < (until_hour + 1) * 3_600_000),
    }
}
