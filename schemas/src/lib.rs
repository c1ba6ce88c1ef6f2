//! Tripline's vocabulary: payments, labels, feature values, and the Avro contracts that other teams read.
//!
//! Everything here is plain data and pure functions; this crate knows no topic, no store and no clock.

pub mod alert;
pub mod audit_head;
pub mod codec;
pub mod contract;
pub mod correction;
pub mod currency;
pub mod dead_letter;
pub mod decision;
pub mod document;
mod id;
pub mod mapping;
pub mod name;
pub mod payment;
pub mod problem;
pub mod reason;
pub mod reject;
pub mod sensitive;
pub mod time;
pub mod transaction;
pub mod value;
mod vocabulary;
