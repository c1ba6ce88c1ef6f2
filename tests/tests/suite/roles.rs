//! Who may do what: every route of the table with every role, with a good key that is nobody's, and with none, on the
//! running service. What is allowed is what the two tables say, and nothing else.

use harness::caller::{address, open, ready};
use harness::kafka::World;
use harness::process::ENDS_WITHIN;
use harness::raw::{exchange, head};
use harness::servers::Servers;
use tripline::access::{Key, Kind, RANDOM_BYTES, ROLES, ROUTES, Route};

use crate::openapi::payment;

/// A path of the route's pattern.
pub fn path(route: &Route) -> String {
    let path = route.path.replace("{file}", "board.js").replace("{entity}", "card").replace("{name}", "late");
    path.replace("{id}", "none").replace("{key}", "none")
}

fn key_of(place: usize) -> Key {
    Key::of([40 + place as u8; RANDOM_BYTES])
}

#[test]
fn every_route_lets_in_whom_the_tables_say_and_nobody_else() {
    if crate::fast() {
        return;
    }
    let world = World::new(Servers::shared(), "roles", 1);
    let mut keys = std::fs::read_to_string(world.path("keys.toml")).unwrap();
    for (place, (name, ..)) in ROLES.iter().enumerate() {
        let hash = key_of(place).hash();
        let name_of_one = name.replace('_', "-");
        keys +=
            &format!("[[caller]]\nname = \"the-{name_of_one}\"\nrole = \"{name}\"\nkeys = [\"{hash}\"]\n");
    }
    std::fs::write(world.path("keys.toml"), keys).unwrap();
    let mut process = world.serve(&[], &[]);
    let base = address(&process);
    open(&base, &World::key(), &payment("dry"));
    ready(&base, "queue");
    let asked = |what: &str, key: &str| {
        // As little as can be: who may comes in, and is told what is missing.
        exchange(&base, &head(&base, what, key, "content-length: 0\r\n")).unwrap()
    };
    // Those without a key first: who has failed often is told to wait instead.
    for route in ROUTES {
        let what = format!("{} {}", route.method, path(&route));
        let request = format!("{what} HTTP/1.1\r\nhost: {base}\r\nconnection: close\r\n\r\n");
        let without = exchange(&base, request.as_bytes()).unwrap();
        // After thirty the address is told to wait: kept out all the same. A page sends one to where one signs in.
        let refused = match route.kind {
            Kind::Page => [303, 429].contains(&without.status),
            Kind::Data | Kind::Form => [(401, "unauthenticated"), (429, "rate_limited")]
                .contains(&(without.status, &*without.code())),
        };
        assert_eq!(refused, route.needs.is_some(), "{what}: {without:?}");
    }
    let (mut allowed, mut refused) = (0, 0);
    for route in ROUTES {
        let path = path(&route);
        let what = format!("{} {path}", route.method);
        for (place, (name, _, scopes)) in ROLES.iter().enumerate() {
            let answer = asked(&what, key_of(place).reveal());
            let may = route.needs.is_none_or(|scope| scopes.has(scope));
            if may {
                assert!(![401, 403, 405].contains(&answer.status), "{name} may {what}: {answer:?}");
                // An id that is not there is the only thing that is not there.
                assert!(answer.status != 404 || route.path.contains('{'), "{name}: {what}: {answer:?}");
                // A probe may say that the stream is not ready yet.
                assert!(answer.status < 500 || path == "/readyz", "{name}: {what}: {answer:?}");
                allowed += 1;
            } else if route.kind == Kind::Page {
                assert_eq!(answer.status, 403, "{name} {what}");
                refused += 1;
            } else {
                assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{name} {what}");
                let challenge = answer.header("www-authenticate").unwrap();
                assert!(challenge.contains("insufficient_scope"), "{challenge}");
                refused += 1;
            }
        }
    }
    // The address has failed often by now.
    let nobody = asked("GET /v1/lists", Key::of([99; RANDOM_BYTES]).reveal());
    assert!([401, 429].contains(&nobody.status), "{nobody:?}");
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
    println!("{} routes x {} roles: {allowed} let in, {refused} refused", ROUTES.len(), ROLES.len());
}
