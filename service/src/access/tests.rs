//! Who is let in, to what, how often; and what a keys file may not say.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

const TERMS: Terms =
    Terms { rate: Rate::per_second(NonZeroU32::MIN.saturating_add(9)), anonymous: Scopes::NONE };

fn now(ms: u64) -> Now {
    Now { wall_ms: i64::try_from(ms).unwrap(), monotonic_us: ms * 1_000 }
}

fn key_of(byte: u8) -> Key {
    Key::of([byte; RANDOM_BYTES])
}

fn bearer(key: &Key) -> String {
    format!("Bearer {}", key.reveal())
}

fn basic(key: &Key) -> String {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("me:{}", key.reveal()));
    format!("Basic {encoded}")
}

fn callers(text: &str) -> Callers {
    Callers::read("keys.toml", text, TERMS, None).unwrap_or_else(|problems| panic!("{problems}"))
}

fn problems(text: &str) -> Vec<String> {
    let problems = Callers::read("keys.toml", text, TERMS, None).expect_err("no problem was found");
    problems.0.iter().map(ToString::to_string).collect()
}

/// The route, which must be there.
fn route(method: &str, path: &str) -> &'static Route {
    match find(method, path) {
        Found::Route(route) => route,
        other => panic!("{method} {path}: {other:?}"),
    }
}

fn one(role: &str, key: &Key, more: &str) -> String {
    format!("[[caller]]\nname = \"a\"\nrole = \"{role}\"\nkeys = [\"{}\"]\n{more}\n", key.hash())
}

#[test]
fn a_key_has_its_form_and_its_checksum_tells_a_typing_error() {
    let key = key_of(7);
    assert_eq!(key.reveal().len(), 52);
    assert!(key.reveal().starts_with("tlk_"));
    assert_eq!(Key::parse(key.reveal()).as_ref(), Ok(&key));
    assert!(!format!("{key:?}").contains(&key.reveal()[4..20]), "{key:?}");
    for place in 4..52 {
        let mut text = key.reveal().to_owned().into_bytes();
        text[place] = if text[place] == b'A' { b'B' } else { b'A' };
        let text = String::from_utf8(text).unwrap();
        assert_eq!(Key::parse(&text), Err(Flaw::Checksum), "{text}");
    }
    let text = key.reveal();
    for wrong in ["", "tlk_", &text[..51], &format!("{text}A"), &text.replace("tlk_", "TLK_"), "tlk_é"] {
        assert_eq!(Key::parse(wrong), Err(Flaw::Form), "{wrong}");
    }
    assert_eq!(Key::parse(&format!("{}+", &text[..51])), Err(Flaw::Form));
    let hash = key.hash().to_string();
    assert_eq!(hash.len(), 71);
    assert_eq!(KeyHash::parse(&hash), Some(key.hash()));
    let zeros = Key::of([0; RANDOM_BYTES]);
    assert_eq!(zeros.reveal(), ZEROS);
    assert_eq!(zeros.hash().to_string(), format!("sha256:{ZEROS_SHA256}"));
}

/// As another program made it: base64url of 32 zero bytes and zlib's CRC-32 of `tlk_` and them, and its `sha256sum`.
const ZEROS: &str = "tlk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAALbPnQ";
const ZEROS_SHA256: &str = "cbf650d16ff9829121d3da28747e1852f894ccaf2e92b3c0b77fdbae67bbd531";

