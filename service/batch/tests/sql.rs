//! The SQL against the kernel: random payments and labels through both, and every value of every payment the same, to
//! the last bit. The statement is run by DuckDB's own Python package, which `deploy/local/duckdb` fetches once, and by
//! Spark with `make test-spark`.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use batch::kernel::{Kernel, Order};
use batch::sql::{Dialect, features_sql};
use feature_store::definition::{Aggregate, Definitions, Feature, Kind, Vocabulary, Windowed};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use schemas::mapping::FieldKind;
use schemas::payment::{AmountMinor, ContentHash, Currency, FieldValue, Label, LabelSource, Payment};
use schemas::time::{DurationMs, EventTime};
use schemas::value::FeatureValue;
use smallvec::smallvec;

/// An aggregate, and what else the feature says. Written out over both entities.
const WINDOWED: [&str; 40] = [
    "count   | window = '2s'",
    "count   | window = '1ms'",
    "count   | window = '1ms', include_current = false",
    "count   | window = '1s', include_current = false, empty = 7",
    "count   | window = '5s', delay = '1s', where = { channel = 'online' }",
    "count   | window = '700ms', delay = '100ms', where = { channel = ['chip', 'o''clock \\ ${x} ä'] }",
    "count   | window = '3s', where = { present = true, tip = [1, 2, 3, -4] }",
    "count   | window = '3648d', delay = '1d'",
    "count   | window = '3s', where = { wide = [-9223372036854775808, 9223372036854775807] }",
    "sum     | window = '2s', of = 'amount'",
    "sum     | window = '1s', of = 'amount', include_current = false, unit = 'major'",
    "sum     | window = '4s', of = 'tip', delay = '300ms'",
    "sum     | window = '4s', of = 'card', where = { channel = 'atm' }, unit = 'major'",
    "sum     | window = '3s', of = 'wide'",
    "sum     | window = '3s', of = 'wide', unit = 'major', scale = 3",
    "mean    | window = '2s', of = 'amount', unit = 'major'",
    "mean    | window = '2s', of = 'tip', include_current = false, empty = -3",
    "mean    | window = '6s', of = 'wide', delay = '1s'",
    "mean    | window = '6s', of = 'wide', unit = 'major', scale = 9",
    "min     | window = '2s', of = 'amount'",
    "min     | window = '1s', of = 'tip', include_current = false, empty = 9",
    "min     | window = '3s', of = 'wide', delay = '1ms', unit = 'major', scale = 1",
    "max     | window = '2s', of = 'card', unit = 'major'",
    "max     | window = '1ms', of = 'amount', where = { present = false }",
    "max     | window = '9s', of = 'tip', delay = '2s'",
    "distinct | window = '2s', of = 'channel'",
    "distinct | window = '1s', of = 'channel', include_current = false",
    "distinct | window = '100ms', of = 'tip', include_current = false",
    "distinct | window = '4s', of = 'tip', delay = '500ms', where = { channel = ['online', 'atm'] }",
    "distinct | window = '1ms', of = 'tip'",
    "distinct | window = '3s', of = 'present', where = { tip = [1, 2, 3, 4, 5] }",
    "time_since_last | window = '2s'",
    "time_since_last | window = '1ms', empty = -9223372036854775808",
    "time_since_last | window = '3s', delay = '200ms', where = { channel = 'online' }",
    "count   | window = '3s', of = 'label', delay = '1ms'",
    "count   | window = '20s', of = 'label', delay = '2s', where = { channel = 'online' }",
    "count   | window = '100ms', of = 'label', delay = '100ms'",
    "ratio   | window = '5s', of = 'label', delay = '1s', empty = 0",
    "ratio   | window = '10s', of = 'label', delay = '100ms'",
    "ratio   | window = '1s', of = 'label', delay = '300ms', where = { present = true }",
];

const REQUESTS: [&str; 7] = [
    "request = 'hour'",
    "request = 'weekday'",
    "request = 'weekend'",
    "request = 'night'",
    "request = 'night'\nuntil_hour = 23",
    "request = 'amount'",
    "request = 'amount'\nunit = 'major'",
];

