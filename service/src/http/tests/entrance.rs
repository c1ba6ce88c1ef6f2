//! Who is let in, over a real socket: every route of the table, without a key and with each kind of bad one.

use base64::Engine as _;

use super::*;
use crate::access::{Found, ROUTES, Rate, Scopes, Terms, find};

/// A server that knows nobody but the demo's key, and nothing is open.
async fn closed(callers: Callers) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let hosts = Hosts::of(address, 80, &["here".to_owned()]);
    let gate = Arc::new(Gate::new(callers, hosts, Arc::new(SystemClock::default())));
    let serving = serve(listener, Entrance { gate, tls: None }, sources(), async move {
        let _ = stopped.await;
    });
    tokio::spawn(serving);
    (address, stop)
}

#[tokio::test]
async fn nothing_but_the_probes_answers_without_a_key() {
    // The first thirty from one address are told why, the others when to come again.
    for routes in ROUTES.chunks(25) {
        let (address, _stop) = closed(Callers::nobody(Scopes::NONE)).await;
        for route in routes {
            let path = route.path.replace(['{', '}'], "");
            let answer = ask(address, route.method, &path).await;
            if route.needs.is_none() {
                // There is no queue in this world, and no file of this name.
                assert!([200, 404, 503].contains(&answer.status), "{route:?}: {}", answer.status);
                continue;
            }
            assert_eq!(
                (answer.status, &answer.json()["code"]),
                (401, &"unauthenticated".into()),
                "{route:?}"
            );
            assert!(answer.head.contains("www-authenticate: Bearer realm=\"tripline\""), "{}", answer.head);
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{route:?}");
        }
    }
}

#[tokio::test]
async fn every_page_and_asset_stands_in_the_table() {
    for asset in &asset::ALL {
        assert!(matches!(find("GET", asset.path), Found::Route(_)), "{}", asset.path);
    }
}

#[tokio::test]
async fn a_browser_shows_its_key_as_a_password() {
    let text = format!("[[caller]]\nname = \"a\"\nrole = \"viewer\"\nkeys = [\"{}\"]\n", demo_key().hash());
    let terms = Terms { rate: Rate::parse("9/s").unwrap(), anonymous: Scopes::NONE };
    let (address, _stop) = closed(Callers::read("keys.toml", &text, terms, None).unwrap()).await;
    let answer = ask(address, "GET", "/").await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").unwrap().starts_with("Basic realm="), "{}", answer.head);
    let password = base64::engine::general_purpose::STANDARD.encode(format!("me:{}", demo_key().reveal()));
    let basic = format!("authorization: Basic {password}\r\n");
    for path in ["/", "/assets/board.js", "/v1/board"] {
        assert_eq!(ask_with(address, "GET", path, &basic).await.status, 200, "{path}");
    }
    let bearer = format!("authorization: Bearer {}\r\n", demo_key().reveal());
    assert_eq!(ask_with(address, "GET", "/v1/board", &bearer).await.status, 200);
    let forbidden = ask_with(address, "GET", "/metrics", &bearer).await;
    assert_eq!((forbidden.status, &forbidden.json()["code"]), (403, &"forbidden".into()));
    assert_eq!(ask_with(address, "GET", "/metrics", &basic).await.status, 401);
}

#[tokio::test]
async fn the_page_of_another_site_cannot_ask_under_its_own_name() {
    let (address, _stop, _) = serving(sources()).await;
    let ask = |host: String| async move {
        let exchange = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let request = format!("GET /v1/board HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        };
        tokio::task::spawn_blocking(exchange).await.unwrap()
    };
    assert!(ask(address.to_string()).await.starts_with("HTTP/1.1 200 "));
    assert!(ask(format!("localhost:{}", address.port())).await.starts_with("HTTP/1.1 200 "));
    let answer = ask(format!("evil.example:{}", address.port())).await;
    assert!(answer.starts_with("HTTP/1.1 421 ") && answer.contains("\"misdirected\""), "{answer}");
}
