//! The demo's own world: a broker and a schema registry inside the process, so that nothing else is needed.

pub mod registry;