/// The columns of the CSV files. A field is called as an entity is, and its column is another.
const PAYMENTS: &str = "transaction_id:VARCHAR,event_time_ms:BIGINT,amount_minor:BIGINT,ord:BIGINT,card:VARCHAR,\
    merchant:VARCHAR,channel:VARCHAR,tip:BIGINT,card_field:BIGINT,wide:BIGINT,present:BOOLEAN\n";
const LABELS: &str = "transaction_id:VARCHAR,fraud:BOOLEAN,label_time_ms:BIGINT,source:VARCHAR\n";

fn vocabulary() -> Vocabulary {
    let fields = [
        ("channel", FieldKind::Text),
        ("tip", FieldKind::Integer),
        ("card", FieldKind::Decimal { scale: 2 }),
        ("wide", FieldKind::Integer),
        ("present", FieldKind::Flag),
    ];
    Vocabulary {
        entities: vec!["card".to_owned(), "merchant".to_owned()],
        fields: fields.map(|(name, kind)| (name.to_owned(), kind)).to_vec(),
    }
}

fn definitions() -> Definitions {
    let mut text = String::new();
    for (number, request) in REQUESTS.iter().enumerate() {
        // TOML's literal texts have no escapes, so neither have these.
        writeln!(text, "[[feature]]\nname = 'request \"{number}\"`'\n{request}").unwrap();
    }
    for entity in ["card", "merchant"] {
        for (number, feature) in WINDOWED.iter().enumerate() {
            let (aggregate, rest) = feature.split_once('|').unwrap();
            let aggregate = aggregate.trim();
            let rest = rest.trim().replace("'o''clock \\ ${x} ä'", r#""o'clock \\ ${x} ä""#);
            writeln!(text, "[[feature]]\nname = '{entity} {number}'\nentity = '{entity}'").unwrap();
            writeln!(text, "aggregate = '{aggregate}'").unwrap();
            for line in settings(&rest) {
                writeln!(text, "{line}").unwrap();
            }
        }
    }
    let mut definitions = Definitions::parse("features.toml", &text, &vocabulary())
        .unwrap_or_else(|found| panic!("{found}\n{text}"));
    // A file must not have labels without delay; what they mean is plain all the same.
    let mut undelayed = Vec::new();
    for (feature, include_current) in definitions.features.iter().zip([true, false].into_iter().cycle()) {
        let Kind::Windowed(windowed) = &feature.kind else { continue };
        if matches!(windowed.aggregate, Aggregate::FraudCount | Aggregate::FraudRatio) {
            let windowed = Windowed { delay: DurationMs(0), include_current, ..windowed.clone() };
            let name = format!("{} undelayed", feature.name);
            undelayed.push(Feature { name, kind: Kind::Windowed(windowed), norm: None });
        }
    }
    definitions.features.extend(undelayed);
    definitions
}

/// `a = 1, b = { c = [1, 2] }`, one a line.
fn settings(text: &str) -> Vec<String> {
    let (mut lines, mut depth) = (vec![String::new()], 0);
    for c in text.chars() {
        depth += i32::from(matches!(c, '{' | '[')) - i32::from(matches!(c, '}' | ']'));
        if c == ',' && depth == 0 {
            lines.push(String::new());
        } else {
            lines.last_mut().unwrap().push(c);
        }
    }
    lines
}

/// Payments in the order of application, and labels in the order of their topic.
struct World {
    payments: Vec<Payment>,
    labels: Vec<Label>,
}

// A Friday shortly before midnight.
const START_MS: i64 = 1_700_265_590_000;

impl World {
    /// Payments of few entities within seconds, many of one time and many late, over a midnight and with a gap of days.
    fn random(seed: u64, payments: usize) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut world, mut clock_ms) = (Self { payments: Vec::new(), labels: Vec::new() }, START_MS);
        for number in 0..payments {
            clock_ms += random.random_range(0..3) * 100 * random.random_range(0..2);
            if number == payments / 2 {
                clock_ms += 2 * 86_400_000 + 7 * 3_600_000;
            }
            let late_ms = if random.random_ratio(1, 6) {
                random.random_range(0..60) * 100 + random.random_range(0..2)
            } else {
                0
            };
            let payment = payment(&mut random, number, clock_ms - late_ms);
            world.payments.push(payment);
            for _ in 0..random.random_range(0..3) {
                // About one that was or that will be, known early, late or at the very time of others.
                let about = random.random_range(number.saturating_sub(80)..number + 4);
                let label = Label {
                    transaction_id: id(about),
                    fraud: random.random_ratio(2, 3),
                    label_time: EventTime::from_ms(clock_ms - random.random_range(-40..60) * 100).unwrap(),
                    source: LabelSource::ALL[random.random_range(0..3)],
                };
                world.labels.push(label.clone());
                if random.random_ratio(1, 10) {
                    world.labels.push(label);
                }
            }
        }
        world
    }

    /// Every value by event time as text, a line for each payment.
    fn by_kernel(&self, definitions: &Definitions, folder: &Path) -> Vec<Vec<String>> {
        let mut kernel = Kernel::new(definitions, Order::Rows, folder).unwrap();
        for (offset, payment) in (0..).zip(&self.payments) {
            kernel.payment((0, offset), payment, None).unwrap();
        }
        for (offset, label) in (0..).zip(&self.labels) {
            kernel.label(0, offset, label).unwrap();
        }
        let mut answers = kernel.compute(&|_, _| {}).unwrap();
        let mut lines = Vec::new();
        while let Some(chunk) = answers.next_chunk().unwrap() {
            let rows = chunk.first..chunk.first + chunk.rows() as u32;
            lines.extend(rows.map(|row| chunk.by_event_time(row).iter().map(text_of).collect()));
        }
        lines
    }

    fn write(&self, folder: &Path) {
        let mut text = PAYMENTS.to_owned();
        for (ord, payment) in self.payments.iter().enumerate() {
            let (id, ms) = (&payment.transaction_id, payment.event_time.ms());
            // Neither from 0 nor without gaps.
            write!(text, "{id},{ms},{},{}", payment.amount.minor(), ord as i64 * 3 - 1_000).unwrap();
            for key in &payment.entities {
                write!(text, ",{}", key.as_deref().unwrap_or_default()).unwrap();
            }
            for field in &payment.fields {
                match field {
                    FieldValue::Null => text.push(','),
                    FieldValue::Int(value) => write!(text, ",{value}").unwrap(),
                    FieldValue::Flag(value) => write!(text, ",{value}").unwrap(),
                    FieldValue::Text(value) => write!(text, ",\"{value}\"").unwrap(),
                }
            }
            text.push('\n');
        }
        std::fs::write(folder.join("payments.csv"), text).unwrap();
        let mut text = LABELS.to_owned();
        for label in &self.labels {
            let (id, ms, source) = (&label.transaction_id, label.label_time.ms(), label.source.as_str());
            writeln!(text, "{id},{},{ms},{source}", label.fraud).unwrap();
        }
        std::fs::write(folder.join("labels.csv"), text).unwrap();
    }
}

