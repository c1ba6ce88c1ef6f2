//! What holds of `[http]` and `[access]`, and of the files that they name.

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::access::{Key, RANDOM_BYTES, Scope};

impl Folder {
    /// The same with a certificate and its key.
    fn certified(self) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        self.write("server.pem", &params.self_signed(&key).unwrap().pem());
        self.write("server.key", &key.serialize_pem());
        self.write("other.key", &KeyPair::generate().unwrap().serialize_pem());
        self
    }
}

const TLS: [&str; 2] = ["http.tls.certificate=server.pem", "http.tls.key=server.key"];

#[test]
fn an_address_that_others_reach_needs_tls_or_a_word() {
    let folder = Folder::minimal().certified();
    for address in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:443"] {
        let listen = format!("http.listen=\"{address}\"");
        let problems = folder.problems(&[&listen], &[]);
        assert!(
            problems.starts_with(&format!("--set: http.listen: found {address} without TLS")),
            "{problems}"
        );
        assert!(problems.contains("[http.tls]") && problems.contains("insecure = true"), "{problems}");
        assert_eq!(problems.lines().count(), 1, "{problems}");
        assert!(folder.config(&[&listen, "http.insecure=true"], &[]).http.tls.is_none());
        assert!(folder.config(&[&listen, TLS[0], TLS[1]], &[]).http.tls.is_some());
    }
    for address in ["127.0.0.1:0", "127.8.8.8:1", "[::1]:8080"] {
        assert!(folder.config(&[&format!("http.listen=\"{address}\"")], &[]).http.tls.is_none());
    }
}

#[test]
fn a_certificate_and_its_key_are_checked_before_anything_binds() {
    let folder = Folder::minimal().certified();
    let cases: [(&[&str], &[&str]); 5] = [
        (&["http.tls.certificate=server.pem"], &["http.tls.key: found nothing; expected both"]),
        (&["http.tls.key=server.key"], &["http.tls.certificate: found nothing; expected both"]),
        (
            &[TLS[0], "http.tls.key=other.key"],
            &["http.tls.key: found \"other.key\" with a key that does not fit"],
        ),
        (
            &["http.tls.certificate=gone.pem", "http.tls.key=features.toml", "http.tls.watch=2"],
            &[
                "http.tls.certificate: found \"gone.pem\", where there is no such file",
                "http.tls.watch: found 2",
            ],
        ),
        (
            &["http.tls.certificate=server.key", "http.tls.key=server.pem"],
            &[
                "http.tls.certificate: found \"server.key\" with no certificate in it",
                "http.tls.key: found \"server.pem\" with no private key in it",
            ],
        ),
    ];
    for (sets, expected) in cases {
        // Together with an address that needs them: that is not called wrong a second time.
        let sets = [sets, &["http.listen=0.0.0.0:8080"]].concat();
        let problems = folder.problems(&sets, &[]);
        for line in expected {
            assert!(problems.contains(line), "{line} not in\n{problems}");
        }
        assert_eq!(problems.lines().count(), expected.len(), "{problems}");
    }
}

#[test]
fn without_a_keys_file_nobody_is_let_in_and_with_one_its_problems_stand_beside_the_others() {
    let folder = Folder::minimal();
    let access = folder.config(&[], &[]).access;
    assert_eq!((access.callers.census(0).callers, access.file.is_none()), (0, true));
    assert!(access.terms.anonymous.is_empty());
    let key = Key::of([1; RANDOM_BYTES]);
    folder.write(
        "keys.toml",
        &format!("[[caller]]\nname = \"a\"\nrole = \"lead\"\nkeys = [\"{}\"]\n", key.hash()),
    );
    let sets = ["access.keys=keys.toml", "access.anonymous=[\"metrics\"]"];
    let access = folder.config(&sets, &[]).access;
    assert_eq!((access.callers.census(0).callers, access.file.is_some()), (1, true));
    assert!(access.terms.anonymous.has(Scope::Metrics) && !access.terms.anonymous.has(Scope::Board));
    folder.write(
        "keys.toml",
        &format!("[[caller]]\nname = \"a\"\nrole = \"boss\"\nkeys = [\"{}\"]\n", key.reveal()),
    );
    let sets = ["access.keys=keys.toml", "access.anonymous=[\"read\"]", "access.rate=5", "log.level=loud"];
    let problems = folder.problems(&sets, &[]);
    for line in [
        "keys.toml: caller[0].role: found \"boss\"",
        "keys.toml: caller[0].keys[0]: found a key in clear text",
        "--set: access.anonymous: found \"read\"; expected some of board, metrics, docs",
        "--set: access.rate: found 5; expected a rate",
        "--set: log.level: found \"loud\"",
    ] {
        assert!(problems.contains(line), "{line} not in\n{problems}");
    }
    assert_eq!(problems.lines().count(), 5, "{problems}");
    assert!(!problems.contains(&key.reveal()[4..16]), "{problems}");
    let problems = folder.problems(&["access.keys=gone.toml"], &[]);
    assert!(problems.contains("access.keys: found \"gone.toml\", where there is no such file"), "{problems}");
}

#[test]
fn hosts_are_names() {
    let folder = Folder::minimal();
    let config = folder.config(&["http.hosts=[\"Tripline.Example:8443\", \"[::1]\"]"], &[]);
    assert_eq!(config.http.hosts, ["tripline.example:8443", "[::1]"]);
    for wrong in ["http://a", "a/b", "a b", "*"] {
        let problems = folder.problems(&[&format!("http.hosts=[\"{wrong}\"]")], &[]);
        assert!(problems.contains(&format!("http.hosts: found \"{wrong}\"; expected names")), "{problems}");
    }
}
