//! The routes over a real socket: what they answer, and that nothing on the page can become markup.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use feature_store::store::{Source, Topic};
use schemas::decision::Verdict;
use schemas::reject::RejectCode;

use super::*;
use crate::access::{Callers, Key, RANDOM_BYTES};
use crate::clock::SystemClock;
use crate::stream::line::LineState;
use crate::telemetry::{Kind, LabelOutcome, Metric, Part, Standing};

mod entrance;
mod full;
mod made_up;

fn sources() -> Sources {
    Sources {
        telemetry: Arc::new(Telemetry::new(["transactions".to_owned(), "labels".to_owned()])),
        board: Arc::new(Board::default()),
        health: Arc::new(Health::new(&[Part::Stream, Part::Registry])),
        clock: Arc::new(SystemClock::default()),
        rest: None,
        desk: None,
    }
}

/// Everybody sees the page, and one has a key for all, as in the demo.
fn gate(address: SocketAddr) -> Arc<Gate> {
    let hosts = Hosts::of(address, 80, &["here".to_owned()]);
    Arc::new(Gate::new(Callers::demo(&demo_key()), hosts, Arc::new(SystemClock::default())))
}

fn demo_key() -> Key {
    Key::of([5; RANDOM_BYTES])
}

/// A server on a free port; it ends when the sender does.
async fn serving(
    sources: Sources,
) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let entrance = Entrance { gate: gate(address), tls: None };
    let server = tokio::spawn(serve(listener, entrance, sources, async move {
        let _ = stopped.await;
    }));
    (address, stop, server)
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> Answer {
    ask_with(address, method, path, "").await
}

async fn ask_with(address: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n{headers}\r\n");
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let text = tokio::task::spawn_blocking(exchange).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_others_out() {
    let (address, _stop, _) = serving(sources()).await;
    for path in ["/", "/assets/board.js", "/v1/board", "/livez", "/readyz", "/metrics", "/nothing"] {
        let answer = ask(address, "GET", path).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{path}");
    }
    for asset in &asset::ALL {
        let answer = ask(address, "GET", asset.path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(asset.media_type)));
        assert_eq!(answer.body, asset.text);
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let (address, _stop, _) = serving(sources()).await;
    let cases = [
        ("GET", "/nothing", "", 404, "not_found"),
        ("GET", "/assets/../../etc/passwd", "", 404, "not_found"),
        ("POST", "/nothing", "", 404, "not_found"),
        ("POST", "/v1/board", "", 405, "method_not_allowed"),
        ("DELETE", "/", "", 405, "method_not_allowed"),
        ("GET", "/v1/board", "content-length: 65537\r\n", 413, "payload_too_large"),
    ];
    for (method, path, headers, status, code) in cases {
        let answer = ask_with(address, method, path, headers).await;
        let problem = answer.json();
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method} {path}");
        assert_eq!(problem["code"], code);
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert_eq!(problem["status"], status);
        assert_eq!(
            answer.header("allow").is_some(),
            status == 405,
            "{method} {path}: 405 says what it takes"
        );
    }
    assert_eq!(ask_with(address, "GET", "/livez", "content-length: 0\r\n").await.status, 200);
}

#[tokio::test]
async fn readyz_names_what_is_not_ready_and_livez_what_is_dead() {
    let sources = sources();
    let (address, _stop, _) = serving(sources.clone()).await;
    sources.health.set(Part::Stream, Standing::Ready);
    sources.health.set(Part::Registry, Standing::NotReady("connection refused".to_owned()));
    let answer = ask(address, "GET", "/readyz").await;
    let expected = serde_json::json!({"ready": false, "parts": [
        {"part": "stream", "ready": true},
        {"part": "registry", "ready": false, "reason": "connection refused"},
    ]});
    assert_eq!((answer.status, answer.json()), (503, expected));
    assert_eq!(ask(address, "GET", "/livez").await.status, 200, "not ready is not dead");
    sources.health.set(Part::Registry, Standing::Ready);
    let answer = ask(address, "GET", "/readyz").await;
    assert_eq!((answer.status, &answer.json()["ready"]), (200, &true.into()));
    let live = ask(address, "GET", "/livez").await;
    assert_eq!((live.status, live.body.as_str()), (200, "ok"));
    sources.health.set(Part::Store, Standing::Dead("damaged".to_owned()));
    let dead = ask(address, "GET", "/livez").await;
    assert_eq!((dead.status, dead.body.as_str()), (503, "store: damaged"));
    assert_eq!(ask(address, "GET", "/readyz").await.status, 503);
}

