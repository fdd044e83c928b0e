//! leyden pre-trains ELECTRA.
#![warn(missing_docs)]

pub mod bench;
pub mod cli;
pub mod corpus;
pub mod cpu;
pub mod data;
pub mod electra;
mod files;
pub mod gpu;
pub mod graph;
pub mod ops;
pub mod plan;
pub mod probe;
pub mod run;
pub mod train;
