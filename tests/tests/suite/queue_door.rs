//! The queue's door for people: who is let in where, what counts as a page of ours, what of a key can be found, and what
//! files of chargebacks, looks at whole keys and verdicts leave behind. One service, and a person for each role.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use harness::caller::{address, ask, client, open};
use harness::database::Database;
use harness::kafka::{World, read};
use harness::memory::FEATURES;
use harness::person::{COOKIE, CSRF, FORM, Person, Reply, browser, sent, sign_in_form};
use harness::process::until;
use reqwest::blocking::{Client, RequestBuilder};
use schemas::contract::Contract;
use schemas::time::EventTime;
use serde::Deserialize;
use serde_json::{Value, json};
use tripline::access::{Kind, ROLES, ROUTES, Route};
use tripline::clock::{Clock, SystemClock};

use crate::queue::{account, payment, tell, world};
use crate::roles::path;

const SETS: [&str; 2] = ["queue.entity=\"card\"", "queue.undo=\"1s\""];

/// What verdicts leave behind, on a card.
const CARD_FRAUDS: &str = r#"
[[feature]]
name = "card_frauds"
entity = "card"
aggregate = "count"
of = "label"
window = "1h"
delay = "1ms"
"#;

/// How long is waited for what comes by a topic: machines that run tests are slow.
const WITHIN: Duration = Duration::from_secs(60);

/// A card's key, and how it begins.
const KEY: &str = "tok-violet-9f86d08188";
const BEGINNING: &str = "tok-vio";

/// A site that is not ours.
const ELSEWHERE: &str = "http://elsewhere.example";

/// Times that an address may fail at once: less than the door allows.
const FAILURES: usize = 25;

#[derive(Debug, Deserialize)]
struct Label {
    transaction_id: String,
    fraud: bool,
    label_time: i64,
    source: String,
}

/// The running service, and a person for each role, with the password.
struct Door {
    world: World,
    base: String,
    client: Client,
    people: BTreeMap<&'static str, (Person, String)>,
}

impl Door {
    fn person(&self, role: &str) -> &Person {
        &self.people[role].0
    }

    /// What the API says to the tests' own key. A database that is busy is asked again.
    fn told(&self, path: &str) -> Value {
        let mut said = None;
        until(&format!("{path} is told"), WITHIN, || {
            let answer = tell(&self.client, &self.base, "GET", path, None, None);
            said = answer.filter(|(status, _)| *status == 200);
            said.is_some()
        });
        said.unwrap().1
    }

    /// The alert of a payment that is decided now, as the list has it.
    fn raised(&self, payment: &Value) -> Value {
        let told = ask(&self.client, &self.base, &World::key(), "", payment, None).unwrap();
        assert_eq!(told.status, 200, "{told:?}");
        let path = format!("/v1/alerts?text={}", word(payment, "transaction_id"));
        let mut found = Value::Null;
        until("the payment's alert is in the queue", WITHIN, || {
            found = self.told(&path)["alerts"][0].clone();
            found.is_object()
        });
        found
    }

    /// An alert with all that hangs on it.
    fn alert(&self, id: &str) -> Value {
        self.told(&format!("/v1/alerts/{id}"))
    }

    /// The labels in the topic that came from there.
    fn labels(&self, source: &str) -> Vec<Label> {
        let records = self.world.servers.read(&self.world.topic("labels"));
        let labels = read::<Label>(Contract::Label, &records);
        labels.into_iter().filter(|label| label.source == source).collect()
    }
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))
}

fn time(ms: i64) -> String {
    EventTime::from_ms(ms).unwrap().to_string()
}

#[test]
fn people_come_in_by_their_role_and_what_they_do_arrives() {
    if crate::fast() {
        return;
    }
    let world = world("queue-door");
    std::fs::write(world.path("features.toml"), format!("{FEATURES}{CARD_FRAUDS}")).unwrap();
    let mut process = world.serve(&SETS, &[]);
    let base = address(&process);
    open(&base, &World::key(), &payment("dry"));
    nobody_comes_in(&base);
    let mut people = BTreeMap::new();
    for (role, ..) in ROLES.into_iter().filter(|(role, ..)| *role != "scorer") {
        let password = word(&account(&world, role, &SETS), "password").to_owned();
        people.insert(role, (Person::sign_in(&base, role, &password), password));
    }
    let door = Door { world, base, client: client(), people };
    // While there is no alert: what is allowed would be done.
    every_route_lets_in_the_roles_that_the_table_says(&door);
    a_change_comes_from_a_page_of_ours(&door);
    who_signs_out_is_out(&door);
    a_key_is_found_whole_by_whom_may_not_see_it(&door);
    a_file_of_chargebacks_is_answered_line_by_line(&door);
    a_verdict_reaches_the_features(&door);
    let log = std::fs::read_to_string(&process.log).unwrap();
    assert!(!log.contains(KEY) && !log.contains("panicked"), "{log}");
    process.signal("TERM");
    assert!(process.wait(Duration::from_secs(15)).success(), "{}", process.log_tail());
}

