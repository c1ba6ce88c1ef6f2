//! The command line: what may be typed, and what each word leads to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use schemas::problem::{Problem, Problems};
use schemas::time::DurationMs;

use crate::command;

/// Real-time fraud decisions on payment streams.
#[derive(Debug, Parser)]
#[command(name = "tripline", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The config file and what is laid over it.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The config file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Lays one value over the config, such as store.path=/var/lib/tripline; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
}

impl ConfigArgs {
    /// The config with the files that it points at.
    ///
    /// # Errors
    /// Every problem of all files.
    pub fn load(&self) -> Result<crate::config::Setup, Problems> {
        crate::config::load(&self.config, &self.sets, crate::config::environment())
    }
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    /// Loads one model directory and proves it on its golden vectors
    Check {
        /// The directory with manifest.toml and model.onnx
        dir: PathBuf,
    },
    /// Makes a model directory of an ONNX file
    #[command(disable_version_flag = true)]
    Pack(Box<command::model::PackArgs>),
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Makes a key: on standard output the key, on standard error the entry for the keys file
    New {
        #[command(flatten)]
        key: command::key::KeyArgs,
    },
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Makes an account; the password is read from standard input, or made and printed
    Add(command::user::AddArgs),
    /// Lists the accounts
    List {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Gives an account another password; its sessions end
    Password(command::user::NameArgs),
    /// Lets an account in no more; its sessions end
    Disable(command::user::NameArgs),
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Reads the whole audit log and compares it with itself, and with heads that were kept
    Verify(command::audit::VerifyArgs),
}

#[derive(Debug, Subcommand)]
enum FeaturesCommand {
    /// Writes the features as SQL, for an engine that computes them over files
    Sql(command::features::SqlArgs),
}

#[derive(Debug, Subcommand)]
enum ArchiveCommand {
    /// Archives what the topics hold and what comes to them
    Run(command::archive::RunArgs),
    /// Reads the whole archive: gaps, overlaps, wrong counts, changed files
    Verify(command::archive::VerifyArgs),
    /// Removes days that are older than archive.keep, and merges the small files of days that are over
    Upkeep(command::archive::UpkeepArgs),
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the service
    Serve {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Runs all of Tripline in one process, on simulated payments
    Demo {
        /// Address of the page
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
        /// Ends after this time; without it Ctrl-C ends it
        #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
        lasts: Option<DurationMs>,
        /// Payments a second
        #[arg(long, default_value_t = 50.0, value_parser = rate)]
        rate: f64,
    },
    /// Checks config, features, policy and models together
    Check {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Decides the payments of a Parquet file, without Kafka and without a clock
    Replay {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        replay: command::replay::ReplayArgs,
    },
    /// Computes everything again from the archive, and names every difference; exits 1 when one is unexplained
    Reconcile {
        #[command(flatten)]
        reconcile: command::reconcile::ReconcileArgs,
    },
    /// What another policy would have decided on archived payments, against labels and money
    Backtest {
        #[command(flatten)]
        backtest: command::backtest::BacktestArgs,
    },
    /// Vectors with labels from the archive, to train a model on
    ExportTraining {
        #[command(flatten)]
        export: command::export::ExportArgs,
    },
    /// The features file
    Features {
        #[command(subcommand)]
        command: FeaturesCommand,
    },
    /// Makes an API key
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Accounts of the people who work the queue
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// What the topics carried, as Parquet
    Archive {
        #[command(subcommand)]
        command: ArchiveCommand,
    },
    /// The log of what people did
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Checks or makes a model directory
    Model {
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Measures, side by side with yardsticks of the same run
    Bench {
        #[command(flatten)]
        bench: command::bench::BenchArgs,
    },
    /// Sends simulated payments and their labels to the topics, or writes them to files
    Simulate {
        #[command(flatten)]
        simulate: command::simulate::SimulateArgs,
    },
}

/// A duration of the command line.
///
/// # Errors
/// What would be right.
pub fn duration(text: &str) -> Result<DurationMs, String> {
    DurationMs::parse(text)
        .filter(|d| d.0 > 0)
        .ok_or_else(|| "a duration with its unit, such as 60s or 5m".to_owned())
}

/// A rate of the command line.
///
/// # Errors
/// What would be right.
pub fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.001..=1e6).contains(rate));
    rate.ok_or_else(|| "a number of payments a second, 0.001 to 1000000".to_owned())
}

/// Why a command ended, beside well.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The user's input is wrong; nothing was done.
    #[error(transparent)]
    Input(#[from] Problems),
    /// It failed while running.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl From<Problem> for CommandError {
    fn from(problem: Problem) -> Self {
        Self::Input(problem.into())
    }
}

/// Runs the command that was typed: exit code 0 done, 1 failed while running, 2 the input is wrong.
#[must_use]
#[expect(clippy::print_stderr, reason = "the one place where a command's error is said")]
pub fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve { config } => command::serve::run(&config),
        Command::Demo { listen, lasts, rate } => command::demo::run(listen, lasts, rate),
        Command::Check { config } => return check(&config),
        Command::Replay { config, replay } => command::replay::run(&config, &replay),
        Command::Reconcile { reconcile } => command::reconcile::run(&reconcile),
        Command::Backtest { backtest } => command::backtest::run(&backtest),
        Command::ExportTraining { export } => command::export::run(&export),
        Command::Features { command: FeaturesCommand::Sql(args) } => command::features::sql(&args),
        Command::Key { command: KeyCommand::New { key } } => command::key::new(&key),
        Command::User { command: UserCommand::Add(args) } => command::user::add(&args),
        Command::User { command: UserCommand::List { config } } => command::user::list(&config),
        Command::User { command: UserCommand::Password(args) } => command::user::set_password(&args),
        Command::User { command: UserCommand::Disable(args) } => command::user::disable(&args),
        Command::Archive { command: ArchiveCommand::Run(args) } => command::archive::run(&args),
        Command::Archive { command: ArchiveCommand::Verify(args) } => command::archive::verify_all(&args),
        Command::Archive { command: ArchiveCommand::Upkeep(args) } => command::archive::keep_up(&args),
        Command::Audit { command: AuditCommand::Verify(args) } => command::audit::verify(&args),
        Command::Model { command: ModelCommand::Check { dir } } => command::model::check(&dir),
        Command::Model { command: ModelCommand::Pack(args) } => command::model::make(&args),
        Command::Bench { bench } => command::bench::run(&bench),
        Command::Simulate { simulate } => command::simulate::run(&simulate),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(CommandError::Input(problems)) => {
            eprintln!("{problems}");
            ExitCode::from(2)
        }
        Err(error @ CommandError::Failed(_)) => {
            eprintln!("tripline: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The check's own exit code: its report is its result, whatever it says.
fn check(args: &ConfigArgs) -> ExitCode {
    let environment = crate::config::environment();
    let code = command::check::run(&args.config, &args.sets, environment, &mut std::io::stdout().lock());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
