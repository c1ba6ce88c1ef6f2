//! Replay's files: every kind of column, what is refused and how, labels between two payments, rows that are not
//! decided.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, LargeStringArray, RecordBatch, StringArray, StringViewArray,
    StructArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;
use tripline::config::{Setup, load};
use tripline::pipeline::Deciders;
use tripline::replay::{Counts, Files, Replay, ReplayError};

use super::handbook::batches;

const CONFIG: &str = r#"
features = "features.toml"
policy = "policy.toml"
[payment]
transaction_id = "id"
event_time = "at"
amount = { field = "cents", unit = "minor" }
currency = { value = "EUR" }
[payment.entities]
card = "card"
[payment.fields]
channel = "channel"
[limits]
remember = "40d"
"#;

const FEATURES: &str = r#"
[[feature]]
name = "n"
entity = "card"
aggregate = "count"
window = "1d"
[[feature]]
name = "sum"
entity = "card"
aggregate = "sum"
of = "amount"
window = "1d"
[[feature]]
name = "channels"
entity = "card"
aggregate = "distinct"
of = "channel"
window = "1d"
[[feature]]
name = "frauds"
entity = "card"
aggregate = "count"
of = "label"
window = "1d"
delay = "1ms"
"#;

const POLICY: &str =
    "[thresholds]\ndecline = 0.9\n[fallback]\nno_model = \"approve\"\nmodel_failed = \"approve\"\n";

/// A set-up and the files of one run.
struct World {
    dir: TempDir,
    setup: Setup,
}

impl World {
    fn of(config: &str) -> World {
        let dir = TempDir::new().unwrap();
        for (name, text) in [("tripline.toml", config), ("features.toml", FEATURES), ("policy.toml", POLICY)]
        {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let setup = load(&dir.path().join("tripline.toml"), &[], Vec::new()).unwrap();
        World { dir, setup }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        let path = self.path(name);
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        path
    }

    fn replay(
        &self,
        payments: &Path,
        labels: Option<&Path>,
        out: &Path,
        limit: Option<u64>,
    ) -> Result<Counts, ReplayError> {
        let replay = Replay {
            mapping: Arc::clone(&self.setup.config.mapping),
            definitions: Arc::clone(&self.setup.definitions),
            limits: &self.setup.config.limits,
            deciders: Deciders { model: None, policy: Arc::clone(&self.setup.policy), lists: Arc::default() },
        };
        replay.run(Files { payments, labels, out, limit }, |_, _| {})
    }

    fn rows(&self, payments: &Path, labels: Option<&Path>) -> (Counts, RecordBatch) {
        let out = self.path("out.parquet");
        let counts = self.replay(payments, labels, &out, None).unwrap();
        (counts, only(&out))
    }
}

fn only(path: &Path) -> RecordBatch {
    let all: Vec<_> = batches(path).collect();
    arrow::compute::concat_batches(&all[0].schema(), &all).unwrap()
}

fn ints(batch: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().iter().collect()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    batch
        .column_by_name(name)
        .unwrap()
        .as_string::<i32>()
        .iter()
        .map(|text| text.map(str::to_owned))
        .collect()
}

fn array<A: Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

/// Three payments of one card, ten seconds apart.
fn plain() -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("id", array(Int64Array::from(vec![11, 12, 13]))),
        ("at", array(TimestampMillisecondArray::from(vec![100_000, 110_000, 120_000]))),
        ("cents", array(Int64Array::from(vec![100, 20, 3]))),
        ("card", array(Int64Array::from(vec![7, 7, 7]))),
        ("channel", array(StringArray::from(vec![Some("online"), None, Some("shop")]))),
    ]
}

fn with(name: &'static str, column: ArrayRef) -> Vec<(&'static str, ArrayRef)> {
    plain().into_iter().map(|(n, c)| if n == name { (n, column.clone()) } else { (n, c) }).collect()
}

