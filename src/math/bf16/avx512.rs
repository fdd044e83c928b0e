//! Products of bf16 by AVX512-BF16: all that is unsafe of them.
//!
//! `vdpbf16ps` adds products of pairs to 16 sums: with pairs along the sum that is 64 operations. A tile of 8 rows and 48 columns keeps
//! 24 registers of sums, enough to hide that instruction's latency, and reads 3 vectors and 8 pairs for 24 of them.

use super::packed::{LANES, LeftView, Right, TILE};
use std::arch::x86_64::{
    __m512, __m512bh, __m512i, __mmask16, _MM_HINT_T0, _mm_prefetch, _mm512_add_ps, _mm512_cvtne2ps_pbh,
    _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_storeu_epi32, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_permutexvar_epi16, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_setzero_si512,
    _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64,
};
use std::mem::transmute;
use std::ops::Range;

/// Columns of a panel.
pub(super) const PANEL: usize = 3 * LANES;
/// Pairs of a block of the sum: its part of a panel, 48 KiB, stays near while rows pass it.
const BLOCK: usize = 256;

/// Whether this processor has what is used here.
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16")
}

/// The first so many of 16 lanes; all where there are more.
fn lanes(count: usize) -> __mmask16 {
    if count >= LANES { !0 } else { (1 << count) - 1 }
}

/// Up to 16 numbers of `x` from `at` on, zeros behind them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn load(x: &[f32], at: usize, count: usize) -> __m512 {
    let x = &x[at.min(x.len())..];
    // SAFETY: lanes beyond the slice are not read.
    unsafe { _mm512_maskz_loadu_ps(lanes(count.min(x.len())), x.as_ptr()) }
}

/// Two vectors in bf16, `a` in the low half.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn converted(a: __m512, b: __m512) -> __m512i {
    // SAFETY: both are 512 bits without invalid values.
    unsafe { transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(b, a)) }
}

/// Writes 16 pairs, or as many as there is room for.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn store(out: &mut [u32], at: usize, pairs: __m512i) {
    let out = &mut out[at..];
    // SAFETY: lanes beyond the slice are not written.
    unsafe { _mm512_mask_storeu_epi32(out.as_mut_ptr().cast(), lanes(out.len()), pairs) }
}

/// Pairs along a row of `x`, as many as it fills.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn along(x: &[f32], out: &mut [u32]) {
    let whole = (x.len() / (2 * LANES)).min(out.len() / LANES);
    for i in 0..whole {
        // SAFETY: so many whole vectors are in both.
        unsafe {
            let x = x.as_ptr().add(2 * LANES * i);
            let pairs = converted(_mm512_loadu_ps(x), _mm512_loadu_ps(x.add(LANES)));
            _mm512_storeu_si512(out.as_mut_ptr().add(LANES * i).cast(), pairs);
        }
    }
    for at in (whole * LANES..out.len()).step_by(LANES) {
        let (a, b) = (load(x, 2 * at, LANES), load(x, 2 * at + LANES, LANES));
        store(out, at, converted(a, b));
    }
}

/// Pairs that follow each other in a sum of a column are added up so far before they are added to the rest.
const TOGETHER: usize = 64;

/// Rows apart are on pages apart, where a processor foresees nothing: so many rows ahead are asked for.
const AHEAD: usize = 16;

/// Columns that [`across`] takes at once, 16 each: what is read is as long as this, however far apart rows are.
pub(super) const ACROSS: usize = 4;

