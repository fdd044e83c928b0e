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
    pub attention: Option<KernelFamily>,
    /// The vocabulary's kernels, where they can run; `None` as above.
    pub vocabulary: Option<KernelFamily>,
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
        vocabulary: None,
        tuning: Tuning(&[]),
    };
}

impl DeviceTraits {
    /// Of a kernel for cooperative matrices of 8 and one for those of 16 the device's.
    pub(crate) fn by_matrices(&self, [eight, sixteen]: [&'static str; 2]) -> &'static str {
        if self.cooperative == Some(8) { eight } else { sixteen }
    }
}

impl Default for DeviceTraits {
    fn default() -> Self {
        Self::FLOOR
    }
}

/// A family of kernels for attention and its gradient, or for the vocabulary's logits and theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelFamily {
    /// Attention for heads of any width, `shaders/attention.wgsl`, `attention_backward_query.wgsl` and
    /// `attention_backward_key.wgsl`: every device can run it.
    General,
    /// Attention for heads of at most 64 columns, a multiple of 4: `shaders/attention_tiles.wgsl` and
    /// `attention_backward_tiles.wgsl`. The vocabulary on all GPUs, `vocabulary_tiles.wgsl` and `vocabulary_tiles_backward.wgsl`.
    Tiles,
    /// With cooperative matrices, for tensors in half precision. Attention for heads of at most 64 columns, heads and lengths
    /// whole matrices: `attention_cooperative_16`, `attention_backward_cooperative_16` and the same of 8 in `shaders/variants`. The
    /// vocabulary for embeddings of a multiple of 4: `vocabulary_cooperative_16`, `vocabulary_cooperative_backward_16` and of 8.
    Cooperative,
}

impl fmt::Display for KernelFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::General => "general",
            Self::Tiles => "tiles",
            Self::Cooperative => "cooperative",
        })
    }
}

/// What a family of kernels is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FamilyOf {
    /// Attention and its gradient, [`DeviceTraits::attention`].
    Attention,
    /// The vocabulary's logits and their gradient, [`DeviceTraits::vocabulary`].
    Vocabulary,
}

impl FamilyOf {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Attention, Self::Vocabulary];

    /// `traits` with this family.
    pub fn set(self, traits: &DeviceTraits, family: Option<KernelFamily>) -> DeviceTraits {
        match self {
            Self::Attention => DeviceTraits { attention: family, ..*traits },
            Self::Vocabulary => DeviceTraits { vocabulary: family, ..*traits },
        }
    }
}

impl fmt::Display for FamilyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attention => "attention",
            Self::Vocabulary => "vocabulary",
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
