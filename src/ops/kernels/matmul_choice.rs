//! Which kernels there are for a multiplication on a device.

use crate::graph::DType;
use crate::op::{DeviceTraits, Epilogue, MatmulFamily, MatmulKernel, MatmulShape};

/// Rows and columns of an invocation of the blocks family.
pub(super) const BLOCK: usize = 16;
/// Invocations of a workgroup of the blocks family.
const LANES: usize = 8;
/// Slices of k are multiples of this and of a kernel's step.
pub(super) const STEP: usize = 16;
/// Most 4 x 4 pieces that an invocation of the tiles family brings in a step.
const MOST_PIECES: usize = 2;
/// Most vectors of A, and of B, that an invocation of the cooperative family brings in a step.
const MOST_VECTORS: usize = 8;
/// Most matrices along each side of a subgroup's block in the cooperative family.
const MOST_MATRICES: u32 = 4;
/// Vectors of 4 halves behind each line of the cooperative family's tiles, so that lines begin on different banks.
const SPARE: usize = 2;

/// Tile, block, prefetch.
type Form = ([u16; 3], [u16; 2], bool);

/// What a kernel of the tiles family is worth trying with: tile, block, prefetch; the most promising first. Large blocks read
/// the least workgroup memory for a multiply-add, small ones keep more of a large GPU busy with a small matrix.
const TILES: [Form; 12] = [
    ([128, 128, 16], [8, 8], true),
    ([128, 128, 16], [8, 8], false),
    ([128, 64, 16], [8, 8], true),
    ([64, 128, 16], [8, 8], true),
    ([64, 64, 16], [8, 8], true),
    ([128, 64, 16], [8, 4], true),
    ([64, 64, 16], [8, 4], true),
    ([64, 64, 32], [8, 4], false),
    ([128, 128, 8], [8, 8], true),
    ([64, 32, 32], [4, 4], false),
    ([32, 64, 32], [4, 4], false),
    ([32, 32, 32], [4, 4], true),
];

/// The same with tiles of halves.
const TILES_OF_HALVES: [Form; 3] =
    [([128, 128, 32], [8, 8], true), ([128, 128, 16], [8, 8], true), ([64, 64, 16], [8, 8], true)];

/// The same of the cooperative family, for matrices of 16 x 16 (blocks of up to 64 x 64) and of 8 x 8 (up to 32 x 32).
const COOPERATIVE: [Form; 9] = [
    ([128, 128, 32], [64, 64], true),
    ([128, 128, 32], [64, 32], true),
    ([128, 64, 32], [32, 32], true),
    ([64, 64, 32], [32, 32], true),
    ([64, 64, 32], [32, 32], false),
    ([64, 64, 64], [32, 32], true),
    ([64, 32, 32], [32, 16], true),
    ([32, 64, 32], [16, 32], true),
    ([32, 32, 32], [16, 16], true),
];

/// Those of them that are tried with results that leave by strips, before all others: fewer barriers for more workgroup memory.
const STRIPS: [Form; 3] =
    [([128, 128, 32], [64, 64], true), ([128, 64, 32], [32, 32], true), ([64, 64, 32], [32, 32], true)];

/// Those of these that are tried with 64 invocations a block as well: few, for a sweep has room for 60 candidates.
const WIDE: [Form; 2] = [([128, 128, 32], [64, 64], true), ([64, 64, 32], [32, 32], true)];

/// A kernel of a form, unsplit.
fn form(family: MatmulFamily, (tile, block, prefetch): Form) -> MatmulKernel {
    let halves = family == MatmulFamily::Cooperative;
    MatmulKernel { family, tile, block, subgroup: family.subgroup(), halves, prefetch, strips: false, slices: 1 }
}

/// How many workgroups there should be where k may be split: enough for a laptop's GPU, and for a data centre's.
const WANTED: [usize; 2] = [256, 1_024];
/// A slice of k should be long beside the addition of the partial sums.
const LEAST_SLICE: usize = 256;

impl MatmulShape {
    /// The kernel that every device can run: for a software driver of the blocks family, else of the tiles family.
    pub(super) fn base(&self, device: &DeviceTraits) -> MatmulKernel {
        let (family, tile, block, wanted, least) = if device.software {
            let lanes = self.lanes();
            let tile = [BLOCK * (LANES / lanes), BLOCK * lanes, 4].map(|size| size as u16);
            // A few groups for every core; a slice of less than 128 would cost more than it gains.
            (MatmulFamily::Blocks, tile, [BLOCK as u16; 2], 32, 128)
        } else {
            (MatmulFamily::Tiles, [64, 64, 16], [8, 4], WANTED[0], LEAST_SLICE)
        };
        let kernel = form(family, (tile, block, false));
        kernel.split(self.slices(&kernel, wanted, least))
    }