fn id(number: usize) -> Box<str> {
    format!("tx-{number}").into()
}

fn payment(random: &mut StdRng, number: usize, time_ms: i64) -> Payment {
    let card = random.random_range(0..6);
    let merchant = random.random_range(0..3);
    let channel = match random.random_range(0..6) {
        0 => FieldValue::Null,
        at => FieldValue::Text(["online", "chip", "atm", "online", "o'clock \\ ${x} ä"][at - 1].into()),
    };
    let tip = random.random_range(-5..6);
    let decimal = random.random_range(-100_000..100_000);
    // Sums of these pass 64 bits, and are no reals: their last digits have to be rounded away once.
    let wide = match random.random_range(0..6) {
        0 => i64::MIN,
        1 => i64::MAX,
        2 => random.random_range(i64::MIN..i64::MAX),
        3 => random.random_range(0..1 << 54),
        _ => -random.random_range(0..i64::MAX),
    };
    let mut field = |value| if random.random_ratio(1, 4) { FieldValue::Null } else { value };
    let fields = smallvec![
        channel,
        field(FieldValue::Int(tip)),
        field(FieldValue::Int(decimal)),
        field(FieldValue::Int(wide)),
        field(FieldValue::Flag(number.is_multiple_of(3))),
    ];
    Payment {
        transaction_id: id(number),
        event_time: EventTime::from_ms(time_ms).unwrap(),
        amount: AmountMinor::new(random.random_range(0..1_000_000)).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        entities: smallvec![
            (card > 0).then(|| format!("card-{card}").into()),
            (merchant > 0).then(|| format!("merchant-{merchant}").into())
        ],
        fields,
        content: ContentHash(number as u64),
    }
}