/// Without a session: pages send one to where one signs in, the rest is closed.
fn nobody_comes_in(base: &str) {
    let needing: Vec<Route> = ROUTES.into_iter().filter(|route| route.needs.is_some()).collect();
    // Each part of the walk comes from an address of its own, since who has failed often is told to wait.
    for (place, routes) in (2..).zip(needing.chunks(FAILURES)) {
        let client = browser(Ipv4Addr::new(127, 0, 0, place));
        for route in routes {
            let path = path(route);
            let request = client.request(route.method.parse().unwrap(), format!("http://{base}{path}"));
            is_turned_away(route, &path, &sent(&request), "unauthenticated");
        }
    }
    // A session that there is not (any more) opens nothing either.
    let client = browser(Ipv4Addr::new(127, 0, 1, 1));
    let cookie = format!("{COOKIE}={}", "0".repeat(64));
    for route in needing.iter().filter(|route| route.path.ends_with("/claim") || route.kind == Kind::Page) {
        let path = path(route);
        let request = client.request(route.method.parse().unwrap(), format!("http://{base}{path}"));
        is_turned_away(route, &path, &sent(&request.header("cookie", &cookie)), "signed_out");
    }
    let client = browser(Ipv4Addr::LOCALHOST);
    for route in ROUTES.into_iter().filter(|route| route.needs.is_none()) {
        let url = format!("http://{base}{}", path(&route));
        let reply = sent(&client.request(route.method.parse().unwrap(), url));
        assert!(![303, 401, 403].contains(&reply.status), "{} {}: {reply:?}", route.method, route.path);
    }
}

fn is_turned_away(route: &Route, path: &str, reply: &Reply, code: &str) {
    let what = format!("{} {path}", route.method);
    if route.kind == Kind::Page {
        let next = format!("/sign-in?next={path}");
        assert_eq!((reply.status, reply.header("location")), (303, next.as_str()), "{what}: {reply:?}");
    } else {
        assert_eq!((reply.status, reply.code().as_str()), (401, code), "{what}: {reply:?}");
    }
}

fn every_route_lets_in_the_roles_that_the_table_says(door: &Door) {
    let (mut allowed, mut refused) = (0, 0);
    for (role, _, scopes) in ROLES.into_iter().filter(|(role, ..)| *role != "scorer") {
        let person = door.person(role);
        for route in ROUTES {
            let path = path(&route);
            let reply = sent(&person.asking(route.method, &path));
            let what = format!("{role}: {} {path}: {} {}", route.method, reply.status, reply.text);
            let Some(lacking) = route.needs.filter(|scope| !scopes.has(*scope)) else {
                assert!(![303, 401, 403, 405].contains(&reply.status), "{what}");
                // An id that is not there is the only thing that is not there.
                assert!(reply.status != 404 || route.path.contains('{'), "{what}");
                // A probe may say that the stream is not ready yet.
                assert!(reply.status < 500 || path == "/readyz", "{what}");
                allowed += 1;
                continue;
            };
            assert_eq!(reply.status, 403, "{what}");
            if route.kind == Kind::Page {
                assert!(reply.text.contains("This is not for you"), "{what}");
            } else {
                let names_it = reply.json()["detail"].to_string().contains(lacking.as_str());
                assert!(reply.code() == "forbidden" && names_it, "{what}");
            }
            refused += 1;
        }
        // Nothing of it ended the session.
        assert_eq!(person.get("/queue").status, 200, "{role}");
    }
    // Whatever the tables say: the audit log is the leads'.
    let audit = |role| door.person(role).get("/audit").status;
    assert_eq!(["viewer", "analyst", "policy_editor", "lead"].map(audit), [403, 403, 403, 200]);
    println!("{} routes x {} people: {allowed} let in, {refused} refused", ROUTES.len(), door.people.len());
}

