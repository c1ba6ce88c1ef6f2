//! The whole service from outside. One crate, so that it is linked once.
//!
//! `TRIPLINE_TESTS=fast` leaves out what needs a server. `TRIPLINE_SEEDS` and `TRIPLINE_SEED` choose the seeds of the
//! crash test, `TRIPLINE_KILLS` how often the real one kills, `TRIPLINE_OPENAPI_CASES` how many cases the door's own
//! description is tried with, `TRIPLINE_DISCONNECTS` how many callers hang up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop and say why"
)]

#[path = "suite/architecture.rs"]
mod architecture;
/// Whether what needs a server is left out.
fn fast() -> bool {
    let fast = std::env::var("TRIPLINE_TESTS").is_ok_and(|text| text == "fast");
    if fast {
        println!("left out: TRIPLINE_TESTS=fast");
    }
    fast
}

#[path = "suite/archive.rs"]
mod archive;
#[path = "suite/batch.rs"]
mod batch;
#[path = "suite/crash.rs"]
mod crash;
#[path = "suite/demo.rs"]
mod demo;
#[path = "suite/door.rs"]
mod door;
#[path = "suite/faults.rs"]
mod faults;
#[path = "suite/handbook.rs"]
mod handbook;
#[path = "suite/hostile.rs"]
mod hostile;
#[path = "suite/kill.rs"]
mod kill;
#[path = "suite/openapi.rs"]
mod openapi;
#[path = "suite/pages.rs"]
mod pages;
#[path = "suite/parts.rs"]
mod parts;
#[path = "suite/queue.rs"]
mod queue;
#[path = "suite/queue_audit.rs"]
mod queue_audit;
#[path = "suite/queue_door.rs"]
mod queue_door;
#[path = "suite/queue_faults.rs"]
mod queue_faults;
#[path = "suite/reload.rs"]
mod reload;
#[path = "suite/replay.rs"]
mod replay;
#[path = "suite/rest.rs"]
mod rest;
#[path = "suite/review.rs"]
mod review;
#[path = "suite/roles.rs"]
mod roles;
#[path = "suite/scores.rs"]
mod scores;
#[path = "suite/spark.rs"]
mod spark;
#[path = "suite/stream.rs"]
mod stream;
#[path = "suite/training.rs"]
mod training;
