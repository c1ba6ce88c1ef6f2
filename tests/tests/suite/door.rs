//! The caller's door where it is hard to tell which payment is which, and what of it reaches others: features that are
//! late, other content at the same moment, decisions that are not indexed, headers of strangers, what is only tried,
//! traces, labels, lists, replay, and the end of the process.

use std::io::Write;
use std::time::Duration;

use harness::caller::{Told, address, ask, client, open};
use harness::kafka::{World, read};
use harness::process::{ENDS_WITHIN, Process, until};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use reqwest::blocking::Client;
use schemas::codec::{Encoder, SchemaId};
use schemas::contract::Contract;
use schemas::dead_letter::DeadLetter;
use schemas::decision::Decision;
use schemas::payment::{AmountMinor, Currency};
use schemas::time::EventTime;
use schemas::transaction::Transaction;
use serde_json::{Value, json};

use crate::queue::{payment, tell, world};

/// Long enough for a busy machine, short enough that a store that is made slow, by a second a look, is later than its part.
const DEADLINE_MS: u64 = 2_000;

/// A deadline in which nothing slow is done.
const SHORT_MS: u64 = 400;

/// A service whose store or model can be made slow.
struct Door {
    world: World,
    process: Process,
    base: String,
    client: Client,
}

impl Door {
    fn open(name: &str, sets: &[&str]) -> Self {
        let world = world(name);
        let (process, base) = Self::served(&world, sets);
        Self { world, process, base, client: client() }
    }

    fn served(world: &World, sets: &[&str]) -> (Process, String) {
        let fault = world.path("fault");
        let sets =
            [&["rest.in_flight=128", "rest.stale_after=\"1h\"", "rest.max_deadline=\"30s\""], sets].concat();
        let process = world.serve(&sets, &[("TRIPLINE_FAULT_FILE", fault.to_str().unwrap())]);
        let base = address(&process);
        open(&base, &World::key(), &payment("dry"));
        (process, base)
    }

    fn ask(&self, body: &Value, deadline_ms: u64) -> Told {
        ask(&self.client, &self.base, &World::key(), "", body, Some(deadline_ms)).expect("an answer")
    }

    /// Asks until the answer says so of its fallback: by then the fault is there, or gone.
    fn fault(&self, words: &str, deadline_ms: u64, fallback: &Value) {
        std::fs::write(self.world.path("fault"), words).unwrap();
        until(words, Duration::from_secs(60), || {
            let dry = payment("dry");
            let told = ask(&self.client, &self.base, &World::key(), "?dry_run=true", &dry, Some(deadline_ms))
                .unwrap();
            told.status == 200 && told.body["fallback"]["reason"] == *fallback
        });
    }

    fn decision(&self, id: &str) -> (u16, Value) {
        let path = format!("/v1/decisions/{}", schemas::decision::decision_id(id));
        tell(&self.client, &self.base, "GET", &path, None, None).unwrap()
    }

    /// Sends a payment over the topic and waits until its decision is read.
    fn over_the_topic(&self, body: &Value, headers: Option<OwnedHeaders>) {
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let transaction = Transaction {
            transaction_id: text("transaction_id"),
            event_time: EventTime::from_ms(body["event_time"].as_i64().unwrap()).unwrap(),
            amount: AmountMinor::new(body["amount_minor"].as_i64().unwrap()).unwrap(),
            currency: Currency::parse("EUR").unwrap(),
            card_id: text("card_id"),
            merchant_id: Some(text("merchant_id")),
            device_id: None,
            merchant_category: None,
            country: Some(text("country")),
            channel: None,
        };
        let mut value = Vec::new();
        let mut encoder = Encoder::new(Contract::Transaction);
        encoder.encode(SchemaId(self.world.ids[0]), &transaction, &mut value).unwrap();
        let (producer, topic) = (self.world.servers.producer(), self.world.topic("transactions"));
        let record = BaseRecord::to(&topic).key(&transaction.card_id).payload(&value);
        let record = headers.into_iter().fold(record, BaseRecord::headers);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(Duration::from_secs(60)).unwrap();
    }

