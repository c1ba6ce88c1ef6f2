//! The pages: what is shown is gathered here and made into HTML by the crate of pages.

use axum::Router;
use axum::response::{IntoResponse, Response};

use super::route::Office;
use crate::access::Person;
use crate::http::answer::Problem;

pub(super) fn router() -> Router<Office> {
    Router::new()
}

pub(super) fn sign_in(_next: &str, _why: Option<&str>) -> String {
    String::new()
}

pub(super) fn problem(problem: Problem, _person: Option<&Person>) -> Response {
    problem.into_response()
}
