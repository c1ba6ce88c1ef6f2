//! The page's files, compiled in: the binary needs nothing beside it and the page asks nobody else.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// A file of the page.
#[derive(Debug)]
pub struct Asset {
    /// Where it is served.
    pub path: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// Every file.
pub static ALL: [Asset; 4] = [
    Asset { path: "/", media_type: "text/html; charset=utf-8", text: include_str!("assets/index.html") },
    Asset {
        path: "/assets/board.css",
        media_type: "text/css; charset=utf-8",
        text: include_str!("assets/board.css"),
    },
    Asset {
        path: "/assets/board.js",
        media_type: "text/javascript; charset=utf-8",
        text: include_str!("assets/board.js"),
    },
    Asset { path: "/assets/icon.svg", media_type: "image/svg+xml", text: include_str!("assets/icon.svg") },
];

impl Asset {
    /// The file as an answer.
    pub fn answer(&self) -> Response {
        ([(header::CONTENT_TYPE, self.media_type)], self.text).into_response()
    }
}
