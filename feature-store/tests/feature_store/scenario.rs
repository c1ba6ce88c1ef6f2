//! Random features files and random logs, made so that edges are met: times, windows, delays and the lateness are
//! small multiples of one unit, give or take a millisecond.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use feature_store::definition::{
    Aggregate, Condition, Constant, Definitions, Feature, Kind, Number, Request, Vocabulary, Windowed,
};
use feature_store::enricher::Limits;
use feature_store::store::{Batch, Source, Topic};
use proptest::prelude::*;
use proptest::sample::select;
use schemas::mapping::FieldKind;
use schemas::payment::{AmountMinor, ContentHash, Currency, FieldValue, Label, LabelSource, Payment};
use schemas::time::{DurationMs, EventTime};

pub const ENTITIES: [&str; 3] = ["card", "device", "merchant"];
/// Places of the fields.
pub const CHANNEL: usize = 0;
pub const ITEMS: usize = 1;
pub const ONLINE: usize = 2;
pub const TIP: usize = 3;
const DAY_MS: i64 = 86_400_000;

pub fn vocabulary() -> Vocabulary {
    let fields = [
        ("channel", FieldKind::Text),
        ("items", FieldKind::Integer),
        ("online", FieldKind::Flag),
        ("tip", FieldKind::Decimal { scale: 2 }),
    ];
    Vocabulary {
        entities: ENTITIES.map(str::to_owned).to_vec(),
        fields: fields.map(|(name, kind)| (name.to_owned(), kind)).to_vec(),
    }
}

/// One record of a topic.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a few in memory, and boxing would blur the tests")]
pub enum Record {
    Payment(Payment),
    Label(Label),
}

/// A batch with its records.
#[derive(Debug, Clone)]
pub struct Logged {
    pub batch: Batch,
    pub records: Vec<Record>,
}

/// A features file, limits, and the log in the order in which it is applied.
#[derive(Clone)]
pub struct Scenario {
    pub features: Vec<Feature>,
    pub limits: Limits,
    pub log: Vec<Logged>,
}

impl Scenario {
    pub fn definitions(&self) -> Definitions {
        Definitions::parse("features.toml", &text(&self.features), &vocabulary()).unwrap()
    }
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}\n{:?}", text(&self.features), self.limits)?;
        for logged in &self.log {
            writeln!(f, "{:?} {}..={}", logged.batch.source, logged.batch.first, logged.batch.last)?;
            for record in &logged.records {
                match record {
                    Record::Payment(p) => writeln!(
                        f,
                        "  {} t={} {} {:?} {:?}",
                        p.transaction_id,
                        p.event_time.ms(),
                        p.amount.minor(),
                        p.entities,
                        p.fields
                    )?,
                    Record::Label(l) => writeln!(
                        f,
                        "  {} fraud={} at={} {:?}",
                        l.transaction_id,
                        l.fraud,
                        l.label_time.ms(),
                        l.source
                    )?,
                }
            }
        }
        Ok(())
    }
}

/// Shapes of a scenario that tests choose.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub partitions: u8,
    pub batches: usize,
    pub max_events: usize,
    /// Whether events may be later than allowed, payments come twice, and clocks of partitions differ.
    pub tile_units: i64,
}

/// A length of time: so many units, and a millisecond more or less.
#[derive(Debug, Clone, Copy)]
struct Span(i64, i64);

impl Span {
    fn ms(self, unit: i64) -> i64 {
        self.0 * unit + self.1
    }
}

fn span(units: std::ops::RangeInclusive<i64>) -> impl Strategy<Value = Span> {
    (units, select(vec![0, 0, 0, 0, -1, 1])).prop_map(|(units, jitter)| Span(units, jitter))
}

#[derive(Debug, Clone)]
enum RawFeature {
    Request(Request),
    Windowed { raw: RawWindowed, window: Span, delay: Span },
}

#[derive(Debug, Clone)]
struct RawWindowed {
    entity: usize,
    aggregate: Aggregate,
    filter: Vec<Condition>,
    include_current: bool,
    empty: Option<i64>,
    major_scale: Option<u32>,
}

fn number() -> impl Strategy<Value = Number> {
    select(vec![Number::Amount, Number::Amount, Number::Field(ITEMS), Number::Field(TIP)])
}

