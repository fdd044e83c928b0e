//! Matrix multiplication on a device: which kernel, how it is cut up, what it binds.
//!
//! Not an op of its own: the linear layer, its gradients and the vocabulary projection are made of it. Three families of
//! kernels, `shaders/shared/matmul_tiles.wgsl` for GPUs, `matmul_blocks.wgsl` for drivers that run shaders on the CPU and
//! `matmul_cooperative.wgsl` for tensor cores, over vectors of 4 (`matmul_vector.wgsl`) or, for sizes that are not multiples
//! of 4, over elements (`matmul_scalar.wgsl`). Which forms of them there are is in `matmul_choice.rs`.

use super::matmul_choice::{BLOCK, STEP, spare};
use super::parts::{AddParts, PartsSum};
use crate::graph::{DType, TensorType};
use crate::op::{DeviceTraits, Dispatch, Dropout, Epilogue, MatmulFamily, MatmulKernel, MatmulShape, Operand};

/// C\[m, n\] = op(A) op(B), everything row-major.
///
/// With an offset, a matrix is a window of a larger tensor: its rows are contiguous, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matmul {
    /// Rows of C and of op(A).
    pub m: usize,
    /// Columns of C and of op(B).
    pub n: usize,
    /// Columns of op(A), rows of op(B).
    pub k: usize,
    /// A is stored \[k, m\] instead of \[m, k\].
    pub transpose_a: bool,
    /// B is stored \[n, k\] instead of \[k, n\].
    pub transpose_b: bool,
    /// The types of A, B, C and the second tensor, each single or half precision. A bias and row sums are in single precision.
    pub elements: [DType; 4],
    /// C += instead of C =; holds for the row sums too.
    pub accumulate: bool,
    /// Elements before A.
    pub a_offset: usize,
    /// Elements before B.
    pub b_offset: usize,
    /// Elements before C.
    pub c_offset: usize,
    /// Elements before the bias that is read or, with [`Epilogue::RowSums`], the row sums that are written.
    pub bias_offset: usize,
    /// What else is done.
    pub epilogue: Epilogue,
    /// Dropout of C; only with [`Epilogue::Dropout`] and [`Epilogue::Residual`]. C's elements are the mask's, so C must be
    /// the whole of what is dropped out.
    pub dropout: Option<Dropout>,
}

impl Default for Matmul {
    fn default() -> Self {
        Self {
            m: 0,
            n: 0,
            k: 0,
            transpose_a: false,
            transpose_b: false,
            elements: [DType::F32; 4],
            accumulate: false,
            a_offset: 0,
            b_offset: 0,
            c_offset: 0,
            bias_offset: 0,
            epilogue: Epilogue::None,
            dropout: None,
        }
    }
}

/// The tensors of a [`Matmul`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatmulOperands {
    /// A, read.
    pub a: Operand,
    /// B, read.
    pub b: Operand,
    /// C, written; another tensor than A and B.
    pub c: Operand,
    /// A vector \[n\] that is added to every row of C.
    pub bias: Option<Operand>,
    /// The epilogue's tensor; must be there exactly where [`Epilogue::writes_second`] or [`Epilogue::reads_second`].
    pub second: Option<Operand>,
}

/// How a multiplication is cut up.
struct Grid {
    kernel: MatmulKernel,
    /// Workgroups along n and m.
    groups: [usize; 2],
    /// Slices of k.
    slices: usize,
    /// k of a slice.
    slice: usize,
    /// Lanes side by side along n (software drivers).
    lanes: usize,
    /// Whether every workgroup's tiles lie inside the matrices.
    exact: bool,
    /// Whether every stored line is a multiple of 4: [`MatmulShape::aligned`].
    aligned: bool,
}

impl MatmulShape {
    /// A multiplication of this shape whose matrices begin their tensors. Where only an offset was not aligned, this one is.
    pub fn matmul(&self) -> Matmul {
        Matmul {
            m: self.m,
            n: self.n,
            k: self.k,
            transpose_a: self.transpose_a,
            transpose_b: self.transpose_b,
            elements: self.elements,
            accumulate: self.accumulate,
            epilogue: self.epilogue,
            ..Matmul::default()
        }
    }
}

