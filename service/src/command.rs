//! The commands, one file each: what the command line leads to.

pub mod archive;
pub mod audit;
pub mod backtest;
pub mod bench;
pub mod check;
pub mod demo;
pub mod export;
pub mod features;
pub mod key;
pub mod model;
pub mod reconcile;
pub mod replay;
pub mod serve;
pub mod simulate;
pub mod user;
