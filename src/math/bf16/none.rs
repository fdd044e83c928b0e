//! Of a processor that never has instructions for bf16.

use crate::math::gemm::Matrix;

/// As [`Right::new`].
#[cfg(test)]
pub type New = fn(Matrix<'_, f32>, (usize, usize)) -> Right;

/// There is none.
#[derive(Debug)]
pub enum Right {}

impl Right {
    /// # Panics
    /// Always.
    pub fn new(_: Matrix<'_, f32>, _: (usize, usize)) -> Self {
        panic!("this processor has no instructions for bf16")
    }

    /// There are none.
    #[cfg(test)]
    pub fn kinds() -> Vec<New> {
        Vec::new()
    }

    /// Is never called.
    pub fn multiply(&self, _: usize, _: Matrix<'_, f32>, _: (&mut [f32], usize), _: bool, _: Option<&mut [f32]>) {
        match *self {}
    }
}
