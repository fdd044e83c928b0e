//! What the tests of kernels share: a device, and the harnesses that hold a kernel against its CPU twin and a
//! gradient against finite differences.
//!
//! The device is a software driver so that the results are the same everywhere; `LEYDEN_TEST_DEVICE` names another.
#![allow(dead_code, unused_imports)]

mod agreement;
mod golden;
mod gradient;
mod input;
mod kernel;
mod memorise;
mod model;
mod pass;
mod small;

pub use golden::Golden;
pub use gradient::{check_gradient, check_gradient_passed, check_gradient_with, weighted_loss};
pub use input::{Given, Input, Seeded};
pub use kernel::{Conditions, Tolerance, check, check_fused, check_halves, check_passed, check_under, check_with};
pub use memorise::{MEMORISED, memorised_batch, memorising};
pub use model::{close, compare_banks, parameter_key};
pub use pass::pass;
pub use small::small_config;

use leyden::gpu::{Adapter, Choice, GpuEngine, choose};
use leyden::op::StepState;
use std::sync::OnceLock;

/// The adapter of the tests, found once a test binary.
///
/// # Panics
/// If there is none: a machine that cannot run the kernels cannot pass their tests.
pub fn adapter() -> &'static Adapter {
    static ADAPTER: OnceLock<Adapter> = OnceLock::new();
    ADAPTER.get_or_init(|| {
        let name = std::env::var("LEYDEN_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".into());
        let help = "install Mesa's software Vulkan driver (Debian: mesa-vulkan-drivers, Fedora: \
                    mesa-vulkan-drivers, Arch: vulkan-swrast), or name another device in LEYDEN_TEST_DEVICE";
        match choose(&Choice::Named(name)) {
            Ok(Some(adapter)) => adapter,
            Ok(None) => panic!("no adapter; {help}"),
            Err(error) => panic!("{error}; {help}"),
        }
    })
}

/// An engine on the tests' device whose banks have `bank_len` elements.
pub fn gpu(bank_len: usize) -> GpuEngine {
    GpuEngine::new(adapter(), bank_len).unwrap_or_else(|error| panic!("{error}"))
}

/// The step of all tests; seeds differ in the part of it.
pub fn state(seed: u64) -> StepState {
    StepState {
        seed: [seed as u32, (seed >> 32) as u32 ^ 0x5bd1_e995],
        step: 3,
        part: (seed % 4) as u32,
        learning_rate: 1e-2,
        correction1: 1.25,
        correction2: 1.5,
        ..StepState::default()
    }
}
