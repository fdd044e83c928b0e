//! Measures the kernels and a whole training step, on the CPU engine or on a GPU.
//!
//! Steps are measured on batches of random tokens: the cost does not depend on them.

#[cfg(feature = "burn")]
mod burn;
mod denormals;
mod drain;
mod gaps;
mod machine;
mod matmul;
mod peak;
mod phase;
mod profile;
mod step;
mod tokenize;
mod trace;

pub use crate::numbers::median;
#[cfg(feature = "burn")]
pub use burn::BurnStepper;
pub use denormals::{Denormals, denormals};
pub use drain::drain;
pub use gaps::Gaps;
pub use machine::Machine;
pub use matmul::{MatmulFailure, MatmulTime, MatmulTimes, matmul_agrees, matmul_shapes, matmul_times};
pub use peak::{Peak, multiply_adds, peak};
pub use phase::{Pass, Phase};
pub use profile::{KernelTime, PhaseTime, Profile, TracedCall, profile};
pub use step::{StepTime, Stepper, random_batch};
pub use tokenize::{TokenizeTimes, tokenize_times};
pub use trace::chrome_trace;