fn aggregate() -> impl Strategy<Value = Aggregate> {
    prop_oneof![
        2 => Just(Aggregate::Count),
        2 => Just(Aggregate::FraudCount),
        2 => number().prop_map(Aggregate::Sum),
        1 => number().prop_map(Aggregate::Mean),
        1 => number().prop_map(Aggregate::Min),
        1 => number().prop_map(Aggregate::Max),
        2 => (0..4_usize).prop_map(Aggregate::Distinct),
        2 => Just(Aggregate::TimeSinceLast),
        2 => Just(Aggregate::FraudRatio),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let constants = |values: Vec<Constant>| {
        prop::collection::btree_set(select(values), 1..=2).prop_map(|set| set.into_iter().collect::<Vec<_>>())
    };
    let texts = ["web", "pos", "app"].map(|text| Constant::Text(text.to_owned())).to_vec();
    let condition = |field, any_of| Condition { field, any_of };
    prop_oneof![
        constants(texts).prop_map(move |any_of| condition(CHANNEL, any_of)),
        constants([0, 1, 7].map(Constant::Int).to_vec()).prop_map(move |any_of| condition(ITEMS, any_of)),
        constants([false, true].map(Constant::Flag).to_vec())
            .prop_map(move |any_of| condition(ONLINE, any_of)),
        constants([0, 150].map(Constant::Int).to_vec()).prop_map(move |any_of| condition(TIP, any_of)),
    ]
}

fn filter() -> impl Strategy<Value = Vec<Condition>> {
    let some = prop::collection::vec(condition(), 1..=2).prop_map(|mut conditions| {
        conditions.sort();
        conditions.dedup_by_key(|condition| condition.field);
        conditions
    });
    prop_oneof![3 => Just(Vec::new()), 2 => some]
}

fn raw_feature() -> impl Strategy<Value = RawFeature> {
    let request = prop_oneof![
        prop::option::of(0..=3_u32).prop_map(|major_scale| Request::Amount { major_scale }),
        select(vec![Request::Hour, Request::Weekday, Request::Weekend]),
        (0..=23_i64).prop_map(|until_hour| Request::Night { until_hour }),
    ];
    let raw = (
        0..3_usize,
        aggregate(),
        filter(),
        prop::bool::weighted(0.7),
        prop::option::of(select(vec![-1, 0, 7])),
        prop::option::of(0..=3_u32),
    )
        .prop_map(|(entity, aggregate, filter, include_current, empty, scale)| {
            let of_number = matches!(
                aggregate,
                Aggregate::Sum(_) | Aggregate::Mean(_) | Aggregate::Min(_) | Aggregate::Max(_)
            );
            let major_scale = scale.filter(|_| of_number);
            RawWindowed { entity, aggregate, filter, include_current, empty, major_scale }
        });
    let delay = prop_oneof![3 => Just(Span(0, 0)), 2 => span(0..=6)];
    let windowed = (raw, prop_oneof![1 => Just(Span(0, 1)), 9 => span(1..=12)], delay);
    prop_oneof![
        1 => request.prop_map(RawFeature::Request),
        9 => windowed.prop_map(|(raw, window, delay)| RawFeature::Windowed { raw, window, delay }),
    ]
}

fn feature(place: usize, raw: RawFeature, unit: i64) -> Feature {
    let kind = match raw {
        RawFeature::Request(request) => Kind::Request(request),
        RawFeature::Windowed { raw, window, delay } => {
            let about_labels = matches!(raw.aggregate, Aggregate::FraudCount | Aggregate::FraudRatio);
            Kind::Windowed(Windowed {
                entity: raw.entity,
                aggregate: raw.aggregate,
                window: DurationMs(window.ms(unit).max(1)),
                delay: DurationMs(delay.ms(unit).max(i64::from(about_labels))),
                filter: raw.filter,
                include_current: raw.include_current,
                empty: raw.empty,
                major_scale: raw.major_scale,
            })
        }
    };
    Feature { name: format!("f{place}"), kind, norm: None }
}

/// The text of a features file; what is a default is left out.
pub fn text(features: &[Feature]) -> String {
    let mut out = String::new();
    for feature in features {
        writeln!(out, "[[feature]]\nname = \"{}\"", feature.name).unwrap();
        match &feature.kind {
            Kind::Request(request) => request_text(&mut out, *request),
            Kind::Windowed(windowed) => windowed_text(&mut out, windowed),
        }
    }
    out
}

fn request_text(out: &mut String, request: Request) {
    match request {
        Request::Amount { major_scale: None } => writeln!(out, "request = \"amount\""),
        Request::Amount { major_scale: Some(scale) } => {
            writeln!(out, "request = \"amount\"\nunit = \"major\"\nscale = {scale}")
        }
        Request::Hour => writeln!(out, "request = \"hour\""),
        Request::Weekday => writeln!(out, "request = \"weekday\""),
        Request::Weekend => writeln!(out, "request = \"weekend\""),
        Request::Night { until_hour } => writeln!(out, "request = \"night\"\nuntil_hour = {until_hour}"),
    }
    .unwrap();
}

fn windowed_text(out: &mut String, windowed: &Windowed) {
    let fields = vocabulary().fields;
    let number = |number: Number| match number {
        Number::Amount => "amount".to_owned(),
        Number::Field(place) => fields[place].0.clone(),
    };
    let (word, of) = match windowed.aggregate {
        Aggregate::Count => ("count", None),
        Aggregate::FraudCount => ("count", Some("label".to_owned())),
        Aggregate::Sum(of) => ("sum", Some(number(of))),
        Aggregate::Mean(of) => ("mean", Some(number(of))),
        Aggregate::Min(of) => ("min", Some(number(of))),
        Aggregate::Max(of) => ("max", Some(number(of))),
        Aggregate::Distinct(place) => ("distinct", Some(fields[place].0.clone())),
        Aggregate::TimeSinceLast => ("time_since_last", None),
        Aggregate::FraudRatio => ("ratio", Some("label".to_owned())),
    };
    writeln!(out, "entity = \"{}\"\naggregate = \"{word}\"", ENTITIES[windowed.entity]).unwrap();
    writeln!(out, "window = \"{}\"", windowed.window).unwrap();
    let of = of.map(|of| format!("of = \"{of}\"\n")).unwrap_or_default();
    let delay = match windowed.delay.0 {
        0 => String::new(),
        _ => format!("delay = \"{}\"\n", windowed.delay),
    };
    let current = if windowed.include_current { "" } else { "include_current = false\n" };
    let empty = windowed.empty.map(|empty| format!("empty = {empty}\n")).unwrap_or_default();
    let unit = windowed.major_scale.map(|scale| format!("unit = \"major\"\nscale = {scale}\n"));
    write!(out, "{of}{delay}{current}{empty}{}", unit.unwrap_or_default()).unwrap();
    if !windowed.filter.is_empty() {
        let constant = |constant: &Constant| match constant {
            Constant::Text(text) => format!("\"{text}\""),
            Constant::Int(value) => value.to_string(),
            Constant::Flag(value) => value.to_string(),
        };
        let condition = |condition: &Condition| {
            let values: Vec<_> = condition.any_of.iter().map(constant).collect();
            let values = if let [one] = &*values { one.clone() } else { format!("[{}]", values.join(", ")) };
            format!("{} = {values}", fields[condition.field].0)
        };
        let conditions: Vec<_> = windowed.filter.iter().map(condition).collect();
        writeln!(out, "where = {{ {} }}", conditions.join(", ")).unwrap();
    }
}

/// A payment made by hand: its id, its time, and what the tests vary.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    pub keys: [Option<u8>; 3],
    pub amount: i64,
    pub channel: Option<u8>,
    pub items: Option<i64>,
    pub online: Option<bool>,
    pub tip: Option<i64>,
}