    /// The base kernel first, then all others that this device can run and that may be faster.
    pub(super) fn candidates(&self, device: &DeviceTraits) -> Vec<MatmulKernel> {
        let base = self.base(device);
        let mut candidates = vec![base];
        let mut add = |kernel: MatmulKernel| {
            let tile = kernel.tile;
            // More than half of such a tile would lie outside.
            let wasteful = usize::from(tile[0]) >= 2 * self.m.max(16) || usize::from(tile[1]) >= 2 * self.n.max(16);
            for slices in WANTED.map(|wanted| self.slices(&kernel, wanted, LEAST_SLICE)) {
                let kernel = kernel.split(slices);
                if !wasteful && self.fits(&kernel, device) && !candidates.contains(&kernel) {
                    candidates.push(kernel);
                }
            }
        };
        if device.software {
            for lanes in [8, 4, 2, 1] {
                let tile = [BLOCK * (LANES / lanes), BLOCK * lanes, 4].map(|size| size as u16);
                add(form(MatmulFamily::Blocks, (tile, [BLOCK as u16; 2], false)));
            }
        } else {
            let cooperative = |strips| move |f| MatmulKernel { strips, ..form(MatmulFamily::Cooperative, f) };
            // A subgroup of 64 has two blocks of a form for 32, one after the other, and begins from k = 0 for each.
            if device.wide_subgroups {
                for kernel in WIDE.map(cooperative(true)) {
                    let wide = MatmulKernel { subgroup: 64, ..kernel };
                    add(MatmulKernel { strips: self.fits(&wide, device), ..wide });
                }
            }
            STRIPS.map(cooperative(true)).into_iter().for_each(&mut add);
            COOPERATIVE.map(cooperative(false)).into_iter().for_each(&mut add);
            let of_halves = |f| MatmulKernel { halves: true, ..form(MatmulFamily::Tiles, f) };
            TILES_OF_HALVES.map(of_halves).into_iter().for_each(&mut add);
            TILES.map(|f| form(MatmulFamily::Tiles, f)).into_iter().for_each(&mut add);
        }
        candidates
    }

    /// Whether `kernel` computes this multiplication on such a device.
    pub(super) fn fits(&self, kernel: &MatmulKernel, device: &DeviceTraits) -> bool {
        let slices = usize::from(kernel.slices);
        let split = slices == 1 || (self.may_split() && slices > 1 && slices <= self.k.div_ceil(STEP));
        let whole = kernel.tile.iter().all(|size| size.is_power_of_two())
            && (0..2).all(|i| kernel.block[i] > 0 && kernel.tile[i].is_multiple_of(kernel.block[i]));
        let of_halves = device.f16 && self.elements[..2] == [DType::F16; 2] && self.aligned;
        split
            && whole
            && (!kernel.halves || of_halves)
            && kernel.invocations() <= device.invocations
            && match kernel.family {
                MatmulFamily::Blocks => self.blocks_fit(kernel),
                MatmulFamily::Tiles => self.tiles_fit(kernel, device),
                MatmulFamily::Cooperative => self.cooperative_fits(kernel, device),
            }
    }

    fn blocks_fit(&self, kernel: &MatmulKernel) -> bool {
        let form = (kernel.block, kernel.tile[2], kernel.halves, kernel.prefetch);
        form == ([BLOCK as u16; 2], 4, false, false)
            && (kernel.subgroup, kernel.strips) == (1, false)
            && kernel.invocations() == LANES as u32
    }

    fn tiles_fit(&self, kernel: &MatmulKernel, device: &DeviceTraits) -> bool {
        let ([m, n, k], [rows, columns]) = (kernel.tile.map(usize::from), kernel.block.map(usize::from));
        let base = (kernel.tile, kernel.block, kernel.prefetch) == ([64, 64, 16], [8, 4], false);
        [[4, 4], [8, 4], [8, 8]].contains(&[rows, columns])
            && (kernel.subgroup, kernel.strips) == (1, false)
            && (self.aligned || base)
            && m / rows >= 4
            && k >= 4
            && (m + n) / 4 * (k / 4) <= MOST_PIECES * kernel.invocations() as usize
            && tiles_memory(kernel, 0) <= device.workgroup_memory as usize
    }

