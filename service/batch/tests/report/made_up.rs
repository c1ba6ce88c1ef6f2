//! Made-up numbers of a reconciliation: two months with everything in them.

use std::collections::BTreeMap;

use batch::numbers::{
    Calibration, Cell, Check, Class, Confusion, Conservation, Drift, Example, Money, Numbers, Quantiles,
    Reference,
};

const FEATURES: [&str; 9] = [
    "terminal_fraud_7d",
    "terminal_fraud_30d",
    "card_amount_7d",
    "card_count_1h",
    "card_distinct_terminals_24h",
    "hour",
    "night",
    "weekday",
    "card_mean_amount_30d",
];

/// Every difference has a cause.
pub fn clean() -> Numbers {
    Numbers {
        run: "r-5f0c9a1be77d42".to_owned(),
        days: Some(("2018-04-01".to_owned(), "2018-05-31".to_owned())),
        records: records(),
        checks: checks(),
        classes: classes(),
        by_day: by_day(),
        by_feature: by_feature(),
        conservation: (0..4).map(partition).collect(),
        corrections: money(318, 4_120_075),
        decisions: decisions(),
        drift: drift(),
        reference: Reference { rows: 1_400_000, looked_at: 20_000, scored: 2_000, missing: None },
        latency_us: latency(),
        confusion: confusion(),
        calibration: calibration(),
    }
}

/// As [`clean`], with three that nothing explains and two records gone.
pub fn broken() -> Numbers {
    let mut numbers = clean();
    let examples = (1..=3).map(|number| Example {
        transaction_id: format!("tx-unexplained-{number}"),
        event_time_ms: 1_524_000_000_000 + number * 86_400_000,
        check: ["features_as_of_log", "scores", "decisions"][number as usize - 1].to_owned(),
        field: ["card_amount_7d", "score", "verdict"][number as usize - 1].to_owned(),
        recorded: ["182340", "0.1953125", "approve"][number as usize - 1].to_owned(),
        computed: ["182341", "0.19531251", "review"][number as usize - 1].to_owned(),
    });
    let class = Class {
        class: "unexplained".to_owned(),
        meaning: "No known cause leads from what was recorded to what is computed: a defect.".to_owned(),
        count: 3,
        payments: money(3, 31_200),
        examples: examples.collect(),
        keys: vec![("card".to_owned(), "5500******0004".to_owned(), 2)],
    };
    numbers.classes.insert(0, class);
    for (place, day) in [(0, 18), (2, 19), (3, 20)] {
        numbers.checks[place].differences += 1;
        numbers.checks[place].unexplained += 1;
        numbers.by_day.push(cell(&format!("2018-04-{day}"), "unexplained", 1));
    }
    numbers.by_feature.push(cell("card_amount_7d", "unexplained", 1));
    numbers.conservation[2].decided -= 2;
    numbers.conservation[2].unaccounted = 2;
    numbers
}

/// Every text is `evil`.
pub fn hostile(evil: &str) -> Numbers {
    let mut numbers = broken();
    let text = || evil.to_owned();
    numbers.run = text();
    numbers.days = Some((text(), text()));
    numbers.records.insert(text(), 1);
    numbers.checks.push(Check { check: text(), compared: 1, differences: 1, unexplained: 1 });
    let example = Example {
        transaction_id: text(),
        event_time_ms: i64::MIN,
        check: text(),
        field: text(),
        recorded: text(),
        computed: text(),
    };
    let sum = Money { count: 1, amount_minor: BTreeMap::from([(text(), i64::MIN)]) };
    numbers.classes.push(Class {
        class: text(),
        meaning: text(),
        count: 1,
        payments: sum.clone(),
        examples: vec![example.clone()],
        keys: vec![(text(), text(), 1)],
    });
    numbers.classes[0].examples.insert(0, example);
    numbers.by_day.push(cell(evil, evil, 5));
    numbers.by_feature.push(cell(evil, evil, 900));
    numbers.decisions.push(cell(evil, evil, 5));
    numbers.corrections = sum.clone();
    numbers.drift.push(Drift {
        name: text(),
        model: Some(text()),
        psi: 0.2,
        by_chance: 0.001,
        rows: 9,
        bins: vec![(text(), 0.5, 0.4), (text(), 0.5, 0.6)],
    });
    numbers.latency_us.insert(text(), Quantiles { p50: 1, p99: 2, p999: 3, max: 4 });
    numbers.confusion.push(Confusion {
        verdict: text(),
        fraud: sum.clone(),
        legitimate: sum.clone(),
        unknown: sum,
    });
    numbers
}

fn cell(row: &str, column: &str, count: u64) -> Cell {
    Cell { row: row.to_owned(), column: column.to_owned(), count }
}

fn money(count: u64, cents: i64) -> Money {
    Money { count, amount_minor: BTreeMap::from([("EUR".to_owned(), cents)]) }
}

fn days() -> impl Iterator<Item = (u64, String)> {
    (1..=30)
        .map(|day| (4, day))
        .chain((1..=31).map(|day| (5, day)))
        .zip(0..)
        .map(|((month, day), place)| (place, format!("2018-{month:02}-{day:02}")))
}

fn records() -> BTreeMap<String, u64> {
    [
        ("payments", 1_754_155),
        ("labels", 14_681),
        ("decisions", 1_754_143),
        ("alerts", 2_910),
        ("dead_letters", 12),
    ]
    .map(|(topic, records)| (topic.to_owned(), records))
    .into()
}

fn checks() -> Vec<Check> {
    [
        ("features_as_of_log", 26_312_325, 0),
        ("features_by_event_time", 26_312_325, 6_102),
        ("scores", 1_754_143, 190),
        ("decisions", 1_754_143, 20),
        ("alerts", 2_910, 0),
        ("conservation", 1_754_155, 0),
        ("rest", 0, 0),
    ]
    .map(|(check, compared, differences)| Check {
        check: check.to_owned(),
        compared,
        differences,
        unexplained: 0,
    })
    .into()
}

