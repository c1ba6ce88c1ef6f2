//! `tripline reconcile`: computes everything again from the archive, and says what differs.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, anyhow};
use batch::drift::MUCH;
use batch::numbers::Numbers;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{CommandError, ConfigArgs};
use crate::http::moment;
use crate::reconcile::drift::{NO_REFERENCE, Reference};
use crate::reconcile::publish::{Outlets, Sent, publish};
use crate::reconcile::{self, Progress, Span};
use crate::telemetry::process_figures;
use crate::worker;

/// What `reconcile` is told.
#[derive(Debug, clap::Args)]
pub struct ReconcileArgs {
    /// Compares payments from this event time on: a day (2026-11-26) or a time (RFC 3339); all are computed
    #[arg(long, value_name = "TIME", value_parser = day_or_time)]
    pub from: Option<i64>,
    /// Compares payments before this event time
    #[arg(long, value_name = "TIME", value_parser = day_or_time)]
    pub to: Option<i64>,
    /// The folder of the results: report.html, report.json, findings.jsonl, corrections.jsonl
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Measures drift against this file of `export-training`; without it against `reconcile.reference`, if there is one
    #[arg(long, value_name = "FILE.parquet")]
    pub reference: Option<PathBuf>,
    /// Sends the corrections to this topic, all in one transaction
    #[arg(long, value_name = "TOPIC")]
    pub publish: Option<String>,
    /// Sends the alerts that were missed to this topic, in the same transaction: the queue takes them in from
    /// reconcile.missed_alerts
    #[arg(long, value_name = "TOPIC")]
    pub missed_alerts: Option<String>,
    /// The config
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// A day or a time of the command line.
///
/// # Errors
/// What would be right.
pub fn day_or_time(text: &str) -> Result<i64, String> {
    let day = moment(&format!("{text}T00:00:00Z"));
    day.or_else(|| moment(text))
        .ok_or_else(|| "a day such as 2026-11-26, or a time such as 2026-11-26T08:00:00Z".to_owned())
}

/// Reconciles.
///
/// # Errors
/// That something is unexplained, or that the archive cannot be read.
pub fn run(args: &ReconcileArgs) -> Result<(), CommandError> {
    let setup = args.config.load()?;
    let span = Span {
        from_ms: args.from.unwrap_or(i64::MIN),
        to_ms: args.to.unwrap_or(i64::MAX),
        out: args.out.clone(),
    };
    let reference = args.reference.as_ref().or(setup.config.reconcile.reference.as_ref());
    let against = match reference {
        Some(file) => Ok(Reference::read(file, &setup.definitions)?),
        None => Err(NO_REFERENCE.to_owned()),
    };
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let began = Instant::now();
    let numbers = reconcile::run(&setup, &span, against, &|progress| match progress {
        Progress::Read(done) => {
            bar.set_message("reading");
            bar.set_position(done);
        }
        Progress::Computed(done, of) => {
            bar.set_message("computing");
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        }
        Progress::Compared(done, of) => {
            bar.set_message("comparing");
            bar.set_length(of);
            bar.set_position(done);
        }
    });
    bar.finish_and_clear();
    let numbers = numbers.map_err(anyhow::Error::from)?;
    say(&numbers, began.elapsed().as_secs_f64()).context("standard output")?;
    let outlets = Outlets {
        corrections: args.publish.clone(),
        missed_alerts: args.missed_alerts.clone(),
        missed_minor: setup.config.reconcile.outlets.missed_minor,
    };
    if !outlets.is_empty() {
        let kafka = worker::options(&setup, "corrections".to_owned());
        let Sent { corrections, missed_alerts } = publish(&setup.config, &kafka, &outlets, &args.out)?;
        writeln!(
            std::io::stdout(),
            "{corrections} corrections published, {missed_alerts} alerts that were missed"
        )
        .context("standard output")?;
    }
    match numbers.unexplained() {
        0 => Ok(()),
        differences => {
            let where_to = args.out.join("findings.jsonl");
            Err(anyhow!(
                "unexplained: {differences} differences have no explanation, see {}",
                where_to.display()
            )
            .into())
        }
    }
}

fn say(numbers: &Numbers, wall_seconds: f64) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", numbers.run)?;
    for (word, count) in &numbers.records {
        writeln!(out, "  {count:>12} {word}")?;
    }
    writeln!(out, "{:<28} {:>12} {:>12} {:>12}", "check", "compared", "differ", "unexplained")?;
    for check in &numbers.checks {
        let (word, compared) = (&check.check, check.compared);
        writeln!(out, "{word:<28} {compared:>12} {:>12} {:>12}", check.differences, check.unexplained)?;
    }
    for class in &numbers.classes {
        writeln!(out, "{:<20} {:>12}  {}", class.class, class.count, class.meaning)?;
    }
    writeln!(out, "{} corrections", numbers.corrections.count)?;
    match &numbers.reference.missing {
        Some(why) => writeln!(out, "drift was not measured: {why}")?,
        None => {
            let much = numbers.drift.iter().filter(|drift| drift.psi >= MUCH);
            let much: Vec<&str> = much.map(|drift| drift.name.as_str()).collect();
            writeln!(
                out,
                "much drift (PSI of {MUCH} or more) in {} of {}: {}",
                much.len(),
                numbers.drift.len(),
                much.join(", ")
            )?;
        }
    }
    let figures = process_figures().context("what the process used")?;
    let (cpu, peak) = (figures.cpu_seconds, figures.peak_bytes >> 20);
    writeln!(out, "wall {wall_seconds:.1} s, CPU {cpu:.1} s, memory {peak} MiB at most")?;
    Ok(())
}
