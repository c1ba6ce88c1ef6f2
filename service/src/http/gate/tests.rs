//! What passes the gate: names, sizes, keys, and how often.

use std::net::SocketAddr;

use queue::{Queue, Rules, Token};

use super::*;
use crate::access::{Key, RANDOM_BYTES, Rate, Scopes, Terms};
use crate::clock::StandingClock;

const LISTEN: &str = "127.0.0.1:8080";

fn hosts(listen: &str, names: &[&str]) -> Hosts {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    Hosts::of(listen.parse().unwrap(), 80, &names)
}

struct World {
    gate: Gate,
    clock: Arc<StandingClock>,
    key: Key,
}

fn world() -> World {
    let (key, clock) = (Key::of([1; RANDOM_BYTES]), Arc::new(StandingClock::at(1_000)));
    let text = format!("[[caller]]\nname = \"a\"\nrole = \"viewer\"\nkeys = [\"{}\"]\n", key.hash());
    let terms = Terms { rate: Rate::parse("1000/s").unwrap(), anonymous: Scopes::NONE };
    let callers = Callers::read("keys.toml", &text, terms, None).unwrap();
    let gate = Gate::new(callers, hosts(LISTEN, &[]), Arc::clone(&clock) as Arc<dyn Clock + Sync>);
    World { gate, clock, key }
}

impl World {
    fn ask(&self, method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<String, Code> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let from: SocketAddr = "192.0.2.7:5".parse().unwrap();
        let route = self.gate.admit(request.method(), request.uri(), request.headers());
        let admitted = route.and_then(|route| self.gate.caller(route, request.headers(), from.ip()));
        admitted.map(|who| who.name().to_owned()).map_err(|problem| problem.code())
    }

    fn with(&self, method: &str, uri: &str) -> Result<String, Code> {
        let bearer = format!("Bearer {}", self.key.reveal());
        self.ask(method, uri, &[("host", LISTEN), ("authorization", &bearer)])
    }
}

#[test]
fn on_loopback_only_its_own_names_are_taken() {
    let ours = hosts(LISTEN, &["tripline.example", "proxy:9000"]);
    for host in [
        "localhost:8080",
        "LOCALHOST:8080",
        "127.0.0.1:8080",
        "[::1]:8080",
        "tripline.example",
        "Tripline.Example:443",
        "proxy:9000",
    ] {
        assert!(ours.accept(host), "{host}");
    }
    for host in [
        "",
        ":8080",
        "evil.example:8080",
        "localhost",
        "localhost:80",
        "127.0.0.1",
        "127.0.0.1:8081",
        "proxy",
        "proxy:9001",
        "localhost.evil.example:8080",
        "tripline.example.evil",
        "8080",
        "127.0.0.1:8080:8080",
    ] {
        assert!(!ours.accept(host), "{host}");
    }
    assert!(hosts("127.0.0.1:80", &[]).accept("localhost"));
    assert!(hosts("127.0.0.5:8080", &[]).accept("127.0.0.5:8080"));
    assert!(hosts("[::1]:8080", &[]).accept("[::1]:8080"));
    let anywhere = hosts("0.0.0.0:8080", &[]);
    assert!(anywhere.accept("evil.example:8080") && !anywhere.accept(""));
    let listed = hosts("0.0.0.0:8080", &["tripline.example"]);
    assert!(listed.accept("tripline.example:8080") && !listed.accept("localhost:8080"));
}

#[test]
fn a_request_for_another_name_is_turned_away_but_a_probe() {
    let world = world();
    let bearer = format!("Bearer {}", world.key.reveal());
    let ask = |uri: &str, host: &str| world.ask("GET", uri, &[("host", host), ("authorization", &bearer)]);
    assert_eq!(ask("/v1/board", LISTEN), Ok("a".to_owned()));
    assert_eq!(ask("/v1/board", "evil.example:8080"), Err(Code::Misdirected));
    assert_eq!(ask("/nothing", "evil.example:8080"), Err(Code::Misdirected));
    assert_eq!(ask("http://evil.example:8080/v1/board", LISTEN), Err(Code::Misdirected));
    assert_eq!(ask("/readyz", "10.0.0.7:8080"), Ok("anybody".to_owned()));
    let two = [("host", LISTEN), ("host", LISTEN), ("authorization", bearer.as_str())];
    assert_eq!(world.ask("GET", "/v1/board", &two), Err(Code::InvalidRequest));
    assert_eq!(world.ask("GET", "/v1/board", &two[2..]), Err(Code::InvalidRequest));
}

#[test]
fn headers_are_bounded() {
    let world = world();
    let ask = |bytes: usize| world.ask("GET", "/livez", &[("host", LISTEN), ("x", &"y".repeat(bytes))]);
    assert_eq!(ask(16_000), Ok("anybody".to_owned()));
    assert_eq!(ask(16_384), Err(Code::HeaderFieldsTooLarge));
}

#[test]
fn a_path_with_u_0000_is_none_of_ours() {
    let world = world();
    assert_eq!(world.with("GET", "/v1/decisions/a%00b"), Err(Code::NotFound));
    assert_eq!(world.with("PUT", "/v1/filters/%00"), Err(Code::NotFound));
    assert!(world.with("GET", "/v1/decisions/a%2500b").is_ok(), "a percent sign, two noughts");
}

