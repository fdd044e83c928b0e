//! Labelled tasks.
pub mod score;
