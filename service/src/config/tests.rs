//! What holds of a configuration as a whole.

use std::collections::BTreeSet;
use std::fs;

use schemas::time::HOUR_MS;
use tempfile::TempDir;
use toml::{Table, Value};

use super::*;

mod entrance;
mod rates;

/// A config with what has no default, and nothing else.
const MINIMAL: &str = r#"
features = "features.toml"
policy = "policy.toml"
[payment]
transaction_id = "TRANSACTION_ID"
event_time = "TX_DATETIME"
amount = { field = "TX_AMOUNT_CENTS", unit = "minor" }
currency = { value = "EUR" }
[payment.entities]
customer = "CUSTOMER_ID"
TERMINAL = "TERMINAL_ID"
"#;

const FEATURES: &str = r#"
[[feature]]
name = "count_7d"
entity = "customer"
aggregate = "count"
window = "7d"
"#;

/// Keys that are read and have no default.
const WITHOUT_DEFAULT: [&str; 23] = [
    "reconcile.corrections",
    "reconcile.missed_alerts",
    "archive.keep",
    "archive.hash_key",
    "reconcile.at",
    "reconcile.reference",
    "features",
    "policy",
    "payment",
    "models.path",
    "models.live",
    "http.tls.certificate",
    "http.tls.key",
    "access.keys",
    "rest.key",
    "rest.in_flight",
    "rest.subject",
    "rest.seal_key",
    "rest.seal_key_before",
    "queue.entity",
    "queue.second_person_minor",
    "queue.second_person_bulk",
    "queue.max_mib",
];

/// A folder with the three files.
struct Folder(TempDir);

impl Folder {
    fn new(config: &str, features: &str) -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.write("tripline.toml", config);
        folder.write("features.toml", features);
        folder.write("policy.toml", "");
        folder
    }

    fn minimal() -> Self {
        Self::new(MINIMAL, FEATURES)
    }

    fn with(more: &str) -> Self {
        Self::new(&format!("{MINIMAL}{more}"), FEATURES)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn load(&self, sets: &[&str], env: &[(&str, &str)]) -> Result<Setup, Problems> {
        let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(&self.path("tripline.toml"), &sets, env)
    }

    fn config(&self, sets: &[&str], env: &[(&str, &str)]) -> Config {
        self.load(sets, env).unwrap_or_else(|problems| panic!("{problems}")).config
    }

    /// The problems, one a line, with this folder's name left out.
    fn problems(&self, sets: &[&str], env: &[(&str, &str)]) -> String {
        let problems = self.load(sets, env).expect_err("no problem was found").to_string();
        problems.replace(&format!("{}/", self.0.path().display()), "")
    }

    /// The one problem of a config with this line more.
    fn problem(more: &str) -> String {
        let problems = Folder::with(more).problems(&[], &[]);
        assert_eq!(problems.lines().count(), 1, "{more}:\n{problems}");
        problems
    }
}

/// The dotted keys of a table's values, an empty table's own key included.
fn leaves(path: &str, table: &Table, keys: &mut BTreeSet<String>) {
    for (key, value) in table {
        let dotted = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Table(inner) if !inner.is_empty() => leaves(&dotted, inner, keys),
            _ => _ = keys.insert(dotted),
        }
    }
}

fn default_keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    leaves("", &read::defaults(), &mut keys);
    keys
}

#[test]
fn the_default_file_holds_every_key_that_is_read_and_no_other() {
    // An unknown key in each section makes the reader say which keys it asked for there.
    let mut sections = read::defaults().keys().cloned().collect::<Vec<_>>();
    sections.push("http.tls".to_owned());
    let mut asked = BTreeSet::new();
    for section in std::iter::once("").chain(sections.iter().map(String::as_str)) {
        let key = if section.is_empty() { "typo".to_owned() } else { format!("{section}.typo") };
        let problems = Folder::minimal().problems(&[&format!("{key}=1")], &[]);
        let known = problems.strip_prefix(&format!("--set: {key}: found an unknown key; expected one of "));
        for known in known.unwrap_or_else(|| panic!("{problems}")).split(", ") {
            let known = if section.is_empty() { known.to_owned() } else { format!("{section}.{known}") };
            if !sections.contains(&known) {
                asked.insert(known);
            }
        }
    }
    let mut expected = default_keys();
    expected.extend(WITHOUT_DEFAULT.map(str::to_owned));
    assert_eq!(asked, expected);
    assert!(asked.len() >= 40, "{asked:?}");
}