/// A change that does not come from one of our pages changes nothing, whoever's cookie it has.
fn a_change_comes_from_a_page_of_ours(door: &Door) {
    let alert = door.raised(&payment("door-csrf"));
    let id = word(&alert, "alert_id");
    let (analyst, lead) = (door.person("analyst"), door.person("lead"));
    let (claimed_at, own) = (format!("/v1/alerts/{id}/claim"), format!("http://{}", door.base));
    let version = format!("\"{}\"", alert["version"]);
    let claim = || analyst.bare("POST", &claimed_at).header("if-match", &version);
    let refused: [(&str, RequestBuilder); 6] = [
        ("no token", claim()),
        ("no token, from our own address", claim().header("origin", &own)),
        ("a token that is none", claim().header(CSRF, "0".repeat(32))),
        ("somebody else's token", claim().header(CSRF, lead.csrf())),
        ("another site", claim().header(CSRF, analyst.csrf()).header("origin", ELSEWHERE)),
        ("a page without a site", claim().header(CSRF, analyst.csrf()).header("origin", "null")),
    ];
    for (what, request) in refused {
        let reply = sent(&request);
        assert_eq!((reply.status, reply.code().as_str()), (403, "csrf_missing"), "{what}: {reply:?}");
        let now = door.alert(id);
        let found = (&now["version"], &now["holder"], &now["history"]);
        assert_eq!(found, (&alert["version"], &Value::Null, &json!([])), "{what}: {now}");
    }
    let reply = sent(&claim().header(CSRF, analyst.csrf()).header("origin", &own));
    assert_eq!((reply.status, &reply.json()["holder"]), (200, &json!("analyst")), "{reply:?}");
    assert_eq!(door.alert(id)["holder"], "analyst");
    // The same for all that changes something: the gate asks, not each handler.
    let admin = door.person("admin");
    let changes = ROUTES.into_iter().filter(|route| route.method != "GET" && route.needs.is_some());
    for route in changes.filter(|route| route.kind == Kind::Data) {
        let reply = sent(&admin.bare(route.method, &path(&route)));
        assert_eq!((reply.status, reply.code().as_str()), (403, "csrf_missing"), "{route:?}: {reply:?}");
    }
}

/// The forms of signing in and out look at where they come from, too.
fn who_signs_out_is_out(door: &Door) {
    let password = &door.people["viewer"].1;
    let strange = sent(&sign_in_form(&door.base, "viewer", password).header("origin", ELSEWHERE));
    assert_eq!((strange.status, strange.code().as_str()), (403, "csrf_missing"), "{strange:?}");
    assert_eq!(strange.header("set-cookie"), "");
    let wrong = sent(&sign_in_form(&door.base, "viewer", "a good password of nobody"));
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, ""), "{wrong:?}");
    let viewer = Person::sign_in(&door.base, "viewer", password);
    let out = |token: &str| {
        let request = viewer.bare("POST", "/sign-out").header("content-type", FORM);
        request.body(format!("csrf={token}"))
    };
    let refused = [
        ("no token", out("")),
        ("somebody else's token", out(door.person("lead").csrf())),
        ("the token of another session of theirs", out(door.person("viewer").csrf())),
        ("another site", out(viewer.csrf()).header("origin", ELSEWHERE)),
    ];
    for (what, request) in refused {
        let reply = sent(&request);
        assert_eq!((reply.status, reply.code().as_str()), (403, "csrf_missing"), "{what}: {reply:?}");
        assert_eq!(viewer.get("/queue").status, 200, "{what}");
    }
    let reply = sent(&out(viewer.csrf()).header("origin", format!("http://{}", door.base)));
    assert_eq!((reply.status, reply.header("location")), (303, "/sign-in"), "{reply:?}");
    assert!(reply.header("set-cookie").contains("Max-Age=0"), "{reply:?}");
    let (page, data) = (viewer.get("/queue"), viewer.get("/v1/alerts"));
    assert_eq!((page.status, page.header("location")), (303, "/sign-in?next=/queue"), "{page:?}");
    assert_eq!((data.status, data.code().as_str()), (401, "signed_out"), "{data:?}");
    assert_eq!(door.person("viewer").get("/queue").status, 200, "their other session goes on");
}

