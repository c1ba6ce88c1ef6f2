//! What a registry, or what stands where one should be, may answer; over a real socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use serde_json::json;
use tokio::runtime::Runtime;

use super::*;

/// For servers that are silent: short, so that hanging costs little.
const TIMEOUT: Duration = Duration::from_millis(400);

/// For all others: how long an answer takes is the machine's affair.
const PATIENT: Duration = Duration::from_secs(60);

/// How long a silent server holds its connection: far longer than anybody waits here.
const SILENCE: Duration = Duration::from_secs(60);

/// What is done with a connection whose request was read: its method and path, and its body.
type Serve = dyn Fn(&mut TcpStream, &str, &str) + Send + Sync;

/// A server that lives as long as the test process.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    /// How long its client waits.
    timeout: Duration,
}

impl Server {
    fn new(serve: impl Fn(&mut TcpStream, &str, &str) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let serve: Arc<Serve> = Arc::new(serve);
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (serve, seen) = (Arc::clone(&serve), Arc::clone(&seen));
                thread::spawn(move || take(stream.unwrap(), &*serve, &seen));
            }
        });
        Self { address, requests, timeout: PATIENT }
    }

    /// One that says so much at most, and then nothing while it holds the connection.
    fn silent(said: &'static [u8]) -> Self {
        let server = Self::new(move |stream, _, _| {
            let _ = stream.write_all(said);
            thread::sleep(SILENCE);
        });
        Self { timeout: TIMEOUT, ..server }
    }

    /// Always this answer.
    fn answering(status: &'static str, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::new(move |stream, _, _| respond(stream, status, "", &body))
    }

    fn client(&self) -> RegistryClient {
        RegistryClient::new(&format!("http://{}/", self.address), self.timeout).unwrap()
    }

    fn ask(&self) -> Answer {
        runtime().block_on(self.client().ask(SchemaId(7)))
    }

    fn bind(&self, register: bool) -> Result<Bound, RegistryError> {
        runtime().block_on(self.client().bind(Contract::Label, "labels", register))
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn take(mut stream: TcpStream, serve: &Serve, seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut request, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end();
        if request.is_empty() {
            request = line.rsplit_once(' ').unwrap().0.to_owned();
        } else if let Some(text) = line.to_lowercase().strip_prefix("content-length: ") {
            length = text.parse().unwrap();
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    seen.lock().unwrap().push(request.clone());
    serve(&mut stream, &request, &String::from_utf8(body).unwrap());
}

/// The client may have gone: what cannot be written is not the test's matter.
fn respond(stream: &mut TcpStream, status: &str, header: &str, body: &str) {
    let head =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{header}\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

fn unavailable(answer: Answer) -> String {
    match answer {
        Answer::Unavailable(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_schema_is_its_text_and_the_question_is_confluents() {
    let server = Server::answering("200 OK", json!({ "schema": "\"string\"", "id": 7 }).to_string());
    assert_eq!(server.ask(), Answer::Text("\"string\"".to_owned()));
    assert_eq!(*server.requests.lock().unwrap(), ["GET /schemas/ids/7?deleted=true"]);
    let longest = "x".repeat(MAX_SCHEMA_BYTES);
    let server = Server::answering("200 OK", json!({ "schema": longest }).to_string());
    assert_eq!(server.ask(), Answer::Text(longest));
}

#[test]
fn only_the_registrys_own_404_is_definite() {
    let none = json!({ "error_code": 40403, "message": "Schema 7 not found" }).to_string();
    assert_eq!(Server::answering("404 Not Found", none.as_str()).ask(), Answer::Unknown);
    let others = [
        ("404 Not Found", "<html>no such page</html>".to_owned(), "status 404 Not Found: not a registry's"),
        (
            "404 Not Found",
            json!({ "error_code": 40401, "message": "x" }).to_string(),
            "status 404 Not Found: x",
        ),
        ("404 Not Found", "[40403, \"an array\"]".to_owned(), "status 404"),
        ("404 Not Found", json!({ "error_code": "40403" }).to_string(), "status 404"),
        ("500 Internal Server Error", none.clone(), "status 500 Internal Server Error: Schema 7 not found"),
        ("500 Internal Server Error", json!({ "schema": "\"int\"" }).to_string(), "status 500"),
        ("429 Too Many Requests", String::new(), "status 429"),
        (
            "401 Unauthorized",
            json!({ "error_code": 401, "message": "who?" }).to_string(),
            "status 401 Unauthorized: who?",
        ),
        ("200 OK", "{}".to_owned(), "status 200 OK: not a registry's answer"),
        ("200 OK", none, "status 200 OK: Schema 7 not found"),
        ("200 OK", "[\"\\\"string\\\"\"]".to_owned(), "status 200"),
        ("200 OK", "{\"schema\": {\"type\": \"string\"}}".to_owned(), "status 200"),
        ("200 OK", "<html>welcome</html>".to_owned(), "status 200"),
        ("200 OK", "[".repeat(200_000), "status 200"),
        ("204 No Content", String::new(), "status 204"),
    ];
    for (status, body, expected) in others {
        let why = unavailable(Server::answering(status, body).ask());
        assert!(why.starts_with(expected), "{why}: not {expected}");
    }
}

#[test]
fn a_long_answer_is_not_read_to_its_end() {
    let text = json!({ "schema": "x".repeat(MAX_SCHEMA_BYTES + 1) }).to_string();
    let why = unavailable(Server::answering("200 OK", text).ask());
    assert_eq!(why, "a schema of 1048577 bytes, at most 1048576 are taken");
    let written = Arc::new(Mutex::new(0_usize));
    let count = Arc::clone(&written);
    // A gigabyte, or as much as is read of it.
    let server = Server::new(move |stream, _, _| {
        let chunk = vec![b' '; 1 << 20];
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        for _ in 0..1024 {
            if stream.write_all(&chunk).is_err() {
                return;
            }
            *count.lock().unwrap() += chunk.len();
        }
    });
    let why = unavailable(server.ask());
    assert_eq!(why, format!("an answer of more than {MAX_ANSWER_BYTES} bytes"));
    let written = *written.lock().unwrap();
    assert!(written < 64 << 20, "{written} bytes were taken");
}

#[test]
fn silence_refusal_and_loops_are_no_answers() {
    let began = Instant::now();
    // The connection is held open past the time-out; once before the head, once in the middle of the body.
    assert_eq!(unavailable(Server::silent(b"").ask()), "no answer in 400 ms");
    let halting = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"schema\":";
    assert_eq!(unavailable(Server::silent(halting).ask()), "no answer in 400 ms");
    assert!(began.elapsed() < SILENCE / 2, "{:?}", began.elapsed());

    let cut = Server::new(|stream, _, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"schema\": \"");
    });
    assert!(unavailable(cut.ask()).starts_with("no answer: "), "{:?}", cut.ask());

    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = RegistryClient::new(&format!("http://{refusing}"), PATIENT).unwrap();
    let why = unavailable(runtime().block_on(client.ask(SchemaId(7))));
    assert!(why.contains("onnection refused"), "{why}");

    let looping =
        Server::new(|stream, _, _| respond(stream, "302 Found", "location: /schemas/ids/7\r\n", ""));
    assert!(unavailable(looping.ask()).starts_with("redirected too often"), "{:?}", looping.ask());
}

#[test]
fn a_redirect_to_a_registry_is_followed() {
    let server = Server::new(|stream, request, _| match request {
        "GET /schemas/ids/7?deleted=true" => {
            respond(stream, "301 Moved Permanently", "location: /elsewhere\r\n", "");
        }
        _ => respond(stream, "200 OK", "", &json!({ "schema": "\"int\"" }).to_string()),
    });
    assert_eq!(server.ask(), Answer::Text("\"int\"".to_owned()));
}

#[test]
fn the_source_asks_sixteen_at_once_and_brings_every_answer() {
    let (now, most) = (Arc::new(Mutex::new(0_usize)), Arc::new(Mutex::new(0_usize)));
    let (counted, highest) = (Arc::clone(&now), Arc::clone(&most));
    let server = Server::new(move |stream, request, _| {
        *counted.lock().unwrap() += 1;
        {
            let mut highest = highest.lock().unwrap();
            *highest = (*highest).max(*counted.lock().unwrap());
        }
        // The first has another beside it, however slow the machine, if there ever is one.
        let came = Instant::now();
        while *highest.lock().unwrap() < 2 && came.elapsed() < SILENCE / 2 {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(20));
        *counted.lock().unwrap() -= 1;
        let id = request.trim_start_matches("GET /schemas/ids/").trim_end_matches("?deleted=true");
        respond(stream, "200 OK", "", &json!({ "schema": id }).to_string());
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = RegistryClient::new(&format!("http://{}", server.address), PATIENT).unwrap();
    let mut source = RegistrySource::new(client, runtime.handle().clone());
    for id in 1..=100 {
        source.request(SchemaId(id));
    }
    let mut answers = Vec::new();
    let began = Instant::now();
    while answers.len() < 100 {
        assert!(began.elapsed() < PATIENT, "only {} answers", answers.len());
        match source.poll() {
            Some((id, answer)) => {
                assert_eq!(answer, Answer::Text(id.0.to_string()));
                answers.push(id);
            }
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
    answers.sort_unstable();
    assert_eq!(answers, (1..=100).map(SchemaId).collect::<Vec<_>>());
    assert_eq!(source.poll(), None);
    let most = *most.lock().unwrap();
    assert!((2..=MOST_AT_ONCE).contains(&most), "{most} at once");
}

#[test]
fn a_contract_is_registered_or_found_and_compared() {
    let contract = Contract::Label;
    let server = Server::new(move |stream, request, body| match request {
        "POST /subjects/labels-value/versions" => {
            let posted: Value = serde_json::from_str(body).unwrap();
            assert_eq!(posted, json!({ "schema": contract.text(), "schemaType": "AVRO" }));
            respond(stream, "200 OK", "", &json!({ "id": 5 }).to_string());
        }
        "GET /subjects/labels-value/versions/latest" => {
            let minified: Value = serde_json::from_str(contract.text()).unwrap();
            let found =
                json!({ "subject": "labels-value", "id": 6, "version": 2, "schema": minified.to_string() });
            respond(stream, "200 OK", "", &found.to_string());
        }
        _ => respond(stream, "500 Internal Server Error", "", request),
    });
    assert_eq!(server.bind(true).map_err(|error| error.to_string()).unwrap().id, SchemaId(5));
    assert_eq!(server.bind(false).map_err(|error| error.to_string()).unwrap().id, SchemaId(6));
}

#[test]
fn a_binding_that_cannot_be_says_whose_turn_it_is() {
    let error =
        |status, body: Value, register| match Server::answering(status, body.to_string()).bind(register) {
            Ok(_) => panic!("bound"),
            Err(error) => error,
        };
    let missing = || json!({ "error_code": 40401, "message": "Subject 'labels-value' not found." });
    let other = json!({ "id": 1, "schema": Contract::Alert.text() });
    let clash = json!({ "error_code": 409, "message": "incompatible" });
    let invalid = json!({ "error_code": 42201, "message": "no Avro" });
    let refusals = [
        (
            error("404 Not Found", missing(), false),
            "the registry has no subject labels-value: register schemas/avro/label.avsc",
        ),
        (error("200 OK", other, false), "subject labels-value holds another schema than our label: "),
        (error("409 Conflict", clash, true), "subject labels-value does not take our label: "),
        (error("422 Unprocessable Entity", invalid, true), "subject labels-value does not take our label: "),
    ];
    for (refusal, expected) in refusals {
        assert!(matches!(refusal, RegistryError::Refused(_)), "{refusal:?}");
        assert!(refusal.to_string().starts_with(expected), "{refusal}");
    }
    // A proxy's 404, a registry in trouble, and silence: it may be there later.
    let proxy = Server::answering("404 Not Found", "<html>").bind(false);
    let trouble = Server::answering("503 Service Unavailable", missing().to_string()).bind(true);
    let silent = Server::silent(b"").bind(false);
    for (place, answer) in [proxy, silent, trouble].into_iter().enumerate() {
        match answer {
            Err(RegistryError::Unavailable(_)) => {}
            Err(RegistryError::Refused(why)) => panic!("{place}: refused: {why}"),
            Ok(_) => panic!("{place}: bound"),
        }
    }
}
