//! `tripline check`: everything that is wrong with a configuration, at once; or what it amounts to.

use std::io::{self, Write};
use std::path::Path;

use schemas::time::{DurationMs, EventTime};

use crate::access::Census;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, Setup};

/// The exit code when the user's input is wrong and nothing was done.
pub const EXIT_WRONG_INPUT: u8 = 2;

/// Checks a config file and all that it names, says what was found to `out`, and gives the exit code. `sets` are the
/// arguments of `--set`.
///
/// # Errors
/// When `out` does not take the report.
pub fn run(
    config_path: &Path,
    sets: &[String],
    env: impl IntoIterator<Item = (String, String)>,
    out: &mut impl Write,
) -> io::Result<u8> {
    match config::load(config_path, sets, env) {
        Ok(setup) => summary(&setup, out).map(|()| 0),
        Err(problems) => {
            for problem in &problems.0 {
                writeln!(out, "{problem}")?;
            }
            let count = problems.0.len();
            let noun = if count == 1 { "problem" } else { "problems" };
            writeln!(out, "{}: {count} {noun}; nothing was started", config_path.display())?;
            Ok(EXIT_WRONG_INPUT)
        }
    }
}

fn summary(setup: &Setup, out: &mut impl Write) -> io::Result<()> {
    let Setup { config, definitions, policy, .. } = setup;
    let entities: Vec<_> = config.mapping.entities.iter().map(|entity| entity.name.as_str()).collect();
    let reach_ms = definitions.plans.iter().map(|plan| plan.reach_ms).max().unwrap_or_default();
    let kafka = &config.kafka;
    writeln!(out, "{}: good", config.file.display())?;
    writeln!(out, "  entities  {}: {}", entities.len(), entities.join(", "))?;
    let features = definitions.features.len();
    let (reach, version) = (DurationMs(reach_ms), &definitions.version);
    writeln!(out, "  features  {features}, the longest reaches back {reach}; version {version}")?;
    writeln!(out, "  policy    version {}", policy.version())?;
    match &config.models {
        Some(models) => writeln!(out, "  model     {} in {}", models.live, models.path.display())?,
        None => writeln!(out, "  model     none: the policy's fallback decides")?,
    }
    writeln!(out, "  topics    in {} and {}", kafka.transactions, kafka.labels)?;
    writeln!(out, "            out {}, {} and {}", kafka.decisions, kafka.alerts, kafka.dead_letters)?;
    let wall_ms = SystemClock::default().now().wall_ms;
    listener(config, wall_ms, out)?;
    access(config, wall_ms, out)
}

fn listener(config: &Config, wall_ms: i64, out: &mut impl Write) -> io::Result<()> {
    let http = &config.http;
    let Some(tls) = &http.tls else {
        let reach = if http.listen.ip().is_loopback() {
            "this machine only"
        } else {
            "insecure: others can read keys and payments on their way, unless a proxy in front does the TLS"
        };
        return writeln!(out, "  http      {} without TLS; {reach}", http.listen);
    };
    let until_ms = tls.identity.until_ms();
    let until =
        EventTime::from_ms(until_ms).map_or_else(|| "the end of time".to_owned(), |time| time.to_string());
    writeln!(out, "  http      {} with TLS, the certificate is good until {until}", http.listen)?;
    match tls.identity.untimely(wall_ms) {
        Some(reason) => writeln!(out, "            note: {reason}: clients will not take it"),
        None => Ok(()),
    }
}

fn access(config: &Config, wall_ms: i64, out: &mut impl Write) -> io::Result<()> {
    let census = config.access.callers.census(wall_ms);
    if config.access.file.is_none() {
        writeln!(
            out,
            "  access    no keys: the probes answer and nothing else does; `tripline key new` makes a key"
        )?;
    } else {
        let Census { callers, keys, expired, .. } = census;
        writeln!(out, "  access    callers: {callers}, keys: {keys}, expired of them: {expired}")?;
    }
    if census.anonymous.is_empty() {
        return Ok(());
    }
    writeln!(out, "            open to everybody: {}", census.anonymous)
}

#[cfg(test)]
mod tests;
