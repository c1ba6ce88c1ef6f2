//! Bad input at the REST door, line by line: each has its stated answer, none is a 500, and afterwards a good payment
//! is decided as ever.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use harness::caller::{address, open};
use harness::kafka::{World, read};
use harness::process::{ENDS_WITHIN, Process, until};
use harness::raw::{Answer, answer, connect, exchange, head, post};
use harness::servers::Servers;
use schemas::contract::Contract;
use schemas::transaction::Transaction;
use serde_json::{Value, json};
use tripline::access::{Key, RANDOM_BYTES};

use crate::openapi::payment;

const SCORE: &str = "POST /v1/score";
const BATCH: &str = "POST /v1/score/batch";

struct Door {
    world: World,
    process: Process,
    base: String,
    /// Answers that are not the stated ones: all are told at the end.
    wrong: RefCell<Vec<String>>,
}

impl Door {
    /// A door with room for all who come at once here, and whose callers wait so long.
    fn open(name: &str, deadline: &str) -> Option<Door> {
        if crate::fast() {
            return None;
        }
        let world = World::new(Servers::shared(), name, 2);
        let old = Key::of([3; RANDOM_BYTES]);
        let expired = format!(
            "[[caller]]\nname = \"gone\"\nrole = \"scorer\"\nkeys = [{{ hash = \"{}\", expires = 2020-01-01 }}]\n",
            old.hash()
        );
        let keys = std::fs::read_to_string(world.path("keys.toml")).unwrap();
        std::fs::write(world.path("keys.toml"), keys + &expired).unwrap();
        let [deadline, longest] =
            ["deadline", "max_deadline"].map(|key| format!("rest.{key}=\"{deadline}\""));
        let process = world.serve(&[&deadline, &longest, "rest.in_flight=128"], &[]);
        let base = address(&process);
        open(&base, &World::key(), &payment("dry"));
        Some(Door { world, process, base, wrong: RefCell::default() })
    }

    fn send(&self, request: &[u8]) -> Answer {
        let answer = exchange(&self.base, request).unwrap_or_else(|error| panic!("no answer: {error}"));
        assert!(answer.status < 500, "{answer:?}");
        answer
    }

    /// A body of a payment, with these header lines.
    fn score(&self, more: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send(&post(&self.base, SCORE, &World::key(), more, body.as_ref()))
    }

    /// What is answered must be this.
    fn expect(&self, what: &str, answer: &Answer, status: u16, code: &str) {
        let kind = answer.header("content-type").unwrap_or_default();
        let stated = (answer.status, &*answer.code(), kind) == (status, code, "application/problem+json");
        if !stated {
            let said = String::from_utf8_lossy(&answer.body);
            self.wrong.borrow_mut().push(format!("{what}: not {status} {code} but {} {said}", answer.status));
        }
    }

    fn close(mut self) {
        assert!(self.wrong.borrow().is_empty(), "{}", self.wrong.borrow().join("\n"));
        let good = self.score("", payment("good-afterwards").to_string());
        assert_eq!((good.status, &good.json()["replayed"]), (200, &json!(false)), "{good:?}");
        let log = std::fs::read_to_string(&self.process.log).unwrap();
        assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
        self.process.signal("TERM");
        assert!(self.process.wait(ENDS_WITHIN).success(), "{}", self.process.log_tail());
    }
}

/// A good payment with one field written so.
fn with(field: &str, text: &str) -> String {
    let mut good = payment("bad");
    good[field] = json!("HERE");
    good.to_string().replace("\"HERE\"", text)
}

#[test]
fn bad_keys_bodies_headers_and_paths_have_their_stated_answers() {
    let Some(door) = Door::open("hostile", "5s") else { return };
    keys(&door);
    bodies(&door);
    headers(&door);
    paths(&door);
    batches(&door);
    println!("every line of bad input had its stated answer; a good payment was decided afterwards");
    door.close();
}

