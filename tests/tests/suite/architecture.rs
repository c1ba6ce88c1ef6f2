//! The rules of the house that a machine can check: arrows between crates and modules, names, lengths.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A crate may name these and no other of ours.
const CRATES: [(&str, &[&str]); 8] = [
    ("schemas", &[]),
    ("feature-store", &["schemas"]),
    ("models", &["schemas"]),
    ("service/queue", &["schemas"]),
    ("service/pages", &["schemas", "queue"]),
    ("service/batch", &["schemas", "feature-store"]),
    ("service", &["schemas", "feature-store", "models", "queue", "pages", "batch"]),
    ("tests", &["schemas", "feature-store", "models", "tripline"]),
];

/// Dependencies that a library may not have: it knows no topic, no network and no page.
const NOT_IN_LIBRARIES: [&str; 8] =
    ["tokio", "rdkafka", "axum", "reqwest", "redis", "schema_registry_converter", "clap", "sqlx"];

/// What the code below a path may not name, and why.
const MODULES: [(&str, &[&str], &str); 10] = [
    (
        "service/batch/src/kernel",
        &["feature_store::state", "feature_store::enricher", "feature_store::store", "SystemTime", "Instant"],
        "a proof: it shares no code of the stream's algebra",
    ),
    ("service/src/access", &["axum", "std::fs", "SystemTime", "std::time::Instant", "tokio"], "pure"),
    ("service/src/pipeline", &["crate::stream", "rdkafka", "axum", "std::fs"], "blind to transports"),
    (
        "service/src/policy",
        &["crate::stream", "crate::pipeline", "rdkafka", "std::fs", "crate::clock"],
        "pure",
    ),
    (
        "service/src/stream/line",
        &["rdkafka", "axum", "std::time::Instant", "std::fs"],
        "runs on any transport",
    ),
    ("service/src/stream/memory", &["rdkafka", "std::time::Instant"], "deterministic"),
    ("service/src/index", &["rdkafka", "axum", "crate::", "SystemTime"], "rows on a disk, and no more"),
    ("service/src/simulate/", &["axum", "std::time::SystemTime"], "a world without a clock"),
    ("feature-store/src", &["std::time::Instant", "SystemTime", "std::net"], "knows no clock and no network"),
    ("models/src", &["std::time::Instant", "SystemTime", "std::net"], "knows no clock and no network"),
];

const BANNED_NAMES: [&str; 8] = ["mod", "utils", "util", "common", "helpers", "manager", "misc", "base"];

const MOST_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file of the crates: path from the root, and text.
fn sources() -> BTreeMap<String, String> {
    fn walk(dir: &Path, root: &Path, out: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, out);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                out.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let (root, mut out) = (root(), BTreeMap::new());
    for (name, _) in CRATES {
        walk(&root.join(name), &root, &mut out);
    }
    out
}

/// Our crates and the others' that a manifest names in `[dependencies]`.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let table: toml::Table = manifest.parse().unwrap();
    table
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .map_or_else(BTreeSet::new, |table| table.keys().cloned().collect())
}

fn broken_crates(manifests: &BTreeMap<&str, String>) -> Vec<String> {
    let ours: BTreeSet<&str> =
        ["schemas", "feature-store", "models", "queue", "pages", "batch", "tripline", "tripline-tests"]
            .into();
    let mut broken = Vec::new();
    for (name, allowed) in CRATES {
        for dependency in dependencies(&manifests[name]) {
            if ours.contains(dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                broken.push(format!("{name} -> {dependency}"));
            }
            let is_library = ["schemas", "feature-store", "models"].contains(&name);
            if is_library && NOT_IN_LIBRARIES.contains(&dependency.as_str()) {
                broken.push(format!("{name} -> {dependency}"));
            }
        }
    }
    broken
}

/// The code of a file: without comment lines.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn broken_modules(sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut broken = Vec::new();
    for (place, banned, why) in MODULES {
        let below = sources.iter().filter(|(name, _)| !name.contains("/tests")).filter(|(name, _)| {
            let end = name.strip_prefix(place).unwrap_or("-");
            end.starts_with(['/', '.'])
                || place.ends_with('/') && name.starts_with(place) && !name.ends_with("feed.rs")
        });
        for (name, text) in below {
            for word in banned {
                if code(text).any(|line| line.contains(word)) {
                    broken.push(format!("{name} names {word}: {place} is {why}"));
                }
            }
        }
    }
    broken
}

fn broken_files(sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, text) in sources {
        let stem = Path::new(name).file_stem().unwrap().to_string_lossy().into_owned();
        if BANNED_NAMES.contains(&stem.as_str()) {
            broken.push(format!("{name}: the name is a noun of the field, not \"{stem}\""));
        }
        let lines = text.lines().count();
        if lines > MOST_LINES {
            broken.push(format!("{name}: {lines} lines, at most {MOST_LINES}"));
        }
        if !text.starts_with("//!") && !text.starts_with("#![") {
            broken.push(format!("{name}: the first line does not say what it is"));
        }
    }
    broken
}

#[test]
fn crates_name_only_those_below_them() {
    let manifests = CRATES
        .map(|(name, _)| (name, std::fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap()));
    let mut manifests = BTreeMap::from(manifests);
    assert_eq!(broken_crates(&manifests), Vec::<String>::new());
    // It bites.
    manifests
        .get_mut("schemas")
        .unwrap()
        .push_str("\n[dependencies.feature-store]\npath = \"x\"\n[dependencies.axum]\nversion = \"1\"\n");
    assert_eq!(broken_crates(&manifests), ["schemas -> axum", "schemas -> feature-store"]);
}

#[test]
fn modules_name_only_what_they_may() {
    let mut sources = sources();
    assert_eq!(broken_modules(&sources), Vec::<String>::new());
    sources.insert("service/src/policy/x.rs".to_owned(), "use crate::stream::Line;".to_owned());
    sources.insert("service/src/pipeline.rs".to_owned(), "// rdkafka\nuse rdkafka::x;".to_owned());
    assert_eq!(broken_modules(&sources).len(), 2, "{:?}", broken_modules(&sources));
}

#[test]
fn files_have_names_lengths_and_a_first_line() {
    let mut sources = sources();
    assert_eq!(broken_files(&sources), Vec::<String>::new());
    sources.insert("service/src/utils.rs".to_owned(), format!("//! x\n{}", "\n".repeat(500)));
    sources.insert("service/src/x.rs".to_owned(), "use x;".to_owned());
    assert_eq!(broken_files(&sources).len(), 3, "{:?}", broken_files(&sources));
}

#[test]
fn the_clock_is_read_in_one_place() {
    let readers: Vec<_> = sources()
        .into_iter()
        .filter(|(name, text)| {
            name.contains("/src/") && code(text).any(|line| line.contains("SystemTime::now"))
        })
        .map(|(name, _)| name)
        .collect();
    assert_eq!(readers, ["service/src/clock.rs"]);
}
