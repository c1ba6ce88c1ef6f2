//! The features file: what is refused, all at once and with the place, and what the version depends on.

use feature_store::definition::Definitions;

use super::scenario::vocabulary;

const GOOD: &str = r#"
[[feature]]
name = "a"
entity = "card"
aggregate = "count"
window = "1d"
"#;

fn problems(text: &str) -> String {
    Definitions::parse("f.toml", text, &vocabulary()).unwrap_err().to_string()
}

fn version(text: &str) -> String {
    Definitions::parse("f.toml", text, &vocabulary()).unwrap().version
}

/// One feature with this changed or added.
fn with(line: &str) -> String {
    let key = line.split(' ').next().unwrap();
    let kept: Vec<_> = GOOD.lines().filter(|known| !known.starts_with(&format!("{key} "))).collect();
    format!("{}\n{line}\n", kept.join("\n"))
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_key() {
    for (line, key) in [
        ("window = \"0s\"", "feature[0].window"),
        ("window = \"3650d\"", "feature[0].window"),
        ("window = \"-1d\"", "feature[0].window"),
        ("window = 86400", "feature[0].window"),
        ("entity = \"nobody\"", "feature[0].entity"),
        ("aggregate = \"median\"", "feature[0].aggregate"),
        ("windw = \"1d\"", "feature[0].windw"),
        ("of = \"label\"", "feature[0].delay"),
        ("norm = \"nothing\"", "norm"),
    ] {
        let found = problems(&with(line));
        assert!(found.contains(key), "{line}: {found}");
    }
}

#[test]
fn all_problems_come_at_once() {
    let text = format!("{GOOD}{GOOD}{}", with("window = \"0s\"").replace("\"a\"", "\"b\""));
    let found = problems(&text);
    assert!(found.contains("\"a\" a second time") && found.contains("feature[2].window"), "{found}");
    assert!(problems("").contains("1 to 500 [[feature]]"));
    assert!(problems("[[feature]\n").contains("line 1"));
}

#[test]
fn the_version_follows_the_meaning_and_not_the_text() {
    assert_eq!(version(GOOD), version(&format!("# a comment\n{}", GOOD.replace("\"1d\"", "\"24h\""))));
    assert_ne!(version(GOOD), version(&with("window = \"2d\"")));
    assert_ne!(version(GOOD), version(&with("delay = \"1d\"")));
    assert_ne!(version(GOOD), version(&with("include_current = false")));
}
