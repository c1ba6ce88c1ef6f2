//! `tripline replay`: the pipeline over a file of payments.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::{CommandError, ConfigArgs};
use crate::model_folder::ModelFolder;
use crate::pipeline::Deciders;
use crate::policy::Lists;
use crate::replay::{Counts, Files, Replay, ReplayError};
use crate::telemetry::process_figures;

/// What `replay` is told beside the config.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// Payments, in the order in which they are decided
    #[arg(long, value_name = "FILE.parquet")]
    pub payments: PathBuf,
    /// Labels: transaction_id, label (0 or 1), label_time
    #[arg(long, value_name = "FILE.parquet")]
    pub labels: Option<PathBuf>,
    /// Where the decisions and features go, a row for each payment
    #[arg(long, value_name = "FILE.parquet")]
    pub out: PathBuf,
    /// Scores nothing: to train a model on the features
    #[arg(long)]
    pub no_model: bool,
    /// At most so many payments
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Where the summary goes, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Replays, then says what came of it.
///
/// # Errors
/// When a file is wrong or cannot be written.
pub fn run(config: &ConfigArgs, args: &ReplayArgs) -> Result<(), CommandError> {
    let setup = config.load()?;
    let model =
        ModelFolder::of(&setup).filter(|_| !args.no_model).map(|mut folder| folder.open()).transpose()?;
    let replay = Replay {
        mapping: Arc::clone(&setup.config.mapping),
        definitions: Arc::clone(&setup.definitions),
        limits: &setup.config.limits,
        deciders: Deciders { model, policy: Arc::clone(&setup.policy), lists: Arc::new(Lists::empty()) },
    };
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} payments, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let files =
        Files { payments: &args.payments, labels: args.labels.as_deref(), out: &args.out, limit: args.limit };
    let began = Instant::now();
    let counts = replay.run(files, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let counts = counts.map_err(|error| match error {
        ReplayError::Input(problems) => CommandError::Input(problems),
        other => anyhow!(other).into(),
    })?;
    summary(&counts, began.elapsed().as_secs_f64(), args).context("the summary")?;
    Ok(())
}

fn summary(counts: &Counts, wall_seconds: f64, args: &ReplayArgs) -> anyhow::Result<()> {
    let figures = process_figures().context("what the process used")?;
    let per_cpu_second = counts.payments as f64 / figures.cpu_seconds.max(0.001);
    let peak_mib = figures.peak_bytes / (1 << 20);
    let mut out = std::io::stderr().lock();
    writeln!(out, "payments    {}", counts.payments)?;
    writeln!(out, "decided     {}", counts.decided)?;
    writeln!(out, "duplicates  {}", counts.duplicates)?;
    let dead: u64 = counts.dead_letters.values().sum();
    writeln!(out, "dead        {dead}")?;
    for (code, count) in &counts.dead_letters {
        writeln!(out, "    {code:<24} {count}")?;
    }
    let labels = &counts.labels;
    if labels.read > 0 {
        let (read, known, alone) = (labels.read, labels.known, labels.without_payment);
        writeln!(
            out,
            "labels      {read}, {known} known by the last payment, {alone} of them without a payment"
        )?;
    }
    if !counts.absent_columns.is_empty() {
        writeln!(out, "not there   {}: columns taken as null", counts.absent_columns.join(", "))?;
    }
    writeln!(out, "wall        {wall_seconds:.1} s")?;
    writeln!(out, "CPU         {:.1} s, {per_cpu_second:.0} payments a CPU second", figures.cpu_seconds)?;
    writeln!(out, "memory      {peak_mib} MiB at most")?;
    if let Some(file) = &args.json {
        let report = json!({
            "counts": counts,
            "wall_seconds": wall_seconds,
            "cpu_seconds": figures.cpu_seconds,
            "payments_per_cpu_second": per_cpu_second,
            "peak_resident_bytes": figures.peak_bytes,
        });
        std::fs::write(file, format!("{report:#}\n")).with_context(|| file.display().to_string())?;
    }
    Ok(())
}