/// Pairs of two rows of `x`, which are `stride` apart, of `count` columns, 64 at most: pair p of 16 columns stands at `p * step`, that
/// of the next 16 `beside` further on. Gives each column's sum.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn across(
    x: &[f32],
    (rows, stride): (usize, usize),
    count: usize,
    (out, step, beside): (&mut [u32], usize, usize),
) -> [[f32; LANES]; ACROSS] {
    const INTERLEAVED: [u16; 32] = {
        let (mut order, mut i) = ([0; 32], 0);
        while i < 16 {
            (order[2 * i], order[2 * i + 1]) = (i as u16, i as u16 + 16);
            i += 1;
        }
        order
    };
    // SAFETY: both are 512 bits without invalid values.
    let order = unsafe { transmute::<[u16; 32], __m512i>(INTERLEAVED) };
    assert!((1..=ACROSS * LANES).contains(&count), "{count} columns");
    let (pairs, blocks) = (rows.div_ceil(2), count.div_ceil(LANES));
    // So many pairs need no masks.
    let whole = if count.is_multiple_of(LANES) { rows / 2 } else { 0 };
    if whole > 0 {
        assert!((2 * whole - 1) * stride + count <= x.len(), "{rows} rows of {count}, {stride} apart, of {}", x.len());
        assert!((whole - 1) * step + (blocks - 1) * beside + LANES <= out.len(), "{pairs} pairs in {}", out.len());
    }
    let mut total = [_mm512_setzero_ps(); ACROSS];
    for begin in (0..pairs).step_by(TOGETHER) {
        let mut sums = [_mm512_setzero_ps(); ACROSS];
        let end = pairs.min(begin + TOGETHER);
        let masked = whole.clamp(begin, end);
        let unmasked = Unmasked { x: x.as_ptr(), stride, order, out: out.as_mut_ptr(), step, beside };
        // SAFETY: as was asserted, all that these pairs read and write is there.
        unsafe {
            match blocks {
                1 => unmasked.run::<1>(begin..masked, &mut sums),
                2 => unmasked.run::<2>(begin..masked, &mut sums),
                3 => unmasked.run::<3>(begin..masked, &mut sums),
                _ => unmasked.run::<ACROSS>(begin..masked, &mut sums),
            }
        }
        for p in masked..end {
            for (block, sum) in sums.iter_mut().enumerate().take(blocks) {
                let (first, count) = (block * LANES, count - block * LANES);
                for row in 0..2 {
                    let ahead = x.as_ptr().wrapping_add((2 * p + AHEAD + row) * stride + first);
                    _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                }
                let a = load(x, 2 * p * stride + first, count);
                let b = match 2 * p + 1 < rows {
                    true => load(x, (2 * p + 1) * stride + first, count),
                    false => _mm512_setzero_ps(),
                };
                store(out, p * step + block * beside, _mm512_permutexvar_epi16(order, converted(a, b)));
                *sum = _mm512_add_ps(*sum, _mm512_add_ps(a, b));
            }
        }
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total = _mm512_add_ps(*total, sum));
    }
    // SAFETY: both are 512 bits each, and every value is valid.
    unsafe { transmute::<[__m512; ACROSS], [[f32; LANES]; ACROSS]>(total) }
}

/// What [`across`] needs where there is nothing to mask.
struct Unmasked {
    x: *const f32,
    stride: usize,
    order: __m512i,
    out: *mut u32,
    step: usize,
    beside: usize,
}

impl Unmasked {
    /// Of `B` times 16 columns.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn run<const B: usize>(&self, pairs: Range<usize>, sums: &mut [__m512; ACROSS]) {
        // SAFETY: as the caller says: two rows of B vectors, and room for B, for each pair.
        unsafe {
            for p in pairs {
                let (above, below) = (self.x.add(2 * p * self.stride), self.x.add((2 * p + 1) * self.stride));
                let (above_ahead, below_ahead) =
                    (above.wrapping_add(AHEAD * self.stride), below.wrapping_add(AHEAD * self.stride));
                let out = self.out.add(p * self.step);
                for (block, sum) in sums.iter_mut().enumerate().take(B) {
                    _mm_prefetch::<_MM_HINT_T0>(above_ahead.wrapping_add(block * LANES).cast());
                    _mm_prefetch::<_MM_HINT_T0>(below_ahead.wrapping_add(block * LANES).cast());
                    let (a, b) = (_mm512_loadu_ps(above.add(block * LANES)), _mm512_loadu_ps(below.add(block * LANES)));
                    let pair = _mm512_permutexvar_epi16(self.order, converted(a, b));
                    _mm512_storeu_si512(out.add(block * self.beside).cast(), pair);
                    *sum = _mm512_add_ps(*sum, _mm512_add_ps(a, b));
                }
            }
        }
    }
}

/// As [`across`] of a matrix that is stored transposed: `count` rows of `x`, 16 at most, of `columns` each.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn turned(x: &[f32], (columns, stride): (usize, usize), count: usize, (out, step): (&mut [u32], usize)) {
    let pairs = columns.div_ceil(2);
    for p in (0..pairs).step_by(LANES) {
        let mut block = [_mm512_setzero_si512(); LANES];
        let left = columns - 2 * p;
        for (i, row) in block.iter_mut().enumerate().take(count) {
            let a = load(x, i * stride + 2 * p, left);
            let b = if left > LANES { load(x, i * stride + 2 * p + LANES, left - LANES) } else { _mm512_setzero_ps() };
            *row = converted(a, b);
        }
        let block = transposed(block);
        for (i, row) in block.into_iter().enumerate().take(pairs - p) {
            store(out, (p + i) * step, row);
        }
    }
}

/// Transposes each 16 x 16 words.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn turn_blocks(words: &mut [u32]) {
    for block in words.chunks_exact_mut(LANES * LANES) {
        let mut rows = [_mm512_setzero_si512(); LANES];
        for (row, words) in rows.iter_mut().zip(block.chunks_exact(LANES)) {
            // SAFETY: 16 words are there.
            *row = unsafe { _mm512_loadu_si512(words.as_ptr().cast()) };
        }
        for (row, words) in transposed(rows).into_iter().zip(block.chunks_exact_mut(LANES)) {
            store(words, 0, row);
        }
    }
}