impl Matmul {
    /// Floating-point operations, a multiply-add counted as two.
    pub fn flops(&self) -> u64 {
        2 * self.m as u64 * self.n as u64 * self.k as u64
    }

    /// The scratch tensors that [`Self::dispatches`] binds.
    ///
    /// Partial sums \[slices, m, n\] where k is split; partial row sums \[slices, m\], or a stand-in for a second
    /// output that is not there. `has_bias` must say whether the operands will have a bias.
    pub fn scratch(&self, has_bias: bool, device: &DeviceTraits) -> Vec<TensorType> {
        let grid = self.grid(has_bias, device);
        let mut scratch = Vec::new();
        if grid.slices > 1 {
            scratch.push(TensorType::f32(&[grid.slices, self.m, self.n]));
        }
        if grid.slices > 1 && self.epilogue == Epilogue::RowSums {
            scratch.push(TensorType::f32(&[grid.slices, self.m]));
        } else if !self.epilogue.writes_second() {
            scratch.push(TensorType::f32(&[4]));
        }
        scratch
    }

    /// One dispatch, or two where k is split: partial sums, then their addition in a fixed order, so that the result is the
    /// same bits each time.
    ///
    /// The tensors of [`Self::scratch`] are bound from `Operand::Scratch(first_scratch)` on.
    pub fn dispatches(&self, operands: &MatmulOperands, first_scratch: usize, device: &DeviceTraits) -> Vec<Dispatch> {
        if self.m == 0 || self.n == 0 {
            return Vec::new();
        }
        let spare = |index| Operand::Scratch(first_scratch + index);
        let grid = self.grid(operands.bias.is_some(), device);
        if grid.slices == 1 {
            return vec![self.product(operands, &grid, spare(0), device)];
        }
        let [parts, rest] = [0, 1].map(spare);
        let row_sums = self.epilogue == Epilogue::RowSums;
        let in_parts = MatmulOperands { c: parts, second: row_sums.then_some(rest), ..*operands };
        let add = AddParts {
            read: if row_sums { vec![parts, rest] } else { vec![parts] },
            write: [operands.c, operands.second.filter(|_| row_sums).unwrap_or(rest)],
            element: self.elements[2],
            accumulate: self.accumulate,
            sums: self.sums(grid.slices, [0; 2]),
        };
        let product = Self { c_offset: 0, bias_offset: 0, ..*self }.product(&in_parts, &grid, rest, device);
        [vec![product], add.dispatches()].concat()
    }

    /// Of [`Self::dispatches`] with row sums the product alone, for one who adds up the parts himself. With k in slices
    /// ([`Self::slices`]), C and the row sums are parts, \[slices, m, n\] and \[slices, m\], from an element of a tensor on that
    /// `parts` names, a multiple of 4; else they are finished and where `operands` and the offsets say.
    pub(in crate::ops) fn product_in_parts(
        &self,
        operands: &MatmulOperands,
        parts: [(Operand, usize); 2],
        device: &DeviceTraits,
    ) -> Dispatch {
        let grid = self.grid(false, device);
        if grid.slices == 1 {
            return self.product(operands, &grid, operands.c, device);
        }
        let [(c, c_offset), (sums, bias_offset)] = parts;
        let in_parts = MatmulOperands { c, second: Some(sums), ..*operands };
        Self { c_offset, bias_offset, ..*self }.product(&in_parts, &grid, sums, device)
    }

    /// In how many slices k is cut without a bias.
    pub(in crate::ops) fn slices(&self, device: &DeviceTraits) -> usize {
        self.grid(false, device).slices
    }