fn text_of(value: &FeatureValue) -> String {
    match value {
        FeatureValue::Null => String::new(),
        FeatureValue::Int(value) => value.to_string(),
        FeatureValue::Flag(value) => value.to_string(),
        FeatureValue::Real(value) => format!("{:016x}", value.to_bits()),
    }
}

fn run(program: &str, words: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = Command::new(root.join(program)).args(words).current_dir(&root).output().unwrap();
    assert!(out.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Compares what came out of an engine with the kernel; returns how many values there were and how many not null.
fn compare(
    definitions: &Definitions,
    expected: &[Vec<String>],
    found: &str,
    world: &World,
) -> (usize, usize) {
    let names = definitions.names();
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), expected.len(), "rows");
    let (mut values, mut defined) = (0, 0);
    for ((payment, line), expected) in world.payments.iter().zip(lines).zip(expected) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[0], &*payment.transaction_id);
        assert_eq!(cells.len(), 2 + expected.len(), "columns");
        for ((name, ours), theirs) in names.iter().zip(expected).zip(&cells[2..]) {
            let id = &payment.transaction_id;
            assert!(theirs == ours, "{name} of {id}: \"{theirs}\" by SQL, \"{ours}\" by the kernel");
            values += 1;
            defined += usize::from(!ours.is_empty());
        }
    }
    (values, defined)
}

#[test]
fn i6_i14_duckdb_gives_what_the_kernel_gives() {
    if std::env::var("TRIPLINE_TESTS").is_ok_and(|text| text == "fast") {
        println!("left out: TRIPLINE_TESTS=fast");
        return;
    }
    let definitions = definitions();
    let script = features_sql(&definitions, &vocabulary(), Dialect::DuckDb);
    let (mut values, mut defined) = (0, 0);
    for (seed, payments) in [(0, 1), (1, 300), (2, 300), (3, 300), (4, 4_000), (5, 4_000)] {
        let world = World::random(seed, payments);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("features.sql");
        std::fs::write(&file, &script).unwrap();
        world.write(folder.path());
        let words = [file.to_str().unwrap(), folder.path().to_str().unwrap()];
        run("deploy/local/duckdb", &["features", words[0], words[1]]);
        let found = std::fs::read_to_string(folder.path().join("features.csv")).unwrap();
        let expected = world.by_kernel(&definitions, folder.path());
        let one = compare(&definitions, &expected, &found, &world);
        (values, defined) = (values + one.0, defined + one.1);
    }
    println!("{values} values equal, {defined} of them defined");
    assert!(defined > values / 2);
}

#[test]
#[ignore = "minutes, and 450 MB fetched: make test-spark"]
fn i6_i14_spark_gives_what_the_kernel_gives() {
    let definitions = definitions();
    let world = World::random(6, 4_000);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let file = folder.path().join("features.sql");
    std::fs::write(&file, features_sql(&definitions, &vocabulary(), Dialect::Spark)).unwrap();
    world.write(folder.path());
    run("deploy/local/duckdb", &["parquet", place]);
    let folders = ["payments", "labels", "features"].map(|name| format!("{place}/{name}"));
    let [payments, labels, features] = folders.each_ref().map(String::as_str);
    run(
        "deploy/local/spark",
        &["deploy/spark/features.py", file.to_str().unwrap(), payments, labels, features],
    );
    run("deploy/local/duckdb", &["text", place]);
    let found = std::fs::read_to_string(folder.path().join("features.csv")).unwrap();
    let expected = world.by_kernel(&definitions, folder.path());
    let (values, defined) = compare(&definitions, &expected, &found, &world);
    println!("{values} values equal, {defined} of them defined");
}
