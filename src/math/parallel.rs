//! Work shared among the cores, and loops compiled for the processor at hand.

use rayon::prelude::*;

/// Runs a loop compiled for the widest vector instructions of this processor (found at run time). The closure must be
/// marked `#[inline(always)]`, as must be all it calls: what is not inlined is compiled for the oldest processor.
#[inline(always)]
pub fn vectorize<T>(f: impl FnOnce() -> T) -> T {
    pulp::Arch::new().dispatch(f)
}

/// Fewest elements that are worth another thread.
const GRAIN: usize = 8_192;

/// Rows a piece for `rows` rows of `width` elements, of which each is computed by itself, whatever is beside it.
fn piece(rows: usize, width: usize) -> usize {
    let pieces = rayon::current_num_threads() * 4;
    rows.div_ceil(pieces).max(GRAIN.div_ceil(width.max(1))).max(1)
}

/// Rows that products are made of at least, and in multiples of.
pub const BLOCK: usize = 64;

/// As [`rows`] for matrix products, whose bits may depend on how many rows they have: the rows behind the last whole [`BLOCK`] are a
/// piece of their own, and all others have a multiple of it, `each`.
pub fn blocks<T: Send>(each: usize, data: &mut [T], width: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    debug_assert!(each.is_multiple_of(BLOCK), "{each} rows");
    let whole = data.len() / width.max(1) / BLOCK * BLOCK;
    if whole == 0 || whole <= each && whole * width == data.len() {
        return f(0, data);
    }
    let (data, end) = data.split_at_mut(whole * width);
    let pieces = data.par_chunks_mut((each * width).max(1)).enumerate().map(|(i, x)| (i * each, x));
    pieces.chain(rayon::iter::once((whole, end))).for_each(|(start, x)| {
        if !x.is_empty() {
            f(start, x);
        }
    });
}

/// As [`blocks`] for two arrays with as many rows.
pub fn blocks2<T: Send>(
    each: usize,
    a: (&mut [T], usize),
    b: (&mut [T], usize),
    f: impl Fn(usize, &mut [T], &mut [T]) + Sync,
) {
    debug_assert!(each.is_multiple_of(BLOCK), "{each} rows");
    let whole = a.0.len() / a.1.max(1) / BLOCK * BLOCK;
    if whole == 0 || whole <= each && whole * a.1 == a.0.len() {
        return f(0, a.0, b.0);
    }
    let ((x, x_end), (y, y_end)) = (a.0.split_at_mut(whole * a.1), b.0.split_at_mut(whole * b.1));
    let pieces = x.par_chunks_mut((each * a.1).max(1)).zip(y.par_chunks_mut((each * b.1).max(1)));
    let pieces = pieces.enumerate().map(|(i, (x, y))| (i * each, x, y));
    pieces.chain(rayon::iter::once((whole, x_end, y_end))).for_each(|(start, x, y)| {
        if !x.is_empty() {
            f(start, x, y);
        }
    });
}

/// Splits `data` into pieces of whole rows of `width` elements; `f` gets a piece's first row and its elements.
pub fn rows<T: Send>(data: &mut [T], width: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    let each = piece(data.len() / width.max(1), width);
    if each * width >= data.len() {
        return f(0, data);
    }
    data.par_chunks_mut(each * width).enumerate().for_each(|(i, chunk)| f(i * each, chunk));
}

/// As [`rows`] for two arrays with as many rows.
pub fn rows2<T: Send, U: Send>(
    a: (&mut [T], usize),
    b: (&mut [U], usize),
    f: impl Fn(usize, &mut [T], &mut [U]) + Sync,
) {
    let each = piece(a.0.len() / a.1.max(1), a.1 + b.1);
    if each * a.1 >= a.0.len() {
        return f(0, a.0, b.0);
    }
    let pieces = a.0.par_chunks_mut(each * a.1).zip(b.0.par_chunks_mut(each * b.1));
    pieces.enumerate().for_each(|(i, (x, y))| f(i * each, x, y));
}

/// As [`rows`] for three arrays with as many rows.
pub fn rows3<T: Send, U: Send, W: Send>(
    a: (&mut [T], usize),
    b: (&mut [U], usize),
    c: (&mut [W], usize),
    f: impl Fn(usize, &mut [T], &mut [U], &mut [W]) + Sync,
) {
    let each = piece(a.0.len() / a.1.max(1), a.1 + b.1 + c.1);
    if each * a.1 >= a.0.len() {
        return f(0, a.0, b.0, c.0);
    }
    let pieces = a.0.par_chunks_mut(each * a.1).zip(b.0.par_chunks_mut(each * b.1)).zip(c.0.par_chunks_mut(each * c.1));
    pieces.enumerate().for_each(|(i, ((x, y), z))| f(i * each, x, y, z));
}

/// Column sums in a fixed order: `f` adds rows `range` to a row of `width` sums; the pieces depend on `count` only.
pub fn column_sums<R: super::Real>(
    count: usize,
    width: usize,
    out: &mut [R],
    f: impl Fn(std::ops::Range<usize>, &mut [R]) + Sync,
) {
    const PIECES: usize = 16;
    let each = count.div_ceil(PIECES).max(1);
    let partial: Vec<Vec<R>> = (0..count.div_ceil(each))
        .into_par_iter()
        .map(|i| {
            let mut sums = vec![R::ZERO; width];
            f(i * each..(i * each + each).min(count), &mut sums);
            sums
        })
        .collect();
    out.fill(R::ZERO);
    for sums in partial {
        for (o, s) in out.iter_mut().zip(sums) {
            *o += s;
        }
    }
}