#[test]
fn a_good_key_is_let_in_and_a_bad_one_is_told_why() {
    let key = key_of(1);
    let callers = callers(&one("scorer", &key, "rate = \"1000/s\""));
    let score = route("POST", "/v1/score");
    let visitor = callers.may(Some(&bearer(&key)), score, now(5)).unwrap();
    assert_eq!(visitor.name(), "a");
    for same in [bearer(&key).replace("Bearer ", "bearer   "), format!(" {} ", bearer(&key))] {
        assert!(callers.may(Some(&same), score, now(5)).is_ok(), "{same}");
    }
    let denied = |header: Option<&str>| callers.may(header, score, now(5)).unwrap_err();
    assert_eq!(denied(None), Denied::Missing);
    assert_eq!(denied(Some(&bearer(&key_of(2)))), Denied::Unknown);
    assert_eq!(denied(Some(&format!("{}x", bearer(&key)))), Denied::Malformed(Flaw::Form));
    assert_eq!(denied(Some(&bearer(&key).replace("tlk_A", "tlk_B"))), Denied::Malformed(Flaw::Checksum));
    let long = format!("Bearer {}", "x".repeat(100_000));
    for header in ["", "Bearer", "Basic", key.reveal(), "Digest a=b", &basic(&key), &long] {
        assert_eq!(denied(Some(header)), Denied::Malformed(Flaw::Header), "{:.40}", header);
    }
    assert_eq!(denied(Some("Bearer hunter2")), Denied::Malformed(Flaw::Form));
    assert_eq!(
        Callers::nobody(Scopes::NONE).may(Some(&bearer(&key)), score, now(5)).unwrap_err(),
        Denied::Unknown
    );
}

#[test]
fn each_role_may_what_the_table_says_and_nothing_else() {
    for (name, role, scopes) in ROLES {
        assert_eq!((Role::parse(name), role.as_str(), role.scopes()), (Some(role), name, scopes));
        let key = key_of(1);
        let callers = callers(&one(name, &key, "rate = \"1000/s\""));
        for route in &ROUTES {
            let answer = callers.may(Some(&bearer(&key)), route, now(1)).map(|_| ());
            let expected = match route.needs {
                Some(needs) if !scopes.has(needs) => Err(Denied::Lacks { needs }),
                _ => Ok(()),
            };
            assert_eq!(answer, expected, "{name} {route:?}");
        }
    }
    let may = |role: Role| role.scopes().to_string();
    assert_eq!(may(Role::Scorer), "score docs", "an authorisation service sees no queue and changes no list");
    assert_eq!(may(Role::Viewer), "read board queue docs");
    assert_eq!(may(Role::Analyst), "read replay label board queue work reveal docs");
    assert_eq!(
        may(Role::Lead),
        "read replay label lists board queue work lead reveal audit chargebacks docs"
    );
    assert_eq!(may(Role::PolicyEditor), "read replay lists policy board queue docs");
    assert_eq!(Role::Admin.scopes(), Scopes::of(&Scope::ALL));
}

#[test]
fn without_a_key_only_the_probes_answer() {
    let (nobody, somebody) = (Callers::nobody(Scopes::NONE), callers(&one("admin", &key_of(1), "")));
    for callers in [&nobody, &somebody] {
        let open: Vec<_> = ROUTES.iter().filter(|route| callers.may(None, route, now(1)).is_ok()).collect();
        let paths: Vec<_> = open.iter().map(|route| (route.method, route.path)).collect();
        let expected = [
            ("GET", "/livez"),
            ("GET", "/readyz"),
            ("GET", "/assets/{file}"),
            ("GET", "/sign-in"),
            ("POST", "/sign-in"),
        ];
        assert_eq!(paths, expected);
    }
    let anonymous = Scopes::of(&[Scope::Metrics]);
    let callers = Callers::nobody(anonymous);
    assert!(callers.may(None, route("GET", "/metrics"), now(1)).is_ok());
    assert_eq!(callers.may(None, route("GET", "/v1/board"), now(1)).unwrap_err(), Denied::Missing);
    // Who shows a key is who it says, also where none is needed.
    let shown = callers.may(Some(&bearer(&key_of(2))), route("GET", "/metrics"), now(1));
    assert_eq!(shown.unwrap_err(), Denied::Unknown);
    // What may be given to everybody reads, and never about one payment that was asked for.
    for route in ROUTES.iter().filter(|route| route.needs.is_some_and(Scope::may_be_anonymous)) {
        assert_eq!(route.method, "GET", "{route:?}");
        assert!(!route.path.contains("decisions") && !route.path.contains("entities"), "{route:?}");
    }
}