    fn metric(&self, name: &str) -> u64 {
        let url = format!("http://{}/metrics", self.base);
        let text = self.client.get(url).bearer_auth(World::key()).send().unwrap().text().unwrap();
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    }

    fn ends(mut self) {
        self.process.signal("TERM");
        assert!(self.process.wait(ENDS_WITHIN).success(), "{}", self.process.log_tail());
    }
}

/// The same id for another amount.
fn other(body: &Value) -> Value {
    let mut other = body.clone();
    other["amount_minor"] = json!(999_999);
    other
}

fn code(told: &Told) -> (u16, &str) {
    (told.status, told.body["code"].as_str().unwrap_or("a decision"))
}

#[test]
fn i2_i4_which_payment_is_which_is_told_while_the_store_is_slow() {
    if crate::fast() {
        return;
    }
    let door = Door::open("identity", &[]);
    let known = payment("known");
    door.over_the_topic(&known, None);
    until("it is indexed", Duration::from_secs(60), || door.decision("known").0 == 200);
    let stands = door.ask(&known, DEADLINE_MS);
    assert_eq!((code(&stands), &stands.body["replayed"]), ((200, "a decision"), &json!(true)));

    // Many at once who ask with other content, and some with the right one: each is told by what it brings.
    let told: Vec<(bool, Told)> = std::thread::scope(|scope| {
        let asks = (0..24).map(|n| {
            let is_right = n % 4 == 3;
            let body = if is_right { known.clone() } else { other(&known) };
            let door = &door;
            scope.spawn(move || {
                (is_right, ask(&client(), &door.base, &World::key(), "", &body, Some(30_000)).unwrap())
            })
        });
        asks.collect::<Vec<_>>().into_iter().map(|one| one.join().unwrap()).collect()
    });
    for (is_right, told) in &told {
        let expected = if *is_right { (200, "a decision") } else { (422, "conflict") };
        assert_eq!(code(told), expected, "{told:?}");
    }

    door.fault("store=slow", SHORT_MS, &json!("features_unavailable"));
    assert_eq!(code(&door.ask(&other(&known), SHORT_MS)), (422, "conflict"));
    let again = door.ask(&known, SHORT_MS);
    assert_eq!((code(&again), &again.body["replayed"]), ((200, "a decision"), &json!(true)), "{again:?}");
    assert_eq!(again.body["evaluated_at"], stands.body["evaluated_at"]);
    // Nobody knows this one: the fallback decides.
    let new = door.ask(&payment("new"), SHORT_MS);
    assert_eq!(new.body["fallback"]["reason"], "features_unavailable", "{new:?}");

    // One that is being decided: who asks again is told to come again, and who brings other content too, for as long as
    // it is not known which of the two counts.
    let (first, short) = (payment("first"), 100);
    std::thread::scope(|scope| {
        let slowly =
            scope.spawn(|| ask(&client(), &door.base, &World::key(), "", &first, Some(20_000)).unwrap());
        until("it is being decided", Duration::from_secs(15), || {
            let told = door.ask(&first, short);
            code(&told) == (409, "in_flight") || slowly.is_finished()
        });
        if !slowly.is_finished() {
            let told = door.ask(&other(&first), short);
            assert!([(409, "in_flight"), (422, "conflict")].contains(&code(&told)), "{told:?}");
        }
        let told = slowly.join().unwrap();
        assert_eq!(code(&told), (200, "a decision"), "{told:?}");
    });
    assert_eq!(code(&door.ask(&other(&first), DEADLINE_MS)), (422, "conflict"));
    door.fault("", DEADLINE_MS, &json!("no_model"));
    until("all is applied", Duration::from_secs(60), || door.metric("tripline_rest_ahead") == 0);
    let decisions: Vec<Decision> =
        read(Contract::Decision, &door.world.servers.read(&door.world.topic("decisions")));
    let mut ids: Vec<_> = decisions.iter().map(|one| one.transaction_id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["first", "known", "new"], "each once, and nothing of what was refused");
    door.ends();
}

