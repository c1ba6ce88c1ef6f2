//! The feature store from outside: equal to a naive oracle, whatever is sent and whenever it is killed.
//!
//! One crate, so that it is linked once. `TRIPLINE_CASES` multiplies the random cases, `TRIPLINE_SEED` repeats a
//! run; each property prints its seed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop and say why"
)]

#[path = "feature_store/bound.rs"]
mod bound;
#[path = "feature_store/contract.rs"]
mod contract;
#[path = "feature_store/definition.rs"]
mod definition;
#[path = "feature_store/equality.rs"]
mod equality;
#[path = "feature_store/labels.rs"]
mod labels;
#[path = "feature_store/oracle.rs"]
mod oracle;
#[path = "feature_store/restart.rs"]
mod restart;
#[path = "feature_store/scenario.rs"]
mod scenario;
#[path = "feature_store/world.rs"]
mod world;
