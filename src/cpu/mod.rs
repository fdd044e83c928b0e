//! The CPU engine: the plan run by the twins, on all cores.

pub mod draws;
mod engine;
pub mod gemm;
pub mod parallel;
pub mod reduce;

pub use engine::{CpuEngine, Precision};