#[test]
fn i2_i11_without_an_index_nothing_is_ahead_for_ever() {
    if crate::fast() {
        return;
    }
    let mut door = Door::open("unindexed", &["decisions.index=false", "store.checkpoint_every=\"200ms\""]);
    let known = payment("known");
    door.over_the_topic(&known, None);
    until("it is decided", Duration::from_secs(60), || {
        door.metric("tripline_decisions_total{verdict=\"review\"}") == 1
    });
    let again = door.ask(&known, DEADLINE_MS);
    assert_eq!(code(&again), (503, "unavailable"), "{again:?}");
    assert!(again.body["detail"].as_str().unwrap().contains("decisions.index"), "{again:?}");
    assert_eq!(code(&door.ask(&other(&known), DEADLINE_MS)), (422, "conflict"));
    door.fault("store=slow", SHORT_MS, &json!("features_unavailable"));
    assert_eq!(code(&door.ask(&other(&known), SHORT_MS)), (422, "conflict"), "by the ids of late");
    door.fault("", DEADLINE_MS, &json!("no_model"));

    // After a restart neither they nor an index can tell. The stream can: its decision stands, the caller's record is a
    // dead letter where somebody sees it, and it is ahead of nobody.
    until("all is committed", Duration::from_secs(60), || door.world.is_committed());
    door.process.signal("TERM");
    assert!(door.process.wait(ENDS_WITHIN).success());
    let (process, base) = Door::served(&door.world, &["decisions.index=false"]);
    (door.process, door.base) = (process, base);
    door.fault("store=slow", SHORT_MS, &json!("features_unavailable"));
    let told = door.ask(&other(&known), SHORT_MS);
    assert_eq!((code(&told), &told.body["replayed"]), ((200, "a decision"), &json!(false)));
    door.fault("", DEADLINE_MS, &json!("no_model"));
    until("nothing is ahead", Duration::from_secs(60), || door.metric("tripline_rest_ahead") == 0);
    let letters: Vec<DeadLetter> =
        read(Contract::DeadLetter, &door.world.servers.read(&door.world.topic("dead-letters")));
    assert_eq!(letters.iter().map(|letter| letter.code.as_str()).collect::<Vec<_>>(), ["conflict"]);
    door.ends();
}

#[test]
fn what_is_asked_at_the_door_reaches_topics_lists_and_entities() {
    if crate::fast() {
        return;
    }
    let door = Door::open("reaches", &[]);
    // What is only tried is told like any other, misses nothing, and leaves no trace.
    let tried =
        ask(&door.client, &door.base, &World::key(), "?dry_run=true", &payment("tried"), None).unwrap();
    let missed = &tried.body["fallback"]["reason"];
    assert_eq!((tried.status, missed, &tried.body["recorded"]), (200, &json!("no_model"), &json!(false)));
    assert_eq!(door.decision("tried").0, 404);

    // A decision in a header that was not made here is passed over, and counted.
    let header = Header { key: "tripline-decision", value: Some("\u{1}no decision of ours") };
    door.over_the_topic(&payment("foreign"), Some(OwnedHeaders::new().insert(header)));
    until("it is decided", Duration::from_secs(60), || door.decision("foreign").0 == 200);
    assert_eq!(door.decision("foreign").1["decision"], "review");
    assert_eq!(door.metric("tripline_decision_headers_ignored_total"), 1);

    traces(&door);
    labels(&door);
    lists_and_replay(&door);
    door.ends();
}

