//! The examples that ship: they parse, belong together, and say what the documents promise of them.

use std::path::Path;

use feature_store::definition::{Definitions, Vocabulary};
use schemas::decision::Verdict;
use schemas::document::Section;
use schemas::mapping::PaymentMapping;
use schemas::payment::{AmountMinor, ContentHash, Currency, FieldValue, Payment};
use schemas::time::EventTime;
use schemas::value::{FeatureValue, ValueKind};
use toml::Table;

use crate::policy::threshold::Thresholds;
use crate::policy::{Facts, Lists, Outcome, Policy, ReasonPlan, Terms};

/// One example, read as the service reads it.
struct Example {
    mapping: PaymentMapping,
    definitions: Definitions,
    policy: Policy,
}

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn example(name: &str) -> Example {
    let config: Table = text(&format!("deploy/examples/{name}/tripline.toml")).parse().unwrap();
    let beside = |key: &str| {
        let file = config[key].as_str().unwrap();
        (file, text(&format!("deploy/examples/{name}/{file}")))
    };
    let (mut root, sink) = Section::from_table("tripline.toml", config.clone());
    let mapping = PaymentMapping::read(root.section("payment"));
    root.remaining_keys().iter().for_each(|other| _ = root.raw(other));
    drop(root);
    let mapping = sink.problems().or(mapping).unwrap_or_else(|problems| panic!("{problems}"));
    let (file, features) = beside("features");
    let definitions = Definitions::parse(file, &features, &Vocabulary::of(&mapping));
    let definitions = definitions.unwrap_or_else(|problems| panic!("{problems}"));
    let (file, policy) = beside("policy");
    let terms = Terms::of(&mapping, &definitions);
    let policy = Policy::parse(file, &policy, &terms).unwrap_or_else(|problems| panic!("{problems}"));
    Example { mapping, definitions, policy }
}

/// The published names, in the order in which the handbook's models take them.
const HANDBOOK: [&str; 15] = [
    "TX_AMOUNT",
    "TX_DURING_WEEKEND",
    "TX_DURING_NIGHT",
    "CUSTOMER_ID_NB_TX_1DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW",
    "CUSTOMER_ID_NB_TX_7DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW",
    "CUSTOMER_ID_NB_TX_30DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW",
    "TERMINAL_ID_NB_TX_1DAY_WINDOW",
    "TERMINAL_ID_RISK_1DAY_WINDOW",
    "TERMINAL_ID_NB_TX_7DAY_WINDOW",
    "TERMINAL_ID_RISK_7DAY_WINDOW",
    "TERMINAL_ID_NB_TX_30DAY_WINDOW",
    "TERMINAL_ID_RISK_30DAY_WINDOW",
];

#[test]
fn the_handbook_has_its_published_features_in_the_models_order() {
    let Example { mapping, definitions, policy } = example("handbook");
    assert_eq!(definitions.names(), HANDBOOK);
    let columns: Vec<_> = mapping.paths().iter().map(ToString::to_string).collect();
    assert_eq!(columns, ["TRANSACTION_ID", "TX_DATETIME", "TX_AMOUNT_CENTS", "CUSTOMER_ID", "TERMINAL_ID"]);
    let plan = ReasonPlan::of(&definitions, &Vocabulary::of(&mapping));
    assert_eq!(
        plan.names().len(),
        9,
        "amount, and each shorter window beside the longest: {:?}",
        plan.names()
    );
    assert!(matches!(policy.contents.thresholds, Thresholds::Fixed(bounds) if bounds.decline.is_some()));
}

#[test]
fn the_demo_follows_its_schema_and_leaves_no_feature_undefined() {
    let Example { mapping, definitions, policy } = example("demo");
    let schema: serde_json::Value = serde_json::from_str(&text("schemas/avro/transaction.avsc")).unwrap();
    let fields: Vec<_> = schema["fields"].as_array().unwrap().iter().map(|field| &field["name"]).collect();
    for path in mapping.paths() {
        assert!(fields.iter().any(|name| *name == path.to_string().as_str()), "{path} is not in the schema");
    }
    for feature in &definitions.features {
        let Some(windowed) = feature.windowed() else { continue };
        use feature_store::definition::Aggregate::{FraudRatio, Max, Mean, Min, TimeSinceLast};
        let can_be_undefined =
            matches!(windowed.aggregate, FraudRatio | Max(_) | Mean(_) | Min(_) | TimeSinceLast);
        assert!(!can_be_undefined || windowed.empty.is_some(), "{} needs `empty`", feature.name);
    }
    let plan = ReasonPlan::of(&definitions, &Vocabulary::of(&mapping));
    for name in ["amount", "card_payments_1h", "card_amount_1d", "merchant_fraud_ratio_7d"] {
        assert!(plan.names().iter().any(|other| *other == name), "{name} has no norm in {:?}", plan.names());
    }
    assert_eq!(policy.contents.alert_rules.len(), 2);
}

