//! `/v1/reconciliations`: what the daily reconciliations came to, newest first, and the report of each.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path as Named, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use batch::numbers::Numbers;
use batch::report;
use serde_json::{Value, json};

use super::Rest;
use crate::http::answer::{Code, Problem};
use crate::http::request::{named, no_query};

/// Most that are listed.
const MOST: usize = 100;

/// `GET /v1/reconciliations`.
pub async fn list(State(rest): State<Arc<Rest>>, RawQuery(query): RawQuery) -> Result<Json<Value>, Problem> {
    no_query(query.as_deref())?;
    let folder = rest.reconciliations.clone();
    let listed = tokio::task::spawn_blocking(move || listed(&folder)).await;
    let listed = listed.map_err(|_| Problem::of(Code::Internal))?;
    Ok(Json(json!({ "reconciliations": listed })))
}

fn listed(folder: &Path) -> Vec<Value> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut days: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    days.retain(|day| is_day(day));
    days.sort_unstable_by(|one, other| other.cmp(one));
    let told = days.iter().filter_map(|day| {
        let text = std::fs::read(folder.join(day).join("report.json")).ok()?;
        let numbers: Numbers = serde_json::from_slice(&text).ok()?;
        let classes =
            numbers.classes.iter().map(|class| json!({ "class": class.class, "count": class.count }));
        Some(json!({
            "day": day, "run": numbers.run, "unexplained": numbers.unexplained(), "records": numbers.records,
            "checks": numbers.checks, "classes": classes.collect::<Vec<_>>(),
            "corrections": numbers.corrections.count,
        }))
    });
    told.take(MOST).collect()
}

/// `GET /v1/reconciliations/{day}/report`: the page.
pub async fn page(
    State(rest): State<Arc<Rest>>,
    RawQuery(query): RawQuery,
    path: Result<Named<String>, PathRejection>,
) -> Result<Response, Problem> {
    no_query(query.as_deref())?;
    let day = named(path)?;
    let file = rest.reconciliations.join(&day).join("report.html");
    let text = if is_day(&day) { tokio::fs::read_to_string(file).await.ok() } else { None };
    let text = text.ok_or_else(|| Problem::of(Code::NotFound))?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, report::content_security_policy()),
    ];
    Ok((headers, text).into_response())
}

/// `YYYY-MM-DD`, which leads to no other folder.
fn is_day(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut is = |len: usize| {
        parts.next().is_some_and(|part| part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    is(4) && is(2) && is(2) && text.len() == "2026-11-26".len()
}
