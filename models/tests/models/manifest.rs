//! The manifest's text: every problem at once, and written so that it reads back.

use models::{Facts, Golden, Manifest, Missing};

use crate::handbook::Which;

#[test]
fn every_problem_is_named_at_once() {
    let text = r#"
        name = "../up"
        version = "a b"
        kind = "magic"
        features = ["a", "a"]
        output = 1
        missing = "maybe"
        sha256 = "abc"
        golden_tolerance = 1.0
        typo = 1
        [[golden]]
        inputs = [1, nan, 2]
        score = 7.0
        [[golden]]
        inputs = [inf, 1.0]
    "#;
    let found = Manifest::read("manifest.toml", text).unwrap_err().to_string();
    for line in [
        "name: found \"../up\"",
        "version: found \"a b\"",
        "kind: found \"magic\"; expected \"linear\", \"trees\" or \"neural\"",
        "features: found \"a\" twice",
        "output: found no table; expected the probability's place, such as { index = 1, column = 1 }",
        "missing: found \"maybe\"; expected one of refuse, accept",
        "sha256: found \"abc\"",
        "golden_tolerance: found 1; expected 0 to 0.01",
        "golden[0].inputs: found 3 numbers; expected 2",
        "golden[0].inputs: found nan",
        "golden[0].score: found 7; expected a probability",
        "golden[1].inputs: found [inf, 1.0]",
        "golden[1].score: found nothing",
        "typo: found an unknown key",
    ] {
        assert!(found.contains(&format!("manifest.toml: {line}")), "{line} is not in\n{found}");
    }
    assert_eq!(found.lines().count(), 14, "{found}");
}

#[test]
fn a_manifest_without_proof_is_refused() {
    let read = |facts: &Facts, golden: &[Golden]| {
        let manifest = Manifest { facts: facts.clone(), sha256: "0".repeat(64), golden: golden.to_vec() };
        Manifest::read("manifest.toml", &manifest.to_toml()).map_err(|problems| problems.to_string())
    };
    let mut facts = Which::Logistic.facts();
    let golden = |first| Golden { inputs: [vec![first], vec![1.0; 14]].concat(), score: 0.25 };
    read(&facts, &[golden(1.0)]).unwrap();
    assert!(read(&facts, &[]).unwrap_err().contains("golden: found 0 golden vectors"));
    assert!(read(&facts, &[golden(f64::NAN)]).unwrap_err().contains("missing = \"accept\""));
    facts.missing = Missing::Accept;
    read(&facts, &[golden(f64::NAN)]).unwrap();
    assert!(read(&facts, &[golden(1.0)]).unwrap_err().contains("\"accept\" without proof"));
}

#[test]
fn what_is_written_reads_back() {
    let mut facts = Which::Xgboost.facts();
    facts.features[0] = "quotes \" and \\ and \u{e9}".into();
    let inputs = [vec![0.1, -1e-300, 1e300, f64::from(0.1_f32), 1e-6], vec![0.0; 10]].concat();
    let golden = vec![Golden { inputs, score: 0.123_456_789_012_345_67 }];
    let manifest = Manifest { facts, sha256: "ab".repeat(32), golden };
    assert_eq!(Manifest::read("manifest.toml", &manifest.to_toml()).unwrap(), manifest);
}