fn keys(door: &Door) {
    let body = payment("by-nobody").to_string();
    let with = |lines: &str| {
        let length = body.len();
        let head = format!(
            "{SCORE} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{lines}\r\n{body}",
            door.base
        );
        door.send(head.as_bytes())
    };
    let bearer = |key: &str| format!("authorization: Bearer {key}\r\n");
    let strange = Key::of([1; RANDOM_BYTES]).reveal().to_owned();
    let old = Key::of([3; RANDOM_BYTES]).reveal().to_owned();
    let good = World::key();
    for (what, lines, code) in [
        ("no key", String::new(), "unauthenticated"),
        ("a wrong key", bearer(&strange), "key_unknown"),
        ("an expired key", bearer(&old), "key_expired"),
        ("a word", bearer("nonsense"), "key_malformed"),
        ("a cut key", bearer(&good[..good.len() - 1]), "key_malformed"),
        ("nothing behind Bearer", bearer(""), "key_malformed"),
        ("Basic", "authorization: Basic eDp5\r\n".to_owned(), "key_malformed"),
        ("no text", "authorization: Bearer \u{e9}\r\n".to_owned(), "key_malformed"),
        ("two keys", bearer(&good) + &bearer(&good), "key_malformed"),
    ] {
        let answer = with(&lines);
        door.expect(what, &answer, 401, code);
        assert!(answer.header("www-authenticate").is_some(), "{what}");
    }
}

#[expect(clippy::too_many_lines, reason = "a table of cases, a line each")]
fn bodies(door: &Door) {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let good = payment("bad").to_string();
    let twice = good.replacen('{', "{\"currency\":\"EUR\",", 1);
    let refused: [(&str, Vec<u8>, u16, &str, &str); 26] = [
        ("empty", b"".to_vec(), 400, "malformed_json", ""),
        ("cut", good.as_bytes()[..good.len() - 1].to_vec(), 400, "malformed_json", ""),
        ("something behind", (good.clone() + "{}").into(), 400, "malformed_json", ""),
        ("no UTF-8", b"{\"transaction_id\":\"\xff\"}".to_vec(), 400, "malformed_json", ""),
        ("a raw NUL", b"{\"transaction_id\":\"\0\"}".to_vec(), 400, "malformed_json", ""),
        ("NaN", with("amount_minor", "NaN").into(), 400, "malformed_json", ""),
        ("30,000 nested arrays", nested(30_000).into(), 422, "invalid_payment", "wrong_type"),
        ("nested in a field", with("card_id", &nested(20_000)).into(), 422, "invalid_payment", "wrong_type"),
        ("200,000 nested arrays", nested(200_000).into(), 413, "payload_too_large", ""),
        ("10 MB", vec![b' '; 10 << 20], 413, "payload_too_large", ""),
        ("null", b"null".to_vec(), 422, "invalid_payment", "wrong_type"),
        ("an array", b"[]".to_vec(), 422, "invalid_payment", "wrong_type"),
        ("a number", b"1".to_vec(), 422, "invalid_payment", "wrong_type"),
        ("no field", b"{}".to_vec(), 422, "invalid_payment", "missing_field"),
        (
            "an unknown field",
            good.replacen('{', "{\"amount\":1,", 1).into(),
            422,
            "invalid_payment",
            "unknown_field",
        ),
        ("a key twice", twice.into(), 422, "invalid_payment", "duplicate_field"),
        ("1e400", with("amount_minor", "1e400").into(), 422, "invalid_payment", "wrong_type"),
        ("1.0", with("amount_minor", "1.0").into(), 422, "invalid_payment", "wrong_type"),
        (
            "2^53+1",
            with("amount_minor", "9007199254740993").into(),
            422,
            "invalid_payment",
            "amount_out_of_range",
        ),
        ("2^64", with("amount_minor", "18446744073709551616").into(), 422, "invalid_payment", "out_of_range"),
        ("minus one", with("amount_minor", "-1").into(), 422, "invalid_payment", "amount_out_of_range"),
        ("a text", with("amount_minor", "\"1\"").into(), 422, "invalid_payment", "wrong_type"),
        ("true", with("amount_minor", "true").into(), 422, "invalid_payment", "wrong_type"),
        ("\\u0000", with("card_id", "\"a\\u0000b\"").into(), 422, "invalid_payment", "invalid_text"),
        (
            "half a surrogate pair",
            with("card_id", "\"\\ud800\"").into(),
            422,
            "invalid_payment",
            "invalid_text",
        ),
        (
            "half, the other one",
            with("card_id", "\"\\udc00\"").into(),
            422,
            "invalid_payment",
            "invalid_text",
        ),
    ];
    for (what, body, status, code, fault) in refused {
        let answer = door.score("", &body);
        door.expect(what, &answer, status, code);
        let said = answer.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned();
        if said != fault {
            door.wrong.borrow_mut().push(format!("{what}: not {fault} but {said}"));
        }
    }
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20)).repeat(10) + "0\r\n\r\n";
    let chunked = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
    let send = |body: &str| {
        door.send(&[head(&door.base, SCORE, &World::key(), chunked), body.as_bytes().to_vec()].concat())
    };
    door.expect("10 MB in chunks", &send(&chunk), 413, "payload_too_large");
    door.expect("no chunk", &send("zz\r\nno\r\n"), 400, "invalid_request");
    let whole = payment("in-chunks").to_string();
    let whole = send(&format!("{:x}\r\n{whole}\r\n0\r\n\r\n", whole.len()));
    assert_eq!(whole.status, 200, "good chunks are as good as any: {whole:?}");
    // What is no payment's masks what looks like a card number.
    let card = door.score("", r#"{"4111111111111111": 1}"#);
    door.expect("a card number as a name", &card, 422, "invalid_payment");
    assert!(!String::from_utf8_lossy(&card.body).contains("4111111111111111"), "{card:?}");
}

