//! `tripline archive`: fills the archive by hand, and verifies it.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow};
use batch::archive::{ArchiveStore, Tended, Verified, verify};
use tokio::runtime::Runtime;

use crate::archiver::{Archiver, PoliciesSoFar, Until, topics, upkeep};
use crate::cli::{CommandError, ConfigArgs};
use crate::clock::{Clock, SystemClock};
use crate::telemetry::log;
use crate::worker;

/// What `archive run` is told.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Ends when all that the topics hold by now is archived, the last files cut short; without it Ctrl-C ends it
    #[arg(long)]
    pub drain: bool,
    /// The config
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What `archive verify` is told.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// Says it as JSON
    #[arg(long)]
    pub json: bool,
    /// The config
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What `archive upkeep` is told.
#[derive(Debug, clap::Args)]
pub struct UpkeepArgs {
    /// Only says what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Says it as JSON
    #[arg(long)]
    pub json: bool,
    /// The config
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Archives.
///
/// # Errors
/// When the archive, the brokers or the registry refuse it.
pub fn run(args: &RunArgs) -> Result<(), CommandError> {
    let setup = args.config.load()?;
    let logging = setup.config.log;
    // An error: a test has a log already.
    let _ = log::start(logging.format, &logging.level.to_string().to_lowercase());
    let runtime = Runtime::new().context("the runtime")?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    runtime.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            told.store(true, Ordering::Relaxed);
        }
    });
    let kafka = worker::options(&setup, "archive".to_owned());
    let policy = Arc::clone(&setup.policy);
    let policies: PoliciesSoFar = Arc::new(move || vec![Arc::clone(&policy)]);
    let archivers = Archiver::all(&setup.config, &kafka, runtime.handle(), &policies, &stop);
    let archivers = archivers.map_err(anyhow::Error::from)?;
    let until = if args.drain { Until::Drained } else { Until::Stopped };
    let threads: Vec<_> = archivers
        .into_iter()
        .map(|archiver| (archiver.topic().to_owned(), std::thread::spawn(move || archiver.run(until))))
        .collect();
    let mut out = std::io::stdout().lock();
    for (topic, thread) in threads {
        let records = thread.join().map_err(|_| anyhow!("the archiver of {topic} panicked"))?;
        let records = records.map_err(anyhow::Error::from).with_context(|| topic.clone())?;
        writeln!(out, "{topic}: {records} records").context("standard output")?;
    }
    Ok(())
}

/// Verifies.
///
/// # Errors
/// When something is wrong with the archive, or it cannot be read.
pub fn verify_all(args: &VerifyArgs) -> Result<(), CommandError> {
    let setup = args.config.load()?;
    let store = ArchiveStore::open(&setup.config.archive.address).map_err(anyhow::Error::from)?;
    let mut verified = Verified::default();
    for topic in topics(&setup.config) {
        verify(&store, &topic, &mut verified).map_err(anyhow::Error::from)?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        let text = serde_json::to_string(&verified).context("JSON")?;
        writeln!(out, "{text}").context("standard output")?;
    } else {
        let Verified { files, records, bytes, undecodable, .. } = verified;
        writeln!(out, "{files} files, {records} records ({undecodable} of them undecodable), {bytes} bytes")
            .context("standard output")?;
        for fault in &verified.faults {
            writeln!(out, "{fault}").context("standard output")?;
        }
    }
    match verified.faults.len() {
        0 => Ok(()),
        faults => Err(anyhow!("archive_damaged: {faults} faults").into()),
    }
}

/// Keeps it up.
///
/// # Errors
/// When the archive cannot be read or changed.
pub fn keep_up(args: &UpkeepArgs) -> Result<(), CommandError> {
    let setup = args.config.load()?;
    let archive = &setup.config.archive;
    let store = ArchiveStore::open(&archive.address).map_err(anyhow::Error::from)?;
    let upkeep = upkeep(archive.keep, archive.cut, SystemClock::default().now().wall_ms, args.dry_run);
    let mut tended = Tended::default();
    for topic in topics(&setup.config) {
        upkeep.tend(&store, &topic, &mut tended).map_err(anyhow::Error::from)?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&tended).context("JSON")?).context("standard output")?;
        return Ok(());
    }
    for (word, paths) in
        [("expired", &tended.expired), ("merged", &tended.merged), ("replaced", &tended.replaced)]
    {
        for path in paths {
            writeln!(out, "{word} {path}").context("standard output")?;
        }
    }
    let Tended { expired, merged, replaced } = &tended;
    let (expired, merged, replaced) = (expired.len(), merged.len(), replaced.len());
    let would = if args.dry_run { "would be " } else { "" };
    writeln!(
        out,
        "{expired} files {would}removed as too old, {merged} {would}made of several, {replaced} {would}removed that were replaced before"
    )
    .context("standard output")?;
    Ok(())
}
