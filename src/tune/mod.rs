//! Which kernels a device runs: found out by trying them once, and kept.
//!
//! No kernel is the fastest on every GPU. Where something can be computed in several ways, each is tried on the device
//! with random numbers ([`choose`]); one that is clearly faster than the base kernel and agrees with it is taken. Other
//! kernels add in another order, so their results differ in the last bits. For the same bits each time, a choice once
//! made stays: it is kept in a cache by adapter, backend, driver and the kernels' sources ([`Cache`]), and a run's folder
//! has its own, which it goes on with ([`KernelChoices`]).
//!
//! [`tune`] is all of it: `search.rs` asks the record, the cache and then `on_device.rs`, which tries what `matmul` and
//! `family.rs` choose among. `trial` runs one op in several ways. `agreement` and `multiply_add` are ops that no model
//! has: they compare results where they are, and keep a device busy. The kernels themselves are [`crate::ops::kernels`]'.

mod agreement;
mod cache;
mod choice;
mod crash_guard;
mod family;
mod kernel_choices;
mod matmul;
mod multiply_add;
mod on_device;
mod record;
mod remarks;
mod search;
mod trial;

pub use agreement::agreement;
pub use cache::Cache;
pub use choice::{FamilyChoice, LeftOut, MARGIN, MatmulChoice, Tried};
pub use crash_guard::CrashGuard;
pub use kernel_choices::{Device, KernelChoices};
pub use matmul::{Look, Measure, Refusal, Task, choose};
pub use multiply_add::multiply_add;
pub use search::{Tuned, Tuner, Work, tune};
pub use trial::{Compared, Glance, Subject, Trials};

use crate::op::{DeviceTraits, MatmulFamily, MatmulKernel};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Which kernels to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kernels {
    /// Those that every device can run.
    Base,
    /// The fastest that were found on the device.
    Tuned,
}

impl Kernels {
    /// What is taken where nobody has asked for either: a software driver's base kernels are what was found to be fast on
    /// software drivers, the same everywhere.
    pub fn default_for(device: &DeviceTraits) -> Self {
        if device.software { Self::Base } else { Self::Tuned }
    }
}

impl FromStr for Kernels {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.to_ascii_lowercase().as_str() {
            "base" => Ok(Self::Base),
            "tuned" => Ok(Self::Tuned),
            _ => Err("expected base or tuned".into()),
        }
    }
}

impl fmt::Display for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base => "base",
            Self::Tuned => "tuned",
        })
    }
}

/// Why something was not tried.
const NO_TIME: &str = "there was no time left to try others";

/// What trying may take before training, unless somebody says otherwise. Multiplications that are not reached, those with the
/// least to do, run on the base kernel, and are tried at another start.
pub const BUDGET: Duration = Duration::from_secs(8);

/// How far a kernel's sums of k products may be from the base kernel's, relative to what they usually are
/// ([`Trials::compare`]).
///
/// Another order of adding moves a sum by some units in the last place, 6e-8 of it each, to either side. Tensor cores cut off
/// where others round, always to the same side, which adds up over the k / 16 steps of a slice; slices are added up in single
/// precision. One product that is missing or taken twice moves the sum by about 1 / sqrt(k) of what it usually is, far more.
pub fn tolerance(k: usize, kernel: &MatmulKernel) -> f32 {
    let slice = k.div_ceil(kernel.slices.max(1).into());
    let cut_off = if kernel.family == MatmulFamily::Cooperative { 8e-9 * slice as f32 } else { 0.0 };
    1e-5 + 1e-7 * (k as f32).sqrt() + cut_off
}
