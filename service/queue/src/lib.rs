//! The analysts' queue: alerts that a person works, kept in SQLite or Postgres by the same queries.
//!
//! ```text
//!   alerts topic ─► intake ─┐            ┌─► outbox ─► labels topic, block list, anchors of the audit log
//!   labels topic ─► intake ─┤            │
//!                           ▼            │  one transaction: row, audit entry, outbox rows
//!                    alerts, hits ◄── action (claim, resolve, undo ...) ◄── analyst
//!                           │
//!                           └─► list, alert page, dashboard, changes
//! ```
//! One open alert for each entity and alert rule; a payment that raises another is a hit on it. The order of the list is
//! [`rank`]'s. Time comes in as an argument. Not here: topics, HTTP, pages, and who may do what.

mod account;
pub mod alert;
mod audit;
mod claim;
mod dashboard;
mod error;
mod exchange;
mod facts;
mod figures;
mod filter;
mod intake;
mod known;
mod list;
mod migration;
mod note;
mod outbox;
#[cfg(test)]
mod plans;
pub mod rank;
mod ranking;
mod rules;
mod search;
mod session;
mod standing;
mod store;
mod undo;
mod verdict;

pub use account::{Account, NewAccount};
pub use audit::{Anchor, AuditEntry, AuditPage, AuditQuery, Finding, FindingKind, Verification};
pub use claim::{Assignee, Seat};
pub use dashboard::{AnalystFigures, Dashboard};
pub use error::QueueError;
pub use exchange::Exchange;
pub use figures::Figures;
pub use filter::SavedFilter;
pub use intake::{Span, Taken};
pub use list::{CHANGES_AT_ONCE, Change, ListOrder, ListPage, ListQuery, Which};
pub use outbox::{Effect, EffectKind, OutboxRow};
pub use rules::{LabelClock, Rules};
pub use session::{Attempt, Session, SignIn, Token};
pub use store::Queue;
pub use verdict::{Bulk, BulkItem, Resolution};
