//! `tripline check`: config, features, policy and model together, before anything binds.

use std::io::Write;

use anyhow::Context;

use crate::cli::{CommandError, ConfigArgs};

/// Checks, and says in a few lines what would run.
///
/// # Errors
/// Every problem of all files.
pub fn run(args: &ConfigArgs) -> Result<(), CommandError> {
    let setup = args.load()?;
    let (config, definitions) = (&setup.config, &setup.definitions);
    let entities: Vec<_> = config.mapping.entities.iter().map(|entity| entity.name.as_str()).collect();
    let reach_ms = definitions.plans.iter().map(|plan| plan.reach_ms).max().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    let lines = [
        format!("{}: good", args.config.display()),
        format!("entities    {}", entities.join(", ")),
        format!("features    {}, version {}", definitions.features.len(), definitions.version),
        format!("reach       {} behind a payment", schemas::time::DurationMs(reach_ms)),
        format!("policy      {}", setup.policy.version()),
        format!(
            "topics      {} + {} -> {}, {}, {}",
            config.kafka.transactions,
            config.kafka.labels,
            config.kafka.decisions,
            config.kafka.alerts,
            config.kafka.dead_letters
        ),
    ];
    for line in lines {
        writeln!(out, "{line}").context("standard output")?;
    }
    Ok(())
}
