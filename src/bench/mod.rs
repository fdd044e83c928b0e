//! Measures the kernels and a whole training step, on the CPU engine or on a GPU.
//!
//! Everything is measured on batches of random tokens: the cost does not depend on them.

mod kernels;
mod machine;
mod step;

pub use kernels::{KernelTime, kernel_times};
pub use machine::Machine;
pub use step::{Stepper, median, random_batch};
