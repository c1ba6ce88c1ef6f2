//! A small world for the policy's tests: a mapping, features, payments and lists.

use feature_store::definition::{Definitions, Vocabulary};
use schemas::document::Section;
use schemas::mapping::PaymentMapping;
use schemas::payment::{AmountMinor, ContentHash, Currency, FieldValue, Payment};
use schemas::time::EventTime;
use schemas::value::FeatureValue;

use crate::policy::{
    Digester, Facts, KeyDigest, Lack, ListKind, Listing, Lists, Outcome, Policy, ReasonPlan, SALT_BYTES,
    Terms,
};

const MAPPING: &str = r#"
transaction_id = "id"
event_time = { field = "time", unit = "ms" }
amount = { field = "amount", unit = "minor" }
currency = "currency"
[entities]
card = "card"
merchant = "merchant"
device = "device"
[fields]
channel = "channel"
merchant = "merchant"
installments = { field = "installments", kind = "integer" }
present = { field = "present", kind = "flag" }
"#;

pub(in crate::policy) const FEATURES: &str = r#"
[[feature]]
name = "payments_1h"
entity = "card"
aggregate = "count"
window = "1h"
[[feature]]
name = "payments_30d"
entity = "card"
aggregate = "count"
window = "30d"
[[feature]]
name = "amount"
request = "amount"
unit = "major"
norm = "mean_30d"
[[feature]]
name = "mean_30d"
entity = "card"
aggregate = "mean"
of = "amount"
window = "30d"
[[feature]]
name = "risk_7d"
entity = "merchant"
aggregate = "ratio"
of = "label"
window = "7d"
delay = "3d"
[[feature]]
name = "risk_30d"
entity = "merchant"
aggregate = "ratio"
of = "label"
window = "30d"
delay = "3d"
[[feature]]
name = "online_1h"
entity = "card"
aggregate = "sum"
of = "amount"
unit = "major"
window = "1h"
where = { channel = ["online", "phone"] }
norm = "online_1d"
[[feature]]
name = "online_1d"
entity = "card"
aggregate = "sum"
of = "amount"
window = "1d"
where = { channel = ["online", "phone"] }
[[feature]]
name = "merchants_1h"
entity = "card"
aggregate = "distinct"
of = "merchant"
window = "1h"
[[feature]]
name = "merchants_1d"
entity = "card"
aggregate = "distinct"
of = "merchant"
window = "1d"
"#;

pub(in crate::policy) fn mapping() -> PaymentMapping {
    let (root, sink) = Section::open("mapping", MAPPING);
    let mapping = PaymentMapping::read(root);
    sink.problems().or(mapping).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(in crate::policy) fn definitions() -> Definitions {
    let definitions = Definitions::parse("features.toml", FEATURES, &Vocabulary::of(&mapping()));
    definitions.unwrap_or_else(|problems| panic!("{problems}"))
}

pub(in crate::policy) fn terms() -> Terms {
    Terms::of(&mapping(), &definitions())
}

pub(in crate::policy) fn plan() -> ReasonPlan {
    ReasonPlan::of(&definitions(), &Vocabulary::of(&mapping()))
}

pub(in crate::policy) fn policy(text: &str) -> Policy {
    Policy::parse("policy.toml", text, &terms()).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(in crate::policy) fn problems(text: &str) -> Vec<String> {
    let problems = Policy::parse("policy.toml", text, &terms()).expect_err("the policy is wrong");
    problems.0.iter().map(ToString::to_string).collect()
}

/// A vector of [`FEATURES`], undefined where nothing is given.
pub(in crate::policy) fn vector(values: &[(usize, FeatureValue)]) -> Vec<FeatureValue> {
    let mut vector = vec![FeatureValue::Null; 10];
    for (place, value) in values {
        vector[*place] = *value;
    }
    vector
}

/// A payment of 100 at 2018-04-08T06:59:59.999Z, a Sunday, of card c-1 with device d-1 at merchant m-1.
pub(in crate::policy) fn payment() -> Payment {
    let mapping = mapping();
    let entities = mapping.entities.iter().map(|entity| Some(format!("{}-1", &entity.name[..1]).into()));
    let fields = mapping.fields.iter().map(|field| match field.name.as_str() {
        "channel" => FieldValue::Text("online".into()),
        "merchant" => FieldValue::Text("m-1".into()),
        "installments" => FieldValue::Int(3),
        "present" => FieldValue::Null,
        other => panic!("{other}"),
    });
    Payment {
        transaction_id: "tx-1".into(),
        event_time: EventTime::from_ms(1_523_170_799_999).unwrap(),
        amount: AmountMinor::new(100).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        entities: entities.collect(),
        fields: fields.collect(),
        content: ContentHash(0),
    }
}

pub(in crate::policy) fn paying(minor: i64) -> Payment {
    Payment { amount: AmountMinor::new(minor).unwrap(), ..payment() }
}

pub(in crate::policy) fn decide(
    policy: &Policy,
    score: Option<f64>,
    minor: i64,
    vector: &[FeatureValue],
) -> Outcome {
    let payment = paying(minor);
    let lack = if score.is_none() { Some(Lack::NoModel) } else { None };
    let lists = Lists::empty();
    policy.decide(&plan(), &Facts { score, lack, payment: &payment, vector, lists: &lists, at_ms: 0 })
}

pub(in crate::policy) fn without_score(policy: &Policy, score: Option<f64>, lack: Option<Lack>) -> Outcome {
    let (payment, lists) = (paying(5_000_000), Lists::empty());
    let facts = Facts { score, lack, payment: &payment, vector: &[], lists: &lists, at_ms: 0 };
    policy.decide(&plan(), &facts)
}

/// Decides the payment with these lists at the time 1,000.
pub(in crate::policy) fn listed(policy: &Policy, score: f64, entries: &[(KeyDigest, Listing)]) -> Outcome {
    let lists = lists(entries);
    let payment = paying(10_000);
    let facts =
        Facts { score: Some(score), lack: None, payment: &payment, vector: &[], lists: &lists, at_ms: 1_000 };
    policy.decide(&plan(), &facts)
}

pub(in crate::policy) fn lists(entries: &[(KeyDigest, Listing)]) -> Lists {
    Lists::of(digester(), terms().entities(), entries.iter().cloned())
}

pub(in crate::policy) fn entry(
    list: ListKind,
    entity: &str,
    key: &str,
    expires_ms: Option<i64>,
) -> (KeyDigest, Listing) {
    let listing = Listing {
        list,
        entity: entity.into(),
        owner: "ana".into(),
        reason: "two chargebacks".into(),
        expires_ms,
    };
    (digester().digest(entity, key), listing)
}

pub(in crate::policy) fn digester() -> Digester {
    Digester::new(&[7; SALT_BYTES])
}
