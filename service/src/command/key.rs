//! `tripline key new`: makes an API key.
//!
//! The key alone goes to standard output, once, so that a script can hand it on to where secrets are kept without it
//! being written anywhere; the entry for the keys file, which holds no secret, goes to standard error, where a person
//! reads it:
//!
//! ```text
//!   tripline key new --name checkout --role scorer | vault kv put secret/checkout tripline_key=-
//! ```
//! It writes no file: whoever gives rights should see the line that gives them.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::{Context, anyhow};
use rand::TryRng;
use rand::rngs::SysRng;
use schemas::problem::{Problem, Problems};
use schemas::time::{DurationMs, EventTime};

use crate::access::{self, Key, KeyHash, RANDOM_BYTES, Role, Scope};
use crate::cli::CommandError;
use crate::clock::{Clock, SystemClock};

/// What `key new` is told.
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    /// The caller's name, for logs: a-z 0-9 . _ -
    #[arg(long)]
    pub name: String,
    /// What it is: scorer, viewer, analyst, lead, policy_editor or admin
    #[arg(long, required_unless_present = "scopes", conflicts_with = "scopes")]
    pub role: Option<String>,
    /// Or what it may, with commas: score, read, replay, label, lists, policy, board, metrics, docs
    #[arg(long, value_delimiter = ',', value_name = "SCOPES")]
    pub scopes: Vec<String>,
    /// How long the key is good, such as 90d; without it for ever
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::duration)]
    pub expires: Option<DurationMs>,
}

/// Makes a key and prints it.
///
/// # Errors
/// What is wrong with the arguments.
pub fn new(args: &KeyArgs) -> Result<(), CommandError> {
    checked(args)?;
    let key = random()?;
    let until_ms = args.expires.map(|expires| SystemClock::default().now().wall_ms.saturating_add(expires.0));
    writeln!(std::io::stdout(), "{}", key.reveal()).context("standard output")?;
    write!(std::io::stderr(), "{}", entry(args, key.hash(), until_ms)).context("standard error")?;
    Ok(())
}

/// A new key, of the operating system's random source.
///
/// # Errors
/// When that fails.
pub fn random() -> anyhow::Result<Key> {
    let mut random = [0; RANDOM_BYTES];
    SysRng.try_fill_bytes(&mut random).map_err(|error| anyhow!("no random bytes: {error}"))?;
    Ok(Key::of(random))
}

fn checked(args: &KeyArgs) -> Result<(), Problems> {
    let mut problems = Problems::default();
    let mut wrong = |flag: &str, found: String, expected: String| {
        problems.0.push(Problem::new("the command line", flag, found, expected));
    };
    if !access::is_name(&args.name) {
        wrong("--name", "something else".to_owned(), access::NAME.to_owned());
    }
    if let Some(role) = &args.role
        && Role::parse(role).is_none()
    {
        wrong("--role", format!("\"{role}\""), format!("one of {}", Role::words()));
    }
    if let Some(scope) = args.scopes.iter().find(|scope| Scope::parse(scope).is_none()) {
        wrong("--scopes", format!("\"{scope}\""), access::expected_scopes());
    }
    problems.or(Some(()))
}

/// The entry for the keys file.
fn entry(args: &KeyArgs, hash: KeyHash, until_ms: Option<i64>) -> String {
    let mut text = "# The key stands on standard output, this once; only its hash is kept. For the file that access.keys \
                    names.\n# To exchange a key: add the hash to the caller's keys, let the caller change over, take \
                    the old hash out.\n[[caller]]\n"
        .to_owned();
    // Writing to a text does not fail.
    let _ = writeln!(text, "name = \"{}\"", args.name);
    let _ = match &args.role {
        Some(role) => writeln!(text, "role = \"{role}\""),
        None => writeln!(text, "scopes = [\"{}\"]", args.scopes.join("\", \"")),
    };
    let until = until_ms.and_then(EventTime::from_ms);
    let _ = match until {
        Some(until) => writeln!(text, "keys = [{{ hash = \"{hash}\", expires = {until} }}]"),
        None => writeln!(text, "keys = [\"{hash}\"]"),
    };
    text
}

#[cfg(test)]
mod tests;
