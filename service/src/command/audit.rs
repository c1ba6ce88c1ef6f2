//! `tripline audit verify`: reads the whole audit log, and says what is wrong with it.

use std::io::Write;

use anyhow::{Context, anyhow};
use queue::{Anchor, FindingKind};
use serde_json::json;

use super::user::{open, refused};
use crate::cli::{CommandError, ConfigArgs};

/// What `audit verify` is told.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// A head that was printed before and kept elsewhere: it finds who computed the chain anew; may be given again
    #[arg(long = "anchor", value_name = "SEQ:HASH", value_parser = anchor)]
    pub anchors: Vec<Anchor>,
    /// Says it as JSON
    #[arg(long)]
    pub json: bool,
    /// The config
    #[command(flatten)]
    pub config: ConfigArgs,
}

fn anchor(text: &str) -> Result<Anchor, String> {
    let read = || {
        let (seq, hash) = text.split_once(':')?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Anchor { seq: seq.parse().ok()?, hash: hash.to_ascii_lowercase() }).filter(|_| is_hash)
    };
    read().ok_or_else(|| "a number, a colon and 64 hexadecimal digits, as the head is printed".to_owned())
}

/// Verifies the log.
///
/// # Errors
/// That something is wrong with it, or that the database does not answer.
pub fn verify(args: &VerifyArgs) -> Result<(), CommandError> {
    let (runtime, queue) = open(&args.config)?;
    let found = runtime.block_on(queue.verify_audit(&args.anchors)).map_err(refused)?;
    let head = found.head.as_ref().map(|head| format!("{}:{}", head.seq, head.hash));
    let mut out = std::io::stdout().lock();
    if args.json {
        let findings = found.findings.iter().map(|one| json!({ "seq": one.seq, "finding": word(one.kind) }));
        let said = json!({ "entries": found.entries, "anchors": found.anchors, "head": head,
            "findings": findings.collect::<Vec<_>>() });
        writeln!(out, "{said}").context("standard output")?;
    } else {
        writeln!(out, "{} entries, {} anchors compared", found.entries, found.anchors)
            .context("standard output")?;
        writeln!(out, "head {}", head.as_deref().unwrap_or("none")).context("standard output")?;
        for one in &found.findings {
            writeln!(out, "entry {}: {}", one.seq, meaning(one.kind)).context("standard output")?;
        }
    }
    match found.findings.len() {
        0 => Ok(()),
        wrong => Err(anyhow!("the audit log was tampered with: {wrong} findings").into()),
    }
}

fn word(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Changed => "changed",
        FindingKind::Removed => "removed",
        FindingKind::Broken => "broken",
        FindingKind::Truncated => "truncated",
        FindingKind::Forged => "forged",
    }
}

fn meaning(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Changed => "its content does not give its hash: it was changed",
        FindingKind::Removed => "it is missing: entries were removed",
        FindingKind::Broken => "it does not follow the one before: inserted, or out of order",
        FindingKind::Truncated => "the log ends before it: its end was cut off",
        FindingKind::Forged => "it has another hash than was kept: the chain was computed anew",
    }
}
