//! The examples that ship: they parse, belong together, and say what the documents promise of them.

use std::path::Path;

use feature_store::definition::{Definitions, Vocabulary};
use schemas::document::Section;
use schemas::mapping::PaymentMapping;
use toml::Table;

use crate::policy::{Policy, ReasonPlan};

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
    let policy = Policy::parse(file, &policy).unwrap_or_else(|problems| panic!("{problems}"));
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
    assert!(policy.thresholds.decline.is_some());
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
    assert_eq!(policy.alert_rules.len(), 2);
}

#[test]
fn the_demos_model_takes_the_demos_features() {
    let manifest: Table = text("models/artifacts/demo/1/manifest.toml").parse().unwrap();
    let features: Vec<_> =
        manifest["features"].as_array().unwrap().iter().map(|name| name.as_str()).collect();
    let names = example("demo").definitions.names();
    assert_eq!(features, names.iter().map(|name| Some(name.as_str())).collect::<Vec<_>>());
}
