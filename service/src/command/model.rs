//! `tripline model`: one model directory, checked or made.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use models::{Facts, Kind, Missing, Model, Output, Version, is_path_word, pack};
use schemas::problem::{Problem, Problems};

use crate::cli::CommandError;

/// What `model pack` is told.
#[derive(Debug, clap::Args)]
pub struct PackArgs {
    /// The ONNX file
    pub onnx: PathBuf,
    /// The model's name: the folder of its versions
    #[arg(long)]
    pub name: String,
    /// This version: the folder of its files; the highest that is good is live
    #[arg(long)]
    pub version: String,
    /// linear, trees or neural
    #[arg(long)]
    pub kind: String,
    /// A JSON file with the names of the input features, in the order of the model's input
    #[arg(long, value_name = "FILE")]
    pub features: PathBuf,
    /// Which output of the graph holds the probability of fraud, counted from 0
    #[arg(long, default_value_t = 1)]
    pub output: usize,
    /// Which column of it; without it the output has one
    #[arg(long)]
    pub column: Option<usize>,
    /// Whether an undefined feature is taken as missing, instead of being refused
    #[arg(long)]
    pub accept_missing: bool,
    /// A JSON file with a list of input vectors (null: undefined) to score as golden vectors; without it zeros, ones
    /// and a ramp
    #[arg(long, value_name = "FILE")]
    pub golden: Option<PathBuf>,
    /// The folder of models
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Checks one model directory by itself, and says what it is.
///
/// # Errors
/// Why it was refused.
pub fn check(dir: &Path) -> Result<(), CommandError> {
    let model = Model::load_alone(dir).map_err(|error| refused(dir, &error.to_string()))?;
    let facts = &model.manifest().facts;
    let mut out = std::io::stdout().lock();
    let lines = [
        format!("{}: good", dir.display()),
        format!("  model     {}, {}", model.id(), facts.kind.as_str()),
        format!("  inputs    {}", facts.features.len()),
        format!(
            "  golden    {} vectors, all within {:e}",
            model.manifest().golden.len(),
            facts.golden_tolerance
        ),
        format!("  sha256    {}", model.manifest().sha256),
    ];
    for line in lines {
        writeln!(out, "{line}").context("standard output")?;
    }
    Ok(())
}

/// Makes a model directory of an ONNX file.
///
/// # Errors
/// What is wrong with the file or the facts.
pub fn make(args: &PackArgs) -> Result<(), CommandError> {
    let facts = facts(args)?;
    let width = facts.features.len();
    let golden = match &args.golden {
        // JSON has no NaN: null stands for an undefined feature.
        Some(file) => {
            let rows: Vec<Vec<Option<f64>>> =
                json(file, "a JSON list of lists of numbers, null for undefined")?;
            rows.into_iter()
                .map(|row| row.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
                .collect()
        }
        None => vec![vec![0.0; width], vec![1.0; width], (0..width).map(|place| place as f64).collect()],
    };
    let made = pack(&args.onnx, &facts, &golden, &args.out);
    let made = made.map_err(|error| refused(&args.onnx, &error.to_string()))?;
    writeln!(std::io::stdout(), "{}", made.display()).context("standard output")?;
    Ok(())
}

fn facts(args: &PackArgs) -> Result<Facts, CommandError> {
    let mut problems = Problems::default();
    let mut wrong = |flag: &str, found: &str, expected: &str| {
        problems.0.push(Problem::new("the command line", flag, format!("\"{found}\""), expected));
    };
    if !is_path_word(&args.name) {
        wrong("--name", &args.name, "letters, digits, \".\", \"_\" and \"-\"");
    }
    let version = Version::parse(&args.version);
    if version.is_none() {
        wrong("--version", &args.version, Version::EXPECTED);
    }
    let kind = Kind::parse(&args.kind);
    if kind.is_none() {
        wrong("--kind", &args.kind, "linear, trees or neural");
    }
    let features: Vec<String> = json(&args.features, "a JSON list of names")?;
    let (Some(version), Some(kind)) = (version, kind) else { return Err(problems.into()) };
    if !problems.0.is_empty() {
        return Err(problems.into());
    }
    Ok(Facts {
        name: args.name.as_str().into(),
        version,
        kind,
        features: features.iter().map(|name| name.as_str().into()).collect(),
        output: Output { index: args.output, column: args.column },
        missing: if args.accept_missing { Missing::Accept } else { Missing::Refuse },
        golden_tolerance: 1e-6,
    })
}

fn json<T: serde::de::DeserializeOwned>(file: &Path, expected: &str) -> Result<T, CommandError> {
    let text = std::fs::read_to_string(file).map_err(|error| anyhow!(error));
    let parsed = text.and_then(|text| serde_json::from_str(&text).map_err(|error| anyhow!(error)));
    parsed.map_err(|error| {
        Problem::new(file.display().to_string(), "the file", error.to_string(), expected).into()
    })
}

fn refused(path: &Path, why: &str) -> CommandError {
    Problem::new(path.display().to_string(), "the model", why, "a model that can be loaded").into()
}