/// The caller's trace goes through the payment's record and the decision's, into answers, and into problems.
fn traces(door: &Door) {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let post = |body: &Value| {
        let url = format!("http://{}/v1/score", door.base);
        let given = format!("00-{TRACE}-b7ad6b7169203331-00");
        door.client
            .post(url)
            .bearer_auth(World::key())
            .json(body)
            .header("traceparent", given)
            .send()
            .unwrap()
    };
    let answer = post(&payment("traced"));
    let onward = answer.headers()["traceparent"].to_str().unwrap().to_owned();
    assert!(onward.starts_with(&format!("00-{TRACE}-")) && onward.ends_with("-00"), "{onward}");
    assert_eq!(post(&json!({})).json::<Value>().unwrap()["trace_id"], TRACE);
    until("it is indexed", Duration::from_secs(60), || door.decision("traced").0 == 200);
    let servers = door.world.servers;
    for topic in ["transactions", "decisions"] {
        let stored = servers.read(&door.world.topic(topic));
        let traced = stored.iter().flat_map(|record| &record.headers);
        let traced = traced.filter(|(name, value)| name == "traceparent" && value.contains(TRACE)).count();
        assert_eq!(traced, 1, "{topic}");
    }
}

fn labels(door: &Door) {
    let told = json!({ "transaction_id": "traced", "fraud": true, "source": "issuer" });
    let (status, said) = tell(&door.client, &door.base, "POST", "/v1/labels", Some(&told), None).unwrap();
    assert_eq!(status, 200, "{said}");
    let labels: Vec<Value> = read(Contract::Label, &door.world.servers.read(&door.world.topic("labels")));
    let labels: Vec<_> =
        labels.iter().map(|label| [&label["transaction_id"], &label["fraud"], &label["source"]]).collect();
    assert_eq!(labels, [[&json!("traced"), &json!(true), &json!("issuer")]]);
}

/// An entry of a list is in the next decision, and in the replay of those before it; an entity shows what it has.
fn lists_and_replay(door: &Door) {
    let replay = |id: &str| {
        let path = format!("/v1/decisions/{}/replay", schemas::decision::decision_id(id));
        let (status, replayed) = tell(&door.client, &door.base, "POST", &path, None, None).unwrap();
        assert_eq!(status, 200, "{replayed}");
        replayed
    };
    let before = replay("traced");
    assert_eq!((&before["equal"], &before["missing"]), (&json!(true), &json!([])), "{before}");
    let entry = json!({ "list": "block", "entity": "card", "key": "card-traced", "owner": "anna", "reason": "stolen" });
    let (status, said) = tell(&door.client, &door.base, "POST", "/v1/lists", Some(&entry), None).unwrap();
    assert_eq!(status, 201, "{said}");
    let mut next = payment("next");
    next["card_id"] = json!("card-traced");
    let told = door.ask(&next, DEADLINE_MS);
    assert_eq!(
        (&told.body["decision"], &told.body["lists"]),
        (&json!("decline"), &json!(["block/card"])),
        "{told:?}"
    );
    let after = replay("traced");
    let fields: Vec<_> = after["differences"].as_array().unwrap().iter().map(|one| &one["field"]).collect();
    assert!(after["equal"] == false && fields.contains(&&json!("lists")), "{after}");
    // Two payments and a label.
    let mut entity = Value::Null;
    until("all of it is applied", Duration::from_secs(60), || {
        let path = "/v1/entities/card/card-traced";
        entity = tell(&door.client, &door.base, "GET", path, None, None).unwrap().1;
        entity["version"] == 3 && entity["payments"].as_array().is_some_and(|payments| payments.len() == 2)
    });
    let ids = [0, 1].map(|place| entity["payments"][place]["transaction_id"].as_str().unwrap());
    assert_eq!((ids, &entity["features"]["card_countries"]), (["next", "traced"], &json!(1)), "{entity}");
}

#[test]
fn whoever_is_inside_when_the_end_comes_has_an_answer() {
    if crate::fast() {
        return;
    }
    let world = world("ended");
    // Who is inside has three seconds once the line has ended: a machine that stands still may use them up, not each time.
    assert!((0..3).any(|round| is_answered_after_the_line_has_ended(&world, &format!("inside-{round}"))));
}

