//! A right factor that blocks of rows are multiplied by, whatever is multiplied how.

use super::Real;
use super::bf16::{self, Products};
use super::gemm::{Gemm, Matrix};
use super::parallel;

/// A right factor [k, n].
#[derive(Debug)]
pub struct Factor<'a, R> {
    k: usize,
    n: usize,
    kind: Kind<'a, R>,
}

#[derive(Debug)]
enum Kind<'a, R> {
    /// As it is.
    Plain(Matrix<'a, R>),
    /// For a processor that multiplies bf16.
    Packed(bf16::Right),
    /// For one that does not: rounded to bf16, row by row.
    Rounded(Vec<R>),
}

impl<'a, R: Real> Factor<'a, R> {
    /// Of `b` [k, n], whose rows or columns are contiguous. Where the processor has no instructions for [`Products::Halves`], both
    /// factors are rounded and multiplied as they are then. In double precision nothing is rounded.
    ///
    /// # Panics
    /// If the view is too short.
    pub fn new(products: Products, b: Matrix<'a, R>, (k, n): (usize, usize)) -> Self {
        // Where there is no such processor there is no such kind.
        #[allow(unreachable_code)]
        let kind = match (products, R::singles(b.data)) {
            (Products::Single, _) | (_, None) => Kind::Plain(b),
            (Products::Halves, Some(data)) if products.is_there() => {
                Kind::Packed(bf16::Right::new(Matrix { data, row: b.row, column: b.column }, (k, n)))
            }
            (Products::Halves, _) => Kind::Rounded(rounded(b, k, n)),
        };
        Self { k, n, kind }
    }

    /// Rows a piece for [`parallel::blocks`], of `rows` in all. Each row's products are the same bits however many there are: `gemm` looks
    /// at the number of rows only where columns are few, or rows fewer than four.
    pub fn piece(&self, rows: usize) -> usize {
        // It packs the whole right factor again for every piece.
        let few = rows.div_ceil(rayon::current_num_threads() * 2).next_multiple_of(parallel::BLOCK);
        match self.kind {
            Kind::Packed(_) => parallel::BLOCK,
            _ if self.n <= parallel::BLOCK => parallel::BLOCK,
            _ => few.max(parallel::BLOCK),
        }
    }

    /// `c = a b`, or added to it, on this thread, for `a` [rows, k], whose rows or columns are contiguous; the rows of `c` are
    /// `stride` apart.
    ///
    /// # Panics
    /// If a view is too short.
    pub fn multiply(&self, rows: usize, a: Matrix<'_, R>, c: (&mut [R], usize), accumulate: bool) {
        self.multiply_and_sum(rows, a, c, accumulate, None);
    }

    /// Whether [`Factor::multiply_and_sum`] sums: it costs nothing while rows are packed.
    pub fn sums(&self) -> bool {
        matches!(self.kind, Kind::Packed(_))
    }

    /// As [`Factor::multiply`]; where it [`Factor::sums`], each of `sums` becomes the sum of a row of `a`.
    ///
    /// # Panics
    /// If a view is too short.
    pub fn multiply_and_sum(
        &self,
        rows: usize,
        a: Matrix<'_, R>,
        (c, stride): (&mut [R], usize),
        accumulate: bool,
        sums: Option<&mut [R]>,
    ) {
        let Self { k, n, .. } = *self;
        if let (Kind::Packed(b), Some(data), Some(c)) = (&self.kind, R::singles(a.data), R::singles_mut(c)) {
            let a = Matrix { data, row: a.row, column: a.column };
            return b.multiply(rows, a, (c, stride), accumulate, sums.and_then(R::singles_mut));
        }
        let gemm = Gemm { m: rows, n, k, accumulate, ..Gemm::default() };
        match &self.kind {
            Kind::Plain(b) => gemm.run(a, *b, c, stride),
            Kind::Rounded(b) => gemm.run(Matrix::new(&rounded(a, rows, k), k), Matrix::new(b, n), c, stride),
            // Of numbers in single precision only.
            Kind::Packed(_) => {}
        }
    }
}

