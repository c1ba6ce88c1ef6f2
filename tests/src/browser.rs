//! Scenarios of `tests/browser` in a real Chromium, run by the project's own script.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::servers::root;

/// Runs the scenarios of a file, such as `queue`, with what it must know; `only` some by name, all when empty. Prints
/// what they say and panics unless at least one ran and none failed. Pictures go to `TRIPLINE_SCREENSHOTS` if that is
/// set, else to `tests/output/screenshots`.
pub fn browser(scenario: &str, knobs: &Value, only: &[&str]) {
    let file = root().join("tests/browser").join(scenario).with_extension("mjs");
    let pictures = std::env::var_os("TRIPLINE_SCREENSHOTS")
        .map_or_else(|| root().join("tests/output/screenshots"), std::path::PathBuf::from);
    let out = Command::new(root().join("deploy/local/browser/run"))
        .arg(&file)
        .arg(knobs.to_string())
        .args(only)
        .env("TRIPLINE_SCREENSHOTS", pictures)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("deploy/local/browser/run: {error}"));
    let said = String::from_utf8_lossy(&out.stdout);
    print!("{said}");
    let ran = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(out.status.success() && ran > 0, "{}: a scenario failed, see above", file.display());
}
