//! `tripline features sql`: the features file as SQL.

use std::io::Write;

use anyhow::Context;
use batch::sql::{Dialect, features_sql};
use feature_store::definition::Vocabulary;

use crate::cli::{CommandError, ConfigArgs};

/// What `features sql` is told.
#[derive(Debug, clap::Args)]
pub struct SqlArgs {
    /// For which engine
    #[arg(long, value_parser = dialect, value_name = "duckdb|spark")]
    pub dialect: Dialect,
    /// The config
    #[command(flatten)]
    pub config: ConfigArgs,
}

fn dialect(word: &str) -> Result<Dialect, String> {
    match word {
        "duckdb" => Ok(Dialect::DuckDb),
        "spark" => Ok(Dialect::Spark),
        _ => Err("duckdb or spark".to_owned()),
    }
}

/// Writes the SQL to standard output.
///
/// # Errors
/// When the config is wrong.
pub fn sql(args: &SqlArgs) -> Result<(), CommandError> {
    let setup = args.config.load()?;
    let text = features_sql(&setup.definitions, &Vocabulary::of(&setup.config.mapping), args.dialect);
    std::io::stdout().lock().write_all(text.as_bytes()).context("standard output")?;
    Ok(())
}
