//! `bench reconcile`: the batch kernel over files, beside DuckDB over the same files with the same features as SQL, and
//! the stream's algebra (`replay`), each in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use batch::sql::{Dialect, features_sql};
use feature_store::definition::Vocabulary;
use serde_json::{Value, json};

use super::{Figure, figure};
use crate::config::{Setup, load};
use crate::demo::unpack;
use crate::recompute::Recompute;
use crate::simulate::{Simulation, World, file};
use crate::telemetry::process_figures;

/// Payments of the two runs: the second says whether the time grows with them.
const PAYMENTS: [usize; 2] = [1_000_000, 4_000_000];
/// The same to see that it works.
const FEW: [usize; 2] = [20_000, 40_000];
/// Simulated days; a hundred cards and twenty merchants for each thousand payments.
const DAYS: f64 = 60.0;

/// Set for the process that is measured.
pub const WORKER: &str = "TRIPLINE_BENCH_KERNEL";

/// Runs it.
///
/// # Errors
/// When a file cannot be written, or what is measured failed.
pub fn run(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let config = unpack(folder.path())?;
    let mut figures = Vec::new();
    for payments in if quick { FEW } else { PAYMENTS } {
        let files = folder.path().join(payments.to_string());
        simulated(payments, &files)?;
        let kernel = measured(&config, &files)?;
        let of = |name: &str| kernel[name].as_f64().unwrap_or(0.0);
        let add = |figures: &mut Vec<Figure>, name: &str, text: &str, value: f64| {
            figures.push(figure(
                format!("{name}_{payments}"),
                format!("{payments} payments x 26 features: {text}"),
                value,
            ));
        };
        add(&mut figures, "kernel_wall_seconds", "kernel, wall seconds", of("wall"));
        add(&mut figures, "kernel_cpu_seconds", "kernel, CPU seconds", of("cpu"));
        add(&mut figures, "kernel_peak_mib", "kernel, MiB at most", of("peak_mib"));
        match duckdb(&config, &files)? {
            Some(duckdb) => {
                let of = |name: &str| duckdb[name].as_f64().unwrap_or(0.0);
                add(&mut figures, "duckdb_wall_seconds", "DuckDB, wall seconds", of("wall"));
                add(&mut figures, "duckdb_cpu_seconds", "DuckDB, CPU seconds", of("cpu"));
                add(&mut figures, "duckdb_peak_mib", "DuckDB, MiB at most", of("peak_mib"));
            }
            None => add(&mut figures, "duckdb", "DuckDB is not here: deploy/local/duckdb", 0.0),
        }
    }
    Ok(figures)
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
fn measured(config: &Path, files: &Path) -> anyhow::Result<Value> {
    let program = std::env::current_exe().context("this program")?;
    let output = Command::new(program)
        .args(["bench", "reconcile"])
        .env(WORKER, json!([config, files]).to_string())
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
fn duckdb(config: &Path, files: &Path) -> anyhow::Result<Option<Value>> {
    let script = Path::new("deploy/local/duckdb");
    if !script.exists() {
        return Ok(None);
    }
    let setup = load(config, &[], Vec::new())?;
    let sql = features_sql(&setup.definitions, &Vocabulary::of(&setup.config.mapping), Dialect::DuckDb);
    let file = files.join("features.sql");
    std::fs::write(&file, sql)?;
    let output = Command::new(script)
        .args(["bench".as_ref(), file.as_os_str(), files.as_os_str()])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("{} failed", script.display());
    }
    serde_json::from_slice(&output.stdout).map(Some).context("what DuckDB said")
}
