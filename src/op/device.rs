//! What is known of a device when a plan is made for it, and the kernels that were found to be the fastest there.

use super::{MatmulKernel, MatmulShape};
use std::fmt;

/// What the choice among kernels may depend on.
///
/// The default is WebGPU's floor: a GPU of which no more is known than what every device can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceTraits {
    /// A driver that runs shaders on the CPU: no fast workgroup memory, wide registers instead.
    pub software: bool,
    /// Whether kernels may use 16-bit floating point.
    pub f16: bool,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
    /// Most invocations in a workgroup.
    pub invocations: u32,
    /// Rows and columns of the cooperative matrices with f16 factors and f32 sums (16 or 8); `None` without any.
    pub cooperative: Option<u32>,
    /// Whether subgroups may have 64 invocations, as AMD's do.
    pub wide_subgroups: bool,
    /// Attention's kernel, where it can run; `None` for the one that should be the fastest of those that need no trial.
    pub attention: Option<AttentionKernel>,
    /// The kernels that were found to be the fastest on this device.
    pub tuning: Tuning,
}

impl DeviceTraits {
    /// WebGPU's floor.
    pub const FLOOR: Self = Self {
        software: false,
        f16: false,
        workgroup_memory: 16_384,
        invocations: 256,
        cooperative: None,
        wide_subgroups: false,
        attention: None,
        tuning: Tuning(&[]),
    };
}

impl Default for DeviceTraits {
    fn default() -> Self {
        Self::FLOOR
    }
}

/// A family of kernels for attention and its gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKernel {
    /// For heads of any width, `shaders/attention.wgsl`, `attention_backward_query.wgsl` and
    /// `attention_backward_key.wgsl`: every device can run it.
    General,
    /// For heads of at most 64 columns, a multiple of 4: `shaders/attention_tiles.wgsl` and
    /// `attention_backward_tiles.wgsl`.
    Tiles,
    /// With cooperative matrices, for heads of at most 64 columns and tensors in half precision; heads and lengths are whole
    /// matrices: `attention_cooperative_16`, `attention_backward_cooperative_16` and the same of 8 in `shaders/variants`.
    Cooperative,
}

impl fmt::Display for AttentionKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::General => "general",
            Self::Tiles => "tiles",
            Self::Cooperative => "cooperative",
        })
    }
}

/// By multiplication, the kernel to use in place of the base kernel. Empty unless a sweep has been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Tuning(pub &'static [(MatmulShape, MatmulKernel)]);

impl Tuning {
    /// Of a list. It stays in memory until the program ends: a device has one, and it is small.
    pub fn new(list: Vec<(MatmulShape, MatmulKernel)>) -> Self {
        if list.is_empty() { Self::default() } else { Self(list.leak()) }
    }

    /// The kernel that was found for this multiplication.
    pub fn get(&self, shape: &MatmulShape) -> Option<MatmulKernel> {
        self.0.iter().find(|(of, _)| of == shape).map(|&(_, kernel)| kernel)
    }
}
