//! Matrix products by the `gemm` crate.

use super::Real;

/// A view of a matrix: element (i, j) is `data[i * row + j * column]`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, R> {
    data: &'a [R],
    row: usize,
    column: usize,
}

impl<'a, R: Real> Matrix<'a, R> {
    /// Row-major with rows `stride` apart.
    pub fn new(data: &'a [R], stride: usize) -> Self {
        Self { data, row: stride, column: 1 }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }
}

/// How many threads a product may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// This one only: the caller has split the work already.
    One,
    /// All of the pool.
    All,
}

/// `c = scale * a b + (accumulate ? c : 0)` for `a` of m x k, `b` of k x n and row-major `c` with rows `stride` apart.
///
/// # Panics
/// If a view is too short for the sizes.
pub fn gemm<R: Real>(
    (m, n, k): (usize, usize, usize),
    (c, stride): (&mut [R], usize),
    a: Matrix<'_, R>,
    b: Matrix<'_, R>,
    (scale, accumulate): (f64, bool),
    threads: Threads,
) {
    if m == 0 || n == 0 {
        return;
    }
    let fits = |len: usize, rows: usize, row: usize, columns: usize, column: usize| {
        rows == 0 || columns == 0 || (rows - 1) * row + (columns - 1) * column < len
    };
    assert!(fits(c.len(), m, stride, n, 1), "gemm: c has {} elements for {m} x {n}", c.len());
    assert!(fits(a.data.len(), m, a.row, k, a.column), "gemm: a has {} elements for {m} x {k}", a.data.len());
    assert!(fits(b.data.len(), k, b.row, n, b.column), "gemm: b has {} elements for {k} x {n}", b.data.len());
    let parallelism = match threads {
        Threads::One => gemm::Parallelism::None,
        Threads::All => gemm::Parallelism::Rayon(0),
    };
    // SAFETY: the assertions above keep every access inside the slices, and `c` is borrowed mutably.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            R::ONE,
            R::of(scale),
            false,
            false,
            false,
            parallelism,
        );
    }
}