#[test]
fn a_browser_may_show_its_key_for_the_page_only() {
    let key = key_of(1);
    let callers = callers(&one("admin", &key, "rate = \"1000/s\""));
    for route in &ROUTES {
        let answer = callers.may(Some(&basic(&key)), route, now(1)).map(|_| ());
        let expected = match route.needs {
            None | Some(Scope::Board) => Ok(()),
            Some(_) => Err(Denied::Malformed(Flaw::Header)),
        };
        assert_eq!(answer, expected, "{route:?}");
        if answer.is_ok() && route.needs.is_some() {
            assert_eq!(route.method, "GET", "a browser sends its password for other sites too");
        }
    }
    let page = route("GET", "/");
    for wrong in ["Basic !!!", "Basic bm9uZQ==", "Basic /w==", "Basic "] {
        assert_eq!(
            callers.may(Some(wrong), page, now(1)).unwrap_err(),
            Denied::Malformed(Flaw::Header),
            "{wrong}"
        );
    }
}

#[test]
fn two_keys_live_at_a_time_and_each_ends_in_its_time() {
    let (old, new) = (key_of(1), key_of(2));
    let text = format!(
        "[[caller]]\nname = \"a\"\nrole = \"scorer\"\nkeys = [{{ hash = \"{}\", expires = 1970-01-02 }}, \"{}\"]\n",
        old.hash(),
        new.hash()
    );
    let callers = callers(&text);
    let who = |key: &Key, ms: i64| {
        callers.who(Some(&bearer(key)), Schemes::Bearer, ms).map(|caller| caller.name.clone())
    };
    let day_ms = 86_400_000;
    assert_eq!(who(&old, day_ms - 1), Ok("a".to_owned()));
    assert_eq!(who(&old, day_ms), Err(Denied::Expired));
    assert_eq!(who(&new, day_ms), Ok("a".to_owned()));
    let census = callers.census(day_ms);
    assert_eq!((census.callers, census.keys, census.expired), (1, 2, 1));
}

#[test]
fn an_expiry_is_a_date_in_utc_or_a_time_with_its_zone() {
    use schemas::time::EventTime;
    use toml::Value;

    let ms = |text: &str| {
        let table: toml::Table = format!("x = {text}").parse().unwrap();
        <instant::Instant as schemas::document::FromToml>::from_toml(&table["x"]).map(|instant| instant.0)
    };
    assert_eq!(ms("2027-01-31"), Some(1_801_353_600_000));
    assert_eq!(ms("2027-01-31T01:00:00+01:00"), ms("2027-01-31"));
    assert_eq!(ms("2027-01-31T12:30:59Z"), ms("2027-01-31").map(|ms| ms + 45_059_000));
    for wrong in ["\"2027-01-31\"", "2027-01-31T12:00:00", "12:00:00", "5"] {
        assert_eq!(ms(wrong), None, "{wrong}");
    }
    assert!(matches!("2027-01-31".parse::<Value>(), Ok(Value::Datetime(_))));
    proptest!(|(day in 0_i64..2_900_000)| {
        let time = EventTime::from_ms(day * 86_400_000).unwrap();
        prop_assert_eq!(ms(&time.to_string()), Some(time.ms()), "{}", time);
    });
}

