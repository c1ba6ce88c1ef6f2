//! `tripline check`: everything that is wrong with a configuration, at once; or what it amounts to.

use std::io::{self, Write};
use std::path::Path;

use schemas::time::DurationMs;

use crate::config::{self, Setup};

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
    let Setup { config, definitions, policy } = setup;
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
    writeln!(out, "            out {}, {} and {}", kafka.decisions, kafka.alerts, kafka.dead_letters)
}

#[cfg(test)]
mod tests;
