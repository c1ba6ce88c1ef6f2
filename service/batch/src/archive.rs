//! The archive: what the topics carried, as plain Parquet that any engine reads, in a folder or an S3-compatible store.
//!
//! ```text
//! topic/dt=2026-11-26/part=3/3-120000-169999.parquet       records 120000 to 169999 of partition 3, of one day
//! topic/dt=2026-11-26/part=3/_3-120000-169999.json         its manifest: SHA-256, counts, bounds
//! progress/topic.json                                      up to which time each partition is archived
//! ```
//! Where a file ends is a function of the records alone ([`Cut`]), and a file is put only if it is absent; so an archive
//! that is broken off and goes on comes to the same files. Its names say how far it is: there is no other offset.
//! Not here: Kafka, the registry, and what the records mean.

mod columns;
mod cutter;
mod error;
mod manifest;
mod place;
mod progress;
mod reader;
mod store;
mod upkeep;
mod verify;

pub use columns::{KnownSchema, Treatment, Treatments};
pub use cutter::{Archived, Cut, Cutter, Finished};
pub use error::ArchiveError;
pub use manifest::Manifest;
pub use place::Place;
pub use progress::Progress;
pub use reader::{Files, META};
pub use store::{ArchiveStore, Put};
pub use upkeep::{Tended, Upkeep};
pub use verify::{Fault, Verified, verify};