#[test]
fn a_rate_is_kept_to_the_millisecond_and_says_when_to_come_again() {
    let key = key_of(1);
    let callers = callers(&one("scorer", &key, "rate = \"2/s\"\nburst = 3"));
    let may = |ms| callers.may(Some(&bearer(&key)), route("POST", "/v1/score"), now(ms)).map(|_| ());
    let wait = |seconds| Err(Denied::TooOften(Excess::Wait { seconds }));
    assert_eq!([may(1_000), may(1_000), may(1_000)], [Ok(()); 3]);
    assert_eq!(may(1_000), wait(1));
    assert_eq!(may(1_499), wait(1));
    assert_eq!(may(1_500), Ok(()));
    assert_eq!(may(1_500), wait(1));
    // A clock that goes back gives nothing.
    assert_eq!(may(0), wait(1));
    let caller = callers.who(Some(&bearer(&key)), Schemes::Bearer, 0).unwrap();
    let four = NonZeroU32::new(4).unwrap();
    assert_eq!(caller.take(four, now(9_000_000)), Err(Excess::TooMuch { burst: 3 }));
    let three = NonZeroU32::new(3).unwrap();
    assert_eq!(caller.take(three, now(9_000_000)), Ok(()));
    assert_eq!(caller.take(three, now(9_000_000)), Err(Excess::Wait { seconds: 2 }));
    // What was refused took nothing.
    assert_eq!(caller.take(three, now(9_001_500)), Ok(()));
}