impl Draft {
    pub fn payment(&self, id: &str, time_ms: i64) -> Payment {
        let channel = |value: u8| FieldValue::Text(["web", "pos", "app", "tel"][value as usize].into());
        let mut payment = Payment {
            transaction_id: id.into(),
            event_time: EventTime::from_ms(time_ms).unwrap(),
            amount: AmountMinor::new(self.amount).unwrap(),
            currency: Currency::parse("EUR").unwrap(),
            entities: self.keys.iter().map(|key| key.map(|key| format!("k{key}").into())).collect(),
            fields: [
                self.channel.map_or(FieldValue::Null, channel),
                self.items.map_or(FieldValue::Null, FieldValue::Int),
                self.online.map_or(FieldValue::Null, FieldValue::Flag),
                self.tip.map_or(FieldValue::Null, FieldValue::Int),
            ]
            .into_iter()
            .collect(),
            content: ContentHash(0),
        };
        let mut hash = DefaultHasher::new();
        format!("{payment:?}").hash(&mut hash);
        payment.content = ContentHash(hash.finish());
        payment
    }
}

pub fn label(id: &str, fraud: bool, source: LabelSource, time_ms: i64) -> Label {
    Label { transaction_id: id.into(), fraud, label_time: EventTime::from_ms(time_ms).unwrap(), source }
}

#[path = "stream.rs"]
mod stream;

/// A scenario of this shape.
pub fn scenario(shape: Shape) -> impl Strategy<Value = Scenario> {
    let limits = (span(0..=6), select(vec![0, DAY_MS, 1_000 * DAY_MS]));
    let base = select(vec![0, 1_523_170_800_000]);
    let unit = select(vec![1, 10, 1_000, 3_600_000, DAY_MS / 2]);
    let features = prop::collection::vec(raw_feature(), 1..=8);
    let skew = select(vec![0, 0, 2, 1_000]);
    let log = prop::collection::vec(stream::raw_batch(shape.partitions), 1..=shape.batches);
    (unit, base, features, limits, skew, log).prop_map(
        move |(unit, base, features, (lateness, remember), skew, log)| {
            let features = features.into_iter().enumerate().map(|(i, raw)| feature(i, raw, unit)).collect();
            let lateness_ms = lateness.ms(unit).max(0);
            let limits = Limits {
                allowed_lateness: DurationMs(lateness_ms),
                remember: DurationMs(lateness_ms + remember),
                max_events: shape.max_events,
                tile: DurationMs(shape.tile_units * unit),
                waiting_labels: 10_000,
            };
            Scenario { features, limits, log: stream::Log::new(base, unit, skew).all(log) }
        },
    )
}

/// The source of a batch.
pub fn source(topic: Topic, partition: i32) -> Source {
    Source { topic, partition }
}