#[test]
fn what_the_table_does_not_have_is_closed() {
    let world = world();
    assert_eq!(world.with("GET", "/v1/nothing"), Err(Code::NotFound));
    assert_eq!(world.with("PUT", "/v1/lists"), Err(Code::MethodNotAllowed));
    assert_eq!(world.with("OPTIONS", "/v1/score"), Err(Code::MethodNotAllowed));
    assert_eq!(world.with("HEAD", "/v1/lists"), Ok("a".to_owned()));
    assert_eq!(world.with("POST", "/v1/lists"), Err(Code::Forbidden));
    assert_eq!(world.with("POST", "/v1/score"), Err(Code::Forbidden));
    assert_eq!(world.with("GET", "/metrics"), Err(Code::Forbidden));
}

#[test]
fn bad_keys_are_told_so_until_they_are_too_many_and_a_good_one_still_comes_in() {
    let world = world();
    let stranger = format!("Bearer {}", Key::of([9; RANDOM_BYTES]).reveal());
    let bad = |header: &str| world.ask("GET", "/v1/lists", &[("host", LISTEN), ("authorization", header)]);
    assert_eq!(world.ask("GET", "/v1/lists", &[("host", LISTEN)]), Err(Code::Unauthenticated));
    assert_eq!(bad("Bearer hunter2"), Err(Code::KeyMalformed));
    assert_eq!(bad("Bearer \u{e9}"), Err(Code::KeyMalformed));
    let bearer = format!("Bearer {}", world.key.reveal());
    let two = [("host", LISTEN), ("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    assert_eq!(world.ask("GET", "/v1/lists", &two), Err(Code::KeyMalformed));
    for _ in 0..26 {
        assert_eq!(bad(&stranger), Err(Code::KeyUnknown));
    }
    assert_eq!(bad(&stranger), Err(Code::RateLimited));
    // Forbidden stays forbidden: the caller is known, and has a rate of its own.
    assert_eq!(world.with("POST", "/v1/lists"), Err(Code::Forbidden));
    assert_eq!(world.with("GET", "/v1/lists"), Ok("a".to_owned()), "it shares the address with a stranger");
    world.clock.advance(1_000);
    assert_eq!(bad(&stranger), Err(Code::KeyUnknown));
}

#[test]
fn keys_are_exchanged_while_it_runs() {
    let world = world();
    assert!(world.with("GET", "/v1/lists").is_ok());
    world.gate.exchange(Callers::nobody(Scopes::NONE));
    assert_eq!(world.with("GET", "/v1/lists"), Err(Code::KeyUnknown));
}

#[test]
fn somebody_who_is_signed_in_may_not_come_without_end() {
    let World { gate, clock, .. } = world();
    let Found::Route(route) = access::find("GET", "/queue") else { panic!("no such route") };
    let come = |name: &str| {
        let person = Person::new(name.to_owned(), vec!["analyst".to_owned()], "csrf".to_owned());
        gate.person(person, route, &HeaderMap::new()).map(|_| ()).map_err(|problem| problem.code())
    };
    for n in 0..200 {
        assert_eq!(come("anna"), Ok(()), "{n}");
    }
    assert_eq!(come("anna"), Err(Code::RateLimited));
    clock.advance(20);
    assert_eq!(come("anna"), Ok(()), "fifty a second: one each 20 ms");
    assert_eq!(come("anna"), Err(Code::RateLimited));
    clock.advance(10_000);
    for n in 0..200 {
        assert_eq!(come("anna"), Ok(()), "{n}");
    }
}

/// Somebody with a session, in a queue of its own.
struct SignedIn {
    keeper: Keeper,
    clock: Arc<StandingClock>,
    token: Token,
    _folder: tempfile::TempDir,
}

impl SignedIn {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("queue.db").display());
        let queue = Queue::open(&url, Rules::default()).await.unwrap();
        let World { gate, clock, .. } = world();
        let (token, _) = queue.begin_session("anna", &["analyst".to_owned()], 1_000).await.unwrap();
        let keeper = Keeper { gate: Arc::new(gate), desk: Some(Arc::new(Desk::of(queue))) };
        Self { keeper, clock, token, _folder: folder }
    }

    async fn ask(&self, path: &str, more: &[(&'static str, &str)]) -> Result<String, Code> {
        let Found::Route(route) = access::find("GET", path) else { panic!("no such route") };
        let cookie = format!("__Host-tripline={}", self.token.reveal());
        let mut headers = HeaderMap::from_iter([(header::COOKIE, cookie.parse().unwrap())]);
        for (name, value) in more {
            headers.insert(*name, value.parse().unwrap());
        }
        let who = self.keeper.who(route, &headers, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
        who.map(|who| who.name().to_owned()).map_err(|problem| problem.code())
    }
}

#[tokio::test]
async fn what_a_page_asks_by_itself_is_let_in_and_keeps_nobody_signed_in() {
    const MINUTE: u64 = 60_000;
    let by_itself = [("tripline-background", "1")];
    let stream = [("accept", "text/event-stream")];
    let world = SignedIn::new().await;
    // Half an hour without anybody is too long; it is asked all the time.
    for _ in 0..29 {
        world.clock.advance(MINUTE);
        for path in ["/queue/rows", "/v1/board"] {
            assert_eq!(world.ask(path, &by_itself).await, Ok("anna".to_owned()), "{path}");
        }
        assert_eq!(world.ask("/v1/alerts/events", &stream).await, Ok("anna".to_owned()));
    }
    world.clock.advance(MINUTE);
    for path in ["/queue/rows", "/v1/board"] {
        assert_eq!(world.ask(path, &by_itself).await, Err(Code::SignedOut), "{path}");
    }

    let world = SignedIn::new().await;
    for _ in 0..3 {
        world.clock.advance(29 * MINUTE);
        assert_eq!(world.ask("/queue/rows", &[("tripline-background", "0")]).await, Ok("anna".to_owned()));
    }
}