    /// What makes C, and row sums, of so many parts, which begin at the elements `from` of the first and the second tensor.
    pub(in crate::ops) fn sums(&self, slices: usize, from: [usize; 2]) -> Vec<PartsSum> {
        let (c, rows) = (self.m * self.n, if self.epilogue == Epilogue::RowSums { self.m } else { 0 });
        let sum = |which: usize, len, to| PartsSum {
            len,
            parts: slices,
            stride: len,
            from: (which, from[which]),
            to: (which, to),
        };
        let sums = [sum(0, c, self.c_offset), sum(1, rows, self.bias_offset)];
        sums.into_iter().filter(|sum| sum.len > 0).collect()
    }

    /// The product, in parts where the grid has slices. `spare` stands in for a second output that is not there.
    fn product(&self, operands: &MatmulOperands, grid: &Grid, spare: Operand, device: &DeviceTraits) -> Dispatch {
        let has_bias = operands.bias.is_some();
        let split = grid.slices > 1;
        let side = operands.second.filter(|_| self.epilogue.reads_second());
        let second = operands.second.filter(|_| self.epilogue.writes_second()).unwrap_or(spare);
        let flag = |on: bool| f64::from(u8::from(on));
        // What is added to is read as well.
        let written = |accumulate: bool| self.m * self.n * if accumulate { 2 } else { 1 };
        let [element_a, element_b, element_c, element_second] = self.elements;
        let mut product = Dispatch::new(grid.shader(device))
            .element("ElementA", element_a)
            .element("ElementB", element_b)
            .element("ElementC", if split { DType::F32 } else { element_c })
            .element("Second", if side.is_some() { DType::F32 } else { element_second })
            .element("Side", if side.is_some() { element_second } else { DType::F32 })
            .constant("transpose_a", flag(self.transpose_a))
            .constant("transpose_b", flag(self.transpose_b))
            .constant("accumulate", flag(self.accumulate && !split))
            .constant("has_bias", flag(has_bias))
            .constant("activation", self.epilogue.activation().unwrap_or_default().number())
            .constant("activation_output", flag(matches!(self.epilogue, Epilogue::Activation(_))))
            .constant("activation_gradient", flag(matches!(self.epilogue, Epilogue::ActivationGradient(_))))
            .constant("has_dropout", flag(self.dropout.is_some()))
            .constant("residual", flag(self.epilogue == Epilogue::Residual))
            .constant("row_sums", flag(self.epilogue == Epilogue::RowSums))
            .constant("exact", flag(grid.exact))
            .flops(self.flops())
            .read(operands.a)
            .moving(self.m * self.k)
            .read(operands.b)
            .moving(self.k * self.n)
            // Every binding that a shader declares must be there; without a bias this one is not read.
            .read(operands.bias.unwrap_or(operands.a))
            .moving(if has_bias { self.n } else { 0 })
            .write(operands.c)
            .moving(grid.slices * written(self.accumulate && !split))
            .write(second)
            .moving(match self.epilogue {
                Epilogue::Activation(_) => self.m * self.n,
                Epilogue::RowSums => grid.slices * self.m,
                _ => 0,
            })
            .read(side.unwrap_or(operands.a))
            .moving(if side.is_some() { self.m * self.n } else { 0 })
            .word(self.m)
            .word(self.n)
            .word(self.k)
            .word(grid.slice)
            .word(self.a_offset)
            .word(self.b_offset)
            .word(self.c_offset)
            .word(self.bias_offset)
            .word(grid.lanes)
            .groups(grid.groups[0], grid.groups[1], grid.slices);
        product = self.dropout.unwrap_or_default().words(product);
        for (name, value) in grid.kernel.constants(device) {
            product = product.constant(name, value);
        }
        if grid.kernel.family == MatmulFamily::Tiles && grid.kernel.halves {
            product = product.element("Tile", DType::F16);
        }
        product
    }

