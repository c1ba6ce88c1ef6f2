//! Writing a manifest, so that reading it gives the same one.

use std::fmt::Write;

use schemas::name::Name;
use toml::Value;

use super::{Manifest, Missing};

impl Manifest {
    /// The text of `manifest.toml`.
    pub fn to_toml(&self) -> String {
        let Manifest { facts, sha256, golden } = self;
        let mut text = String::from(
            "# What this model reads and gives. Written by `tripline model pack`; checked on every load.\n",
        );
        let mut line = |key: &str, value: &str| _ = writeln!(text, "{key} = {value}");
        line("name", &quoted(&facts.name));
        line("version", &quoted(facts.version.as_str()));
        line("kind", &quoted(facts.kind.as_str()));
        line("missing", if facts.missing == Missing::Accept { "\"accept\"" } else { "\"refuse\"" });
        let column = facts.output.column.map(|column| format!(", column = {column}"));
        line("output", &format!("{{ index = {}{} }}", facts.output.index, column.unwrap_or_default()));
        line("sha256", &quoted(sha256));
        line("golden_tolerance", &number(facts.golden_tolerance));
        let feature = |name: &Name| format!("    {},\n", quoted(name));
        line("features", &format!("[\n{}]", facts.features.iter().map(feature).collect::<String>()));
        for golden in golden {
            let inputs: Vec<_> = golden.inputs.iter().copied().map(number).collect();
            _ = write!(text, "\n[[golden]]\ninputs = [{}]\n", inputs.join(", "));
            _ = writeln!(text, "score = {}", number(golden.score));
        }
        text
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// The shortest text that reads back as the same number; a NaN's sign is not kept.
fn number(number: f64) -> String {
    if number.is_nan() { "nan".to_owned() } else { format!("{number:?}") }
}