fn expected(batch: &RecordBatch, what: &str) {
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(texts(batch, "transaction_id"), [some("11"), some("12"), some("13")], "{what}");
    let times = batch.column_by_name("event_time").unwrap().as_primitive::<TimestampMillisecondType>();
    assert_eq!(times.values()[..], [100_000, 110_000, 120_000], "{what}");
    assert_eq!(times.timezone(), Some("UTC"), "{what}");
    assert_eq!(ints(batch, "n"), [Some(1), Some(2), Some(3)], "{what}");
    assert_eq!(ints(batch, "sum"), [Some(100), Some(120), Some(123)], "{what}");
    assert_eq!(ints(batch, "channels"), [Some(1), Some(1), Some(2)], "{what}");
    assert_eq!(ints(batch, "frauds"), [Some(0); 3], "{what}");
    assert_eq!(texts(batch, "outcome"), vec![some("decided"); 3], "{what}");
    assert_eq!(texts(batch, "decision"), vec![some("approve"); 3], "{what}");
    assert_eq!(
        batch.column_by_name("score").unwrap().as_primitive::<Float64Type>().null_count(),
        3,
        "{what}"
    );
    assert_eq!(texts(batch, "model"), [None, None, None], "{what}");
    assert!(texts(batch, "policy").iter().all(Option::is_some), "{what}");
}

#[test]
fn integers_of_any_width_and_times_of_any_unit_are_taken() {
    let world = World::of(CONFIG);
    let texts = ["7", "7", "7"];
    let dictionary: DictionaryArray<Int32Type> = texts.into_iter().collect();
    let decimal = Decimal128Array::from(vec![10_000, 2_000, 300]).with_precision_and_scale(9, 2).unwrap();
    for (what, columns) in [
        ("plain", plain()),
        ("int8", with("id", array(Int8Array::from(vec![11, 12, 13])))),
        ("uint8", with("id", array(UInt8Array::from(vec![11, 12, 13])))),
        ("int16", with("cents", array(Int16Array::from(vec![100, 20, 3])))),
        ("uint16", with("cents", array(UInt16Array::from(vec![100, 20, 3])))),
        ("int32", with("cents", array(Int32Array::from(vec![100, 20, 3])))),
        ("uint32", with("cents", array(UInt32Array::from(vec![100, 20, 3])))),
        ("uint64", with("cents", array(UInt64Array::from(vec![100, 20, 3])))),
        ("float64", with("cents", array(Float64Array::from(vec![100.0, 20.0, 3.0])))),
        ("decimal", with("cents", array(decimal))),
        ("seconds", with("at", array(TimestampSecondArray::from(vec![100, 110, 120])))),
        (
            "microseconds",
            with("at", array(TimestampMicrosecondArray::from(vec![100_000_999, 110_000_000, 120_000_001]))),
        ),
        (
            "nanoseconds",
            with(
                "at",
                array(TimestampNanosecondArray::from(vec![
                    100_000_000_000,
                    110_000_999_999,
                    120_000_000_000,
                ])),
            ),
        ),
        ("text", with("card", array(StringArray::from(texts.to_vec())))),
        ("large text", with("card", array(LargeStringArray::from(texts.to_vec())))),
        ("text view", with("card", array(StringViewArray::from(texts.to_vec())))),
        ("dictionary", with("card", array(dictionary))),
    ] {
        let payments = world.write("payments.parquet", columns);
        let (counts, batch) = world.rows(&payments, None);
        assert_eq!((counts.payments, counts.decided), (3, 3), "{what}");
        expected(&batch, what);
    }
}

#[test]
fn a_path_is_a_nested_column_or_one_of_that_very_name() {
    let world = World::of(&CONFIG.replace("\"card\"", "\"card.number\""));
    let numbers = array(Int64Array::from(vec![7, 7, 7]));
    let nested =
        StructArray::try_from(vec![("other", numbers.clone()), ("number", numbers.clone())]).unwrap();
    let rest = || plain().into_iter().filter(|(name, _)| *name != "card").collect::<Vec<_>>();
    for (what, name, column) in [("nested", "card", array(nested)), ("dotted", "card.number", numbers)] {
        let mut columns = rest();
        columns.push((name, column));
        let payments = world.write("payments.parquet", columns);
        expected(&world.rows(&payments, None).1, what);
    }
}

#[test]
fn an_id_of_64_bits_without_a_sign_keeps_its_digits() {
    let world = World::of(CONFIG);
    let ids = UInt64Array::from(vec![u64::MAX, u64::MAX - 1, 13]);
    let payments = world.write("payments.parquet", with("id", array(ids)));
    let (counts, batch) = world.rows(&payments, None);
    assert_eq!(counts.decided, 3);
    assert_eq!(texts(&batch, "transaction_id")[0].as_deref(), Some("18446744073709551615"));
}