fn headers(door: &Door) {
    let typed = |lines: &str| {
        let body = payment("of-a-kind").to_string();
        let more = format!("content-length: {}\r\n{lines}", body.len());
        door.send(&[head(&door.base, SCORE, &World::key(), &more), body.into_bytes()].concat())
    };
    door.expect("text/plain", &typed("content-type: text/plain\r\n"), 415, "unsupported_media_type");
    door.expect("no kind", &typed(""), 415, "unsupported_media_type");
    let utf16 = typed("content-type: application/json; charset=utf-16\r\n");
    door.expect("UTF-16", &utf16, 415, "unsupported_media_type");
    // Two kilobytes that unpack to two gigabytes are never unpacked.
    let gzip = door.score("content-encoding: gzip\r\n", b"\x1f\x8b\x08\0\0\0\0\0\0\x03");
    door.expect("gzip", &gzip, 415, "unsupported_encoding");
    let deadline = |value: &str| {
        let id = format!("deadline-{value}");
        door.score(&format!("tripline-deadline-ms: {value}\r\n"), payment(&id).to_string())
    };
    for wrong in ["-1", "0", "x", "", "1.5", "+5"] {
        door.expect(&format!("a deadline of {wrong:?}"), &deadline(wrong), 400, "deadline_invalid");
    }
    for long in ["99999999", "99999999999999999999999999"] {
        assert_eq!(deadline(long).status, 200, "a long deadline is cut");
    }
    let two =
        door.score("tripline-deadline-ms: 9\r\ntripline-deadline-ms: 9\r\n", payment("two").to_string());
    door.expect("two deadlines", &two, 400, "deadline_invalid");
    let keyed =
        |key: &str, id: &str| door.score(&format!("idempotency-key: {key}\r\n"), payment(id).to_string());
    assert_eq!(keyed("k-1", "keyed").status, 200);
    door.expect("a key with another id", &keyed("k-1", "keyed-other"), 422, "idempotency_mismatch");
    door.expect("a key of blanks", &keyed("a b", "keyed-blank"), 400, "invalid_request");
    door.expect("a long key", &keyed(&"k".repeat(256), "keyed-long"), 400, "invalid_request");
    let many: String = (0..10_000).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert_eq!(door.score(&many, payment("many").to_string()).status, 431, "10,000 headers");
    let large = format!("x-large: {}\r\n", "x".repeat(17 << 10));
    door.expect("17 KiB", &door.score(&large, payment("l").to_string()), 431, "header_fields_too_large");
    let host = post("elsewhere.example", SCORE, &World::key(), "", b"{}");
    door.expect("another host", &door.send(&host), 421, "misdirected");
    for nonsense in ["GARBAGE\r\n\r\n", "GET /v1/lists HTTP/9.9\r\n\r\n", "\0\r\n\r\n"] {
        assert_eq!(door.send(nonsense.as_bytes()).status, 400, "{nonsense:?}");
    }
}

