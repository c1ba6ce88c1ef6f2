//! What a changed file does, and what a bad one does not.

use super::super::host::Hosts;
use super::*;
use crate::access::{Key, RANDOM_BYTES, Rate, Schemes, Scopes};
use crate::clock::StandingClock;

fn entry(key: &Key) -> String {
    format!("[[caller]]\nname = \"a\"\nrole = \"viewer\"\nkeys = [\"{}\"]\n", key.hash())
}

#[test]
fn a_good_keys_file_is_taken_and_a_bad_one_locks_nobody_out() {
    let (old, new) = (Key::of([1; RANDOM_BYTES]), Key::of([2; RANDOM_BYTES]));
    let terms = Terms { rate: Rate::parse("5/s").unwrap(), anonymous: Scopes::NONE };
    let callers = Callers::read("keys.toml", &entry(&old), terms, None).unwrap();
    let hosts = Hosts::of("127.0.0.1:1".parse().unwrap(), 80, &[]);
    let gate = Gate::new(callers, hosts, Arc::new(StandingClock::at(0)));
    let knows = |key: &Key| {
        let bearer = format!("Bearer {}", key.reveal());
        gate.callers().who(Some(&bearer), Schemes::Bearer, 0).is_ok()
    };
    for bad in [Ok(vec!["x = = 1".to_owned()]), Ok(vec![String::new()]), Err("no such file".to_owned())] {
        keys(&gate, terms, bad);
        assert_eq!((knows(&old), knows(&new)), (true, false));
    }
    keys(&gate, terms, Ok(vec![entry(&new)]));
    assert_eq!((knows(&old), knows(&new)), (false, true));
}