/// One of everything.
fn use_all(telemetry: &Telemetry) {
    let source = Source { topic: Topic::Payments, partition: 3 };
    telemetry.decided(Verdict::Review, 1_500);
    telemetry.duplicates(2);
    telemetry.dead_letters(Topic::Payments, RejectCode::Late, 3);
    telemetry.dead_letters(Topic::Labels, RejectCode::Empty, 4);
    telemetry.labels(LabelOutcome::Waiting, 5);
    telemetry.alerts(1);
    telemetry.model_swapped();
    telemetry.model_refused();
    telemetry.acknowledged(2_500);
    telemetry.checkpointed(90_000);
    telemetry.committed(&[(source, 17)]);
    let blocked = vec![(source, "schema".to_owned())];
    telemetry.line(LineState {
        lag: vec![(source, 9)],
        blocked,
        waiting_dropped: 6,
        resident_bytes: Some(430),
        schema_answers: [0, 1, 0],
        ..LineState::default()
    });
}

#[tokio::test]
async fn metrics_parse_and_hold_every_name() {
    let sources = sources();
    use_all(&sources.telemetry);
    let (address, _stop, _) = serving(sources).await;
    let answer = ask(address, "GET", "/metrics").await;
    assert!(
        answer.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0")
    );
    let samples = parse(&answer.body);
    for metric in Metric::ALL {
        let name = match metric.kind() {
            Kind::Histogram => format!("{}_count", metric.name()),
            Kind::Counter | Kind::Gauge | Kind::Info => metric.name().to_owned(),
        };
        let found: Vec<_> = samples.iter().filter(|(key, _)| key.split('{').next() == Some(&name)).collect();
        assert!(!found.is_empty(), "{name} is not there");
        for label in metric.labels() {
            assert!(found.iter().all(|(key, _)| key.contains(&format!("{label}=\""))), "{name} {label}");
        }
    }
    let value = |key: &str| samples.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
    for (key, expected) in [
        ("tripline_payments_total{outcome=\"decided\"}", 1.0),
        ("tripline_payments_total{outcome=\"duplicate\"}", 2.0),
        ("tripline_payments_total{outcome=\"dead_letter\"}", 3.0),
        ("tripline_labels_total{outcome=\"dead_letter\"}", 4.0),
        ("tripline_labels_total{outcome=\"waiting\"}", 5.0),
        ("tripline_waiting_labels_dropped_total", 6.0),
        ("tripline_decisions_total{verdict=\"review\"}", 1.0),
        ("tripline_dead_letters_total{code=\"late\"}", 3.0),
        ("tripline_schema_lookups_total{answer=\"unknown\"}", 1.0),
        ("tripline_decision_latency_seconds_bucket{le=\"0.001\"}", 0.0),
        ("tripline_decision_latency_seconds_bucket{le=\"0.0025\"}", 1.0),
        ("tripline_decision_latency_seconds_bucket{le=\"+Inf\"}", 1.0),
        ("tripline_end_to_end_seconds_sum", 0.0025),
        ("tripline_input_lag_messages{topic=\"transactions\",partition=\"3\"}", 9.0),
        ("tripline_committed_offset{topic=\"transactions\",partition=\"3\"}", 17.0),
        ("tripline_partition_blocked{topic=\"transactions\",partition=\"3\"}", 1.0),
        ("tripline_store_resident_bytes", 430.0),
    ] {
        assert_eq!(value(key), Some(expected), "{key}\n{}", answer.body);
    }
}

/// The samples of an OpenMetrics text; every line must be one that the format knows, in its family, once.
fn parse(text: &str) -> Vec<(String, f64)> {
    assert!(text.ends_with("# EOF\n"), "the end is missing");
    let (mut samples, mut family, mut families) = (Vec::<(String, f64)>::new(), String::new(), Vec::new());
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some("EOF"), None, None) => {}
                (Some("HELP"), Some(name), Some(help)) => {
                    assert!(!families.contains(&name), "{name} twice");
                    assert!(help.ends_with('.'), "{line}");
                    families.push(name);
                    name.clone_into(&mut family);
                }
                (Some("TYPE"), Some(name), Some("counter" | "gauge" | "histogram" | "info")) => {
                    assert_eq!(name, family);
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let (key, value) = line.rsplit_once(' ').unwrap();
        assert!(key.starts_with(&family), "{key} is not of {family}");
        assert!(!key.contains('{') || key.ends_with("\"}"), "{key}");
        assert!(samples.iter().all(|(other, _)| other != key), "{key} twice");
        samples.push((key.to_owned(), value.parse().unwrap()));
    }
    samples
}