    /// What decides which kernel is fast. `has_bias` must say whether the operands will have a bias.
    pub fn shape(&self, has_bias: bool) -> MatmulShape {
        let a_line = if self.transpose_a { self.m } else { self.k };
        let b_line = if self.transpose_b { self.k } else { self.n };
        let rows = if self.epilogue == Epilogue::RowSums { self.m } else { 0 };
        let bias_offset = if has_bias || rows > 0 { self.bias_offset } else { 0 };
        let aligned = [a_line, b_line, self.n, rows, self.a_offset, self.b_offset, self.c_offset, bias_offset]
            .iter()
            .all(|size| size.is_multiple_of(4));
        MatmulShape {
            m: self.m,
            n: self.n,
            k: self.k,
            transpose_a: self.transpose_a,
            transpose_b: self.transpose_b,
            elements: self.elements,
            has_bias,
            epilogue: self.epilogue,
            accumulate: self.accumulate,
            aligned,
        }
    }

    /// The kernel that every such device can run.
    pub fn base(shape: &MatmulShape, device: &DeviceTraits) -> MatmulKernel {
        shape.base(device)
    }

    /// The base kernel first, then all others that this device can run and that may be faster; at least one.
    pub fn candidates(shape: &MatmulShape, device: &DeviceTraits) -> Vec<MatmulKernel> {
        shape.candidates(device)
    }

    /// Whether `kernel` can do it on such a device.
    pub fn can_run(shape: &MatmulShape, kernel: &MatmulKernel, device: &DeviceTraits) -> bool {
        shape.fits(kernel, device)
    }

    /// The kernel to use: what the device's tuning says, where it can run that, or else the base kernel.
    pub fn kernel(&self, has_bias: bool, device: &DeviceTraits) -> MatmulKernel {
        let shape = self.shape(has_bias);
        let tuned = device.tuning.get(&shape).filter(|kernel| shape.fits(kernel, device));
        tuned.unwrap_or_else(|| shape.base(device))
    }

    fn grid(&self, has_bias: bool, device: &DeviceTraits) -> Grid {
        let (shape, kernel) = (self.shape(has_bias), self.kernel(has_bias, device));
        // The tuned count need not divide k: slices are whole steps, and none is empty.
        let step = STEP.max(kernel.tile[2].into());
        let slice = self.k.div_ceil(kernel.slices.into()).next_multiple_of(step).max(step);
        let sides = [self.m, self.n, self.k].into_iter().zip(kernel.tile);
        let exact = shape.aligned && sides.into_iter().all(|(side, tile)| side.is_multiple_of(tile.into()));
        let lanes = usize::from(kernel.tile[1]) / BLOCK;
        let (groups, slices) = (shape.groups(&kernel), self.k.div_ceil(slice).max(1));
        Grid { kernel, groups, slices, slice, lanes, exact, aligned: shape.aligned }
    }
}

impl Grid {
    /// The shader: by vectors where every stored line that it touches is a multiple of 4.
    fn shader(&self, device: &DeviceTraits) -> &'static str {
        match (self.kernel.family, self.aligned) {
            (MatmulFamily::Blocks, false) => "matmul_blocks_scalar",
            (MatmulFamily::Blocks, true) => "matmul_blocks_vector",
            (MatmulFamily::Tiles, false) => "matmul_tiles_scalar",
            (MatmulFamily::Tiles, true) => "matmul_tiles_vector",
            (MatmulFamily::Cooperative, _) => device.by_matrices(["matmul_cooperative_8", "matmul_cooperative_16"]),
        }
    }
}

