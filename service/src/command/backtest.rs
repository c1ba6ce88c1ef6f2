//! `tripline backtest`: what another policy would have decided, before anyone publishes it.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use batch::numbers::Money;
use indicatif::ProgressBar;
use models::Model;
use schemas::problem::Problem;

use super::reconcile::day_or_time;
use crate::cli::{CommandError, ConfigArgs};
use crate::reconcile::backtest::{Backtest, Outcome, Trial, backtest, policy};

/// What `backtest` is told.
#[derive(Debug, clap::Args)]
pub struct BacktestArgs {
    /// The policy that is tried
    #[arg(long, value_name = "FILE")]
    pub policy: PathBuf,
    /// A model directory whose scores replace those that were
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Payments from this event time on: a day or a time
    #[arg(long, value_name = "TIME", value_parser = day_or_time)]
    pub from: Option<i64>,
    /// Payments before this event time
    #[arg(long, value_name = "TIME", value_parser = day_or_time)]
    pub to: Option<i64>,
    /// Says it as JSON
    #[arg(long)]
    pub json: bool,
    /// The config
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Runs it.
///
/// # Errors
/// When the policy or the model is wrong, or the archive cannot be read.
pub fn run(args: &BacktestArgs) -> Result<(), CommandError> {
    let setup = args.config.load()?;
    let tried = policy(&setup, &args.policy)?;
    let names: Vec<&str> = setup.definitions.features.iter().map(|feature| feature.name.as_str()).collect();
    let load = |dir: &PathBuf| {
        let wrong = |error: models::ModelError| {
            Problem::new(
                dir.display().to_string(),
                "--model",
                error.to_string(),
                "a model directory that passes `tripline model check`",
            )
        };
        Model::load(dir, &names).map(Arc::new).map_err(wrong)
    };
    let model = args.model.as_ref().map(load).transpose()?;
    let bar = ProgressBar::new_spinner();
    let trial = Trial {
        policy: tried,
        model,
        from_ms: args.from.unwrap_or(i64::MIN),
        to_ms: args.to.unwrap_or(i64::MAX),
        progress: &|payments| bar.set_message(format!("{payments} payments")),
    };
    let result = backtest(&setup, &trial).map_err(|error| anyhow!(error))?;
    bar.finish_and_clear();
    let mut out = std::io::stdout().lock();
    if args.json {
        let text = serde_json::to_string_pretty(&result).context("JSON")?;
        writeln!(out, "{text}").context("standard output")?;
        return Ok(());
    }
    Ok(say(&result, &mut out).context("standard output")?)
}

type Of = fn(&Outcome) -> &Money;

fn say(result: &Backtest, out: &mut impl Write) -> std::io::Result<()> {
    let Backtest { payments, labelled, days, left_out, before, after, changes } = result;
    writeln!(
        out,
        "{payments} payments of {days} days, {labelled} with a label; {left_out} of another features file left out"
    )?;
    writeln!(out, "{:<28} {:>36} {:>36}", "", "as it was", "as it would be")?;
    let mut row = |name: &str, one: String, other: String| writeln!(out, "{name:<28} {one:>36} {other:>36}");
    for verdict in ["approve", "review", "challenge", "decline"] {
        let of = |outcome: &Outcome| outcome.verdicts.get(verdict).cloned().unwrap_or_default();
        row(verdict, shown(&of(before)), shown(&of(after)))?;
    }
    let lines: [(&str, Of); 3] = [
        ("fraud caught", |outcome| &outcome.caught),
        ("fraud missed", |outcome| &outcome.missed),
        ("false alarms", |outcome| &outcome.false_alarms),
    ];
    for (name, of) in lines {
        row(name, shown(of(before)), shown(of(after)))?;
    }
    let daily = |outcome: &Outcome| format!("{:.1}", outcome.alerts as f64 / (*days).max(1) as f64);
    row("alerts a day", daily(before), daily(after))?;
    let loss = |outcome: &Outcome| {
        let each = outcome.expected_loss_minor.iter().map(|(currency, minor)| format!("{minor} {currency}"));
        each.collect::<Vec<_>>().join(", ")
    };
    row("expected loss, minor units", loss(before), loss(after))?;
    writeln!(out, "what changes")?;
    for (from, to, money) in changes {
        writeln!(out, "  {:<26} {}", format!("{from} -> {to}"), shown(money))?;
    }
    Ok(())
}

fn shown(money: &Money) -> String {
    let each = money.amount_minor.iter().map(|(currency, minor)| format!("{minor} {currency}"));
    let sums: Vec<String> = each.collect();
    if sums.is_empty() { money.count.to_string() } else { format!("{} ({})", money.count, sums.join(", ")) }
}
