//! The demo's own world: a broker and a schema registry inside the process, and simulated payments through them.
//!
//! The line, the store, the models and the page are the service's own, on the same code path; what is the demo's is
//! that nothing else has to be there. The broker is librdkafka's mock cluster: good to look at, no place for money.

mod broker;
mod examples;
mod feeder;
pub mod registry;
mod terminal;

pub use broker::Broker;
pub use examples::unpack;
pub use feeder::{Feeder, World};
pub use terminal::Terminal;