#[test]
fn rates_are_read_strictly() {
    for (text, burst) in [("200/s", 400), ("600/m", 20), ("1/h", 1), ("1000000/s", 1_000_000)] {
        let rate = Rate::parse(text).unwrap();
        assert_eq!((rate.to_string().as_str(), rate.usual_burst().get()), (text, burst));
    }
    for wrong in
        ["200", "200/d", "0/s", "-1/s", "+1/s", "1.5/s", "1000001/s", "/s", "99999999999/s", "1/s ", ""]
    {
        assert_eq!(Rate::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn failures_are_bounded_by_address_and_memory_whoever_comes() {
    let strangers = Strangers::default();
    let one: IpAddr = "192.0.2.1".parse().unwrap();
    for _ in 0..30 {
        assert_eq!(strangers.tried(one, 0), Ok(()));
    }
    assert_eq!(strangers.tried(one, 0), Err(Excess::Wait { seconds: 1 }));
    assert_eq!(strangers.tried("::ffff:192.0.2.1".parse().unwrap(), 0), Err(Excess::Wait { seconds: 1 }));
    assert_eq!(strangers.tried(one, 1_000_000), Ok(()));
    // A house has 2^64 addresses: they count as one.
    let house = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
    let failures = (0..100).filter(|last| strangers.tried(house(*last), 0).is_err()).count();
    assert!((70..=100).contains(&failures), "{failures}");
    // Half a million strangers later it still answers, and has grown by nothing.
    let refused =
        (0..500_000_u32).filter(|n| strangers.tried(IpAddr::from(n.to_be_bytes()), 0).is_err()).count();
    assert!(refused >= 500_000 - 1_024 * 30, "{refused}");
}

#[test]
fn a_file_read_again_keeps_what_was_used_of_a_rate() {
    let key = key_of(1);
    let may =
        |callers: &Callers| callers.may(Some(&bearer(&key)), route("POST", "/v1/score"), now(1)).is_ok();
    let text = one("scorer", &key, "rate = \"1/h\"\nburst = 1");
    let first = callers(&text);
    assert!(may(&first) && !may(&first));
    let again = Callers::read("keys.toml", &text, TERMS, Some(&first)).unwrap();
    assert!(!may(&again), "the file was touched, and the limit forgot");
    let raised =
        Callers::read("keys.toml", &text.replace("burst = 1", "burst = 2"), TERMS, Some(&again)).unwrap();
    assert!(may(&raised), "another limit begins anew");
}

#[test]
fn everything_wrong_with_a_keys_file_is_said_at_once_and_no_secret_of_it() {
    let (key, other) = (key_of(1), key_of(2));
    let (secret, hash, other) = (key.reveal(), key.hash(), other.hash());
    let text = format!(
        r#"
[[caller]]
name = "Checkout"
role = "boss"
keys = ["{secret}"]
rate = "200"
burst = 0
[[caller]]
name = "{secret}"
role = "scorer"
scopes = ["score"]
keys = "{secret}"
[[caller]]
name = "b"
scopes = ["score", "fly"]
keys = ["{hash}", "{hash}x", {{ hash = "{hash}", until = 5 }}]
[[caller]]
name = "c"
role = "viewer"
keys = [{{ hash = "{hash}", expires = "soon" }}, {{ expires = 2027-01-31 }}]
typo = 1
[[caller]]
name = "d"
role = "viewer"
keys = ["{hash}", "{other}"]
[[caller]]
name = "d"
role = "viewer"
keys = ["{other}"]
[[caller]]
keys = []
"#
    );
    let found = problems(&text);
    let expected = [
        "caller[0].keys[0]: found a key in clear text; expected its hash",
        "caller[0].name: found something else; expected a name",
        "caller[0].role: found \"boss\"; expected one of scorer, viewer",
        "caller[0].rate: found \"200\"; expected a rate",
        "caller[0].burst: found 0; expected 1 to",
        "caller[1].keys: found a key in clear text",
        "caller[1].name: found something else",
        "caller[1].scopes: found both role and scopes",
        "caller[2].keys: found 3 keys; expected one key, or two",
        "caller[2].scopes: found \"score fly\"; expected some of score, read",
        "caller[3].keys[0].expires: found something else; expected a date",
        "caller[3].keys[1]: found a table without hash",
        "caller[3].typo: found an unknown key",
        "caller[5].name: found \"d\", which caller[4] has too",
        "caller[5].keys: found a key that d has too",
        "caller[6].keys: found 0 keys",
        "caller[6].name: found nothing",
        "caller[6].role: found neither role nor scopes",
    ];
    for line in expected {
        assert!(found.iter().any(|found| found.contains(line)), "{line} not in\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
    assert!(!found.concat().contains(&secret[..12]), "{}", found.join("\n"));
    assert_eq!(problems("").len(), 1);
    assert!(problems("caller = 5")[0].contains("found 5; expected tables [[caller]]"));
    assert!(problems("x = = 1")[0].contains("line 1, column 5"));
    assert_eq!(problems("x = = 1").len(), 1);
}

#[test]
fn the_table_finds_every_route_and_nothing_else() {
    for route in &ROUTES {
        let path = route.path.replace("{id}", "a%2Fb").replace("{entity}", "card").replace("{key}", "k");
        let path = path.replace("{file}", "board.js");
        assert_eq!(find(route.method, &path), Found::Route(route), "{path}");
        let doubled = ROUTES.iter().filter(|other| (other.method, other.path) == (route.method, route.path));
        assert_eq!(doubled.count(), 1, "{route:?}");
        assert!(matches!(find("PATCH", &path), Found::Methods(methods) if !methods.is_empty()));
    }
    assert_eq!(find("HEAD", "/livez"), find("GET", "/livez"));
    // Not an alert of this id.
    assert_eq!(find("GET", "/v1/alerts/claim-next"), Found::Methods(vec!["POST"]));
    assert_eq!(find("DELETE", "/v1/lists"), Found::Methods(vec!["GET", "HEAD", "POST"]));
    for path in [
        "",
        "//",
        "/v1",
        "/v1/",
        "/v1/score/",
        "//v1/score",
        "/V1/score",
        "/v1/decisions/",
        "/v1/decisions/a/b",
    ] {
        assert_eq!(find("GET", path), Found::Nothing, "{path}");
    }
    assert_eq!(find("get", "/livez"), Found::Methods(vec!["GET", "HEAD"]));
    // Every scope is asked for somewhere, but the one for what comes later.
    for scope in Scope::ALL {
        let used = ROUTES.iter().any(|route| route.needs == Some(scope));
        assert_eq!(used, scope != Scope::Policy, "{scope:?}");
        assert_eq!(Scope::parse(scope.as_str()), Some(scope));
    }
}
