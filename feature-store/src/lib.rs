//! Exact sliding-window features, and the store that keeps their state.
//!
//! [`definition`] says what a number means, [`state`] is the algebra over one entity's events, [`store`] keeps
//! the states of all entities and [`enricher`] joins them: events in, feature vectors out. This crate knows no
//! Kafka, no HTTP and no clock.

pub mod definition;
pub mod enricher;
pub mod files;
pub mod identity;
pub mod state;
pub mod store;
pub mod varint;
