//! `bench reconcile`: the batch kernel over files, beside DuckDB over the same files with the same features as SQL, and
//! the stream's algebra (`replay`), each in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use batch::sql::{Dialect, features_sql};
use feature_store::definition::Vocabulary;
use serde_json::{Value, json};

use super::{Figure, figure, review};
use crate::config::{Setup, load};
use crate::demo::unpack;
use crate::recompute::Recompute;
use crate::simulate::{Simulation, World, file};
use crate::telemetry::process_figures;

/// Payments of the simulated runs: the second says whether the time grows with them.
const PAYMENTS: [usize; 2] = [1_000_000, 10_000_000];
/// The same to see that it works.
const FEW: [usize; 2] = [20_000, 40_000];
/// Simulated days; a hundred cards and twenty merchants for each thousand payments.
const DAYS: f64 = 60.0;
/// When the handbook's labels are known, days.
const DELAY_DAYS: i64 = 7;

/// Set for the process that is measured.
pub const WORKER: &str = "TRIPLINE_BENCH_KERNEL";

/// The handbook's example.
const EXAMPLE: [(&str, &str); 3] = [
    ("tripline.toml", include_str!("../../../deploy/examples/handbook/tripline.toml")),
    ("features.toml", include_str!("../../../deploy/examples/handbook/features.toml")),
    ("policy.toml", include_str!("../../../deploy/examples/handbook/policy.toml")),
];

/// The payments' columns under the names of the features' SQL.
const SIMULATED: &str = "transaction_id, epoch_ms(event_time) AS event_time_ms, amount_minor, currency, card_id AS card, \
     card_id AS card_field, merchant_id AS merchant, merchant_id AS merchant_field, device_id AS device, \
     device_id AS device_field, channel, file_row_number AS ord";
const HANDBOOK: &str = "TRANSACTION_ID::VARCHAR AS transaction_id, epoch_ms(TX_DATETIME) AS event_time_ms, \
     TX_AMOUNT_CENTS AS amount_minor, 'EUR' AS currency, CUSTOMER_ID::VARCHAR AS customer, TERMINAL_ID::VARCHAR AS terminal, \
     file_row_number AS ord";

/// What is computed once by each.
struct Work<'a> {
    name: String,
    config: PathBuf,
    files: PathBuf,
    columns: &'a str,
}

/// Runs it: over the handbook's payments too where their folder is named.
///
/// # Errors
/// When a file cannot be written, or what is measured failed.
pub fn run(quick: bool, handbook: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let mut figures = Vec::new();
    if let Some(data) = handbook {
        let work = of_handbook(data, &folder.path().join("handbook"))?;
        figures.extend(compared(&work)?);
    }
    let config = unpack(folder.path())?;
    for payments in if quick { FEW } else { PAYMENTS } {
        let files = folder.path().join(payments.to_string());
        simulated(payments, &files)?;
        let (name, config) = (payments.to_string(), config.clone());
        figures.extend(compared(&Work { name, config, files: files.clone(), columns: SIMULATED })?);
        std::fs::remove_dir_all(&files)?;
    }
    Ok(figures)
}

/// The kernel and DuckDB, one after the other.
fn compared(work: &Work<'_>) -> anyhow::Result<Vec<Figure>> {
    let kernel = measured(work)?;
    let payments = kernel["rows"].as_u64().unwrap_or(0);
    let features = load(&work.config, &[], Vec::new())?.definitions.features.len();
    let mut figures = Vec::new();
    let mut add = |by: &str, name: &str, figures_of: &Value| {
        for (figure_name, text, key) in [
            ("wall_seconds", "wall seconds", "wall"),
            ("cpu_seconds", "CPU seconds", "cpu"),
            ("peak_mib", "MiB at most", "peak_mib"),
        ] {
            figures.push(figure(
                format!("{name}_{figure_name}_{}", work.name),
                format!("{payments} payments x {features} features: {by}, {text}"),
                figures_of[key].as_f64().unwrap_or(0.0),
            ));
        }
    };
    add("kernel", "kernel", &kernel);
    match duckdb(work)? {
        Some(duckdb) => add("DuckDB", "duckdb", &duckdb),
        None => figures.push(figure("duckdb", "DuckDB is not here: deploy/local/duckdb", 0.0)),
    }
    Ok(figures)
}

