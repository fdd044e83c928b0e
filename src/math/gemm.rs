//! Matrix products by the `gemm` crate.

use super::Real;

/// A view of a matrix: element (i, j) is `data[i * row + j * column]`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, R> {
    pub(super) data: &'a [R],
    pub(super) row: usize,
    pub(super) column: usize,
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

    /// Panics where there are not so many rows and columns.
    pub(super) fn check(&self, name: &str, rows: usize, columns: usize) {
        let last = (rows.max(1) - 1) * self.row + (columns.max(1) - 1) * self.column;
        assert!(
            rows == 0 || columns == 0 || last < self.data.len(),
            "gemm: {name} has {} elements for {rows} x {columns}",
            self.data.len()
        );
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
        Matrix::new(c, stride).check("c", m, n);
        a.check("a", m, k);
        b.check("b", k, n);
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
