//! A schema registry for one process: the part of Confluent's API that its own clients use, over schemas known from
//! the start. For the demo and the benchmarks; nothing can be registered in it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use schemas::contract::Contract;
use serde_json::json;
use std::sync::Arc;

/// Subjects and their contracts; a schema's id is its place, counted from 1.
pub type Subjects = Arc<Vec<(String, Contract)>>;

/// The id of a contract in this registry.
pub fn id_of(contract: Contract) -> u32 {
    Contract::ALL.iter().position(|known| *known == contract).map_or(0, |place| place as u32 + 1)
}

/// The routes.
pub fn router(subjects: Subjects) -> Router {
    Router::new()
        .route("/schemas/ids/{id}", get(by_id))
        .route("/subjects/{subject}/versions", axum::routing::post(register))
        .route("/subjects/{subject}/versions/{version}", get(latest))
        .with_state(subjects)
}

async fn by_id(Path(id): Path<u32>) -> Response {
    let contract = Contract::ALL.into_iter().find(|contract| id_of(*contract) == id);
    match contract {
        Some(contract) => Json(json!({ "schema": contract.text() })).into_response(),
        None => missing(40403, "Schema not found"),
    }
}

async fn latest(State(subjects): State<Subjects>, Path((subject, _)): Path<(String, String)>) -> Response {
    match subjects.iter().find(|(name, _)| *name == subject) {
        Some((name, contract)) => Json(json!({
            "subject": name, "version": 1, "id": id_of(*contract), "schema": contract.text(),
        }))
        .into_response(),
        None => missing(40401, "Subject not found"),
    }
}

async fn register(State(subjects): State<Subjects>, Path(subject): Path<String>) -> Response {
    match subjects.iter().find(|(name, _)| *name == subject) {
        Some((_, contract)) => Json(json!({ "id": id_of(*contract) })).into_response(),
        None => missing(40401, "Subject not found"),
    }
}

fn missing(code: u32, message: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "error_code": code, "message": message }))).into_response()
}