/// The handbook's four months, every payment with its label.
fn of_handbook(data: &Path, files: &Path) -> anyhow::Result<Work<'static>> {
    std::fs::create_dir_all(files)?;
    for (name, text) in EXAMPLE {
        std::fs::write(files.join(name), text)?;
    }
    let payments = review::transactions(data)?;
    std::os::unix::fs::symlink(std::path::absolute(&payments)?, files.join("payments.parquet"))?;
    review::labels(&review::truths(&payments)?, DELAY_DAYS, &files.join("labels.parquet"))?;
    let (name, config) = ("handbook".to_owned(), files.join("tripline.toml"));
    Ok(Work { name, config, files: files.to_owned(), columns: HANDBOOK })
}

fn simulated(payments: usize, files: &Path) -> anyhow::Result<()> {
    let count = u32::try_from(payments / 1_000).unwrap_or(u32::MAX);
    let world = World {
        cards: count.saturating_mul(100),
        merchants: count.saturating_mul(20),
        payments_per_day: payments as f64 / DAYS,
        ..World::default()
    };
    file::write(Simulation::new(world), payments, files)
}

/// The kernel in a process of its own, so that its memory is its own.
fn measured(work: &Work<'_>) -> anyhow::Result<Value> {
    let program = std::env::current_exe().context("this program")?;
    let output = Command::new(program)
        .args(["bench", "reconcile"])
        .env(WORKER, json!([work.config, work.files]).to_string())
        .stderr(Stdio::inherit())
        .output()?;
    serde_json::from_slice(&output.stdout).context("what the measured process said")
}

/// What the measured process does.
///
/// # Errors
/// When a file is wrong.
pub fn work(told: &str) -> anyhow::Result<Value> {
    let [config, files]: [PathBuf; 2] = serde_json::from_str(told)?;
    let setup: Setup = load(&config, &[], Vec::new())?;
    let (payments, labels) = (files.join("payments.parquet"), files.join("labels.parquet"));
    let began = std::time::Instant::now();
    let recompute = Recompute {
        mapping: &setup.config.mapping,
        definitions: &setup.definitions,
        payments: &payments,
        labels: Some(&labels),
        folder: &files,
    };
    let mut checksum = 0_u64;
    let rows = recompute.run(&|_| {}, |vector| {
        checksum = vector
            .iter()
            .fold(checksum, |sum, value| sum.wrapping_add(value.as_f64().unwrap_or(0.0).to_bits()));
    })?;
    let figures = process_figures().context("what the process used")?;
    Ok(json!({
        "rows": rows, "checksum": checksum, "wall": began.elapsed().as_secs_f64(), "cpu": figures.cpu_seconds,
        "peak_mib": figures.peak_bytes as f64 / 1_048_576.0,
    }))
}

/// DuckDB over the same files; `None` where it is not installed.
fn duckdb(work: &Work<'_>) -> anyhow::Result<Option<Value>> {
    let script = Path::new("deploy/local/duckdb");
    if !script.exists() {
        return Ok(None);
    }
    let setup = load(&work.config, &[], Vec::new())?;
    let sql = features_sql(&setup.definitions, &Vocabulary::of(&setup.config.mapping), Dialect::DuckDb);
    let file = work.files.join("features.sql");
    std::fs::write(&file, sql)?;
    let output = Command::new(script)
        .args(["bench".as_ref(), file.as_os_str(), work.files.as_os_str(), work.columns.as_ref()])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("{} failed", script.display());
    }
    serde_json::from_slice(&output.stdout).map(Some).context("what DuckDB said")
}