fn paths(door: &Door) {
    let get = |what: &str| door.send(&head(&door.base, what, &World::key(), ""));
    for (what, status, code) in [
        ("GET /v1/nothing", 404, "not_found"),
        ("GET /v1/decisions/dec_none", 404, "not_found"),
        ("GET /v1/decisions/%00", 404, "not_found"),
        ("GET /v1/decisions/%ff", 400, "invalid_request"),
        ("GET /v1/entities/card/%ff", 400, "invalid_request"),
        ("GET /v1/entities/nobody/x", 404, "not_found"),
        ("GET /v1/decisions/x?y=1", 400, "invalid_request"),
        ("GET /v1/decisions?limit=1000000000", 400, "invalid_request"),
        ("GET /v1/decisions?limit=1&limit=2", 400, "invalid_request"),
        ("GET /v1/decisions?cursor=AAAA", 400, "invalid_request"),
        ("POST /v1/decisions/dec_none/replay", 404, "not_found"),
        ("DELETE /v1/lists/%ff", 400, "invalid_request"),
        ("DELETE /v1/lists/block_0", 404, "not_found"),
    ] {
        door.expect(what, &get(what), status, code);
    }
    let method = get("PUT /v1/score");
    door.expect("PUT", &method, 405, "method_not_allowed");
    assert_eq!(method.header("allow"), Some("POST"));
    let query = post(&door.base, "POST /v1/score?dry_run=yes", &World::key(), "", b"{}");
    door.expect("dry_run=yes", &door.send(&query), 400, "invalid_request");
}

