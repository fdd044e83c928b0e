//! A right factor as the instructions read it, and the left ones that it is multiplied by.

use super::{Instructions, amx, avx512};
use crate::math::gemm::Matrix;
use bytemuck::Zeroable;
use rayon::prelude::*;
use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sums of a vector.
pub(super) const LANES: usize = 16;
/// Rows of a tile.
pub(super) const TILE: usize = 8;
/// Fewer pairs than this are no work for several threads.
const ALONE: usize = 1 << 14;

/// Columns of a panel.
fn panel(by: Instructions) -> usize {
    match by {
        Instructions::Avx512 => avx512::PANEL,
        Instructions::Amx => amx::PANEL,
    }
}

/// As [`Right::new`].
#[cfg(test)]
pub type New = fn(Matrix<'_, f32>, (usize, usize)) -> Right;

/// A right factor in the order in which products read it.
#[derive(Debug)]
pub struct Right {
    by: Instructions,
    /// Terms of a sum.
    k: usize,
    pub(super) n: usize,
    /// Pairs of terms; for AMX filled up to 16.
    pub(super) pairs: usize,
    /// A panel behind the other; in each, pair by pair, that pair of all of its columns. The last panel's columns are filled up to 16,
    /// for AMX to a whole panel; what stands in those is never looked at.
    panels: Vec<Line>,
}

/// What is loaded at once, where loading is fastest.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u32; LANES]);

/// Memory of right factors that are no more, for the next ones: new memory costs as much as packing.
static SPARE: Mutex<Vec<Vec<Line>>> = Mutex::new(Vec::new());

fn spare() -> MutexGuard<'static, Vec<Vec<Line>>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Right {
    fn drop(&mut self) {
        const MOST: usize = 64 << 20;
        let mut spare = spare();
        let kept: usize = spare.iter().map(Vec::len).sum();
        if (kept + self.panels.len()) * size_of::<Line>() <= MOST {
            spare.push(std::mem::take(&mut self.panels));
        }
    }
}

impl Right {
    /// Of `b` [k, n], whose rows or columns are contiguous.
    ///
    /// # Panics
    /// Where the view is too short, or the processor has no [`Products::Halves`].
    pub fn new(b: Matrix<'_, f32>, (k, n): (usize, usize)) -> Self {
        let by = Instructions::here();
        Self::with(by.expect("instructions for bf16"), b, (k, n))
    }

    /// As [`Right::new`] for these instructions.
    pub(super) fn with(by: Instructions, b: Matrix<'_, f32>, (k, n): (usize, usize)) -> Self {
        b.check("b", k, n);
        let pairs = match by {
            Instructions::Avx512 => k.div_ceil(2),
            Instructions::Amx => k.div_ceil(2).next_multiple_of(amx::PAIRS),
        };
        let mut right = Self { by, k, n, pairs, panels: spare().pop().unwrap_or_default() };
        let (whole, len) = (panel(by), right.len());
        if right.panels.len() * LANES < len {
            right.panels.resize(len.div_ceil(LANES), Line::zeroed());
        }
        let pack = |(j, panel): (usize, &mut [u32])| {
            let width = (n - j * whole).min(whole);
            let step = filled(by, width);
            // SAFETY: the processor was asked above.
            unsafe {
                if b.column == 1 {
                    avx512::across(&b.data[j * whole..], (k, b.row), width, (panel, step, LANES));
                } else {
                    for column in (0..width).step_by(LANES) {
                        let x = &b.data[(j * whole + column) * b.column..];
                        avx512::turned(x, (k, b.column), LANES.min(width - column), (&mut panel[column..], step));
                    }
                }
            }
            panel[k.div_ceil(2) * step..].fill(0);
        };
        let each = (whole * pairs).max(1);
        let panels = &mut bytemuck::cast_slice_mut(&mut right.panels)[..len];
        if len < ALONE {
            panels.chunks_mut(each).enumerate().for_each(pack);
        } else {
            panels.par_chunks_mut(each).enumerate().for_each(pack);
        }
        right
    }

    /// A constructor for each kind of instructions that this processor has.
    #[cfg(test)]
    pub fn kinds() -> Vec<New> {
        let mut kinds: Vec<New> = Vec::new();
        if avx512::is_there() {
            kinds.push(|b, sizes| Self::with(Instructions::Avx512, b, sizes));
        }
        if amx::is_there() {
            kinds.push(|b, sizes| Self::with(Instructions::Amx, b, sizes));
        }
        kinds
    }

    /// That all is there which a product with so many rows of `left` reads and writes: `room` elements, rows `stride` apart.
    ///
    /// # Panics
    /// Where it is not.
    pub(super) fn check(&self, rows: usize, left: LeftView<'_>, (room, stride): (usize, usize)) {
        let Self { n, pairs, .. } = *self;
        assert!(rows == 0 || n == 0 || (rows - 1) * stride + n <= room, "{room} elements for {rows} x {n}");
        assert!(left.len(rows, pairs) <= left.pairs.len(), "a left factor of {rows} rows and {pairs} pairs");
        assert!(self.len() <= self.panels().len(), "a right factor of {pairs} pairs and {n} columns");
    }

