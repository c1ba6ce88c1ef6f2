//! `tripline bench review` over a world that is small enough to know beforehand what each order finds.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use harness::process::binary;
use parquet::arrow::ArrowWriter;
use serde_json::Value;

const DAY_US: i64 = 86_400_000_000;
const HOUR_US: i64 = 3_600_000_000;

/// 30 days to learn from, 7 of delay, 24 that are reviewed.
const DAYS: i64 = 61;
/// Customers who pay ten a day, before eight o'clock.
const HONEST: i64 = 40;
/// Fraud of each day, at nine, ten and eleven, each on a card of its own.
const FRAUDS: [i64; 3] = [30_000, 40_000, 50_000];

/// Time, customer, terminal, cents, fraud.
type Row = (i64, i64, i64, i64, i64);

/// The payments in the handbook's columns.
fn write(folder: &Path) {
    let mut rows: Vec<Row> = Vec::new();
    for day in 0..DAYS {
        let start = (17_700 + day) * DAY_US;
        rows.extend((0..HONEST).map(|n| (start + n * 600_000_000, n, n % 7, 1_000 + n, 0)));
        let fraud = |(n, cents): (usize, &i64)| {
            let n = n as i64;
            (start + (9 + n) * HOUR_US, 1_000 + day * 3 + n, n, *cents, 1)
        };
        rows.extend(FRAUDS.iter().enumerate().map(fraud));
    }
    let column = |of: &dyn Fn(&Row) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
    };
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows.len() as i64));
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.0)));
    let batch = RecordBatch::try_from_iter([
        ("TRANSACTION_ID", ids),
        ("TX_DATETIME", times),
        ("CUSTOMER_ID", column(&|row| row.1)),
        ("TERMINAL_ID", column(&|row| row.2)),
        ("TX_AMOUNT_CENTS", column(&|row| row.3)),
        ("TX_FRAUD", column(&|row| row.4)),
    ]);
    let batch = batch.unwrap();
    let file = std::fs::File::create(folder.join("transactions_made-up.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn i9_reviews_find_what_their_order_puts_first() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let json = dir.path().join("figures.json");
    let mut command = Command::new(binary());
    command.args(["bench", "review", "--reviews", "2", "--json"]).arg(&json).arg(dir.path());
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    println!("{said}");
    let figures: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    let of = |name: &str| figures["review"][name].as_f64().unwrap_or_else(|| panic!("{name}: {figures}"));
    // Three frauds a day and nothing else raises an alert; there is time for two, at noon and at midnight.
    assert_eq!((of("alerts_a_day"), of("fraud_money"), of("fraud_cards")), (3.0, 24.0 * 1_200.0, 72.0));
    assert!(of("auc") > 0.999, "{}", of("auc"));
    for order in ["rank", "loss", "amount", "score", "arrival", "hindsight"] {
        let [reviews, found, cards] =
            ["reviews", "found", "cards"].map(|what| of(&format!("{order}_{what}")));
        assert_eq!((reviews, found, cards), (48.0, 48.0, 48.0), "{order}");
    }
    // The two largest of each day; the first 48 of all, which are those of 16 days.
    assert_eq!((of("loss_money"), of("amount_money")), (24.0 * 900.0, 24.0 * 900.0));
    assert_eq!((of("hindsight_money"), of("arrival_money")), (24.0 * 900.0, 16.0 * 1_200.0));
    assert!((of("arrival_money")..=of("loss_money")).contains(&of("rank_money")), "{}", of("rank_money"));
    // A folder without payments is the user's mistake, and said.
    let empty = tempfile::tempdir().unwrap();
    let out = Command::new(binary()).args(["bench", "review"]).arg(empty.path()).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && said.contains("transactions_*.parquet"), "{said}");
}
