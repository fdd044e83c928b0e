//! Arithmetic on the CPU, for the twins and whoever else computes: what is here knows nothing of ops, plans or devices.

mod activation;
pub mod bf16;
mod draws;
mod factor;
pub mod gemm;
mod halves;
mod logistic;
pub mod parallel;
mod real;
pub mod reduce;

pub use activation::{Activation, sigmoid};
pub use draws::{Draws, keep_threshold, uniform};
pub use factor::Factor;
pub use halves::{pack, unpack};
pub use logistic::{logistic, softplus};
pub use real::Real;