#[test]
fn no_default_is_written_a_second_time_in_the_code() {
    let folder = Folder::minimal();
    for key in default_keys() {
        if ["kafka.properties", "archive.fields", "queue.rates"].contains(&key.as_str()) {
            continue;
        }
        let mut defaults = read::defaults();
        let (sections, last) = key.rsplit_once('.').unwrap();
        let section =
            sections.split('.').fold(&mut defaults, |table, part| table[part].as_table_mut().unwrap());
        section.remove(last).unwrap();
        let read = read::over(defaults, &folder.path("tripline.toml"), &[], &[]);
        let keys: Vec<_> = read.problems.0.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, [key.as_str()]);
        assert!(read.config.is_none(), "{key}");
    }
}

#[test]
fn the_least_config_is_enough_and_paths_are_relative_to_it() {
    let folder = Folder::minimal();
    let config = folder.config(&[], &[]);
    assert_eq!(config.folder, folder.0.path());
    assert_eq!(config.store.path, folder.path("data"));
    assert_eq!(config.features, folder.path("features.toml"));
    assert_eq!(config.models, None);
    assert_eq!(config.limits.remember, DurationMs::parse("40d").unwrap());
    assert_eq!(config.store.segment_bytes, 256 << 20);
    assert_eq!(config.store.journal_sync, JournalSync::Never);
    assert_eq!(config.log.level, tracing::Level::INFO);
    assert_eq!(config.decisions.path, folder.path("decisions"));
    assert_eq!((config.decisions.index, config.decisions.cache_bytes), (true, 64 << 20));
    // Of a payment an hour ahead the id is known an hour longer.
    assert_eq!(config.decisions.options(&config.limits).keep, DurationMs(config.limits.remember.0 + HOUR_MS));
    let absolute = folder.config(&["store.path=/elsewhere"], &[]);
    assert_eq!(absolute.store.path, Path::new("/elsewhere"));
}

