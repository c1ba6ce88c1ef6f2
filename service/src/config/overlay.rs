//! The config as written: defaults, the user's file, the environment and flags, laid over each other.

use std::path::Path;

use schemas::document::quoted;
use schemas::problem::{Problem, Problems};
use toml::{Table, Value};

use super::unreadable;

/// The text of `config.default.toml`.
pub const DEFAULTS: &str = include_str!("../../config.default.toml");

/// Before the name of every variable that is a key.
const PREFIX: &str = "TRIPLINE__";

/// What is laid over the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--set key=value`, in order.
    pub sets: Vec<String>,
    /// The environment: names and values.
    pub environment: Vec<(String, String)>,
}

impl Overrides {
    /// The process's environment and these flags.
    pub fn of_process(sets: Vec<String>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { sets, environment: std::env::vars_os().filter_map(text).collect() }
    }

    /// A variable of the environment.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The table of all four, and what was wrong with them. A file that cannot be read counts as empty.
pub(super) fn lay(file: &Path, overrides: &Overrides) -> (Table, Problems) {
    let mut problems = Problems::default();
    let mut table = DEFAULTS.parse::<Table>().unwrap_or_default();
    let name = file.display().to_string();
    match std::fs::read_to_string(file) {
        Err(error) => problems.0.push(unreadable(&name, &error)),
        Ok(text) => match text.parse::<Table>() {
            Ok(user) => over(&mut table, user),
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
                let place = format!("line {line}, column {column}");
                problems.0.push(Problem::new(&name, place, error.message(), "valid TOML"));
            }
        },
    }
    let mut variables: Vec<_> =
        overrides.environment.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (name, value) in variables {
        let key = name.trim_start_matches(PREFIX).to_lowercase().replace("__", ".");
        set(&mut table, name, &key, value, &mut problems);
    }
    for written in &overrides.sets {
        match written.split_once('=') {
            Some((key, value)) => set(&mut table, "--set", key.trim(), value.trim(), &mut problems),
            None => problems.0.push(Problem::new(
                "--set",
                written,
                "no \"=\"",
                "key=value, such as store.path=data",
            )),
        }
    }
    (table, problems)
}

/// Lays a table over another, key by key.
fn over(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => over(below, above),
            (_, value) => _ = below.insert(key, value),
        }
    }
}

/// Sets one dotted key. The value is taken as TOML, or as text where it is none.
fn set(table: &mut Table, origin: &str, key: &str, value: &str, problems: &mut Problems) {
    let parsed = format!("v = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("v"));
    let value = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
    let mut steps: Vec<&str> = key.split('.').collect();
    let last = steps.pop().unwrap_or_default();
    if last.is_empty() || steps.iter().any(|step| step.is_empty()) {
        problems.0.push(Problem::new(origin, key, "an empty part", "a dotted key, such as store.path"));
        return;
    }
    let mut here = table;
    for step in steps {
        let entry = here.entry(step.to_owned()).or_insert_with(|| Value::Table(Table::new()));
        let found = quoted(entry);
        match entry {
            Value::Table(inner) => here = inner,
            _ => {
                problems.0.push(Problem::new(
                    origin,
                    key,
                    format!("{step} = {found}"),
                    "a table at this place",
                ));
                return;
            }
        }
    }
    here.insert(last.to_owned(), value);
}
