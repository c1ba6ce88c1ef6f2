//! Tests that nothing a policy can say brings the process down: neither when it is read nor when it is evaluated.

use proptest::prelude::*;
use schemas::value::FeatureValue;

use super::*;
use crate::policy::tests::world::{payment, terms};

fn evaluate(source: &str, vector: &[FeatureValue], score: Option<f64>) -> Option<Result<bool, NotEvaluated>> {
    let mut constants = Constants::default();
    let expression = Expression::compile(source, &terms(), &mut constants).ok()?;
    let payment = payment();
    let values = Values { payment: &payment, vector, score, listed: &[], constants: &constants };
    Some(expression.holds(&context(&values)))
}

/// Pieces of which something like an expression is made.
const PIECES: [&str; 44] = [
    "score",
    "payment.amount_minor",
    "payment.hour",
    "entity.card",
    "field.channel",
    "field.present",
    "feature.amount",
    "feature.payments_1h",
    "list.names",
    "list.block",
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2.5",
    "9223372036854775807",
    "'a'",
    "\"é\"",
    "r'\\x'",
    "'''",
    "b'x'",
    "1u",
    "0x1F",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ",",
    "+",
    "-",
    "*",
    "/",
    "%",
    "<",
    "==",
    "&&",
    "||",
    "?",
    ":",
    " in ",
];

fn tokens() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..40)
        .prop_map(|pieces| pieces.concat())
}

/// Expressions that are right or nearly so.
fn nested() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(PIECES[..21].to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(6, 64, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (
                two.clone(),
                proptest::sample::select(vec!["+", "-", "*", "/", "%", "<", "<=", "==", "!=", "&&", "||"])
            )
                .prop_map(|((a, b), operator)| format!("({a} {operator} {b})")),
            (inner.clone(), two.clone()).prop_map(|(a, (b, c))| format!("({a} ? {b} : {c})")),
            two.clone().prop_map(|(a, b)| format!("({a} in [{b}])")),
            two.prop_map(|(a, b)| format!("{a}.startsWith({b})")),
            inner.clone().prop_map(|a| format!("!{a}")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.prop_map(|a| format!("double({a})")),
        ]
    })
}

fn numbers() -> impl Strategy<Value = Vec<FeatureValue>> {
    proptest::collection::vec(
        prop_oneof![
            Just(FeatureValue::Null),
            any::<i64>().prop_map(FeatureValue::Int),
            any::<f64>().prop_map(FeatureValue::Real),
            any::<bool>().prop_map(FeatureValue::Flag),
        ],
        0..12,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_compiled_or_refused(source in "\\PC{0,60}") {
        _ = evaluate(&source, &[], None);
    }

    #[test]
    fn any_tokens_are_compiled_or_refused(source in tokens(), vector in numbers()) {
        _ = evaluate(&source, &vector, Some(0.5));
    }

    #[test]
    fn what_is_compiled_is_evaluated_the_same_each_time(
        source in nested(), vector in numbers(), score in proptest::option::of(0.0..=1.0)
    ) {
        let once = evaluate(&format!("{source} == null"), &vector, score);
        prop_assert_eq!(evaluate(&format!("{source} == null"), &vector, score), once);
        _ = evaluate(&source, &vector, score);
    }
}

#[test]
fn the_longest_expressions_fit_a_threads_stack() {
    // A watcher's thread has 2 MiB.
    let sources = [
        "!".repeat(MAX_BYTES),
        "-".repeat(MAX_BYTES),
        "(".repeat(MAX_BYTES),
        "[".repeat(MAX_BYTES),
        "a.".repeat(MAX_BYTES / 2),
        format!("a{}", ".b".repeat(MAX_BYTES / 2 - 1)),
        format!("1{}", "+1".repeat(MAX_BYTES / 2 - 1)),
        format!("1{}", "<1".repeat(MAX_BYTES / 2 - 1)),
        format!("a{}", "[1]".repeat(MAX_BYTES / 3 - 1)),
        format!("a{}", ".b()".repeat(MAX_BYTES / 4 - 1)),
        format!("true{}", "||true".repeat(MAX_BYTES / 6 - 1)),
        "a?".repeat(MAX_BYTES / 2),
        format!("{}1", "a?1:".repeat(MAX_BYTES / 4 - 1)),
        "{1:".repeat(MAX_BYTES / 3),
        "f(".repeat(MAX_BYTES / 2),
    ];
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let compiles = |source: &String| Expression::compile(source, &terms(), &mut Constants::default()).is_ok();
    let run = thread.spawn(move || sources.iter().filter(|source| compiles(source)).count());
    assert_eq!(run.unwrap().join().unwrap(), 0, "each is too deep or means nothing");
}