#[test]
fn what_is_needed_for_the_proof_is_neither_dropped_nor_hashed() {
    let with = |more: &str| Folder::with(more).problems(&[], &[]);
    for (more, expected) in [
        ("[archive.fields]\nTRANSACTION_ID = \"drop\"\n", "without it nothing can be proved"),
        ("[archive.fields]\nother = \"hash\"\n", "archive.hash_key with 16 characters or more"),
        ("[archive]\naddress = \"ftp://x\"\n", "s3://BUCKET/PREFIX"),
        ("[reconcile]\nat = \"3 am\"\n", "such as \"03:00\""),
        ("[reconcile]\nat = \"03:00\"\n", "archive.enabled = true"),
    ] {
        let problems = with(more);
        assert!(problems.contains(expected), "{more}: {problems}");
    }
    let good =
        "[archive]\nhash_key = \"0123456789abcdef\"\n[archive.fields]\nother = \"hash\"\nmore = \"drop\"\n";
    assert_eq!(Folder::with(good).config(&[], &[]).archive.treatments.fields.len(), 2);
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file_before_the_default() {
    let plain = Folder::minimal();
    let file = Folder::with("[kafka]\ngroup = \"of-file\"\n");
    let env =
        [("Tripline__kafka__GROUP", "of-env"), ("TRIPLINE_OTHER", "not ours"), ("KAFKA__GROUP", "nor this")];
    let set = ["kafka.group=of-flag"];
    assert_eq!(plain.config(&[], &[]).kafka.group, "tripline");
    assert_eq!(file.config(&[], &[]).kafka.group, "of-file");
    assert_eq!(file.config(&[], &env).kafka.group, "of-env");
    assert_eq!(file.config(&set, &env).kafka.group, "of-flag");
    assert_eq!(plain.config(&["kafka.group=a", "kafka.group=b"], &[]).kafka.group, "b");
    // The other keys of the section stay as they were.
    assert_eq!(file.config(&set, &env).kafka.labels, "labels");
}

#[test]
fn values_laid_over_are_toml_or_else_texts() {
    let sets = [
        "limits.batch_records=64",
        "registry.register=true",
        "limits.lateness=2h",
        "kafka.group=\"quoted\"",
        "http={listen=\"[::1]:0\"}",
        "payment.currency={field=\"CUR\"}",
    ];
    let config =
        Folder::minimal().config(&sets, &[("TRIPLINE__PAYMENT__ENTITIES__TERMINAL", "[\"A\", \"B\"]")]);
    assert_eq!(config.limits.batch_records, 64);
    assert!(config.registry.register);
    assert_eq!(config.limits.lateness, DurationMs::parse("2h").unwrap());
    assert_eq!(config.kafka.group, "quoted");
    assert_eq!(config.http.listen.to_string(), "[::1]:0");
    assert!(matches!(config.mapping.currency, schemas::mapping::CurrencySource::Field(_)));
    // The variable's name has no case; the entity's is the file's.
    let terminal = config.mapping.entities.iter().find(|entity| entity.name == "TERMINAL").unwrap();
    assert_eq!(terminal.key.len(), 2);
    assert_eq!(config.mapping.entities.len(), 2);
}

#[test]
fn a_problem_names_the_layer_that_its_value_came_from() {
    let folder = Folder::with("[limits]\nskew = \"8d\"\n");
    let sets = ["http.listen=here", "no-value", "a..b=1", "kafka.group.x=1", "log=5"];
    let env = [("TRIPLINE__LIMITS__TILE", "forever"), ("TRIPLINE__", "x"), ("TRIPLINE__STORE__TYPO", "x")];
    let problems = folder.problems(&sets, &env);
    for line in [
        "tripline.toml: limits.skew: found 8d; expected 0ms to 7d",
        "--set: http.listen: found \"here\"; expected an IP address",
        "--set: no-value: found no \"=\"; expected key=value",
        "--set: a..b: found an empty part of a key; expected key=value",
        "--set: kafka.group.x: found \"tripline\"; expected no such key",
        "--set: log: found 5; expected a table [log]",
        "TRIPLINE__LIMITS__TILE: limits.tile: found \"forever\"; expected a duration",
        "TRIPLINE__: the variable's name: found an empty part",
        "TRIPLINE__STORE__TYPO: store.typo: found an unknown key; expected one of checkpoint_every",
    ] {
        assert!(problems.contains(line), "{line} not in\n{problems}");
    }
    assert_eq!(problems.lines().count(), 9, "{problems}");
}

#[test]
fn everything_wrong_with_all_files_is_said_at_once() {
    let config = MINIMAL
        .replace("TX_AMOUNT_CENTS\", unit = \"minor\"", "x\", unit = \"cents\"")
        .replace("policy = ", "polcy = ")
        + r#"
[kafka]
bootstrap = "user:hunter2@broker:9092"
decisions = "transactions"
alerts = "a lerts"
session_timeout = "5m"
[kafka.properties]
"sasl.password" = "hunter2"
sasl.username = "${NOT_SET}"
"acks" = "0"
[registry]
url = "http://me:hunter2@registry:8081"
timeout = 2
[limits]
lateness = "-1d"
remember = "1h"
skew = "10y"
events_per_entity = -5
[store]
resident = 5
[models]
path = "models"
"#;
    let features = FEATURES.replace("\"7d\"", "\"0d\"")
        + r#"
[[feature]]
name = "count_7d"
entity = "nobody"
aggregate = "count"
window = "3650d"
[[feature]]
name = "risk"
entity = "customer"
aggregate = "ratio"
of = "label"
window = "7"
"#;
    let problems = Folder::new(&config, &features).problems(&[], &[]);
    for line in [
        "tripline.toml: polcy: found an unknown key",
        "tripline.toml: policy: found nothing",
        "tripline.toml: payment.amount.unit: found \"cents\"; expected one of minor, major",
        "tripline.toml: kafka.bootstrap: found something other than host:port",
        "tripline.toml: kafka.decisions: found \"transactions\", which is kafka.transactions too",
        "tripline.toml: kafka.alerts: found \"a lerts\"",
        "tripline.toml: kafka.session_timeout: found 5m; expected at least 1s and below 5m",
        "tripline.toml: kafka.properties.sasl.password: found a secret in plain text; expected \"${NAME}\"",
        "tripline.toml: kafka.properties.sasl.username: found ${NOT_SET}, which the environment does not have",
        "tripline.toml: kafka.properties.acks: found a property that is not yours to set",
        "tripline.toml: registry.url: found a URL with a user or a password in it",
        "tripline.toml: registry.timeout: found 2; expected a duration with its unit",
        "tripline.toml: limits.lateness: found \"-1d\"; expected a duration",
        "tripline.toml: limits.skew: found \"10y\"; expected a duration",
        "tripline.toml: limits.events_per_entity: found -5; expected 1 to 1000000",
        "tripline.toml: store.resident: found an unknown key",
        "tripline.toml: models.live: found nothing; expected both models.path and models.live",
        // What is wrong with [payment] does not hide what is wrong with the features.
        "features.toml: feature[0].window: found 0 or ten years",
        "features.toml: feature[1].name: found \"count_7d\" a second time",
        "features.toml: feature[1].entity: found \"nobody\"",
        "features.toml: feature[1].window: found \"3650d\"",
        "features.toml: feature[2].window: found \"7\"",
        "features.toml: feature[2].delay: found a feature over labels without delay",
    ] {
        assert!(problems.contains(line), "{line} not in\n{problems}");
    }
    assert_eq!(problems.lines().count(), 23, "{problems}");
    assert!(!problems.contains("hunter2"), "{problems}");
}

#[test]
fn a_wrong_field_of_the_payment_does_not_hide_the_features_but_a_wrong_entity_does() {
    let features = FEATURES.replace("\"7d\"", "\"7\"");
    let lines = [
        "transaction_id = \"TRANSACTION_ID\"",
        "event_time = \"TX_DATETIME\"",
        "currency = { value = \"EUR\" }",
    ];
    for line in lines {
        for wrong in ["", line.split_once("= ").map(|(key, _)| format!("{key}= 5")).unwrap().as_str()] {
            let problems = Folder::new(&MINIMAL.replace(line, wrong), &features).problems(&[], &[]);
            let key = format!("tripline.toml: payment.{}: found", line.split(' ').next().unwrap());
            assert!(problems.contains(&key), "{key} not in\n{problems}");
            assert!(problems.contains("features.toml: feature[0].window"), "{problems}");
            assert_eq!(problems.lines().count(), 2, "{problems}");
        }
    }
    // A feature over an entity that is itself misspelt would be called wrong although it is right.
    let problems = Folder::new(&MINIMAL.replace("\"CUSTOMER_ID\"", "5"), FEATURES).problems(&[], &[]);
    assert!(problems.starts_with("tripline.toml: payment.entities.customer: found 5"), "{problems}");
    assert_eq!(problems.lines().count(), 1, "{problems}");
}

#[test]
fn values_that_do_not_fit_each_other_are_refused() {
    let bad = [
        ("[limits]\nlateness = \"50d\"", "limits.remember: found 40d; expected limits.lateness or more, 50d"),
        (
            "[limits]\nin_flight_messages = 100",
            "limits.in_flight_messages: found 100; expected limits.batch_records",
        ),
        (
            "[limits]\nrecord_bytes = 40_000_000",
            "limits.in_flight_mib: found 33554432; expected limits.record_bytes",
        ),
        ("[limits]\nwaiting_labels = 1.5", "limits.waiting_labels: found 1.5; expected a whole number"),
        (
            "[kafka]\nlabels = \"dead.letters\"\ndead_letters = \"dead_letters\"",
            "found \"dead_letters\", which is kafka.labels",
        ),
        ("[kafka]\nlabels = \"..\"", "kafka.labels: found \"..\"; expected a topic"),
        ("[kafka]\nbootstrap = \"a:1, b\"", "kafka.bootstrap: found \" b\"; expected host:port"),
        ("[kafka]\nsession_timeout = \"500ms\"", "kafka.session_timeout: found 500ms"),
        ("[registry]\nurl = \"https://r\"", "registry.url: found \"https://r\"; expected an http:// URL"),
        ("[registry]\nurl = \"registry:8081\"", "registry.url: found \"registry:8081\"; expected a URL"),
        ("[registry]\nurl = \"ftp://r\"", "registry.url: found \"ftp://r\"; expected a URL"),
        (
            "[registry]\nurl = \"http://r?x=1\"",
            "registry.url: found \"http://r?x=1\"; expected a URL without ?",
        ),
        (
            "[decisions]\nkeep = \"39d\"",
            "decisions.keep: found 39d; expected limits.remember or more, 40d: an id that is still known",
        ),
        ("[limits]\nremember = \"41d\"", "decisions.keep: found 40d; expected limits.remember or more, 41d"),
        ("[decisions]\nkeep = \"1s\"", "decisions.keep: found 1s; expected 1m to 730d"),
        ("[decisions]\ncache_mib = 0", "decisions.cache_mib: found 0; expected 1 to 65536"),
        ("[decisions]\nindex = \"no\"", "decisions.index: found \"no\"; expected true or false"),
        ("[http]\nlisten = \"127.0.0.1:70000\"", "http.listen: found \"127.0.0.1:70000\"; expected an IP"),
        ("[log]\nlevel = \"loud\"", "log.level: found \"loud\"; expected one of error, warn"),
        ("[log]\nformat = 5", "log.format: found 5; expected a text"),
        ("[store]\njournal_sync = true", "store.journal_sync: found true; expected a text"),
        ("[models]\nlive = \"m\"", "models.path: found nothing; expected both"),
        ("[kafka.properties]\n\"a\" = [1]", "kafka.properties.a: found a value that is not a text"),
        ("[kafka.properties]\n\"group.id\" = \"g\"", "expected the key kafka.group instead"),
        ("[kafka.properties]\n\"a\" = \"${A\"", "kafka.properties.a: found \"${\" without \"}\""),
    ];
    for (more, expected) in bad {
        let problem = Folder::problem(more);
        assert!(problem.contains(expected), "{expected} not in {problem}");
    }
    let good = "[kafka]\nbootstrap = \"[::1]:9092,broker-2.lan:9093\"\n[registry]\nurl = \"http://r:8081/apis/v7/\"\n\
                [models]\npath = \"m\"\nlive = \"x\"\n[limits]\nlateness = \"40d\"\n";
    // Without an index nothing has to be found in it.
    let off = "[decisions]\nindex = false\nkeep = \"1d\"\n";
    assert!(!Folder::with(off).config(&[], &[]).decisions.index);
    let config = Folder::with(good).config(&[], &[]);
    assert_eq!(config.registry.url, "http://r:8081/apis/v7");
    assert_eq!(config.models.unwrap().live, "x");
}

#[test]
fn properties_take_secrets_from_the_environment_and_never_show_them() {
    let folder = Folder::with(
        "[kafka.properties]\nsecurity.protocol = \"SASL_PLAINTEXT\"\n\"sasl.password\" = \"${PW}\"\n\
         \"client.rack\" = \"rack-${RACK}-a\"\n\"socket.keepalive.enable\" = true\n",
    );
    let env =
        [("PW", "hunter2"), ("RACK", "7"), ("TRIPLINE__KAFKA__PROPERTIES__SECURITY__PROTOCOL", "PLAINTEXT")];
    let config = folder.config(&["kafka.properties.client.id=me"], &env);
    let properties: Vec<_> =
        config.kafka.properties.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        properties,
        [
            ("client.id", "me"),
            ("client.rack", "rack-7-a"),
            ("sasl.password", "hunter2"),
            ("security.protocol", "PLAINTEXT"),
            ("socket.keepalive.enable", "true"),
        ]
    );
    assert!(!format!("{config:?}").contains("hunter2"));
    // Also not when it was given where it must not be, whatever its type.
    for set in ["kafka.properties.sasl.password=hunter2", "kafka.properties.ssl.key.password=[\"hunter2\"]"] {
        let problems = folder.problems(&[set], &env);
        assert!(problems.starts_with("--set: kafka.properties.s"), "{problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn a_file_that_is_none_is_a_problem() {
    let folder = Folder::minimal();
    fs::create_dir(folder.path("folder")).unwrap();
    fs::write(folder.path("latin"), b"a = \"\xe9\"").unwrap();
    folder.write("long", &"#".repeat((4 << 20) + 1));
    let found = |name: &str| folder.problems(&[&format!("features={name}"), "policy=missing"], &[]);
    for (name, expected) in [
        ("missing", "found \"missing\", where there is no such file; expected the path of a TOML file"),
        ("folder", "found \"folder\", where there is a folder"),
        ("latin", "where there is a file that is not UTF-8 (byte 6)"),
        ("long", "where there is a file of more than 4 MiB"),
        ("/dev/null", "where there is neither a file nor a folder"),
    ] {
        let problems = found(name);
        assert!(problems.contains(&format!("--set: features: {}", "found")), "{problems}");
        assert!(problems.contains(expected), "{expected} not in {problems}");
        assert!(problems.contains("--set: policy: found \"missing\""), "{problems}");
        assert_eq!(problems.lines().count(), 2, "{problems}");
    }
    let of = |name: &str| load(&folder.path(name), &[], []).unwrap_err().to_string();
    assert!(of("missing").contains("missing: --config: found no such file"), "{}", of("missing"));
    assert!(of("folder").contains("folder: --config: found a folder"), "{}", of("folder"));
    folder.write("broken", "features = \"f\"\nkafka = = 5\n");
    assert!(of("broken").contains("broken: line 2, column 9: found"), "{}", of("broken"));
    assert_eq!(of("broken").lines().count(), 1, "{}", of("broken"));
}

#[test]
fn an_empty_config_says_what_is_missing() {
    let problems = Folder::new("", FEATURES).problems(&[], &[]);
    let keys: Vec<_> = problems.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(keys, ["features", "policy", "payment"]);
    let problems = Folder::with("[kafka.extra]\nx = 1\n").problems(&[], &[]);
    assert!(problems.contains("kafka.extra: found an unknown key"), "{problems}");
}
