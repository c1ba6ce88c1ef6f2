//! `tripline export-training`: vectors with labels, to train on.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use indicatif::ProgressBar;

use super::reconcile::day_or_time;
use crate::cli::{CommandError, ConfigArgs};
use crate::reconcile::Progress;
use crate::reconcile::training::{Export, Exported, export};

/// What `export-training` is told.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// Payments from this event time on: a day or a time
    #[arg(long, value_name = "TIME", value_parser = day_or_time)]
    pub from: i64,
    /// Payments before this event time
    #[arg(long, value_name = "TIME", value_parser = day_or_time)]
    pub to: i64,
    /// The file: features by event time under their names, as the decision saw them under `seen.NAME`
    #[arg(long, value_name = "FILE.parquet")]
    pub out: PathBuf,
    /// Labels that became known later count as not known; without it all count
    #[arg(long, value_name = "TIME", value_parser = day_or_time)]
    pub labels_known_until: Option<i64>,
    /// At most so many payments, drawn evenly
    #[arg(long, value_name = "N")]
    pub sample: Option<usize>,
    /// With --sample: all known frauds, and so many of the others
    #[arg(long, requires = "sample")]
    pub keep_frauds: bool,
    /// Of the draw
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The config
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Exports.
///
/// # Errors
/// When the archive cannot be read or the file not be written.
pub fn run(args: &ExportArgs) -> Result<(), CommandError> {
    let setup = args.config.load()?;
    let what = Export {
        from_ms: args.from,
        to_ms: args.to,
        labels_until_ms: args.labels_known_until.unwrap_or(i64::MAX),
        sample: args.sample,
        keep_frauds: args.keep_frauds,
        seed: args.seed,
        out: &args.out,
    };
    let bar = ProgressBar::new(0);
    let progress = |progress: Progress| match progress {
        Progress::Read(done) => bar.set_position(done),
        Progress::Computed(done, of) => {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        }
        Progress::Compared(done, of) => {
            bar.set_length(of);
            bar.set_position(done);
        }
    };
    let exported = export(&setup, &what, &progress).map_err(|error| anyhow!(error))?;
    bar.finish_and_clear();
    let Exported { payments, rows, frauds, legitimate } = exported;
    let unknown = rows - frauds - legitimate;
    writeln!(
        std::io::stdout(),
        "{rows} rows of {payments} payments: {frauds} fraud, {legitimate} legitimate, {unknown} without a label"
    )
    .context("standard output")?;
    Ok(())
}
