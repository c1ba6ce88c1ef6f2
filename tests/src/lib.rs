//! What the tests share: worlds to run the service in, what is expected of them, and the checker of the invariants.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test that cannot go on should stop and say why"
)]

pub mod browser;
pub mod caller;
pub mod checker;
pub mod database;
pub mod kafka;
pub mod memory;
/// The naive oracle of the feature store's own tests.
#[path = "../../feature-store/tests/feature_store/oracle.rs"]
pub mod oracle;
pub mod person;
pub mod postgres;
pub mod process;
pub mod raw;
pub mod servers;
pub mod small;
