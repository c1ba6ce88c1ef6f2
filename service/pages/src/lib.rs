//! The analysts' pages: from what the queue knows to HTML, with the styles and scripts that belong to it.
//!
//! ```text
//!   view structs ─► list, alert, entity, search, dashboard, audit ─► HTML
//!                                 │
//!                       shell: head, navigation, banner, dialogs
//! ```
//! Pure functions: a view goes in, a text comes out. A page can be read without scripts; deciding takes them. Everything
//! from outside is escaped by the templates, and keys are masked here. Not here: HTTP, the database, who may see what,
//! and the clock: `now_ms` is in the view.

mod act;
mod alert;
mod asset;
mod audit;
mod badge;
mod dashboard;
mod dialog;
mod entity;
mod link;
mod list;
mod mask;
mod money;
mod past;
mod problem;
mod search;
mod shell;
mod sign_in;
mod time;
mod timeline;
mod view;
mod why;

pub use alert::{alert, alert_main};
pub use asset::{ASSETS, Asset};
pub use audit::audit;
pub use dashboard::dashboard;
pub use entity::entity;
pub use list::{list, rows};
pub use mask::masked_key;
pub use problem::problem;
pub use search::search;
pub use sign_in::sign_in;
pub use view::{
    AlertView, AuditView, DashboardView, EntityView, FeatureNow, Follows, Link, ListView, May, Party, Past,
    SearchView, Shell, Signed,
};

#[cfg(test)]
extern crate self as pages;

#[cfg(test)]
mod tests;
