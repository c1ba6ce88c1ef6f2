//! `GET /v1/alerts/export`: what the list shows, as CSV for a spreadsheet. Keys are masked as everywhere, and that
//! somebody took it along is written to the audit log before the first byte of it leaves.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use queue::ListQuery;
use queue::alert::Alert;
use serde_json::json;

use super::fault::within;
use super::page::shown_key;
use super::route::{Actor, Office, list_query_of};
use crate::access::Who;
use crate::http::answer::{Code, Problem};
use crate::http::request::time;

/// Most rows: a sheet that a person can read, and 10 MB at most.
const MOST: usize = 10_000;

/// Rows that are asked for at once.
const PAGE: usize = 200;

const COLUMNS: [&str; 20] = [
    "alert_id",
    "entity",
    "key",
    "rule",
    "state",
    "opened_at",
    "due_at",
    "payments",
    "amount_minor",
    "expected_loss_minor",
    "currency",
    "score",
    "decision",
    "why",
    "held_by",
    "assigned_to",
    "disposition",
    "reason",
    "resolved_by",
    "resolved_at",
];

pub(super) async fn export(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let asked = list_query_of(&who, query.as_deref().unwrap_or_default())?;
    let (queue, actor, now_ms) = (office.desk.queue()?, Actor::of(&who), office.now_ms());
    let mut query = ListQuery { limit: PAGE, cursor: None, ..asked };
    let mut alerts = Vec::new();
    loop {
        let page = within(queue.list(actor.seat(), &query, now_ms)).await?;
        alerts.extend(page.alerts);
        query.cursor = page.next;
        if query.cursor.is_none() || alerts.len() >= MOST {
            break;
        }
    }
    // A search has no next page, and ends at as many as there may be on one.
    let is_whole = query.cursor.is_none() && (query.text.is_none() || alerts.len() < PAGE);
    // What was searched for may be a key: that there was something says enough.
    let detail = json!({
        "which": query.which.as_str(), "rule": query.rule, "min_loss_minor": query.min_loss_minor,
        "searched": query.text.is_some(), "rows": alerts.len(),
    });
    within(queue.exported(actor.seat(), &detail, now_ms)).await?;
    let body = sheet(&alerts).map_err(|error| {
        tracing::error!(%error, "an export cannot be written");
        Problem::of(Code::Internal)
    })?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"alerts.csv\""),
    ];
    let whole = [("tripline-complete", if is_whole { "true" } else { "false" })];
    Ok((headers, whole, body).into_response())
}

fn sheet(alerts: &[Alert]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for alert in alerts {
        writer.write_record(cells(alert).map(|cell| harmless(&cell)))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn cells(alert: &Alert) -> [String; COLUMNS.len()] {
    let maybe = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        alert.alert_id.clone(),
        alert.entity.clone(),
        shown_key(&alert.entity, &alert.key),
        alert.rule.clone(),
        alert.state.as_str().to_owned(),
        time(alert.opened_ms),
        time(alert.due_ms),
        alert.hits.to_string(),
        alert.amount_minor.to_string(),
        alert.expected_loss_minor.to_string(),
        alert.currency.clone(),
        alert.score.map(|score| score.to_string()).unwrap_or_default(),
        alert.verdict.as_str().to_owned(),
        alert.why.clone(),
        maybe(&alert.holder),
        maybe(&alert.assignee),
        alert.disposition.map(|one| one.as_str().to_owned()).unwrap_or_default(),
        maybe(&alert.reason),
        maybe(&alert.resolved_by),
        alert.resolved_ms.map(time).unwrap_or_default(),
    ]
}

/// A cell that a spreadsheet takes for text: what begins like a formula gets an apostrophe before it (OWASP, CSV
/// injection). Some programs skip white space first, so it does not hide one.
fn harmless(cell: &str) -> String {
    let first = cell.trim_start().chars().next();
    let begins = |cell: &str| cell.starts_with(['\t', '\r', '\n']);
    match first {
        Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') => format!("'{cell}"),
        _ if begins(cell) => format!("'{cell}"),
        _ => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_a_formula() {
        for hostile in ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", " =1", "＝1", "\n1"] {
            assert_eq!(harmless(hostile), format!("'{hostile}"));
        }
        for plain in ["", "7 payments in 1 h", "••••1234", "0.5", "2026-11-26T10:00:00Z", "a=b"] {
            assert_eq!(harmless(plain), plain);
        }
    }
}