/// Who may not see keys cannot find one out letter by letter, whichever way they search.
fn a_key_is_found_whole_by_whom_may_not_see_it(door: &Door) {
    let mut paid = payment("door-key");
    paid["card_id"] = json!(KEY);
    let alert = door.raised(&paid);
    let id = word(&alert, "alert_id");
    a_look_is_written_down(door, id);
    let all_but_one = &KEY[..KEY.len() - 1];
    let cases = [
        ("viewer", BEGINNING, false),
        ("viewer", all_but_one, false),
        ("viewer", KEY, true),
        ("policy_editor", BEGINNING, false),
        ("policy_editor", KEY, true),
        ("analyst", BEGINNING, true),
        ("analyst", KEY, true),
        ("lead", BEGINNING, true),
    ];
    for (role, text, finds) in cases {
        for path in ["/search?text=", "/queue?text=", "/queue/rows?text=", "/v1/alerts?text="] {
            let reply = door.person(role).get(&format!("{path}{text}"));
            assert_eq!((reply.status, reply.text.contains(id)), (200, finds), "{role}: {path}{text}");
        }
    }
    let [page, entity, data] =
        ["/queue/{id}", "/queue/{id}/entity/card", "/v1/alerts/{id}"].map(|path| path.replace("{id}", id));
    for path in ["/queue", "/v1/alerts", &page, &entity, &data] {
        for role in ["viewer", "analyst"] {
            let reply = door.person(role).get(path);
            assert!(reply.status == 200 && reply.text.contains(id), "{role}: {path}: {reply:?}");
            assert!(!reply.text.contains(KEY), "{role} sees the key at {path}: {}", reply.text);
        }
    }
}

/// The key is told whole to whom may see it, and the log says who looked, not at what.
fn a_look_is_written_down(door: &Door, id: &str) {
    let path = format!("/v1/alerts/{id}/reveal");
    assert_eq!(sent(&door.person("viewer").asking("POST", &path)).status, 403);
    let reply = sent(&door.person("analyst").asking("POST", &path));
    assert_eq!((reply.status, reply.json()), (200, json!({ "entity": "card", "key": KEY })));
    let lead = door.person("lead");
    let log = lead.get(&format!("/v1/audit?object={id}")).json();
    let entries = log["entries"].as_array().unwrap();
    let looks: Vec<&Value> = entries.iter().filter(|entry| entry["action"] == "reveal").collect();
    let [look] = looks[..] else { panic!("one look, not {}: {log}", looks.len()) };
    assert_eq!((&look["actor"], &look["detail"]["entity"]), (&json!("analyst"), &json!("card")), "{look}");
    let shown = word(&look["detail"], "key");
    assert!(shown.starts_with("••••") && !look.to_string().contains(KEY), "{look}");
    let page = lead.get(&format!("/audit?object={id}"));
    assert!(page.status == 200 && page.text.contains(id) && !page.text.contains(KEY), "{page:?}");
    // Nor is it in the table, whatever is shown of it.
    let mut database = Database::open(&format!("sqlite:{}", door.world.path("queue.db").display()));
    let looks = "SELECT COUNT(*) FROM audit WHERE action = 'reveal'";
    let with_key = format!("{looks} AND detail LIKE '%{KEY}%'");
    assert_eq!((database.number(looks), database.number(&with_key)), (1, 0));
}

/// Lines of [`a_file_of_chargebacks_is_answered_line_by_line`] that are refused, and a word of why.
const REFUSED: [(u64, &str); 5] =
    [(4, "RFC 3339"), (5, "label_time"), (6, "transaction_id"), (7, "true or false"), (8, "columns")];

fn a_file_of_chargebacks_is_answered_line_by_line(door: &Door) {
    let alerts = ["door-paid-1", "door-paid-2"].map(|id| door.raised(&payment(id)));
    let said = time(SystemClock::default().now().wall_ms);
    let file = format!(
        "transaction_id,label_time,fraud,case\n\
         door-paid-1,{said},true,c-1\n\
         door-paid-2,,false,c-2\n\
         door-no-time,yesterday,true,c-3\n\
         door-ahead,2126-01-01T00:00:00Z,true,c-4\n\
         ,{said},true,c-5\n\
         door-no-word,{said},perhaps,c-6\n\
         door-too-short,{said}\n"
    );
    let lead = door.person("lead");
    let send = |text: &str| {
        let request = lead.asking("POST", "/v1/chargebacks").header("content-type", "text/csv");
        sent(&request.body(text.to_owned()))
    };
    let reply = send(&file);
    let report = reply.json();
    let counts = (reply.status, &report["taken"], &report["refused_lines"]);
    assert_eq!(counts, (200, &json!(2), &json!(REFUSED.len())), "{report}");
    let told = report["refused"].as_array().unwrap();
    assert_eq!(told.len(), REFUSED.len(), "{report}");
    for (one, (line, why)) in told.iter().zip(REFUSED) {
        assert!(one["line"] == line && word(one, "why").contains(why), "line {line}, {why}: {one}");
    }
    // Without the column there is no line to speak of.
    let reply = send("payment,fraud\ndoor-no-column,true\n");
    let why = reply.json()["errors"][0]["detail"].to_string();
    assert_eq!((reply.status, reply.code().as_str()), (422, "invalid_body"), "{reply:?}");
    assert!(why.contains("transaction_id"), "{reply:?}");
    let log = lead.get("/v1/audit?object=file").json();
    let entries = log["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{log}");
    assert_eq!((&entries[0]["actor"], &entries[0]["action"]), (&json!("lead"), &json!("chargebacks")));
    let detail = &entries[0]["detail"];
    assert_eq!((&detail["lines"], &detail["refused"]), (&json!(2), &json!(REFUSED.len())), "{detail}");
    good_lines_arrive(door, &alerts, &said);
}

