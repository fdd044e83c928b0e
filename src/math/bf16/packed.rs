//! A right factor as the instructions read it, and the left ones that it is multiplied by.

use super::{Products, avx512};
use crate::math::gemm::Matrix;
use rayon::prelude::*;
use std::cell::RefCell;

/// Sums of a vector.
pub(super) const LANES: usize = 16;
/// Columns of a panel.
pub(super) const PANEL: usize = 3 * LANES;
/// Rows of a tile.
pub(super) const TILE: usize = 8;
/// Fewer pairs than this are no work for several threads.
const ALONE: usize = 1 << 14;

/// A right factor in the order in which products read it.
#[derive(Debug)]
pub struct Right {
    /// Terms of a sum.
    k: usize,
    pub(super) n: usize,
    /// Pairs of terms.
    pub(super) pairs: usize,
    /// Of panel j, from `48 j pairs` on, each pair of its columns' terms behind the one before; columns are filled up to 16.
    pub(super) panels: Vec<u32>,
}

impl Right {
    /// Of `b` [k, n], whose rows or columns are contiguous.
    ///
    /// # Panics
    /// Where the view is too short, or the processor has no [`Products::Halves`].
    pub fn new(b: Matrix<'_, f32>, (k, n): (usize, usize)) -> Self {
        assert!(Products::Halves.is_there(), "this processor has no instructions for bf16");
        b.check("b", k, n);
        let pairs = k.div_ceil(2);
        let mut right = Self { k, n, pairs, panels: Vec::new() };
        right.panels = vec![0; right.len()];
        let pack = |(j, panel): (usize, &mut [u32])| {
            let width = (n - j * PANEL).min(PANEL);
            let step = width.next_multiple_of(LANES);
            for column in (0..width).step_by(LANES) {
                let (first, count) = (j * PANEL + column, LANES.min(width - column));
                let (x, out) = (&b.data[first * b.column..], (&mut panel[column..], step));
                // SAFETY: the processor was asked above.
                unsafe {
                    match b.column {
                        1 => drop(avx512::across(x, (k, b.row), count, out)),
                        _ => avx512::turned(x, (k, b.column), count, out),
                    }
                }
            }
        };
        let each = (PANEL * pairs).max(1);
        if right.panels.len() < ALONE {
            right.panels.chunks_mut(each).enumerate().for_each(pack);
        } else {
            right.panels.par_chunks_mut(each).enumerate().for_each(pack);
        }
        right
    }

    pub(super) fn len(&self) -> usize {
        let (whole, rest) = (self.n / PANEL * PANEL, self.n % PANEL);
        (whole + rest.next_multiple_of(LANES)) * self.pairs
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
        thread_local!(static SCRATCH: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) });
        a.check("a", rows, self.k);
        if self.k == 0 {
            if !accumulate {
                (0..rows).for_each(|row| c[row * stride..][..self.n].fill(0.0));
            }
            return;
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let left = LeftView { pairs: &[], blocks: a.column != 1 };
            let len = left.len(rows, self.pairs);
            if scratch.len() < len {
                scratch.resize(len, 0);
            }
            self.convert(rows, a, left.blocks, (scratch, sums));
            let left = LeftView { pairs: scratch, ..left };
            // SAFETY: the processor was asked when the right factor was made.
            unsafe {
                avx512::multiply(rows, left, self, (c, stride), accumulate);
            }
        });
    }

    /// The left factor's pairs, in blocks of 16 rows where its columns are contiguous, and its rows' sums.
    fn convert(&self, rows: usize, a: Matrix<'_, f32>, blocks: bool, (out, sums): (&mut [u32], Option<&mut [f32]>)) {
        let (mut none, k) = ([], self.k);
        let sums = sums.unwrap_or(&mut none);
        for row in (0..rows).step_by(if blocks { LANES } else { 1 }) {
            let out = &mut out[row * self.pairs..];
            // SAFETY: the processor was asked when the right factor was made.
            unsafe {
                if blocks {
                    let found = avx512::across(&a.data[row..], (k, a.column), LANES.min(rows - row), (out, LANES));
                    sums.iter_mut().skip(row).zip(found).for_each(|(sum, found)| *sum = found);
                } else {
                    let row_of_a = &a.data[row * a.row..][..k];
                    avx512::along(row_of_a, &mut out[..self.pairs]);
                    sums.iter_mut().skip(row).take(1).for_each(|sum| *sum = row_of_a.iter().sum());
                }
            }
        }
    }
}

/// A left factor as it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeftView<'a> {
    pub(super) pairs: &'a [u32],
    /// Whether blocks of 16 rows stand pair by pair; else row by row.
    blocks: bool,
}

impl LeftView<'_> {
    /// Elements of so many rows.
    pub(super) fn len(self, rows: usize, pairs: usize) -> usize {
        if self.blocks { rows.next_multiple_of(LANES) * pairs } else { rows * pairs }
    }

    /// Where a pair of a row is, and how far it is to the next row and the next pair. Rows of a tile are of one block: it begins at a
    /// multiple of 8, or what is left is less.
    pub(super) fn place(self, row: usize, pair: usize, pairs: usize) -> (usize, (usize, usize)) {
        match self.blocks {
            true => (row / LANES * LANES * pairs + pair * LANES + row % LANES, (1, LANES)),
            false => (row * pairs + pair, (pairs, 1)),
        }
    }
}
