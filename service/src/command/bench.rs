//! `tripline bench`: figures, side by side with their yardsticks.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde_json::Value;

use crate::bench;
use crate::cli::CommandError;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// The feature store alone
    Features,
    /// The service between topics of a real Kafka
    Stream,
    /// The callers' door, beside an empty handler
    Rest,
    /// The batch kernel over files, beside DuckDB
    Reconcile,
    /// Fraud that is found in so many reviews a day, by the order in which they are taken; asks for the data
    Review,
    /// All of them, `review` where the data are named
    All,
}

/// What `bench` is told.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// What is measured
    #[arg(value_enum, default_value = "all")]
    what: What,
    /// For `review`, and more for `reconcile`: a folder with the payments of the Fraud Detection Handbook,
    /// transactions_*.parquet
    #[arg(value_name = "DIR")]
    data: Option<PathBuf>,
    /// Reviews a day, for `review`
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    reviews: u32,
    /// A broker to use; without it deploy/local/up starts one of its own
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap: Option<String>,
    /// Lays one value over the config, for `rest` and `review`; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Shorter runs of the callers' door: to see that it works, not for figures
    #[arg(long)]
    quick: bool,
    /// Where the figures go, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// When there is no broker, or something under measurement failed.
pub fn run(args: &BenchArgs) -> Result<(), CommandError> {
    Ok(measure(args)?)
}

fn measure(args: &BenchArgs) -> anyhow::Result<()> {
    if let Ok(told) = std::env::var(bench::recompute::WORKER) {
        write!(std::io::stdout(), "{}", bench::recompute::work(&told)?)?;
        return Ok(());
    }
    let mut benches = Vec::new();
    let is_asked = |what: What| args.what == What::All || args.what == what;
    if is_asked(What::Features) {
        show(&mut benches, "features", bench::features::run()?)?;
    }
    if is_asked(What::Reconcile) {
        show(&mut benches, "reconcile", bench::recompute::run(args.quick, args.data.as_deref())?)?;
    }
    match &args.data {
        Some(data) if is_asked(What::Review) => {
            let reviewed = bench::review::run(data, args.reviews, &args.sets)?;
            writeln!(std::io::stdout(), "{}", reviewed.table)?;
            benches.push(("review", reviewed.figures));
        }
        None if args.what == What::Review => bail!("tripline bench review DIR: where the payments are"),
        _ => {}
    }
    if is_asked(What::Stream) || is_asked(What::Rest) {
        let bootstrap = args.bootstrap.clone().map_or_else(start_broker, Ok)?;
        if is_asked(What::Stream) {
            show(&mut benches, "stream", bench::stream::run(&bootstrap)?)?;
        }
        if is_asked(What::Rest) {
            show(&mut benches, "rest", bench::rest::run(&bootstrap, args.quick, &args.sets)?)?;
        }
    }
    if let Some(file) = &args.json {
        let report = format!("{:#}\n", bench::report(&benches));
        std::fs::write(file, report).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

type Benches = Vec<(&'static str, Vec<bench::Figure>)>;

fn show(benches: &mut Benches, name: &'static str, figures: Vec<bench::Figure>) -> anyhow::Result<()> {
    write!(std::io::stdout(), "{}", bench::table(name, &figures))?;
    benches.push((name, figures));
    Ok(())
}

/// A real broker of its own, which ends with this process.
fn start_broker() -> anyhow::Result<String> {
    let script = Path::new("deploy/local/up");
    if !script.exists() {
        bail!(
            "{} is not here: run it in the repository, or name a broker with --bootstrap",
            script.display()
        );
    }
    let folder = tempfile::Builder::new().prefix("tripline-bench-").tempdir()?.keep();
    std::fs::remove_dir(&folder)?;
    let parent = std::process::id().to_string();
    let out = Command::new(script)
        .args(["kafka", "--bench", "--json", "--parent", &parent, "--dir"])
        .arg(&folder)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !out.status.success() {
        bail!("{} failed", script.display());
    }
    let said: Value = serde_json::from_slice(&out.stdout).context("what deploy/local/up said")?;
    said["kafka"]["bootstrap"].as_str().map(str::to_owned).context("the broker's address")
}
