//! The CPU engine: the plan run by the twins, on all cores.

mod engine;
pub mod gemm;
pub mod parallel;

pub use engine::{CpuEngine, Precision};
