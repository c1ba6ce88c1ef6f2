//! The findings of the job on Spark beside those of `tripline reconcile`, over the same archive.

use std::collections::BTreeMap;
use std::process::Command;

use harness::servers::root;
use serde_json::Value;

use crate::batch::{findings, run, steps, tripline, world};

/// Findings by event time, by payment and field.
fn by_field(lines: impl Iterator<Item = Value>) -> BTreeMap<(String, String), Value> {
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let by_event_time = lines.filter(|finding| finding["check"] == "features_by_event_time");
    by_event_time.map(|one| ((text(&one, "transaction_id"), text(&one, "field")), one)).collect()
}

#[test]
#[ignore = "450 MB fetched: make test-spark"]
fn i14_spark_writes_the_findings_that_reconcile_writes() {
    let world = world("spark");
    let (steps, _) = steps(&world, 3_000);
    run(&world, &steps);
    let (good, said) = tripline(&world, &["archive", "run", "--drain"], &[]);
    assert!(good, "{said}");
    let ours = world.path("out");
    let (good, said) = tripline(&world, &["reconcile", "--out", ours.to_str().unwrap()], &[]);
    assert!(good, "{said}");
    let (good, script) = tripline(&world, &["features", "sql", "--dialect", "spark"], &[]);
    assert!(good, "{script}");
    let (file, out) = (world.path("features.sql"), world.path("spark-out"));
    std::fs::write(&file, script).unwrap();
    let topics = ["transactions", "labels", "decisions", "dead-letters"];
    let output = Command::new(root().join("deploy/local/spark"))
        .arg(root().join("deploy/spark/reconcile.py"))
        .arg(&file)
        .arg(root().join("deploy/spark/payments.sql"))
        .arg(world.path("archive"))
        .arg(&out)
        .args(topics.map(|name| format!("{name}={}", world.topic(name))))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let parts = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
    let parts = parts.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("part-"));
    let text: String = parts.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let theirs = by_field(text.lines().map(|line| serde_json::from_str(line).unwrap()));
    let ours = by_field(findings(&ours).into_iter());
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, finding) in &theirs {
        let expected = ours.get(place).unwrap_or_else(|| panic!("only on Spark: {finding}"));
        assert_eq!(finding, expected);
        *classes.entry(finding["class"].as_str().unwrap()).or_default() += 1;
    }
    let missed: Vec<&Value> =
        ours.iter().filter(|(place, _)| !theirs.contains_key(*place)).map(|(_, finding)| finding).collect();
    assert!(missed.is_empty(), "not on Spark: {missed:#?}");
    assert!(classes.len() >= 3, "{classes:?}");
    println!("{} findings, the same on Spark to the last field: {classes:?}", theirs.len());
}
