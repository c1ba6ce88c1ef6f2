//! The analysts' routes as `/openapi.json` has them, for callers with a key. A browser's session may use the same routes:
//! what it sends besides is its page's business.

use queue::alert::{Disposition, State};
use queue::{ListOrder, Which};
use schemas::decision::Verdict;
use serde_json::{Map, Value, json};

use crate::http::answer::Code;
use crate::rest::openapi::{OF_A_BODY, linked, responses};

/// What an action on one alert may be answered.
const OF_AN_ACTION: [Code; 7] = [
    Code::InvalidRequest,
    Code::NotFound,
    Code::Held,
    Code::NotNow,
    Code::SamePerson,
    Code::Stale,
    Code::PreconditionRequired,
];

/// Tells the routes.
pub fn describe(add: &mut impl FnMut(&str, &str, Value)) {
    lists(add);
    actions(add);
    of_many(add);
    of_people(add);
}

fn path(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
}

fn query(name: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "schema": schema })
}

/// Something beside blanks, and no NUL.
fn text(most: usize) -> Value {
    json!({ "type": "string", "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$", "minLength": 1, "maxLength": most })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

fn body(schema: Value) -> Value {
    json!({ "required": true, "content": { "application/json": { "schema": schema } } })
}

/// A body that may be left out.
fn optional(schema: Value) -> Value {
    json!({ "content": { "application/json": { "schema": schema } } })
}

/// The answers of a route here: the queue's database may be away.
fn answers(schema: &str, codes: &[Code]) -> Value {
    responses(schema, &[codes, &[Code::QueueUnavailable]].concat())
}

/// An alert's version comes with it.
fn tagged(mut answers: Value) -> Value {
    let tag = json!({ "ETag": { "description": "The alert's version, for `If-Match`.", "required": true,
        "schema": { "type": "string" } } });
    if let Some(done) = answers.get_mut("200").and_then(Value::as_object_mut) {
        done.insert("headers".to_owned(), tag);
    }
    answers
}

fn lists(add: &mut impl FnMut(&str, &str, Value)) {
    let words = |words: Vec<&str>| json!({ "enum": words });
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 200 });
    let before = json!({ "type": "string", "description": "The `next` of the page before." });
    let asked = [
        query("which", words(Which::ALL.map(Which::as_str).to_vec())),
        query("order", words(ListOrder::ALL.map(ListOrder::as_str).to_vec())),
        query("rule", json!({ "type": "string" })),
        query(
            "text",
            json!({ "type": "string", "description":
            "An alert's, decision's or payment's id, or a key of any entity, or its beginning for whoever may see it: that \
             a beginning found something is in the audit log." }),
        ),
        query(
            "min_loss_minor",
            json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": i64::MAX,
                "description": "Of `queue.currency`." }),
        ),
        query("limit", limit.clone()),
        query("cursor", before),
    ];
    add(
        "GET",
        "/v1/alerts",
        json!({ "operationId": "alerts", "summary": "Alerts, ranked", "parameters": asked,
        "responses": answers("Alerts", &[Code::InvalidRequest]) }),
    );
    add(
        "GET",
        "/v1/alerts/export",
        json!({ "operationId": "exportAlerts", "parameters": asked, "summary":
            "The list as CSV, keys masked, at most 10,000 lines; that it was taken along is in the audit log",
        "responses": sheet(answers("Any", &[Code::InvalidRequest])) }),
    );
    add(
        "GET",
        "/v1/alerts/events",
        json!({ "operationId": "alertEvents", "summary":
            "What changes, as server-sent events, for an hour at most; six streams a person, 128 in all, else 429",
        "parameters": [query("alert", json!({ "type": "string", "minLength": 1,
            "description": "An alert that one looks at: others are told." }))],
        "responses": events(answers("Any", &[Code::InvalidRequest])) }),
    );
    add(
        "GET",
        "/v1/alerts/{id}",
        json!({ "operationId": "alert", "summary": "An alert with its payments, notes, labels and history",
        "parameters": [path("id")],
        "responses": tagged(answers("AlertDetail", &[Code::InvalidRequest, Code::NotFound])) }),
    );
    add(
        "GET",
        "/v1/dashboard",
        json!({ "operationId": "dashboard", "summary": "The queue in numbers, and the last eight hours of those who work it",
        "responses": answers("Dashboard", &[Code::InvalidRequest]) }),
    );
    add(
        "GET",
        "/v1/audit",
        json!({ "operationId": "audit", "summary": "The audit log, the last entry first", "parameters": [
            query("actor", json!({ "type": "string" })), query("object", json!({ "type": "string" })),
            query("before", json!({ "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX })),
            query("limit", limit) ],
        "responses": answers("Audit", &[Code::InvalidRequest]) }),
    );
}

/// The answer that is a sheet.
fn sheet(mut answers: Value) -> Value {
    if let Some(done) = answers.get_mut("200") {
        *done = json!({ "description": "A header line, and a line an alert.",
            "headers": { "tripline-complete": { "description": "Whether these are all that there are.", "required": true,
                "schema": { "enum": ["true", "false"] } } },
            "content": { "text/csv": { "schema": { "type": "string" } } } });
    }
    answers
}

/// The answer that does not end.
fn events(mut answers: Value) -> Value {
    if let Some(done) = answers.get_mut("200") {
        *done = json!({ "description":
            "Events, each with an object as its data. `alert`: `alert_id`, `version` and `changed_at` of one that changed; \
             `alert_id` is null when so many did that all are to be looked at. `lease`: `alert_id`, `holder` and \
             `lease_until` of a claim that was renewed in this process. `viewers`: `alert_id`, and the `names` of others \
             who look at it. `database`: its `standing`, `ok` or `unavailable`, and `why`.",
            "content": { "text/event-stream": { "schema": { "type": "string" } } } });
    }
    answers
}

/// The actions on one alert, each with the version that was seen.
fn actions(add: &mut impl FnMut(&str, &str, Value)) {
    let seen = json!({ "name": "If-Match", "in": "header", "required": true,
        "description": "The version that was seen, as `ETag` has it. Another one changes nothing: 412.",
        "schema": { "type": "string", "pattern": "^\"[0-9]{1,18}\"$" } });
    let to = json!({ "type": ["string", "null"], "minLength": 1, "maxLength": 64 });
    let acts = [
        ("claim", "Claims it: a lease, to be renewed", None),
        ("release", "Gives a claim up", None),
        ("approve", "The second person's yes to a verdict", None),
        ("reject", "The second person's no", None),
        (
            "assign",
            "Says who is to work it, somebody with a role that may, or that anybody may",
            Some(object(&[], json!({ "to": to }))),
        ),
        (
            "snooze",
            "Puts it away for up to 30 days, or until the next payment",
            Some(object(&["until"], json!({ "until": { "type": "string", "format": "date-time" } }))),
        ),
        ("escalate", "Hands it to the leads", Some(object(&["reason"], json!({ "reason": text(4_000) })))),
        ("resolve", "Says a verdict", Some(verdict(&[], &json!({})))),
        ("notes", "Adds a note", Some(object(&["text"], json!({ "text": text(4_000) })))),
    ];
    for (word, summary, asked) in acts {
        let id = if word == "notes" { "note" } else { word };
        let codes = [OF_AN_ACTION.as_slice(), &OF_A_BODY].concat();
        let mut operation = json!({ "operationId": id, "summary": summary, "parameters": [path("id"), seen],
            "responses": tagged(answers("Alert", &codes)) });
        if let (Some(asked), Some(operation)) = (asked, operation.as_object_mut()) {
            operation.insert("requestBody".to_owned(), body(asked));
        }
        add("POST", &format!("/v1/alerts/{{id}}/{word}"), operation);
    }
    let codes = [OF_A_BODY.as_slice(), &[Code::NotFound, Code::Held, Code::LeaseLapsed]].concat();
    add(
        "POST",
        "/v1/alerts/{id}/heartbeat",
        json!({ "operationId": "heartbeat", "summary": "Renews a claim, and keeps what is written and not sent",
        "parameters": [path("id")],
        "requestBody": optional(object(&[], json!({ "draft": { "type": ["string", "null"], "pattern": r"^[^\u0000]*$" } }))),
        "responses": tagged(answers("Alert", &codes)) }),
    );
    add(
        "POST",
        "/v1/alerts/{id}/reveal",
        json!({ "operationId": "reveal", "summary": "Tells a key whole; who asked is in the audit log",
        "parameters": [path("id")],
        "requestBody": optional(object(&[], json!({ "entity": { "type": ["string", "null"] } }))),
        "responses": answers("Revealed", &[OF_A_BODY.as_slice(), &[Code::NotFound]].concat()) }),
    );
}

/// A verdict: the reasons depend on it.
fn verdict(required: &[&str], more: &Value) -> Value {
    let one = |disposition: &Disposition| {
        let reasons: Vec<_> = disposition.reasons().iter().map(|(word, _)| word).collect();
        let block = if *disposition == Disposition::Fraud {
            json!([true, false, null])
        } else {
            json!([false, null])
        };
        let mut properties = json!({ "disposition": { "enum": [disposition.as_str()] }, "reason": { "enum": reasons },
            "note": { "type": ["string", "null"], "maxLength": 4_000, "pattern": r"^[^\u0000]*$" },
            "block": { "enum": block } });
        if let (Some(properties), Some(more)) = (properties.as_object_mut(), more.as_object()) {
            properties.extend(more.clone());
        }
        object(&[&["disposition", "reason"], required].concat(), properties)
    };
    json!({ "oneOf": Disposition::ALL.iter().map(one).collect::<Vec<_>>() })
}

fn of_many(add: &mut impl FnMut(&str, &str, Value)) {
    let mut next = tagged(answers("Alert", &[Code::InvalidRequest]));
    if let Some(next) = next.as_object_mut() {
        next.insert("204".to_owned(), json!({ "description": "There is none that nobody holds." }));
    }
    add(
        "POST",
        "/v1/alerts/claim-next",
        json!({ "operationId": "claimNext", "summary": "Claims the alert of the highest rank that nobody holds",
        "responses": linked(next, "200", "alert_id", &["alert"]) }),
    );
    let seen = object(
        &["alert_id", "version"],
        json!({ "alert_id": { "type": "string" },
            "version": { "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX } }),
    );
    let alerts = json!({ "alerts": { "type": "array", "items": seen, "minItems": 1, "maxItems": 500 } });
    add(
        "POST",
        "/v1/alerts/bulk",
        json!({ "operationId": "bulk", "summary": "One verdict on up to 500 alerts, each with the version that was seen",
        "requestBody": body(verdict(&["alerts"], &alerts)),
        "responses": linked(answers("Bulk", &OF_A_BODY), "200", "action_id", &["undo"]) }),
    );
    add(
        "POST",
        "/v1/actions/{id}/undo",
        json!({ "operationId": "undo", "summary": "Takes an action back, within `queue.undo`", "parameters": [path("id")],
        "responses": answers("Undone", &[Code::InvalidRequest, Code::NotFound, Code::UndoOver]) }),
    );
    let file = json!({ "type": "string", "description":
        "RFC 4180 with a header line and at most 100,000 more; columns transaction_id, and label_time (no further ahead \
         than `limits.skew`) and fraud if you have them." });
    add(
        "POST",
        super::chargeback::PATH,
        json!({ "operationId": "chargebacks", "summary": "Labels of a file of chargebacks; refused lines are told",
        "requestBody": { "required": true, "content": { "text/csv": { "schema": file,
            "example": "transaction_id,label_time,fraud\nt1,2026-11-25T10:00:00Z,true\n" } } },
        "responses": answers("Chargebacks", &OF_A_BODY) }),
    );
}

/// What each keeps for themselves.
fn of_people(add: &mut impl FnMut(&str, &str, Value)) {
    add(
        "GET",
        "/v1/filters",
        json!({ "operationId": "filters", "summary": "The filters that you keep",
        "responses": answers("Filters", &[Code::InvalidRequest]) }),
    );
    let kept = object(
        &["query"],
        json!({ "query": { "type": "string", "maxLength": 1_024,
        "description": "As in the list's address, such as which=late&order=amount." } }),
    );
    add(
        "PUT",
        "/v1/filters/{name}",
        json!({ "operationId": "saveFilter", "summary": "Keeps a filter under a name, at most 50", "parameters": [path("name")],
        "requestBody": body(kept),
        "responses": answers("Filter", &[OF_A_BODY.as_slice(), &[Code::NotNow, Code::NotFound]].concat()) }),
    );
    let mut gone = answers("Any", &[Code::InvalidRequest, Code::NotFound]);
    if let Some(gone) = gone.as_object_mut() {
        gone.remove("200");
        gone.insert("204".to_owned(), json!({ "description": "It is gone." }));
    }
    add(
        "DELETE",
        "/v1/filters/{name}",
        json!({ "operationId": "removeFilter", "summary": "Removes a filter", "parameters": [path("name")],
        "responses": gone }),
    );
}

/// What the answers hold.
pub fn schemas() -> Map<String, Value> {
    let text = json!({ "type": "string" });
    let flag = json!({ "type": "boolean" });
    let whole = json!({ "type": "integer" });
    let time = json!({ "type": "string", "format": "date-time" });
    let maybe_text = json!({ "type": ["string", "null"] });
    let maybe_time = json!({ "type": ["string", "null"], "format": "date-time" });
    let of = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let many = |items: Value| json!({ "type": "array", "items": items });
    let money = all(json!({ "amount_minor": whole, "currency": text }));
    let maybe = |schema: Value| json!({ "anyOf": [schema, { "type": "null" }] });
    let item = all(
        json!({ "alert_id": text, "done": flag, "alert": maybe(of("Alert")), "problem": maybe(of("Problem")) }),
    );
    let analyst = all(json!({ "name": text, "resolved": whole, "fraud": whole, "legitimate": whole }));
    let entry =
        all(json!({ "seq": whole, "at": time, "actor": text, "action": text, "object": text, "hash": text,
        "detail": {} }));
    let mut detail = alert();
    if let Some(detail) = detail.as_object_mut() {
        let note = all(json!({ "at": time, "author": text, "text": text }));
        let label =
            all(json!({ "transaction_id": text, "fraud": flag, "leaves_at": time, "sent_at": maybe_time,
            "applied_at": maybe_time }));
        detail.insert("payments".to_owned(), many(json!({ "type": "object" })));
        detail.insert("notes".to_owned(), many(note));
        detail.insert("draft".to_owned(), maybe_text.clone());
        detail.insert("labels".to_owned(), many(label));
        detail.insert("history".to_owned(), many(of("AuditEntry")));
    }
    let refused = all(json!({ "line": whole, "why": text }));
    let named = [
        ("Alert", all(alert())),
        ("AlertDetail", all(detail)),
        ("Alerts", all(json!({ "alerts": many(of("Alert")), "next": maybe_text }))),
        ("Revealed", all(json!({ "entity": text, "key": text }))),
        ("Bulk", all(json!({ "action_id": text, "undo_until": time, "items": many(item.clone()) }))),
        ("Undone", all(json!({ "items": many(item) }))),
        ("Filter", all(json!({ "name": text, "query": text }))),
        ("Filters", all(json!({ "filters": many(of("Filter")) }))),
        ("AuditEntry", entry),
        ("Audit", all(json!({ "entries": many(of("AuditEntry")), "next": { "type": ["integer", "null"] } }))),
        ("Chargebacks", all(json!({ "taken": whole, "refused_lines": whole, "refused": many(refused) }))),
        (
            "Dashboard",
            all(json!({ "open": whole, "held": whole, "escalated": whole, "late": whole, "snoozed": whole,
                "proposed": whole, "oldest": maybe_time, "at_risk": many(money.clone()), "saved": many(money),
                "since": time, "analysts": many(analyst) })),
        ),
    ];
    named.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// An object of these, all of which are there.
fn all(properties: Value) -> Value {
    let names: Vec<_> = properties.as_object().into_iter().flat_map(Map::keys).cloned().collect();
    json!({ "type": "object", "required": names, "properties": properties })
}

/// An alert's members.
fn alert() -> Value {
    let text = json!({ "type": "string" });
    let flag = json!({ "type": "boolean" });
    let time = json!({ "type": "string", "format": "date-time" });
    let maybe_text = json!({ "type": ["string", "null"] });
    let maybe_time = json!({ "type": ["string", "null"], "format": "date-time" });
    let money = all(json!({ "amount_minor": { "type": "integer" }, "currency": text }));
    let verdicts: Vec<_> = Verdict::ALL.iter().map(|one| one.as_str()).collect();
    let states: Vec<_> = State::ALL.iter().map(|one| one.as_str()).collect();
    let mut dispositions: Vec<_> = Disposition::ALL.iter().map(|one| Some(one.as_str())).collect();
    dispositions.push(None);
    json!({
        "alert_id": text, "version": { "type": "integer", "minimum": 1 }, "entity": text, "key": text, "rule": text,
        "state": { "enum": states }, "escalated": flag, "assignee": maybe_text, "holder": maybe_text,
        "lease_until": maybe_time, "snoozed_until": maybe_time, "opened_at": time, "due_at": time, "late": flag,
        "hits": { "type": "integer", "minimum": 1 }, "amount": money, "expected_loss": money,
        "score": { "type": ["number", "null"], "minimum": 0, "maximum": 1 }, "decision": { "enum": verdicts },
        "hold": flag, "why": text, "disposition": { "enum": dispositions }, "reason": maybe_text,
        "resolved_by": maybe_text, "resolved_at": maybe_time,
        "undo": { "type": ["object", "null"], "required": ["action_id", "until"],
            "properties": { "action_id": text, "until": time } },
    })
}
