//! `tripline user`: the accounts of the people who work the queue.
//!
//! A password is read from standard input, a line, so that it stands in no history and no list of processes; from a
//! terminal it is asked for twice and not shown; or it is made and printed once. Every change is in the audit log.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, anyhow};
use queue::{NewAccount, Queue, QueueError};
use rand::TryRng;
use rand::rngs::SysRng;
use schemas::problem::Problem;
use tokio::runtime::Runtime;

use crate::access::Role;
use crate::cli::{CommandError, ConfigArgs};
use crate::clock::{Clock, SystemClock};
use crate::config::Setup;

/// Who is in the audit log for what is done here: whoever may run this on the machine.
const ACTOR: &str = "command line";

/// What `user add` is told.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// The name to sign in with: letters, digits, and . - _ @
    pub name: String,
    /// What they are: viewer, analyst, lead, policy_editor or admin; may be given again
    #[arg(long = "role", required = true, value_name = "ROLE")]
    pub roles: Vec<String>,
    /// Makes a password and prints it
    #[arg(long)]
    pub generate: bool,
    /// The config
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What concerns one account.
#[derive(Debug, clap::Args)]
pub struct NameArgs {
    /// The account's name
    pub name: String,
    /// Makes a password and prints it
    #[arg(long)]
    pub generate: bool,
    /// The config
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Makes an account.
///
/// # Errors
/// What is wrong with the input, or that the database does not answer.
pub fn add(args: &AddArgs) -> Result<(), CommandError> {
    if let Some(unknown) = args.roles.iter().find(|word| Role::parse(word).is_none()) {
        return Err(wrong("--role", &format!("\"{unknown}\""), &Role::words()));
    }
    let (runtime, queue) = open(&args.config)?;
    let password = asked(args.generate)?;
    let new = NewAccount { name: &args.name, password: &password, roles: &args.roles };
    runtime.block_on(queue.add_account(ACTOR, new, now_ms())).map_err(refused)?;
    said(
        &format!("{} may sign in as {}", args.name, args.roles.join(", ")),
        args.generate.then_some(&password),
    )
}

/// Lists the accounts.
///
/// # Errors
/// That the database does not answer.
pub fn list(config: &ConfigArgs) -> Result<(), CommandError> {
    let (runtime, queue) = open(config)?;
    let accounts = runtime.block_on(queue.accounts()).map_err(refused)?;
    let mut out = std::io::stdout().lock();
    for account in accounts {
        let state = if account.disabled { "disabled" } else { "active" };
        let (name, roles) = (account.name, account.roles.join(","));
        writeln!(out, "{name:<24} {roles:<24} {state}").context("standard output")?;
    }
    Ok(())
}

/// Gives another password.
///
/// # Errors
/// No such account, or that the database does not answer.
pub fn set_password(args: &NameArgs) -> Result<(), CommandError> {
    let (runtime, queue) = open(&args.config)?;
    let password = asked(args.generate)?;
    runtime.block_on(queue.set_password(ACTOR, &args.name, &password, now_ms())).map_err(refused)?;
    said(
        &format!("{} has another password; its sessions are over", args.name),
        args.generate.then_some(&password),
    )
}

/// Lets an account in no more.
///
/// # Errors
/// No such account, or that the database does not answer.
pub fn disable(args: &NameArgs) -> Result<(), CommandError> {
    let (runtime, queue) = open(&args.config)?;
    runtime.block_on(queue.disable(ACTOR, &args.name, now_ms())).map_err(refused)?;
    said(&format!("{} may not sign in any more; its sessions are over", args.name), None)
}

/// The queue of a config.
pub(super) fn open(config: &ConfigArgs) -> Result<(Runtime, Queue), CommandError> {
    open_of(&config.load()?)
}

/// The queue of a config that is read.
pub(super) fn open_of(setup: &Setup) -> Result<(Runtime, Queue), CommandError> {
    let runtime = Runtime::new().context("the runtime")?;
    let queue = runtime.block_on(Queue::open(&setup.config.queue.url, setup.config.queue.rules.clone()));
    Ok((runtime, queue.map_err(refused)?))
}

/// A password that can be read out: three groups of five letters and digits, 75 bits and more.
///
/// # Errors
/// When the system's random source fails.
pub fn password() -> anyhow::Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz234567890";
    let mut random = [0; 15];
    SysRng.try_fill_bytes(&mut random).map_err(|error| anyhow!("the system's random source: {error}"))?;
    let letters: Vec<u8> = random.iter().map(|byte| LETTERS[usize::from(byte & 31)]).collect();
    let groups: Vec<_> = letters.chunks(5).map(String::from_utf8_lossy).collect();
    Ok(groups.join("-"))
}

fn asked(generate: bool) -> Result<String, CommandError> {
    if generate {
        return Ok(password()?);
    }
    if std::io::stdin().is_terminal() {
        return typed();
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Read from the terminal without being shown, twice, since nobody saw what was typed.
fn typed() -> Result<String, CommandError> {
    let first = rpassword::prompt_password("Password: ").context("the terminal")?;
    let second = rpassword::prompt_password("The same again: ").context("the terminal")?;
    if first != second {
        return Err(wrong("password", "two that differ", "the same twice"));
    }
    Ok(first)
}

fn said(what: &str, password: Option<&String>) -> Result<(), CommandError> {
    writeln!(std::io::stderr(), "{what}").context("standard error")?;
    if let Some(password) = password {
        writeln!(std::io::stdout(), "{password}").context("standard output")?;
    }
    Ok(())
}

fn now_ms() -> i64 {
    SystemClock::default().now().wall_ms
}

pub(super) fn refused(error: QueueError) -> CommandError {
    match error {
        QueueError::Invalid { field, expected } => wrong(field, "another", &expected),
        QueueError::NotFound => wrong("name", "one that no account has", "an account: tripline user list"),
        QueueError::NotNow(why) => wrong("name", &why, "another name"),
        other => anyhow!("{other}").into(),
    }
}

fn wrong(key: &str, found: &str, expected: &str) -> CommandError {
    Problem::new("command line", key, found, expected).into()
}
