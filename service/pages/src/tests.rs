//! Whole pages: nothing from outside becomes markup, every action shows its key, and what the policy on content forbids
//! is in no page.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unused)]

mod sample;
