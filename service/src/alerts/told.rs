//! What callers are told of alerts, as JSON.

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use queue::alert::{Alert, AlertDetail, Hit};
use queue::{AuditEntry, Bulk, BulkItem, Dashboard};
use serde_json::{Value, json};

use super::fault;
use crate::http::request::time;

/// An alert. Its key is masked: who needs it whole asks for it, and that is written down.
pub fn alert(alert: &Alert, now_ms: i64) -> Value {
    let is_held = alert.lease_until_ms.is_some_and(|until_ms| until_ms > now_ms);
    json!({
        "alert_id": alert.alert_id,
        "version": alert.version,
        "entity": alert.entity,
        "key": pages::masked_key(&alert.key),
        "rule": alert.rule,
        "state": alert.state.as_str(),
        "escalated": alert.escalated,
        "assignee": alert.assignee,
        "holder": alert.holder.as_ref().filter(|_| is_held),
        "lease_until": alert.lease_until_ms.filter(|_| is_held).map(time),
        "snoozed_until": alert.snoozed_until_ms.map(time),
        "opened_at": time(alert.opened_ms),
        "due_at": time(alert.due_ms),
        "late": alert.due_ms <= now_ms,
        "hits": alert.hits,
        "amount": money(alert.amount_minor, &alert.currency),
        "expected_loss": money(alert.expected_loss_minor, &alert.currency),
        "score": alert.score,
        "decision": alert.verdict,
        "hold": alert.hold,
        "why": alert.why,
        "disposition": alert.disposition,
        "reason": alert.reason,
        "resolved_by": alert.resolved_by,
        "resolved_at": alert.resolved_ms.map(time),
        "undo": alert.undo.as_ref().filter(|(_, until_ms)| *until_ms > now_ms)
            .map(|(action, until_ms)| json!({ "action_id": action, "until": time(*until_ms) })),
    })
}

/// An alert with its version as `ETag`.
pub fn tagged(one: &Alert, now_ms: i64) -> Response {
    with_tag(one.version, alert(one, now_ms))
}

/// An alert with all that hangs on it.
pub fn detail(detail: &AlertDetail, now_ms: i64) -> Response {
    let mut value = alert(&detail.alert, now_ms);
    if let Some(members) = value.as_object_mut() {
        members.insert("payments".to_owned(), detail.hits.iter().map(hit).collect());
        let note = |note: &queue::alert::Note| json!({ "at": time(note.at_ms), "author": note.author, "text": note.text });
        members.insert("notes".to_owned(), detail.notes.iter().map(note).collect());
        members.insert("draft".to_owned(), json!(detail.draft));
        let label = |label: &queue::alert::LabelOnItsWay| {
            json!({ "transaction_id": label.transaction_id, "fraud": label.fraud, "leaves_at": time(label.leaves_ms),
                    "sent_at": label.sent_ms.map(time), "applied_at": label.applied_ms.map(time) })
        };
        members.insert("labels".to_owned(), detail.labels.iter().map(label).collect());
        members.insert("history".to_owned(), detail.history.iter().map(entry).collect());
    }
    with_tag(detail.alert.version, value)
}

fn with_tag(version: i64, value: Value) -> Response {
    let mut response = Json(value).into_response();
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn hit(hit: &Hit) -> Value {
    let entities =
        hit.entities.iter().map(|(entity, key)| json!({ "entity": entity, "key": pages::masked_key(key) }));
    json!({
        "alert_id": hit.hit_id,
        "decision_id": hit.decision_id,
        "transaction_id": hit.transaction_id,
        "event_time": time(hit.event_ms),
        "raised_at": time(hit.raised_ms),
        "decision": hit.verdict,
        "hold": hit.hold,
        "score": hit.score,
        "amount": money(hit.amount_minor, &hit.currency),
        "expected_loss": money(hit.expected_loss_minor, &hit.currency),
        "entities": entities.collect::<Vec<_>>(),
        "reasons": hit.reasons,
        "model": hit.model,
        "policy": hit.policy,
        "label": hit.label.as_ref().map(|label| {
            json!({ "fraud": label.fraud, "label_time": time(label.label_ms), "source": label.source })
        }),
    })
}

/// An entry of the audit log.
pub fn entry(entry: &AuditEntry) -> Value {
    let mut detail = serde_json::from_str::<Value>(&entry.detail).unwrap_or_default();
    // Entries of before have it whole.
    if let Some(key) = detail.get_mut("key") {
        *key = key.as_str().map(pages::masked_key).into();
    }
    json!({ "seq": entry.seq, "at": time(entry.at_ms), "actor": entry.actor, "action": entry.action,
            "object": entry.object, "hash": entry.hash, "detail": detail })
}

/// What came of a bulk action.
pub fn bulk(bulk: &Bulk, now_ms: i64) -> Value {
    json!({ "action_id": bulk.action_id, "undo_until": time(bulk.undo_until_ms),
            "items": items(&bulk.items, now_ms) })
}

/// One outcome for each alert.
pub fn items(items: &[BulkItem], now_ms: i64) -> Vec<Value> {
    let item = |item: &BulkItem| {
        let (done, problem) = match &item.outcome {
            Ok(done) => (Some(alert(done, now_ms)), None),
            Err(error) => (None, Some(fault::problem(error.clone()).into_item().1)),
        };
        json!({ "alert_id": item.alert_id, "done": done.is_some(), "alert": done, "problem": problem })
    };
    items.iter().map(item).collect()
}

/// The queue in numbers.
pub fn dashboard(board: &Dashboard) -> Value {
    let sums = |sums: &[(String, i64)]| {
        sums.iter().map(|(currency, minor)| money(*minor, currency)).collect::<Vec<_>>()
    };
    let analysts = board.analysts.iter().map(|one| {
        json!({ "name": one.name, "resolved": one.resolved, "fraud": one.fraud, "legitimate": one.legitimate })
    });
    json!({ "open": board.open, "held": board.held, "escalated": board.escalated, "late": board.late,
            "snoozed": board.snoozed, "proposed": board.proposed, "oldest": board.oldest_ms.map(time),
            "at_risk": sums(&board.at_risk), "saved": sums(&board.saved), "since": time(board.since_ms),
            "analysts": analysts.collect::<Vec<_>>() })
}

fn money(amount_minor: i64, currency: &str) -> Value {
    json!({ "amount_minor": amount_minor, "currency": currency })
}