#[test]
fn all_that_is_wrong_with_the_files_is_said_at_once_and_nothing_is_left() {
    let world = World::of(CONFIG);
    let columns = plain().into_iter().filter(|(name, _)| *name != "at").collect::<Vec<_>>();
    let columns = columns.into_iter().map(|(name, column)| match name {
        "cents" => (name, array(arrow::array::Date32Array::from(vec![1, 2, 3]))),
        _ => (name, column),
    });
    let payments = world.write("payments.parquet", columns.collect());
    let labels = world.write("labels.parquet", vec![("transaction_id", array(Int64Array::from(vec![1])))]);
    let out = world.path("nowhere/out.parquet");
    let Err(ReplayError::Input(problems)) = world.replay(&payments, Some(&labels), &out, None) else {
        panic!("taken");
    };
    let text = problems.to_string();
    for part in [
        "payment.event_time: found no column \"at\"; expected one of its columns: id, cents, card, channel",
        "payment.amount: found column \"cents\" of type Date32",
        "found no column \"label\"",
        "found no column \"label_time\"",
        "--out: found",
    ] {
        assert!(text.contains(part), "{part} not in\n{text}");
    }
    assert_eq!(problems.0.len(), 5, "{text}");
    assert!(!world.path("nowhere").exists());

    let good = world.write("good.parquet", plain());
    let before = std::fs::read(&good).unwrap();
    assert!(
        matches!(world.replay(&good, None, &good, None), Err(ReplayError::Input(_))),
        "reads what it writes"
    );
    assert_eq!(std::fs::read(&good).unwrap(), before);
    assert!(matches!(world.replay(&good, None, world.dir.path(), None), Err(ReplayError::Input(_))));
    let left: Vec<_> =
        std::fs::read_dir(world.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
}

#[test]
fn a_file_that_is_cut_short_is_refused() {
    let world = World::of(CONFIG);
    let payments = world.write("payments.parquet", plain());
    let bytes = std::fs::read(&payments).unwrap();
    std::fs::write(&payments, &bytes[..bytes.len() - 20]).unwrap();
    let out = world.path("out.parquet");
    assert!(matches!(world.replay(&payments, None, &out, None), Err(ReplayError::Input(_))));
    assert!(!out.exists());
}

#[test]
fn i10_rows_that_are_not_decided_are_there_with_their_reason() {
    let world = World::of(CONFIG);
    let day = 86_400_000;
    let ids = vec![Some("a"), Some("a"), Some("a"), None, Some("b"), Some("c"), Some("d")];
    let times = vec![3 * day, 3 * day, 3 * day, 3 * day, 3 * day, day, 3 * day + 1];
    let cents = vec![100, 100, 101, 100, -1, 100, 7];
    let payments = world.write(
        "payments.parquet",
        vec![
            ("id", array(StringArray::from(ids.clone()))),
            ("at", array(TimestampMillisecondArray::from(times))),
            ("cents", array(Int64Array::from(cents))),
            ("card", array(Int64Array::from(vec![7; 7]))),
        ],
    );
    let (counts, batch) = world.rows(&payments, None);
    assert_eq!((counts.payments, counts.decided, counts.duplicates), (7, 2, 1));
    assert_eq!(counts.dead_letters.values().sum::<u64>(), 4);
    assert_eq!(counts.absent_columns, ["channel"], "said, since a typing error looks the same");
    let owned = |words: [Option<&str>; 7]| words.map(|word| word.map(str::to_owned)).to_vec();
    assert_eq!(texts(&batch, "transaction_id"), owned(ids.try_into().unwrap()));
    let dead = Some("dead_letter");
    let outcomes = [Some("decided"), Some("duplicate"), dead, dead, dead, dead, Some("decided")];
    assert_eq!(texts(&batch, "outcome"), owned(outcomes));
    let reasons = [
        None,
        None,
        Some("conflict"),
        Some("field_missing"),
        Some("amount_out_of_range"),
        Some("late"),
        None,
    ];
    assert_eq!(texts(&batch, "reason"), owned(reasons));
    assert_eq!(ints(&batch, "sum"), [Some(100), None, None, None, None, None, Some(107)]);
    assert_eq!(texts(&batch, "decision").iter().filter(|word| word.is_some()).count(), 2);
}

/// Many payments of one card a second apart, the first of them fraud; when is that seen?
fn seen_from(
    world: &World,
    payments: &Path,
    count: usize,
    label_time: i64,
    fraud: ArrayRef,
) -> (usize, Counts) {
    let labels = world.write(
        "labels.parquet",
        vec![
            ("label_time", array(TimestampMillisecondArray::from(vec![label_time, 1]))),
            ("label", fraud),
            ("transaction_id", array(StringArray::from(vec!["0", "nobody"]))),
        ],
    );
    let (counts, batch) = world.rows(payments, Some(&labels));
    let frauds = ints(&batch, "frauds");
    assert_eq!(frauds.len(), count);
    let first = frauds.iter().position(|frauds| *frauds == Some(1)).unwrap_or(count);
    assert!(frauds[first..].iter().all(|frauds| *frauds == Some(1)));
    (first, counts)
}

#[test]
fn a_label_counts_from_the_first_payment_that_is_not_before_it() {
    let world = World::of(CONFIG);
    let count = 1_500;
    let times: Vec<i64> = (0..count as i64).map(|i| 1_000_000 + 1_000 * i).collect();
    let payments = world.write(
        "payments.parquet",
        vec![
            ("id", array(Int64Array::from_iter_values(0..count as i64))),
            ("at", array(TimestampMillisecondArray::from(times.clone()))),
            ("cents", array(Int64Array::from(vec![1; count]))),
            ("card", array(Int64Array::from(vec![7; count]))),
        ],
    );
    // In the middle of a batch of 512, at its edges, and around the last payment.
    for at in [1, 300, 511, 512, 513, 1_023, 1_024, count - 1] {
        for (shift, sees) in [(-1, at), (0, at), (1, at + 1)] {
            let fraud = array(Int8Array::from(vec![1, 0]));
            let (first, counts) = seen_from(&world, &payments, count, times[at] + shift, fraud);
            assert_eq!(first, sees, "label at {at} {shift:+}");
            let known = 1 + u64::from(sees < count);
            let labels = counts.labels;
            assert_eq!((labels.read, labels.known, labels.without_payment), (2, known, 1));
        }
    }
    let fraud = array(BooleanArray::from(vec![true, false]));
    assert_eq!(seen_from(&world, &payments, count, times[5], fraud).0, 5, "a boolean");
    let honest = array(Int64Array::from(vec![0, 0]));
    assert_eq!(seen_from(&world, &payments, count, times[5], honest).0, count, "not fraud");
}

#[test]
fn a_limit_ends_early_with_the_same_values() {
    let world = World::of(CONFIG);
    let payments = world.write("payments.parquet", plain());
    let out = world.path("out.parquet");
    for limit in [0, 1, 2, 3, 4] {
        let counts = world.replay(&payments, None, &out, Some(limit)).unwrap();
        let rows = batches(&out).map(|batch| batch.num_rows()).sum::<usize>();
        assert_eq!((counts.payments, rows as u64), (limit.min(3), limit.min(3)));
    }
    world.replay(&payments, None, &out, Some(2)).unwrap();
    assert_eq!(ints(&only(&out), "sum"), [Some(100), Some(120)]);
}

#[test]
fn the_command_says_what_came_of_it_and_refuses_with_2() {
    let world = World::of(CONFIG);
    let payments = world.write("payments.parquet", plain());
    let run = |payments: &Path| {
        Command::new(harness::process::binary())
            .args(["replay", "--config"])
            .arg(world.path("tripline.toml"))
            .arg("--payments")
            .arg(payments)
            .arg("--out")
            .arg(world.path("out.parquet"))
            .arg("--json")
            .arg(world.path("summary.json"))
            .output()
            .unwrap()
    };
    let done = run(&payments);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(done.stdout.is_empty(), "standard output is for results");
    assert!(said.contains("payments    3") && said.contains("payments a CPU second"), "{said}");
    let text = std::fs::read_to_string(world.path("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(summary["counts"]["decided"], 3, "{text}");
    for figure in ["wall_seconds", "cpu_seconds", "payments_per_cpu_second", "peak_resident_bytes"] {
        assert!(summary[figure].is_number(), "{figure}: {text}");
    }
    expected(&only(&world.path("out.parquet")), "the command's");

    let wrong = run(&world.path("nothing.parquet"));
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{said}");
    assert!(said.contains("nothing.parquet"), "{said}");
}