impl MatmulKernel {
    /// The shader's constants that make it this kernel.
    fn constants(&self, device: &DeviceTraits) -> Vec<(&'static str, f64)> {
        let [m, n, k] = self.tile.map(f64::from);
        let mut constants = match self.family {
            MatmulFamily::Blocks => return Vec::new(),
            MatmulFamily::Tiles => vec![("spare", spare(self, device) as f64)],
            MatmulFamily::Cooperative => vec![("strips", f64::from(u8::from(self.strips)))],
        };
        let [rows, columns] = self.block.map(f64::from);
        let invocations = f64::from(self.invocations());
        let prefetch = f64::from(u8::from(self.prefetch));
        constants.extend([("tile_m", m), ("tile_n", n), ("tile_k", k), ("block_m", rows), ("block_n", columns)]);
        constants.extend([("invocations", invocations), ("prefetch", prefetch)]);
        constants
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::Activation;

    const GPU: DeviceTraits = DeviceTraits::FLOOR;
    const SOFTWARE: DeviceTraits = DeviceTraits { software: true, ..GPU };

    fn operands(second: Option<Operand>) -> MatmulOperands {
        MatmulOperands { a: Operand::Input(0), b: Operand::Input(1), c: Operand::Output(0), bias: None, second }
    }

    #[test]
    fn a_long_k_is_split_and_covered() {
        for device in [GPU, SOFTWARE] {
            for (m, n, k) in [(64, 64, 16_384), (256, 1_024, 16_384), (20, 36, 2_432), (64, 64, 1_000)] {
                let matmul = Matmul { m, n, k, transpose_a: true, epilogue: Epilogue::RowSums, ..Matmul::default() };
                let grid = matmul.grid(false, &device);
                assert!(grid.slice * grid.slices >= k, "{m} x {n} x {k}: slices do not cover k");
                assert!(grid.slice * (grid.slices - 1) < k, "{m} x {n} x {k}: an empty slice");
                let dispatches = matmul.dispatches(&operands(Some(Operand::Output(1))), 0, &device);
                assert_eq!(dispatches.len(), if grid.slices > 1 { 2 } else { 1 });
                let bound = dispatches
                    .iter()
                    .flat_map(|d| &d.bindings)
                    .filter_map(|b| if let Operand::Scratch(i) = b.operand { Some(i + 1) } else { None })
                    .max();
                assert_eq!(bound.unwrap_or(0), matmul.scratch(false, &device).len());
            }
        }
    }

    #[test]
    fn a_bias_and_gelu_forbid_a_split() {
        let matmul = Matmul { m: 8, n: 8, k: 16_384, ..Matmul::default() };
        assert!(matmul.grid(false, &GPU).slices > 1);
        assert_eq!(matmul.grid(true, &GPU).slices, 1);
        assert_eq!(Matmul { epilogue: Epilogue::Activation(Activation::Gelu), ..matmul }.grid(false, &GPU).slices, 1);
    }

    #[test]
    fn vectors_need_multiples_of_four() {
        let matmul = Matmul { m: 3, n: 8, k: 12, ..Matmul::default() };
        let shader = |matmul: Matmul, device: &DeviceTraits| matmul.dispatches(&operands(None), 0, device)[0].shader;
        assert_eq!(shader(matmul, &GPU), "matmul_tiles_vector");
        assert_eq!(shader(Matmul { transpose_a: true, ..matmul }, &GPU), "matmul_tiles_scalar");
        assert_eq!(shader(Matmul { n: 9, ..matmul }, &SOFTWARE), "matmul_blocks_scalar");
        assert_eq!(shader(Matmul { k: 10, ..matmul }, &SOFTWARE), "matmul_blocks_scalar");
        assert_eq!(shader(Matmul { b_offset: 2, ..matmul }, &SOFTWARE), "matmul_blocks_scalar");
    }

    #[test]
    fn the_tuning_decides_where_it_fits() {
        let matmul = Matmul { m: 64, n: 64, k: 4_096, ..Matmul::default() };
        let base = Matmul::base(&matmul.shape(false), &GPU);
        let tuned = |kernel: MatmulKernel| {
            let tuning = crate::op::Tuning(Vec::leak(vec![(matmul.shape(false), kernel)]));
            matmul.kernel(false, &DeviceTraits { tuning, ..GPU })
        };
        assert_eq!(tuned(base.split(3)), base.split(3));
        assert_eq!(tuned(base.split(60_000)), base);
        assert_eq!(tuned(MatmulKernel { family: MatmulFamily::Blocks, ..base }), base);
    }
}
