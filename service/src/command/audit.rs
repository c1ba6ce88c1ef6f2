//! `tripline audit verify`: reads the whole audit log, compares it with the ends that its topic kept, and says what is
//! wrong with it. Without brokers it compares the log with itself, and says so.

use std::io::Write;

use anyhow::{Context, anyhow};
use queue::{Anchor, FindingKind, Verification};
use serde_json::{Value, json};

use super::user::{open_of, refused};
use crate::alerts::anchor::{self, Heads, Kept};
use crate::cli::{CommandError, ConfigArgs};
use crate::worker;

/// What `audit verify` is told.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// A head that was printed before and kept elsewhere: it finds who computed the chain anew; may be given again
    #[arg(long = "anchor", value_name = "SEQ:HASH", value_parser = anchor_of)]
    pub anchors: Vec<Anchor>,
    /// Says it as JSON
    #[arg(long)]
    pub json: bool,
    /// The config
    #[command(flatten)]
    pub config: ConfigArgs,
}

fn anchor_of(text: &str) -> Result<Anchor, String> {
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
    let setup = args.config.load()?;
    let (runtime, queue) = open_of(&setup)?;
    // Before the log is read: it has all that was anchored by then.
    let topic = setup.config.kafka.audit_heads.clone();
    let heads = Heads {
        topic: topic.clone(),
        kafka: worker::options(&setup, "audit-verify".to_owned()),
        registry: setup.config.registry.clone(),
        config: setup.config.queue.anchors,
    };
    let kept = anchor::kept(&heads, runtime.handle());
    let from_topic = kept.as_ref().map_or(&[][..], |kept| &kept.anchors);
    let anchors = [args.anchors.as_slice(), from_topic].concat();
    let found = runtime.block_on(queue.verify_audit(&anchors)).map_err(refused)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", as_json(&found, &topic, &kept)).context("standard output")?;
    } else {
        say(&mut out, &found, &topic, &kept).context("standard output")?;
    }
    match found.findings.len() {
        0 => Ok(()),
        wrong => Err(anyhow!("the audit log was tampered with: {wrong} findings").into()),
    }
}

fn head(found: &Verification) -> Option<String> {
    found.head.as_ref().map(|head| format!("{}:{}", head.seq, head.hash))
}

fn as_json(found: &Verification, topic: &str, kept: &anyhow::Result<Kept>) -> Value {
    let findings = found.findings.iter().map(|one| json!({ "seq": one.seq, "finding": word(one.kind) }));
    let of_topic = match kept {
        Ok(kept) => json!({ "topic": topic, "anchors": kept.anchors.len(), "unreadable": kept.unreadable }),
        Err(error) => json!({ "topic": topic, "not_compared": format!("{error:#}") }),
    };
    json!({ "entries": found.entries, "anchors": found.anchors, "anchored": of_topic, "head": head(found),
        "findings": findings.collect::<Vec<_>>() })
}

fn say(
    out: &mut impl Write,
    found: &Verification,
    topic: &str,
    kept: &anyhow::Result<Kept>,
) -> std::io::Result<()> {
    writeln!(out, "{} entries, {} anchors compared", found.entries, found.anchors)?;
    match kept {
        Ok(Kept { anchors, unreadable: 0 }) => writeln!(out, "{} of them from topic {topic}", anchors.len())?,
        Ok(Kept { anchors, unreadable }) => {
            writeln!(
                out,
                "{} of them from topic {topic}, which has {unreadable} records that are none",
                anchors.len()
            )?;
        }
        Err(error) => writeln!(
            out,
            "NOT compared with topic {topic}: {error:#}. An end that was cut off, or a log that was made anew, is not \
             found without it"
        )?,
    }
    writeln!(out, "head {}", head(found).as_deref().unwrap_or("none"))?;
    for one in &found.findings {
        writeln!(out, "entry {}: {}", one.seq, meaning(one.kind))?;
    }
    Ok(())
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