    pub(super) fn panels(&self) -> &[u32] {
        bytemuck::cast_slice(&self.panels)
    }

    pub(super) fn len(&self) -> usize {
        let rest = self.n % panel(self.by);
        (self.n - rest + filled(self.by, rest)) * self.pairs
    }

    /// `c = a b`, or added to it, for `a` [rows, k], whose rows or columns are contiguous; the rows of `c` are `stride` apart. `sums`
    /// gets the sum of each row of `a`.
    ///
    /// # Panics
    /// Where a view is too short.
    pub fn multiply(
        &self,
        rows: usize,
        a: Matrix<'_, f32>,
        (c, stride): (&mut [f32], usize),
        accumulate: bool,
        sums: Option<&mut [f32]>,
    ) {
        thread_local!(static SCRATCH: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) });
        a.check("a", rows, self.k);
        if self.k == 0 {
            if !accumulate {
                (0..rows).for_each(|row| c[row * stride..][..self.n].fill(0.0));
            }
            return;
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let left = LeftView { pairs: &[], by: self.by, blocks: a.column != 1 };
            let len = left.len(rows, self.pairs);
            if scratch.len() * LANES < len {
                scratch.resize(len.div_ceil(LANES), Line::zeroed());
            }
            let scratch = bytemuck::cast_slice_mut(scratch);
            self.convert(rows, a, left.blocks, (scratch, sums));
            let left = LeftView { pairs: scratch, ..left };
            // SAFETY: the processor was asked when the right factor was made.
            unsafe {
                match self.by {
                    Instructions::Avx512 => avx512::multiply(rows, left, self, (c, stride), accumulate),
                    Instructions::Amx => amx::multiply(rows, left, self, (c, stride), accumulate),
                }
            }
        });
    }

    /// The left factor's pairs, in blocks of 16 rows where its columns are contiguous, and its rows' sums.
    fn convert(&self, rows: usize, a: Matrix<'_, f32>, blocks: bool, (out, sums): (&mut [u32], Option<&mut [f32]>)) {
        let (mut none, k) = ([], self.k);
        let sums = sums.unwrap_or(&mut none);
        let block = LANES * self.pairs;
        for row in (0..rows).step_by(if blocks { avx512::ACROSS * LANES } else { 1 }) {
            // SAFETY: the processor was asked when the right factor was made.
            unsafe {
                if blocks {
                    let count = (avx512::ACROSS * LANES).min(rows - row);
                    let out = &mut out[row * self.pairs..][..count.div_ceil(LANES) * block];
                    let found = avx512::across(&a.data[row..], (k, a.column), count, (out, LANES, block));
                    sums.iter_mut()
                        .skip(row)
                        .take(count)
                        .zip(found.as_flattened())
                        .for_each(|(sum, found)| *sum = *found);
                    if self.by == Instructions::Amx {
                        for out in out.chunks_exact_mut(block) {
                            out[k.div_ceil(2) * LANES..].fill(0);
                            avx512::turn_blocks(out);
                        }
                    }
                } else {
                    let row_of_a = &a.data[row * a.row..][..k];
                    avx512::along(row_of_a, &mut out[row * self.pairs..][..self.pairs]);
                    sums.iter_mut().skip(row).take(1).for_each(|sum| *sum = row_of_a.iter().sum());
                }
            }
        }
    }
}

/// Columns of a panel with so many, with what they are filled up by.
fn filled(by: Instructions, width: usize) -> usize {
    match by {
        Instructions::Avx512 => width.next_multiple_of(LANES),
        Instructions::Amx => width.next_multiple_of(amx::PANEL),
    }
}

/// A left factor as it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeftView<'a> {
    pub(super) pairs: &'a [u32],
    by: Instructions,
    /// Whether blocks of 16 rows stand one after the other: pair by pair, for AMX row by row of 16 pairs. Else row by row.
    blocks: bool,
}

impl LeftView<'_> {
    /// Elements of so many rows.
    pub(super) fn len(self, rows: usize, pairs: usize) -> usize {
        match (self.by, self.blocks) {
            (Instructions::Amx, _) => rows.next_multiple_of(amx::PANEL) * pairs,
            (Instructions::Avx512, true) => rows.next_multiple_of(LANES) * pairs,
            (Instructions::Avx512, false) => rows * pairs,
        }
    }

    /// Where a pair of a row is, and how far it is to the next row and the next pair. Rows of a tile are of one block: it begins at a
    /// multiple of 8, or what is left is less.
    pub(super) fn place(self, row: usize, pair: usize, pairs: usize) -> (usize, (usize, usize)) {
        match self.blocks {
            true => (row / LANES * LANES * pairs + pair * LANES + row % LANES, (1, LANES)),
            false => (row * pairs + pair, (pairs, 1)),
        }
    }

    /// For AMX, where the 16 pairs from `pair` on of the 16 rows from `row` on are, and how far it is to the next row and to the next
    /// 16 pairs.
    pub(super) fn tile(self, row: usize, pair: usize, pairs: usize) -> (usize, usize, usize) {
        match self.blocks {
            true => (row * pairs + pair * LANES, amx::PAIRS, LANES * amx::PAIRS),
            false => (row * pairs + pair, pairs, amx::PAIRS),
        }
    }
}
