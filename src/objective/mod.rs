//! What an objective's page is written with: a batch's columns, asked for by name, and what a step gives back, by name.

pub mod electra;
mod inputs;
mod outputs;

pub use inputs::{Bound, Inputs, Mode};
pub use outputs::{LOSS, Merge, Output, Outputs};