/// A matrix as bf16 has it, row by row.
fn rounded<R: Real>(x: Matrix<'_, R>, rows: usize, columns: usize) -> Vec<R> {
    let mut out = vec![R::ZERO; rows * columns];
    parallel::rows(&mut out, columns, |start, out| {
        for (i, out) in out.chunks_mut(columns).enumerate() {
            for (j, out) in out.iter_mut().enumerate() {
                let number = x.data[(start + i) * x.row + j * x.column];
                *out = R::of(half::bf16::from_f32(number.wide() as f32).to_f64());
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between -1 and 1.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut number = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| number()).collect()
    }

    /// A matrix of `rows` rows, stored transposed.
    fn turned(x: &[f32], rows: usize) -> Vec<f32> {
        let columns = x.len() / rows;
        (0..x.len()).map(|at| x[at % rows * columns + at / rows]).collect()
    }

    /// Holds `kind` of factor against a plain loop over numbers that are `exact`, or rounded to bf16, whatever is stored transposed
    /// and whether something was there before.
    fn is_a_plain_loop(exact: bool, new: impl Fn(Matrix<'_, f32>, (usize, usize)) -> Factor<'_, f32>) {
        let small = [(1, 1, 1), (2, 3, 5), (7, 17, 33), (8, 48, 64), (13, 49, 31), (31, 97, 2)];
        for (seed, (m, n, k)) in
            small.into_iter().chain([(21, 144, 1_027), (40, 65, 700), (70, 64, 1_100), (64, 33, 96)]).enumerate()
        {
            let (a, b, before) = (numbers(m * k, seed as u32), numbers(k * n, 77), numbers(m * (n + 3), 5));
            let (a_turned, b_turned) = (turned(&a, m), turned(&b, k));
            for way in 0..4 {
                let left = if way & 1 == 1 { Matrix::new(&a_turned, m).t() } else { Matrix::new(&a, k) };
                let right = if way & 2 == 2 { Matrix::new(&b_turned, k).t() } else { Matrix::new(&b, n) };
                let (mut c, accumulate) = (before.clone(), way % 3 == 0);
                let mut sums = vec![0.0; m];
                let factor = new(right, (k, n));
                factor.multiply_and_sum(m, left, (&mut c, n + 3), accumulate, Some(&mut sums));
                for (row, sum) in a.chunks(k).zip(&sums).filter(|_| factor.sums()) {
                    let expected: f64 = row.iter().map(|&x| f64::from(x)).sum();
                    assert!((f64::from(*sum) - expected).abs() < 1e-4, "{m}x{n}x{k}, way {way}: {sum} for {expected}");
                }
                for (at, (&found, &before)) in c.iter().zip(&before).enumerate() {
                    let (i, j) = (at / (n + 3), at % (n + 3));
                    if j >= n {
                        assert_eq!(found, before, "beyond the columns");
                        continue;
                    }
                    let mut sum = if accumulate { f64::from(before) } else { 0.0 };
                    let mut size = sum.abs() + 1e-3;
                    for l in 0..k {
                        let read = |x: f32| if exact { f64::from(x) } else { half::bf16::from_f32(x).to_f64() };
                        let term = read(a[i * k + l]) * read(b[l * n + j]);
                        (sum, size) = (sum + term, size + term.abs());
                    }
                    let off = (f64::from(found) - sum).abs();
                    assert!(off < 2e-6 * size, "{m}x{n}x{k}, way {way}, ({i}, {j}): {found} for {sum}");
                }
            }
        }
    }

    #[test]
    fn products_are_those_of_a_plain_loop() {
        is_a_plain_loop(true, |b, sizes| Factor::new(Products::Single, b, sizes));
        // With instructions for it or without, and in any case without.
        is_a_plain_loop(false, |b, sizes| Factor::new(Products::Halves, b, sizes));
        is_a_plain_loop(false, |b, (k, n)| Factor { k, n, kind: Kind::Rounded(rounded(b, k, n)) });
        // With each kind of instructions that is there.
        for new in bf16::Right::kinds() {
            is_a_plain_loop(false, |b, (k, n)| Factor { k, n, kind: Kind::Packed(new(b, (k, n))) });
        }
    }

    #[test]
    fn threads_change_no_bit() {
        use crate::math::gemm::Threads;
        // Rows behind the last whole block, blocks of rows of which few are narrow, and one column.
        for (m, n, k) in
            [(129, 1, 64), (1_027, 2, 600), (700, 40, 600), (131, 70, 33), (1_027, 100, 600), (514, 65, 1_030)]
        {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let products = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut found = Vec::new();
                for way in 0..8 {
                    let right = if way & 1 == 1 { Matrix::new(&b, k).t() } else { Matrix::new(&b, n) };
                    let (accumulate, across) = (way & 2 == 2, way & 4 == 4);
                    let packed = bf16::Right::kinds().into_iter().map(|new| Kind::Packed(new(right, (k, n))));
                    for kind in packed.chain([Kind::Rounded(rounded(right, k, n)), Kind::Plain(right)]) {
                        let factor = Factor { k, n, kind };
                        let (mut c, mut sums) = (numbers(m * n, 3), vec![0.0; m]);
                        let piece = pool.install(|| factor.piece(m));
                        pool.install(|| {
                            parallel::blocks2(piece, (&mut c, n), (&mut sums, 1), |start, c, sums| {
                                let left = match across {
                                    true => Matrix::new(&a[start..], m).t(),
                                    false => Matrix::new(&a[start * k..], k),
                                };
                                factor.multiply_and_sum(sums.len(), left, (c, n), accumulate, Some(sums));
                            });
                        });
                        found.extend([c, sums]);
                    }
                }
                // As gradients of weights are made.
                let mut c = vec![0.0; m * n];
                let gemm = Gemm { m, n, k, threads: Threads::All, ..Gemm::default() };
                pool.install(|| gemm.run(Matrix::new(&a, m).t(), Matrix::new(&b, n), &mut c, n));
                found.push(c);
                found
            };
            let alone = products(1);
            for threads in [2, 3, 8] {
                assert!(products(threads) == alone, "{m}x{n}x{k} on {threads} threads");
            }
        }
    }

    #[test]
    fn in_double_precision_nothing_is_rounded() {
        let (a, b) = (vec![1.0 + 1e-9; 6], vec![1.0; 6]);
        let mut c = vec![0.0; 4];
        Factor::new(Products::Halves, Matrix::new(&b, 2), (3, 2)).multiply(2, Matrix::new(&a, 3), (&mut c, 2), false);
        assert!(c.iter().all(|x: &f64| (x - 3.0 - 3e-9).abs() < 1e-12), "{c:?}");
    }

    #[test]
    fn what_was_multiplied_before_is_not_looked_at() {
        let empty = [(0, 3, 5), (3, 0, 5), (3, 5, 0)];
        for new in bf16::Right::kinds() {
            for (m, n, k) in [(1, 1, 1), (5, 7, 3), (31, 17, 9), (33, 49, 33)].into_iter().chain(empty) {
                let (nothing, large) = (vec![f32::NAN; 70 * 90], numbers(70 * 90, 1));
                for (left, right) in [(&nothing, &large), (&large, &nothing)] {
                    let factor = Factor { k: 90, n: 70, kind: Kind::Packed(new(Matrix::new(right, 70), (90, 70))) };
                    factor.multiply(70, Matrix::new(left, 90), (&mut vec![0.0; 70 * 70], 70), false);
                    factor.multiply(70, Matrix::new(left, 70).t(), (&mut vec![0.0; 70 * 70], 70), false);
                }
                let (a, b) = (vec![1.0; m * k], vec![1.0; k * n]);
                let factor = Factor { k, n, kind: Kind::Packed(new(Matrix::new(&b, n), (k, n))) };
                for left in [Matrix::new(&a, k), Matrix::new(&a, m).t()] {
                    let mut c = vec![7.0; m * n];
                    factor.multiply(m, left, (&mut c, n), false);
                    assert!(c.iter().all(|&x| x == k as f32), "{m}x{n}x{k}: {c:?}");
                }
            }
        }
    }

    #[test]
    fn a_row_is_the_same_bits_whatever_is_beside_it() {
        if !Products::Halves.is_there() {
            return;
        }
        let (m, n, k) = (37, 70, 300);
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let factor = Factor::new(Products::Halves, Matrix::new(&b, n), (k, n));
        let mut whole = vec![0.0; m * n];
        factor.multiply(m, Matrix::new(&a, k), (&mut whole, n), false);
        for each in [5, 16, 24] {
            let mut parts = vec![0.0; m * n];
            for row in (0..m).step_by(each) {
                let rows = each.min(m - row);
                factor.multiply(rows, Matrix::new(&a[row * k..], k), (&mut parts[row * n..], n), false);
            }
            assert_eq!(parts, whole);
        }
    }
}