#[tokio::test]
async fn a_script_in_a_name_stays_text() {
    let sources = sources();
    let (decision, alert) =
        made_up::alert(1, "</script><script>alert(1)</script>\u{202e}", 1_700_000_000_000);
    sources.board.decided(&decision, Some(&alert));
    let (address, _stop, _) = serving(sources).await;
    let answer = ask(address, "GET", "/v1/board").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let board = answer.json();
    assert!(board.to_string().contains("<script>alert(1)"), "the board hides nothing of the name");
    // The page puts it there as text: nothing in it makes markup or code of a string, and the page has no data in it.
    let (page, script) = (asset::ALL[0].text, asset::ALL[2].text);
    let banned = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "setHTML",
        "createContextualFragment",
        "DOMParser",
        "srcdoc",
        "javascript:",
        "import(",
        ".on",
    ];
    for word in banned {
        assert!(!script.contains(word), "{word}");
    }
    for word in ["style=", "<style", "onclick", "http://", "https://", "//cdn"] {
        assert!(!page.contains(word), "{word}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("<script src=\"/assets/board.js\" defer></script>"));
    // The name of the SVG namespace is no request.
    assert_eq!(script.matches("http").count(), script.matches("\"http://www.w3.org/2000/svg\"").count());
    assert!(!asset::ALL[1].text.contains("url(") && !asset::ALL[1].text.contains("@import"));
}

#[tokio::test]
async fn the_end_comes_within_its_time_although_a_client_lingers() {
    let (address, stop, server) = serving(sources()).await;
    let mut lingering = TcpStream::connect(address).unwrap();
    lingering.write_all(b"GET /livez HT").unwrap();
    assert_eq!(ask(address, "GET", "/livez").await.status, 200);
    stop.send(()).unwrap();
    // Sooner than the door would send it away for its slowness.
    let end = tokio::time::timeout(Duration::from_secs(20), server).await;
    end.expect("it did not end").unwrap().unwrap();
    assert!(TcpStream::connect(address).is_err(), "it still listens");
}

/// A client that surely has a place, since its first request was answered; and when it began.
fn inside(address: SocketAddr) -> io::Result<(TcpStream, Instant)> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: here\r\n\r\n")?;
    let (mut said, mut some) = (Vec::<u8>::new(), [0; 1_024]);
    while !said.ends_with(b"\r\n\r\nok") {
        match stream.read(&mut some)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => said.extend_from_slice(&some[..count]),
        }
    }
    Ok((stream, began))
}

#[tokio::test]
async fn i16_a_slow_client_is_sent_away_and_places_are_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (patience, most) = (Duration::from_secs(1), Duration::from_secs(60));
    let door = Door::bounded(listener, 1, patience);
    tokio::spawn(axum::serve(door, router(gate(address), sources())).into_future());
    // One that a busy machine makes too slow is sent away and comes again.
    let first = tokio::task::spawn_blocking(move || (0..60).find_map(|_| inside(address).ok()));
    let (mut slow, began) = first.await.unwrap().expect("nobody is let in");
    // A byte now and then does not buy it time.
    let dribbles = tokio::task::spawn_blocking(move || {
        while slow.write_all(b"G").is_ok() {
            assert!(began.elapsed() < most, "it is not sent away");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    // The only place is taken: this one waits until the slow one is sent away, which is not before its time.
    let waiting = tokio::time::timeout(most, ask(address, "GET", "/livez"));
    assert_eq!(waiting.await.unwrap().status, 200, "its place went to the next");
    assert!(began.elapsed() >= patience, "there was a second place");
    dribbles.await.unwrap();
}

/// For a look at the page: `cargo test --release -p tripline made_up_board -- --ignored --nocapture`, then open the
/// address. `TRIPLINE_BOARD=empty` shows the page before the first payment; `TRIPLINE_BOARD_PORT` chooses the port.
#[tokio::test]
#[ignore = "serves for five minutes, for a person to look at"]
async fn made_up_board() {
    let port = std::env::var("TRIPLINE_BOARD_PORT").map_or(0, |port| port.parse().unwrap());
    let sources = sources();
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    println!("http://{}/", listener.local_addr().unwrap());
    let empty = std::env::var("TRIPLINE_BOARD").is_ok_and(|what| what == "empty");
    if !empty {
        sources.health.set(Part::Stream, Standing::Ready);
        sources.health.set(Part::Registry, Standing::Ready);
        made_up::past(&sources);
        tokio::spawn(made_up::traffic(sources.clone()));
    }
    let entrance = Entrance { gate: gate(listener.local_addr().unwrap()), tls: None };
    serve(listener, entrance, sources, tokio::time::sleep(Duration::from_secs(300))).await.unwrap();
}
