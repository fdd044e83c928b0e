//! Measures the kernels and a whole training step, on the CPU engine or on a GPU.
//!
//! Steps are measured on batches of random tokens: the cost does not depend on them.

mod kernels;
mod machine;
mod matmul;
mod peak;
mod step;
mod tokenize;

pub use crate::numbers::median;
pub use kernels::{KernelTime, kernel_times};
pub use machine::Machine;
pub use matmul::{MatmulTime, matmul_times};
pub use peak::{Peak, peak};
pub use step::{StepTime, Stepper, random_batch};
pub use tokenize::{TokenizeTimes, tokenize_times};