#[test]
fn the_demos_model_takes_the_demos_features() {
    let manifest: Table = text("models/artifacts/demo/1/manifest.toml").parse().unwrap();
    let features: Vec<_> =
        manifest["features"].as_array().unwrap().iter().map(|name| name.as_str()).collect();
    let names = example("demo").definitions.names();
    assert_eq!(features, names.iter().map(|name| Some(name.as_str())).collect::<Vec<_>>());
}

/// What the demo's policy says of an online payment with these features; the others are 0.
fn demo_outcome(minor: i64, score: f64, features: &[(&str, i64)]) -> Outcome {
    let Example { mapping, definitions, policy } = example("demo");
    let value = |feature: &feature_store::definition::Feature| {
        let given = features.iter().find(|(name, _)| *name == feature.name).map_or(0, |(_, value)| *value);
        match feature.value_kind() {
            ValueKind::Int => FeatureValue::Int(given),
            ValueKind::Real => FeatureValue::Real(given as f64),
            ValueKind::Flag => FeatureValue::Flag(given != 0),
        }
    };
    let vector: Vec<_> = definitions.features.iter().map(value).collect();
    let payment = Payment {
        transaction_id: "tx-1".into(),
        event_time: EventTime::EPOCH,
        amount: AmountMinor::new(minor).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        entities: mapping.entities.iter().map(|_| Some("key".into())).collect(),
        fields: mapping.fields.iter().map(|_| FieldValue::Text("online".into())).collect(),
        content: ContentHash(0),
    };
    let plan = ReasonPlan::of(&definitions, &Vocabulary::of(&mapping));
    let lists = Lists::empty();
    let facts =
        Facts { score: Some(score), lack: None, payment: &payment, vector: &vector, lists: &lists, at_ms: 0 };
    let outcome = policy.decide(&plan, &facts);
    assert!(outcome.broken.is_empty(), "every feature of the demo is defined: {:?}", outcome.broken);
    outcome
}

#[test]
fn the_demos_rules_say_what_their_reasons_promise() {
    let quiet = demo_outcome(20_000, 0.1, &[]);
    assert_eq!((quiet.verdict, quiet.rules.len(), quiet.segment), (Verdict::Approve, 0, None));
    let burst = |payments, merchants| {
        demo_outcome(20_000, 0.1, &[("card_payments_1h", payments), ("card_merchants_1d", merchants)])
    };
    assert_eq!((burst(6, 5).verdict, burst(5, 5).verdict), (Verdict::Challenge, Verdict::Approve));
    assert_eq!((burst(6, 5).rules, burst(6, 4).rules.len()), (vec!["burst".into()], 0));
    let new_device = |amount| {
        let known = [("card_payments_earlier", 10), ("card_mean_amount_30d", 20), ("amount", amount)];
        demo_outcome(20_000, 0.1, &known).rules
    };
    assert_eq!((new_device(201), new_device(200)), (vec!["new_device_large".into()], vec![]));
    let large = demo_outcome(500_000, 0.0, &[]);
    assert_eq!((large.verdict, large.hold), (Verdict::Review, true));
    assert_eq!(large.alert_rule.as_deref(), Some("worth_a_look"));
    let small = |score| demo_outcome(999, score, &[]);
    assert_eq!((small(0.5).verdict, small(0.7).verdict), (Verdict::Approve, Verdict::Challenge));
    assert_eq!(small(0.5).segment.as_deref(), Some("small"));
}

#[test]
fn the_documented_example_is_a_policy() {
    let Example { mapping, definitions, .. } = example("demo");
    let page = text("docs/policy.md");
    let block = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let policy = Policy::parse("docs/policy.md", block, &Terms::of(&mapping, &definitions));
    let policy = policy.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((policy.contents.rules.len(), policy.contents.segments.len()), (3, 1));
    assert!(matches!(policy.contents.thresholds, Thresholds::Computed(_)));
}
