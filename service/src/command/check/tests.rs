//! What `tripline check` says and the code with which it ends.

use std::fs;

use super::*;

const GOOD: &str = r#"
features = "features.toml"
policy = "policy.toml"
[payment]
transaction_id = "id"
event_time = "time"
amount = { field = "cents", unit = "minor" }
currency = { value = "EUR" }
entities = { customer = "c", terminal = "t" }
"#;

const FEATURES: &str = r#"
[[feature]]
name = "risk"
entity = "terminal"
aggregate = "ratio"
of = "label"
window = "28d"
delay = "7d"
"#;

fn checked(config: &str, features: &str) -> (u8, String) {
    let folder = tempfile::TempDir::new().unwrap();
    fs::write(folder.path().join("tripline.toml"), config).unwrap();
    fs::write(folder.path().join("features.toml"), features).unwrap();
    fs::copy("../deploy/examples/handbook/policy.toml", folder.path().join("policy.toml"))
        .or_else(|_| fs::write(folder.path().join("policy.toml"), "").map(|()| 0))
        .unwrap();
    let mut out = Vec::new();
    let code = run(&folder.path().join("tripline.toml"), &[], [], &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    (code, out.replace(&format!("{}/", folder.path().display()), ""))
}

#[test]
fn a_good_config_is_summed_up() {
    let (code, out) = checked(GOOD, FEATURES);
    assert_eq!(code, 0, "{out}");
    for line in [
        "tripline.toml: good",
        "  entities  2: customer, terminal",
        "  features  1, the longest reaches back 35d; version ",
        "  policy    version pol_",
        "  model     none: the policy's fallback decides",
        "  topics    in transactions and labels",
        "            out decisions, alerts and dead-letters",
    ] {
        assert!(out.contains(line), "{line} not in\n{out}");
    }
}

#[test]
fn problems_are_one_a_line_and_counted_and_the_code_is_two() {
    let (code, out) = checked(&format!("{GOOD}[log]\nlevel = \"loud\"\n"), &FEATURES.replace("28d", "28"));
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(code, 2);
    assert_eq!(
        lines[0],
        "tripline.toml: log.level: found \"loud\"; expected one of error, warn, info, debug, trace"
    );
    assert!(
        lines[1].starts_with("features.toml: feature[0].window: found \"28\"; expected a duration"),
        "{out}"
    );
    assert_eq!(lines[2], "tripline.toml: 2 problems; nothing was started");
    assert_eq!(lines.len(), 3);
}