fn classes() -> Vec<Class> {
    let example = |number: i64| Example {
        transaction_id: format!("tx-{:08}", 4_711 * number),
        event_time_ms: 1_523_520_930_250 + (number - 1) * 3_600_000,
        check: "features_by_event_time".to_owned(),
        field: "terminal_fraud_7d".to_owned(),
        recorded: "2".to_owned(),
        computed: "3".to_owned(),
    };
    [
        ("late", "An event came after the payment was decided although it happened before it.", 4_100),
        ("early_label", "A label was there before the time from which the definition counts it.", 1_500),
        ("duplicate", "The same payment was sent again and counted once.", 400),
        ("model_changed", "The payment was decided by another version of the model.", 190),
        ("fallback", "Features were not to be had in time and the fallback answered.", 122),
    ]
    .map(|(class, meaning, count)| {
        let mut payments = money(count / 3, count as i64 * 4_447);
        if class == "late" {
            payments.amount_minor =
                BTreeMap::from([("EUR".to_owned(), 18_234_050), ("JPY".to_owned(), 41_000)]);
        }
        Class {
            class: class.to_owned(),
            meaning: meaning.to_owned(),
            count,
            payments,
            examples: (1..=3).map(example).collect(),
            keys: vec![
                ("card".to_owned(), "4111******1111".to_owned(), 41),
                ("terminal".to_owned(), "T-90…17".to_owned(), 7),
            ],
        }
    })
    .into()
}

fn by_day() -> Vec<Cell> {
    days()
        .flat_map(|(place, day)| {
            let wave = 40 + place * 7 % 31 + if place == 25 { 160 } else { 0 };
            let changed = if place > 40 { 9 } else { 0 };
            [
                ("late", wave),
                ("early_label", 10 + place * 5 % 17),
                ("duplicate", place % 9),
                ("model_changed", changed),
                ("fallback", place % 4),
            ]
            .map(|(class, count)| cell(&day, class, count))
        })
        .collect()
}

fn by_feature() -> Vec<Cell> {
    (0_u64..)
        .zip(FEATURES)
        .flat_map(|(place, feature)| {
            let late = 1_800 / (place + 1);
            [
                cell(feature, "late", late),
                cell(feature, "early_label", if place < 2 { 750 } else { 0 }),
                cell(feature, "fallback", 13),
            ]
        })
        .collect()
}

fn decisions() -> Vec<Cell> {
    days()
        .flat_map(|(place, day)| {
            [
                ("approve", 28_400 + place * 13 % 400),
                ("review", 120 + place * 11 % 60),
                ("challenge", 60 + place * 3 % 20),
                ("decline", 25 + place % 12),
            ]
            .map(|(verdict, count)| cell(&day, verdict, count))
        })
        .collect()
}

fn drift() -> Vec<Drift> {
    let bins = |shift: usize| {
        let before = [0.31, 0.22, 0.15, 0.1, 0.08, 0.05, 0.04, 0.03, 0.01, 0.01];
        (0..10)
            .map(|bin| {
                (
                    format!("{:.1} to {:.1}", bin as f64 / 10.0, (bin + 1) as f64 / 10.0),
                    before[bin],
                    before[(bin + shift) % 10],
                )
            })
            .collect()
    };
    let of = |name: &str, psi, bins| Drift {
        name: name.to_owned(),
        psi,
        bins,
        by_chance: 0.0005,
        rows: 1_200_000,
        model: None,
    };
    let score = Drift { model: Some("demo/1".to_owned()), ..of("score", 0.041, bins(0)) };
    let psi = [0.312, 0.180, 0.09, 0.05, 0.02, 0.01, 0.004, 0.001, 0.2];
    let features = FEATURES.into_iter().zip(psi).zip(0..);
    let features = features.map(|((name, psi), place)| of(name, psi, bins(place % 3)));
    [score].into_iter().chain(features).collect()
}

fn latency() -> BTreeMap<String, Quantiles> {
    [
        ("decode", 9, 21, 60, 800),
        ("features", 310, 1_900, 4_800, 22_000),
        ("model", 95, 180, 420, 9_100),
        ("policy", 12, 30, 71, 1_200),
        ("total", 470, 2_300, 12_400, 41_000),
    ]
    .map(|(step, p50, p99, p999, max)| (step.to_owned(), Quantiles { p50, p99, p999, max }))
    .into()
}

fn confusion() -> Vec<Confusion> {
    [
        ("approve", 400, 1_730_000, 12_000),
        ("review", 300, 7_100, 900),
        ("challenge", 250, 2_600, 300),
        ("decline", 450, 210, 60),
    ]
    .map(|(verdict, fraud, legitimate, unknown)| Confusion {
        verdict: verdict.to_owned(),
        fraud: money(fraud, fraud as i64 * 9_131),
        legitimate: money(legitimate, legitimate as i64 * 5_312),
        unknown: money(unknown, unknown as i64 * 5_100),
    })
    .into()
}

fn calibration() -> Vec<Calibration> {
    (0..10)
        .map(|bin| {
            let from = f64::from(bin) / 10.0;
            let count = 1_700_000 >> (2 * bin);
            Calibration {
                from,
                to: from + 0.1,
                count,
                mean_score: from + 0.04,
                fraud_share: (from + 0.03).powf(1.2),
            }
        })
        .collect()
}

fn partition(partition: i32) -> Conservation {
    let records = 438_538 + u64::from(partition == 0) * 3;
    Conservation { partition, records, decided: records - 103, dead: 3, duplicates: 100, unaccounted: 0 }
}