/// The labels of the two good lines are in the topic, no other is, and their alerts show them.
fn good_lines_arrive(door: &Door, alerts: &[Value; 2], said: &str) {
    let labels = door.labels("chargeback");
    let found: Vec<_> = labels.iter().map(|label| (label.transaction_id.as_str(), label.fraud)).collect();
    assert_eq!(BTreeMap::from_iter(found), BTreeMap::from([("door-paid-1", true), ("door-paid-2", false)]));
    let first = labels.iter().find(|label| label.transaction_id == "door-paid-1").unwrap();
    assert_eq!(time(first.label_time), said);
    let second = labels.iter().find(|label| label.transaction_id == "door-paid-2").unwrap();
    assert!(second.label_time >= first.label_time, "one without a time has that of its arrival: {second:?}");
    for (alert, label) in alerts.iter().zip([first, second]) {
        let mut shown = Value::Null;
        until("the alert shows the label", WITHIN, || {
            shown = door.alert(word(alert, "alert_id"))["payments"][0]["label"].clone();
            shown.is_object()
        });
        let label_time = time(label.label_time);
        let expected = json!({ "fraud": label.fraud, "label_time": label_time, "source": "chargeback" });
        assert_eq!(shown, expected);
    }
}

/// An analyst's verdict is a label once it cannot be taken back any more, and the card's next payments see it.
fn a_verdict_reaches_the_features(door: &Door) {
    let analyst = door.person("analyst");
    let frauds = |card: &str| {
        let reply = analyst.get(&format!("/v1/entities/card/{card}"));
        reply.json()["features"]["card_frauds"].clone()
    };
    let alert = door.raised(&payment("door-fraud"));
    let id = word(&alert, "alert_id");
    until("the card has no fraud", WITHIN, || frauds("card-door-fraud") == 0);
    assert!(door.labels("analyst").is_empty());
    let claimed = analyst.act(&alert, "claim", None);
    assert_eq!(claimed.status, 200, "{claimed:?}");
    let verdict = json!({ "disposition": "fraud", "reason": "card_copied" });
    let done = analyst.act(&claimed.json(), "resolve", Some(&verdict));
    let told = done.json();
    let stands = (&told["state"], &told["disposition"], &told["resolved_by"]);
    assert_eq!(stands, (&json!("resolved"), &json!("fraud"), &json!("analyst")), "{done:?}");
    let undo_until = word(&told["undo"], "until");
    let mut label = Value::Null;
    until("the alert says when its label left and was applied", WITHIN, || {
        label = door.alert(id)["labels"][0].clone();
        label["sent_at"].is_string() && label["applied_at"].is_string()
    });
    assert_eq!((&label["transaction_id"], &label["fraud"]), (&json!("door-fraud"), &json!(true)));
    let [leaves_at, sent_at, applied_at] =
        ["leaves_at", "sent_at", "applied_at"].map(|name| word(&label, name));
    assert_eq!(leaves_at, undo_until, "{label}");
    // In UTC and equally long, so that texts compare as their times do.
    assert!(sent_at >= leaves_at && applied_at >= leaves_at, "it left too early: {label}");
    let labels = door.labels("analyst");
    let is_it = |label: &Label| {
        let is_verdict = label.transaction_id == "door-fraud" && label.fraud;
        is_verdict && time(label.label_time) == undo_until
    };
    assert!(!labels.is_empty() && labels.iter().all(is_it), "{labels:?}");
    // It counts from its own time on: the stream has to be there.
    door.raised(&payment("door-after"));
    until("the card's feature counts it", WITHIN, || frauds("card-door-fraud") == 1);
    assert_eq!(frauds("card-door-after"), 0, "another card has none");
}