fn is_answered_after_the_line_has_ended(world: &World, id: &str) -> bool {
    let (mut process, base) = Door::served(world, &[]);
    let body = payment(id).to_string();
    let (begins, ends) = body.split_at(body.len() / 2);
    let mut stream = began(&base, body.len(), begins);
    let drained = || std::fs::read_to_string(&process.log).unwrap().matches("drained").count();
    let before = drained();
    process.signal("TERM");
    until("the line has drained", Duration::from_secs(60), || drained() > before);
    // All that is left of the process is who is inside, by then.
    std::thread::sleep(Duration::from_secs(1));
    let sent = stream.write_all(ends.as_bytes());
    let answer = sent.and_then(|()| harness::raw::answer(&mut stream));
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
    answer.is_ok_and(|answer| (answer.status, answer.json()["transaction_id"].clone()) == (200, json!(id)))
}

/// A request for a decision whose body has begun.
fn began(base: &str, length: usize, body: &str) -> std::net::TcpStream {
    let mut stream = std::net::TcpStream::connect(base).unwrap();
    let request = format!(
        "POST /v1/score HTTP/1.1\r\nhost: {base}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         tripline-deadline-ms: 3000\r\ncontent-length: {length}\r\n\r\n{body}",
        World::key()
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

#[test]
fn i16_a_full_door_says_so_to_anybody_before_it_looks_at_keys() {
    if crate::fast() {
        return;
    }
    let world = crate::queue::world("full");
    let fault = world.path("fault");
    let slow_store = [("TRIPLINE_FAULT_FILE", fault.to_str().unwrap())];
    // So long one may be in sending its body.
    let sets = ["rest.in_flight=1", "rest.waiting=0", "rest.max_deadline=\"60s\""];
    let mut process = world.serve(&sets, &slow_store);
    let base = address(&process);
    open(&base, &World::key(), &crate::openapi::payment("dry"));
    let client = client();
    let stranger = || {
        let answer = client.post(format!("http://{base}/v1/score")).body("{}").send().unwrap();
        let retry = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().unwrap()["code"].as_str().unwrap().to_owned(), retry)
    };
    assert_eq!(stranger(), (401, "unauthenticated".to_owned(), None));
    // One whose body does not come holds no place.
    let slow = began(&base, 100, "{");
    let told =
        ask(&client, &base, &World::key(), "", &crate::openapi::payment("behind"), Some(30_000)).unwrap();
    assert_eq!(told.status, 200, "{told:?}");
    drop(slow);
    let full = (503, "overloaded".to_owned(), Some("1".to_owned()));
    // Who failed often is told to wait: he came as far as the keys all the same.
    let comes_in = || [401, 429].contains(&stranger().0);
    // Who hangs up is worked at all the same, and has his place until then. The store takes a second; one of these is
    // seen in time on a busy machine too.
    std::fs::write(&fault, "store=slow").unwrap();
    until("the store is slow", Duration::from_secs(60), || {
        let dry = crate::openapi::payment("dry");
        let told = ask(&client, &base, &World::key(), "?dry_run=true", &dry, Some(SHORT_MS));
        told.is_some_and(|told| told.body["fallback"]["reason"] == "features_unavailable")
    });
    let is_full_behind = |id: usize| {
        let body = crate::openapi::payment(&format!("hung-up-{id}")).to_string();
        let caller = began(&base, body.len(), &body);
        std::thread::sleep(Duration::from_millis(40));
        drop(caller);
        std::thread::sleep(Duration::from_millis(20));
        let is_full = stranger() == full;
        until("there is room again", Duration::from_secs(60), comes_in);
        is_full
    };
    assert!((0..12).any(is_full_behind));
    let metrics = client.get(format!("http://{base}/metrics")).bearer_auth(World::key()).send().unwrap();
    let metrics = metrics.text().unwrap();
    let counted = metrics.lines().find(|line| line.contains("outcome=\"overloaded\"")).unwrap();
    assert!(!counted.ends_with(" 0"), "{counted}");
    process.signal("TERM");
    assert!(process.wait(ENDS_WITHIN).success(), "{}", process.log_tail());
}
