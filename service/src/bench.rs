//! Bench: figures that anyone can measure again, each beside its yardstick from the same run.
//!
//! Processor time is what is compared: wall time says how busy the machine was. Not a test: nothing here fails when a
//! number is bad.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

pub mod features;
mod load;
pub mod recompute;
mod response;
pub mod rest;
pub mod review;
mod rig;
pub mod stream;

/// One measured figure.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Stable name for scripts.
    pub name: Cow<'static, str>,
    /// What it is, with its unit.
    pub text: Cow<'static, str>,
    /// The value.
    pub value: f64,
}

/// A figure.
pub fn figure(name: impl Into<Cow<'static, str>>, text: impl Into<Cow<'static, str>>, value: f64) -> Figure {
    Figure { name: name.into(), text: text.into(), value }
}

/// The figures of one bench as a table.
pub fn table(title: &str, figures: &[Figure]) -> String {
    let mut out = format!("{title}\n");
    for Figure { text, value, .. } in figures {
        let digits = if *value < 100.0 { 2 } else { 0 };
        // Writing to a text cannot fail.
        let _ = writeln!(out, "  {text:<72} {value:>12.digits$}");
    }
    out
}

/// All figures and the machine, for `--json`.
pub fn report(benches: &[(&str, Vec<Figure>)]) -> Value {
    let mut report = Map::new();
    report.insert("machine".to_owned(), machine());
    for (name, figures) in benches {
        let figures = figures.iter().map(|figure| (figure.name.clone().into_owned(), json!(figure.value)));
        report.insert((*name).to_owned(), Value::Object(figures.collect()));
    }
    Value::Object(report)
}

fn machine() -> Value {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let model = read("/proc/cpuinfo");
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({
        "processor": model.trim_start_matches([' ', '\t', ':']),
        "cores": cores,
        "load": read("/proc/loadavg").split(' ').next().unwrap_or_default(),
        "version": env!("CARGO_PKG_VERSION"),
    })
}
