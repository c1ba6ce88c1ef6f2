//! What is printed is what the keys file takes, and no two keys are alike.

use super::*;
use crate::access::{Callers, Denied, Rate, Schemes, Scopes, Terms};

fn args(name: &str, role: Option<&str>, scopes: &[&str]) -> KeyArgs {
    KeyArgs {
        name: name.to_owned(),
        role: role.map(str::to_owned),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        expires: None,
    }
}

#[test]
fn the_entry_lets_the_key_in() {
    let terms = Terms { rate: Rate::parse("5/s").unwrap(), anonymous: Scopes::NONE };
    let key = random().unwrap();
    assert_ne!(key, random().unwrap());
    let bearer = format!("Bearer {}", key.reveal());
    for (args, scopes) in [
        (args("checkout", Some("scorer"), &[]), Role::Scorer.scopes()),
        (args("grafana", None, &["metrics", "docs"]), Scopes::of(&[Scope::Metrics, Scope::Docs])),
    ] {
        checked(&args).unwrap();
        let until_ms = 1_900_000_000_000;
        for until in [None, Some(until_ms)] {
            let text = entry(&args, key.hash(), until);
            assert!(!text.contains(key.reveal()), "{text}");
            let callers = Callers::read("keys.toml", &text, terms, None).unwrap();
            let who = |ms| callers.who(Some(&bearer), Schemes::Bearer, ms);
            let caller = who(until_ms - 1).unwrap();
            assert_eq!((&caller.name, caller.scopes), (&args.name, scopes));
            assert_eq!(who(until_ms).err(), until.map(|_| Denied::Expired));
        }
    }
}

#[test]
fn wrong_arguments_are_said_all_at_once() {
    let problems = checked(&args("Check Out", Some("boss"), &[])).unwrap_err().to_string();
    assert_eq!(problems.lines().count(), 2, "{problems}");
    assert!(problems.contains("--role: found \"boss\"; expected one of scorer, viewer"), "{problems}");
    let problems = checked(&args("a", None, &["read", "fly"])).unwrap_err().to_string();
    assert!(problems.contains("--scopes: found \"fly\"; expected some of score, read"), "{problems}");
}
