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
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 2, 1);
    fs::write(folder.path().join("old.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(folder.path().join("old.key"), key.serialize_pem()).unwrap();
    let keys = format!(
        "[[caller]]\nname = \"a\"\nrole = \"lead\"\nkeys = [{{ hash = \"sha256:{}\", expires = 2020-01-01 }}]\n",
        "0".repeat(64)
    );
    fs::write(folder.path().join("keys.toml"), keys).unwrap();
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
        "  http      127.0.0.1:8080 without TLS; this machine only",
        "  access    no keys: the probes answer and nothing else does",
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

#[test]
fn what_is_allowed_but_will_not_do_is_noted() {
    let tls = "[http]\nlisten = \"0.0.0.0:8443\"\ntls = { certificate = \"old.pem\", key = \"old.key\" }\n";
    let access = "[access]\nkeys = \"keys.toml\"\nanonymous = [\"metrics\"]\n";
    let (code, out) = checked(&format!("{GOOD}{tls}{access}"), FEATURES);
    assert_eq!(code, 0, "{out}");
    for line in [
        "  http      0.0.0.0:8443 with TLS, the certificate is good until 2020-02-01T00:00:00.000Z",
        "            note: the certificate expired at 2020-02-01T00:00:00.000Z: clients will not take it",
        "  access    callers: 1, keys: 1, expired of them: 1",
        "            open to everybody: metrics",
    ] {
        assert!(out.contains(line), "{line} not in\n{out}");
    }
    let (code, out) = checked(&format!("{GOOD}[http]\nlisten = \"0.0.0.0:80\"\ninsecure = true\n"), FEATURES);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("  http      0.0.0.0:80 without TLS; insecure: others can read"), "{out}");
}
