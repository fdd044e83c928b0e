//! leyden pre-trains ELECTRA.
#![warn(missing_docs)]

pub mod cpu;
pub mod gpu;
pub mod graph;
pub mod ops;
pub mod plan;
