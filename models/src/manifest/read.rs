//! Reading a manifest: every problem at once.

use std::collections::BTreeSet;

use schemas::document::{FromToml, Section};
use schemas::name::Name;
use schemas::problem::Problems;
use toml::Value;

use super::{Facts, Golden, Kind, Manifest, Missing, Output};
use crate::version::{Version, is_path_word};

/// Most inputs of a model: far above the features anybody declares, and it bounds the work of a load.
const MOST_FEATURES: usize = 4_096;
/// Most golden vectors: each is scored on every load.
const MOST_GOLDEN: usize = 256;
/// Largest index of an output or a column.
const MOST_OUTPUTS: i64 = 1_000;
/// Difference of a golden score that is allowed where the manifest says nothing.
const TOLERANCE: f64 = 1e-6;

impl Manifest {
    /// Reads the text of a manifest; `file` is what the problems call it.
    ///
    /// # Errors
    /// Every problem of the text.
    pub fn read(file: &str, text: &str) -> Result<Manifest, Problems> {
        let (mut root, sink) = Section::open(file, text);
        let name = name(&mut root);
        let version: Option<Version> = root.required("version");
        let kind = root.required::<Kind>("kind");
        let features = features(&mut root);
        let output = output(&mut root);
        let missing = root.word("missing", &[("refuse", Missing::Refuse), ("accept", Missing::Accept)]);
        let missing = missing.unwrap_or(Missing::Refuse);
        let golden_tolerance = tolerance(&mut root);
        let sha256 = root.required::<Sha256Hex>("sha256").map(|hex| hex.0);
        let golden = golden(&mut root, features.as_deref(), missing);
        drop(root);
        let manifest = || {
            let (name, version, kind, features, output) = (name?, version?, kind?, features?, output?);
            let facts = Facts { name, version, kind, features, output, missing, golden_tolerance };
            Some(Manifest { facts, sha256: sha256?, golden })
        };
        sink.problems().or(manifest())
    }
}

fn name(root: &mut Section) -> Option<Name> {
    let name: String = root.required("name")?;
    if !is_path_word(&name) {
        let expected = "a name of letters, digits, \".\", \"_\" and \"-\", since it is a folder's too";
        root.report("name", format!("\"{name}\""), expected);
        return None;
    }
    Some(name.into())
}

fn features(root: &mut Section) -> Option<Vec<Name>> {
    let names: Vec<String> = root.required("features")?;
    let mut seen = BTreeSet::new();
    for name in &names {
        if !seen.insert(name) {
            root.report(
                "features",
                format!("\"{name}\" twice"),
                "each input feature once, in the graph's order",
            );
        }
    }
    if !(1..=MOST_FEATURES).contains(&names.len()) {
        root.report("features", format!("{} names", names.len()), format!("1 to {MOST_FEATURES}"));
        return None;
    }
    Some(names.into_iter().map(Name::from).collect())
}

fn output(root: &mut Section) -> Option<Output> {
    if !root.is_table("output") {
        root.raw("output");
        root.report("output", "no table", "the probability's place, such as { index = 1, column = 1 }");
        return None;
    }
    let mut section = root.section("output");
    let has_column = section.has("column");
    let mut place = |key: &str| {
        let place: i64 = section.required(key)?;
        let fits = (0..=MOST_OUTPUTS).contains(&place);
        if !fits {
            section.report(key, place.to_string(), format!("0 to {MOST_OUTPUTS}"));
        }
        usize::try_from(place).ok().filter(|_| fits)
    };
    let index = place("index");
    let column = if has_column { Some(place("column")?) } else { None };
    Some(Output { index: index?, column })
}

fn tolerance(root: &mut Section) -> f64 {
    let tolerance = root.or("golden_tolerance", TOLERANCE);
    if !(0.0..=0.01).contains(&tolerance) {
        root.report("golden_tolerance", tolerance.to_string(), "0 to 0.01");
    }
    tolerance
}

fn golden(root: &mut Section, features: Option<&[Name]>, missing: Missing) -> Vec<Golden> {
    let sections = root.sections("golden");
    if !(1..=MOST_GOLDEN).contains(&sections.len()) {
        let expected = format!("1 to {MOST_GOLDEN} vectors whose scores are known, each under [[golden]]");
        root.report("golden", format!("{} golden vectors", sections.len()), expected);
    }
    let read = |mut section: Section| {
        let inputs: Option<GoldenInputs> = section.required("inputs");
        let score: Option<f64> = section.required("score");
        if let (Some(inputs), Some(features)) = (&inputs, features)
            && inputs.0.len() != features.len()
        {
            let expected = format!("{}, one for each of features", features.len());
            section.report("inputs", format!("{} numbers", inputs.0.len()), expected);
        }
        if inputs.as_ref().is_some_and(|inputs| inputs.0.iter().any(|input| input.is_nan()))
            && missing == Missing::Refuse
        {
            section.report("inputs", "nan", "numbers, or missing = \"accept\" where the graph takes NaN");
        }
        if let Some(score) = score.filter(|score| !(0.0..=1.0).contains(score)) {
            section.report("score", score.to_string(), "a probability from 0 to 1");
        }
        Some(Golden { inputs: inputs?.0, score: score? })
    };
    let golden: Vec<_> = sections.into_iter().filter_map(read).collect();
    let shows_missing = golden.iter().any(|golden| golden.inputs.iter().any(|input| input.is_nan()));
    if missing == Missing::Accept && !golden.is_empty() && !shows_missing {
        let expected = "a golden vector with a nan, which shows what the graph makes of it";
        root.report("missing", "\"accept\" without proof", expected);
    }
    golden
}

/// The inputs of a golden vector: numbers and `nan`, never infinite.
struct GoldenInputs(Vec<f64>);

impl FromToml for GoldenInputs {
    const EXPECTED: &'static str = "a list of numbers; nan for an undefined feature";
    fn from_toml(value: &Value) -> Option<Self> {
        let number = |value: &Value| match value {
            Value::Float(number) if !number.is_infinite() => Some(*number),
            Value::Integer(number) => Some(*number as f64),
            _ => None,
        };
        value.as_array()?.iter().map(number).collect::<Option<_>>().map(Self)
    }
}

struct Sha256Hex(String);

impl FromToml for Sha256Hex {
    const EXPECTED: &'static str = "the sha256 of model.onnx, 64 hexadecimal digits";
    fn from_toml(value: &Value) -> Option<Self> {
        let text = value.as_str()?;
        let fits = text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit());
        fits.then(|| Self(text.to_ascii_lowercase()))
    }
}

impl FromToml for Version {
    const EXPECTED: &'static str = Version::EXPECTED;
    fn from_toml(value: &Value) -> Option<Self> {
        Version::parse(value.as_str()?)
    }
}

impl FromToml for Kind {
    const EXPECTED: &'static str = "\"linear\", \"trees\" or \"neural\"";
    fn from_toml(value: &Value) -> Option<Self> {
        Kind::parse(value.as_str()?)
    }
}
