//! The CPU engine.
pub mod parallel;