/// The transpose of 16 rows of 16 words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn transposed(mut r: [__m512i; 16]) -> [__m512i; 16] {
    let mut t = r;
    for i in 0..8 {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for i in 0..4 {
        for j in 0..2 {
            r[4 * i + 2 * j] = _mm512_unpacklo_epi64(t[4 * i + j], t[4 * i + j + 2]);
            r[4 * i + 2 * j + 1] = _mm512_unpackhi_epi64(t[4 * i + j], t[4 * i + j + 2]);
        }
    }
    // Row 4 i + j has, in its four parts, the columns j, 4 + j, 8 + j and 12 + j of four rows.
    for j in 0..4 {
        t[j] = _mm512_shuffle_i32x4::<0x88>(r[j], r[4 + j]);
        t[4 + j] = _mm512_shuffle_i32x4::<0x88>(r[8 + j], r[12 + j]);
        t[8 + j] = _mm512_shuffle_i32x4::<0xdd>(r[j], r[4 + j]);
        t[12 + j] = _mm512_shuffle_i32x4::<0xdd>(r[8 + j], r[12 + j]);
    }
    for j in 0..4 {
        r[j] = _mm512_shuffle_i32x4::<0x88>(t[j], t[4 + j]);
        r[8 + j] = _mm512_shuffle_i32x4::<0xdd>(t[j], t[4 + j]);
        r[4 + j] = _mm512_shuffle_i32x4::<0x88>(t[8 + j], t[12 + j]);
        r[12 + j] = _mm512_shuffle_i32x4::<0xdd>(t[8 + j], t[12 + j]);
    }
    r
}

/// `c = left right`, or added to it, for the `rows` rows of `left`; those of `c` are `stride` apart.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn multiply(
    rows: usize,
    left: LeftView<'_>,
    right: &Right,
    (c, stride): (&mut [f32], usize),
    accumulate: bool,
) {
    let (n, pairs) = (right.n, right.pairs);
    right.check(rows, left, (c.len(), stride));
    for begin in (0..pairs).step_by(BLOCK) {
        let block = BLOCK.min(pairs - begin);
        let adds = accumulate || begin > 0;
        for column in (0..n).step_by(PANEL) {
            let width = PANEL.min(n - column);
            let (vectors, mask) = (width.div_ceil(LANES), lanes((width - 1) % LANES + 1));
            let mut row = 0;
            while row < rows {
                let (at, steps) = left.place(row, begin, pairs);
                // SAFETY: rows up to `rows` and panels up to `n` columns are inside the slices, as was asserted; a tile reads `block` pairs
                // from `begin` on and writes what the mask allows.
                unsafe {
                    let a = left.pairs.as_ptr().add(at);
                    let b = right.panels().as_ptr().add(column * pairs + begin * vectors * LANES);
                    let c = c.as_mut_ptr().add(row * stride + column);
                    let tile = Tile { block, a, steps, b, c, stride, mask, adds };
                    row += match vectors {
                        1 => tile.any::<1>(rows - row),
                        2 => tile.any::<2>(rows - row),
                        _ => tile.any::<3>(rows - row),
                    };
                }
            }
        }
    }
}

/// What a tile needs.
#[derive(Clone, Copy)]
struct Tile {
    block: usize,
    a: *const u32,
    /// From row to row and from pair to pair.
    steps: (usize, usize),
    b: *const u32,
    c: *mut f32,
    stride: usize,
    /// Columns of the last vector.
    mask: __mmask16,
    adds: bool,
}

impl Tile {
    /// As many rows as a tile of this height has; how many.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn any<const V: usize>(self, rows: usize) -> usize {
        // SAFETY: as the caller says.
        unsafe {
            match rows {
                TILE.. => self.run::<TILE, V>(),
                4.. => self.run::<4, V>(),
                2.. => self.run::<2, V>(),
                _ => self.run::<1, V>(),
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn run<const R: usize, const V: usize>(self) -> usize {
        let mask = |v: usize| if v + 1 == V { self.mask } else { !0 };
        let mut sums = [[_mm512_setzero_ps(); V]; R];
        // SAFETY: as the caller says: R rows and V vectors are there, of the last as many columns as the mask has.
        unsafe {
            let (mut a, mut b) = (self.a, self.b);
            for _ in 0..self.block {
                let mut columns = [_mm512_setzero_si512(); V];
                for (v, column) in columns.iter_mut().enumerate() {
                    *column = _mm512_loadu_si512(b.add(v * LANES).cast());
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let pair = _mm512_set1_epi32(*a.add(r * self.steps.0) as i32);
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = _mm512_dpbf16_ps(
                            *sum,
                            transmute::<__m512i, __m512bh>(pair),
                            transmute::<__m512i, __m512bh>(column),
                        );
                    }
                }
                (a, b) = (a.add(self.steps.1), b.add(V * LANES));
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, &sum) in sums.iter().enumerate() {
                    let c = self.c.add(r * self.stride + v * LANES);
                    let sum = if self.adds { _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask(v), c)) } else { sum };
                    _mm512_mask_storeu_ps(c, mask(v), sum);
                }
            }
        }
        R
    }
}
