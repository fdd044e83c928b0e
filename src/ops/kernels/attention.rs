//! Which of attention's kernels runs, by the device, the sizes, and the tensors' precision; and which families may be tried.

use super::vocabulary_tiles;
use crate::graph::DType;
use crate::op::{DeviceTraits, FamilyOf, KernelFamily};
use crate::ops::attention::Sizes;

/// Rows of a tile of [`KernelFamily::Tiles`] and [`KernelFamily::Cooperative`], and their widest head.
pub(in crate::ops) const TILE: usize = 64;
/// Heads from which on the gradient in tiles, which gives each a workgroup of its own, keeps a GPU busy, and a processor's
/// cores.
const ENOUGH_HEADS: [usize; 2] = [64, 8];
/// Workgroup memory of the kernels of cooperative matrices, in bytes (`shaders/shared/attention_cooperative.wgsl`).
const COOPERATIVE_MEMORY: u32 = 28_672;

/// Attention or its gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum Pass {
    Forward,
    Backward,
}

impl KernelFamily {
    /// What [`DeviceTraits::attention`] or [`DeviceTraits::vocabulary`] may be set to for this device once a trial has shown that
    /// it agrees with kernels that need no trial. Nothing here is used without.
    pub fn on_trial(of: FamilyOf, device: &DeviceTraits) -> Vec<Self> {
        let multiplies = match of {
            FamilyOf::Attention => Self::multiplies(device).is_some(),
            FamilyOf::Vocabulary => vocabulary_tiles::multiplies(device),
        };
        if !device.software && multiplies { vec![Self::Cooperative] } else { Vec::new() }
    }

    /// The size of the cooperative matrices, where the device has all that their kernels need.
    pub(in crate::ops) fn multiplies(device: &DeviceTraits) -> Option<usize> {
        let room = device.workgroup_memory >= COOPERATIVE_MEMORY && device.invocations >= 256;
        device.cooperative.filter(|size| device.f16 && room && [8, 16].contains(size)).map(|size| size as usize)
    }

    /// The kernel that the device's traits name, where it can run; without a name, or where it cannot, the one that should
    /// be the fastest of those that need no trial. `factors` are the types of the tensors that are multiplied.
    pub(in crate::ops) fn choose(s: Sizes, pass: Pass, factors: &[DType], device: &DeviceTraits) -> Self {
        let halves = factors.iter().all(|&dtype| dtype == DType::F16);
        let whole = |size: usize| s.width.is_multiple_of(size) && s.length.is_multiple_of(size) && s.width <= TILE;
        let cooperative = halves && Self::multiplies(device).is_some_and(whole);
        let tiles = s.width.is_multiple_of(4) && s.width <= TILE && device.invocations >= 256;
        // Less than half a tile would be mostly waste. On software drivers, tiles are faster where they are full: on lavapipe,
        // at 128 tokens and heads of 64, 1.7 to 3.6 times.
        let fast = if device.software {
            s.length >= 2 * TILE && s.width == TILE
        } else {
            s.length > TILE / 2 && s.width >= TILE / 2
        };
        let enough = ENOUGH_HEADS[usize::from(device.software)];
        let busy = pass == Pass::Forward || s.length <= TILE || s.examples * s.heads >= enough;
        match device.attention {
            Some(Self::Cooperative) if cooperative => Self::Cooperative,
            Some(Self::Tiles) if tiles => Self::Tiles,
            None | Some(Self::Cooperative) if tiles && fast && busy => Self::Tiles,
            _ => Self::General,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Sizes = Sizes { examples: 128, length: 128, heads: 4, width: 64 };

    #[test]
    fn tiles_are_for_heads_that_fill_them() {
        let choose = |s, pass, device: &DeviceTraits| KernelFamily::choose(s, pass, &[DType::F32], device);
        let (gpu, both) = (DeviceTraits::FLOOR, [Pass::Forward, Pass::Backward]);
        for pass in both {
            assert_eq!(choose(SMALL, pass, &gpu), KernelFamily::Tiles);
            let software = DeviceTraits { software: true, ..gpu };
            assert_eq!(choose(SMALL, pass, &software), KernelFamily::Tiles);
            assert_eq!(choose(Sizes { width: 32, ..SMALL }, pass, &software), KernelFamily::General);
            let general = DeviceTraits { attention: Some(KernelFamily::General), ..gpu };
            assert_eq!(choose(SMALL, pass, &general), KernelFamily::General);
            for width in [30, 68, 128] {
                let tiles = DeviceTraits { attention: Some(KernelFamily::Tiles), ..gpu };
                assert_eq!(choose(Sizes { width, ..SMALL }, pass, &tiles), KernelFamily::General);
            }
        }
        let few = Sizes { examples: 8, ..SMALL };
        assert_eq!(both.map(|pass| choose(few, pass, &gpu)), [KernelFamily::Tiles, KernelFamily::General]);
        let software = DeviceTraits { software: true, ..gpu };
        assert_eq!(both.map(|pass| choose(few, pass, &software)), [KernelFamily::Tiles; 2]);
    }

    #[test]
    fn cooperative_matrices_are_used_when_named_and_where_all_fits() {
        let device = DeviceTraits { f16: true, workgroup_memory: 32_768, cooperative: Some(16), ..DeviceTraits::FLOOR };
        let named = DeviceTraits { attention: Some(KernelFamily::Cooperative), ..device };
        let choose = |s, factors: &[DType], device: &DeviceTraits| {
            [Pass::Forward, Pass::Backward].map(|pass| KernelFamily::choose(s, pass, factors, device))
        };
        let (halves, mixture) = ([DType::F16; 2], [DType::F16, DType::F32]);
        assert_eq!(KernelFamily::on_trial(FamilyOf::Attention, &device), [KernelFamily::Cooperative]);
        assert_eq!(choose(SMALL, &halves, &device), [KernelFamily::Tiles; 2]);
        assert_eq!(choose(SMALL, &halves, &named), [KernelFamily::Cooperative; 2]);
        assert_eq!(choose(SMALL, &mixture, &named), [KernelFamily::Tiles; 2]);
        assert_eq!(choose(Sizes { length: 120, ..SMALL }, &halves, &named), [KernelFamily::Tiles; 2]);
        assert_eq!(choose(Sizes { width: 40, ..SMALL }, &halves, &named), [KernelFamily::Tiles; 2]);
        let eight = DeviceTraits { cooperative: Some(8), ..named };
        assert_eq!(choose(Sizes { length: 120, width: 40, ..SMALL }, &halves, &eight), [KernelFamily::Cooperative; 2]);
        for without in [DeviceTraits { f16: false, ..named }, DeviceTraits { workgroup_memory: 16_384, ..named }] {
            assert!(KernelFamily::on_trial(FamilyOf::Attention, &without).is_empty());
            assert_eq!(choose(SMALL, &halves, &without), [KernelFamily::Tiles; 2]);
        }
    }
}