    fn cooperative_fits(&self, kernel: &MatmulKernel, device: &DeviceTraits) -> bool {
        let Some(size) = device.cooperative else { return false };
        let ([m, n, k], invocations) = (kernel.tile.map(usize::from), kernel.invocations() as usize);
        let matrices = |side: u16| {
            let side = u32::from(side);
            side.is_multiple_of(size) && side.is_power_of_two() && side / size <= MOST_MATRICES
        };
        kernel.halves
            && (kernel.subgroup == 32 || (kernel.subgroup == 64 && device.wide_subgroups))
            // Subgroups of 64 take two blocks each of a form for 32.
            && kernel.blocks() >= 2
            && kernel.block.into_iter().all(matrices)
            && k.is_multiple_of(size as usize)
            && [m, n].iter().all(|side| side * k / 4 <= MOST_VECTORS * invocations)
            // Row sums are taken from lines along m.
            && (self.epilogue != Epilogue::RowSums || (self.transpose_a && m / 4 <= invocations))
            && self.cooperative_memory(kernel, size as usize) <= device.workgroup_memory as usize
    }

    /// Bytes of workgroup memory of the cooperative family: both tiles as they are stored, and for each block a matrix or a strip.
    fn cooperative_memory(&self, kernel: &MatmulKernel, size: usize) -> usize {
        let [m, n, k] = kernel.tile.map(usize::from);
        let tile = |side: usize, along: bool| if along { k * (side / 4 + SPARE) } else { side * (k / 4 + SPARE) };
        let vectors = tile(m, self.transpose_a) + tile(n, !self.transpose_b);
        let row = if kernel.strips { usize::from(kernel.block[1]) + 4 } else { size };
        vectors * 8 + kernel.blocks() as usize * size * row * 4
    }

    /// Workgroups along n and m.
    pub(super) fn groups(&self, kernel: &MatmulKernel) -> [usize; 2] {
        [self.n.div_ceil(kernel.tile[1].into()), self.m.div_ceil(kernel.tile[0].into())]
    }

    /// Slices of k so that there are `wanted` workgroups, none shorter than `least`.
    fn slices(&self, kernel: &MatmulKernel, wanted: usize, least: usize) -> usize {
        let [x, y] = self.groups(kernel);
        if self.may_split() { (wanted / (x * y).max(1)).min(self.k / least).max(1) } else { 1 }
    }

    /// Whether k may be split: the second dispatch adds up, and does nothing else.
    fn may_split(&self) -> bool {
        !self.has_bias && matches!(self.epilogue, Epilogue::None | Epilogue::RowSums)
    }

    /// How many of a workgroup's lanes lie along n on a software driver: where it wastes the fewest blocks; the more the
    /// better, for then the lanes read the same rows of A.
    fn lanes(&self) -> usize {
        let (columns, rows) = (self.n.div_ceil(BLOCK), self.m.div_ceil(BLOCK));
        let cost = |lanes: &usize| {
            let blocks = columns.next_multiple_of(*lanes) * rows.next_multiple_of(LANES / lanes);
            let penalty = match lanes {
                8 => 20,
                4 => 21,
                2 => 24,
                _ => 30,
            };
            blocks * penalty
        };
        [8, 4, 2, 1].into_iter().min_by_key(cost).unwrap_or(LANES)
    }
}

/// Bytes of workgroup memory of the tiles family with so many spare vectors a line.
fn tiles_memory(kernel: &MatmulKernel, spare: usize) -> usize {
    let [m, n, k] = kernel.tile.map(usize::from);
    let vector = if kernel.halves { 8 } else { 16 };
    k * (m / 4 + n / 4 + 2 * spare) * vector
}