fn batches(door: &Door) {
    let batch = |body: &[u8]| door.send(&post(&door.base, BATCH, &World::key(), "", body));
    let of = |count: usize| (0..count).map(|n| payment(&format!("batch-{n}"))).collect::<Value>().to_string();
    door.expect("a batch of none", &batch(b"[]"), 422, "invalid_payment");
    door.expect("a batch that is none", &batch(b"{}"), 422, "invalid_payment");
    door.expect("1,001", &batch(of(1_001).as_bytes()), 413, "batch_too_large");
    door.expect("200,000 nested", &batch(&[b'['; 200_000]), 400, "malformed_json");
    let closed = batch(("[".repeat(200_000) + &"]".repeat(200_000)).as_bytes());
    assert_eq!((closed.status, &closed.json()["items"][0]["status"]), (200, &json!(422)), "{closed:?}");
    door.expect("3 MB", &batch(&vec![b' '; 3 << 20]), 413, "payload_too_large");
    let mixed = json!([payment("mixed-1"), {"a": 1}, payment("mixed-2"), null, payment("mixed-1")]);
    let mixed = batch(mixed.to_string().as_bytes());
    let status = |answer: &Answer| {
        answer.json()["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["status"].as_u64().unwrap())
            .collect()
    };
    let statuses: Vec<u64> = status(&mixed);
    // The last is the first once more: by the clock the two may differ, and then it is a conflict.
    assert_eq!((mixed.status, &statuses[..4]), (200, &[200, 422, 200, 422][..]), "{mixed:?}");
    assert!([200, 422].contains(&statuses[4]), "{mixed:?}");
    let began = Instant::now();
    let full = batch(of(1_000).as_bytes());
    let statuses: Vec<u64> = status(&full);
    assert_eq!((full.status, statuses.len()), (200, 1_000));
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    println!("a batch of 1,000 in {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
}

#[test]
fn a_slow_body_is_cut_off_and_others_are_served_meanwhile() {
    let Some(door) = Door::open("slow", "8s") else { return };
    let body = payment("slow").to_string();
    let more = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    let mut slow = connect(&door.base);
    slow.write_all(&head(&door.base, SCORE, &World::key(), &more)).unwrap();
    let mut reads = slow.try_clone().unwrap();
    let reader = std::thread::spawn(move || answer(&mut reads));
    let began = Instant::now();
    let (mut sent, mut served) = (0, 0);
    while !reader.is_finished() {
        assert!(began.elapsed() < Duration::from_secs(60), "never cut off");
        // Refused once it is cut off.
        sent += usize::from(slow.write_all(&body.as_bytes()[sent..=sent]).is_ok());
        let meanwhile = door.score("", payment(&format!("meanwhile-{served}")).to_string());
        assert_eq!(meanwhile.status, 200, "{meanwhile:?}");
        served += 1;
        std::thread::sleep(Duration::from_millis(200));
    }
    let cut = reader.join().unwrap().unwrap();
    door.expect("five bytes a second", &cut, 408, "body_too_slow");
    assert!(served >= 2, "{served}");
    println!(
        "five bytes a second: 408 after {:.1} s, {served} served meanwhile",
        began.elapsed().as_secs_f64()
    );
    door.close();
}

#[test]
fn a_hundred_at_once_with_one_payment_are_one_payment() {
    let Some(door) = Door::open("hundred", "15s") else { return };
    let body = payment("the-one").to_string();
    let request = post(&door.base, SCORE, &World::key(), "idempotency-key: one\r\n", body.as_bytes());
    let base = &door.base;
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let asks: Vec<_> = (0..100).map(|_| scope.spawn(|| exchange(base, &request).unwrap())).collect();
        asks.into_iter().map(|ask| ask.join().unwrap()).collect()
    });
    let decided = |answer: &Answer| answer.json()["decision_id"].as_str().unwrap_or_default().to_owned();
    let first = decided(&answers[0]);
    assert!(answers.iter().all(|one| one.status == 200 && decided(one) == first), "{answers:?}");
    let anew = answers.iter().filter(|one| one.json()["replayed"] == false).count();
    assert_eq!(anew, 1, "one was decided, the others were told");
    let other = door.score("idempotency-key: one\r\n", payment("another").to_string());
    door.expect("the same key with another body", &other, 422, "idempotency_mismatch");
    let other = door.score("", body.replace("1250", "1251"));
    door.expect("the same id with another body", &other, 422, "conflict");
    let records = door.world.servers.read(&door.world.topic("transactions"));
    let records: Vec<Transaction> = read(Contract::Transaction, &records);
    assert_eq!(records.iter().filter(|one| one.transaction_id == "the-one").count(), 1);
    // What was decided here is computed again from its record, once the stream has applied it.
    let replay = head(&door.base, &format!("POST /v1/decisions/{first}/replay"), &World::key(), "");
    until("it is replayed", Duration::from_secs(60), || door.send(&replay).json()["equal"] == true);
    door.close();
}

/// How many hang up; `TRIPLINE_DISCONNECTS=10000` by hand.
fn disconnects() -> usize {
    std::env::var("TRIPLINE_DISCONNECTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

#[test]
fn callers_who_hang_up_leave_nothing_behind() {
    let Some(door) = Door::open("gone", "5s") else { return };
    let files = || std::fs::read_dir(format!("/proc/{}/fd", door.process.id())).unwrap().count();
    // What is opened once, on the way of the first payment, is open.
    assert_eq!(door.score("", payment("first").to_string()).status, 200);
    let before = files();
    let began = Instant::now();
    for number in 0..disconnects() {
        let body = payment(&format!("gone-{number}")).to_string();
        let request = post(&door.base, SCORE, &World::key(), "", body.as_bytes());
        // In the head, in the body, before the answer, in the answer.
        let upto = [request.len() / 3, request.len() - 9, request.len(), request.len()][number % 4];
        let mut stream = connect(&door.base);
        stream.write_all(&request[..upto]).unwrap();
        if number % 4 == 3 {
            let _ = stream.read(&mut [0; 1]).unwrap();
        }
    }
    let took = began.elapsed();
    // A few are the process's own, which opens files and connections to brokers when it needs them first.
    let few = disconnects() / 20;
    until("file descriptors are back", Duration::from_secs(40), || files() <= before + few);
    println!(
        "{} hung up in {:.1} s; files {before} before, {} after",
        disconnects(),
        took.as_secs_f64(),
        files()
    );
    door.close();
}
