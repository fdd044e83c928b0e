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

/// A product `c = alpha a b`, or `c += alpha a b`, for `a` of m x k, `b` of k x n and `c` of m x n. By default nothing is
/// scaled or added to, on one thread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gemm {
    /// Rows of a and c.
    pub m: usize,
    /// Columns of b and c.
    pub n: usize,
    /// Columns of a, rows of b.
    pub k: usize,
    /// What the product is multiplied by.
    pub alpha: f64,
    /// Adds to c.
    pub accumulate: bool,
    /// How many threads.
    pub threads: Threads,
}

impl Default for Gemm {
    fn default() -> Self {
        Self { m: 0, n: 0, k: 0, alpha: 1.0, accumulate: false, threads: Threads::One }
    }
}

impl Gemm {
    /// Computes row-major `c`, whose rows are `stride` apart.
    ///
    /// # Panics
    /// If a view is too short for the sizes.
    pub fn run<R: Real>(self, a: Matrix<'_, R>, b: Matrix<'_, R>, c: &mut [R], stride: usize) {
        let Self { m, n, k, alpha, accumulate, threads } = self;
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
                R::of(alpha),
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}