/// Spare vectors a line of the tiles family: one, where there is room.
pub(super) fn spare(kernel: &MatmulKernel, device: &DeviceTraits) -> usize {
    usize::from(tiles_memory(kernel, 1) <= device.workgroup_memory as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an NVIDIA GPU has.
    const LARGE: DeviceTraits = DeviceTraits {
        f16: true,
        workgroup_memory: 49_152,
        invocations: 1_024,
        cooperative: Some(16),
        ..DeviceTraits::FLOOR
    };

    fn shape(text: &str) -> MatmulShape {
        text.parse().expect("a shape")
    }

    #[test]
    fn candidates_begin_with_the_base_and_fit() {
        for text in [
            "16384x1024x256 nt f32 f32 f32 f32 bias gelu",
            "16384x256x1024 nn f16 f16 f16 f32",
            "256x1024x16384 tn f16 f16 f32 f32 row_sums",
            "16384x64x64 nt f16 f16 f16 f32 bias",
            "7x9x1 nn f32 f32 f32 f32 unaligned",
        ] {
            let wide = DeviceTraits { wide_subgroups: true, ..LARGE };
            for device in [DeviceTraits::FLOOR, LARGE, wide, DeviceTraits { software: true, ..LARGE }] {
                let (shape, mut seen) = (shape(text), Vec::new());
                let candidates = shape.candidates(&device);
                assert_eq!(candidates[0], shape.base(&device));
                for kernel in candidates {
                    assert!(shape.fits(&kernel, &device), "{text}: {kernel} on {device:?}");
                    assert!(!seen.contains(&kernel), "{text}: {kernel} twice");
                    seen.push(kernel);
                }
                assert!(seen.len() <= 60, "{text}: {} candidates are too many for a sweep", seen.len());
            }
        }
    }

    #[test]
    fn every_form_is_somebodys_candidate() {
        let square = shape("1024x1024x1024 nn f16 f16 f16 f32");
        let eight = DeviceTraits { cooperative: Some(8), ..LARGE };
        let amd = DeviceTraits { wide_subgroups: true, ..LARGE };
        assert!(square.candidates(&LARGE).iter().all(|kernel| kernel.subgroup <= 32));
        let small = DeviceTraits { workgroup_memory: 32_768, ..amd };
        let wide: Vec<MatmulKernel> = square.candidates(&small).into_iter().filter(|k| k.subgroup == 64).collect();
        assert!(
            wide.iter().any(|k| k.strips) && wide.iter().any(|k| !k.strips),
            "one has no room for strips: {wide:?}"
        );
        for (tile, block, prefetch) in WIDE {
            let mut wide = square.candidates(&amd).into_iter().filter(|k| k.subgroup == 64);
            assert!(wide.any(|k| (k.tile, k.block, k.prefetch) == (tile, block, prefetch)), "{tile:?} {block:?}");
        }
        let all: Vec<MatmulKernel> = [LARGE, eight].iter().flat_map(|device| square.candidates(device)).collect();
        let listed = |family, forms: &[Form], halves, strips| {
            for &f in forms {
                let listed = MatmulKernel { halves, strips, ..form(family, f) };
                assert!(all.iter().any(|kernel| kernel.split(1) == listed), "{listed} fits nowhere");
            }
        };
        listed(MatmulFamily::Tiles, &TILES, false, false);
        listed(MatmulFamily::Tiles, &TILES_OF_HALVES, true, false);
        listed(MatmulFamily::Cooperative, &COOPERATIVE, true, false);
        listed(MatmulFamily::Cooperative, &STRIPS, true, true);
    }

    #[test]
    fn the_base_needs_no_more_than_the_floor() {
        let base = shape("300x300x300 nn f16 f32 f16 f32").base(&DeviceTraits::FLOOR);
        assert!(tiles_memory(&base, 1) <= 16_384 && base.invocations() <= 256);
        assert_eq!(base.to_string(), "tiles 64x64x16 8x4");
    }

    #[test]
    fn what_a_device_cannot_run_is_no_candidate() {
        let single = shape("512x512x512 nn f32 f16 f16 f32");
        assert!(single.candidates(&LARGE).iter().all(|k| !k.halves));
        let halves = shape("512x512x512 nn f16 f16 f16 f32");
        assert!(halves.candidates(&LARGE).iter().any(|k| k.family == MatmulFamily::Cooperative));
        let without = DeviceTraits { cooperative: None, ..LARGE };
        assert!(halves.candidates(&without).iter().all(|k| k.family == MatmulFamily::Tiles));
        let unaligned = shape("512x512x512 nn f16 f16 f16 f32 unaligned");
        assert_eq!(unaligned.candidates(&without).len(), 1);
        let bias = shape("64x64x16384 nt f32 f32 f32 f32 bias");
        assert!(bias.candidates(&LARGE).iter().all(|k| k.slices == 1));
    }
}
