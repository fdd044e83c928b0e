//! The kernels that a device's sweep found to be the fastest.

use super::{MatmulKernel, MatmulShape};

/// By multiplication, the kernel to use in place of the base kernel. Empty unless a sweep has been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Tuning(pub &'static [(MatmulShape, MatmulKernel)]);

impl Tuning {
    /// Of a list. It stays in memory until the program ends: a device has one, and it is small.
    pub fn new(list: Vec<(MatmulShape, MatmulKernel)>) -> Self {
        if list.is_empty() { Self::default() } else { Self(list.leak()) }
    }

    /// The kernel that was found for this multiplication.
    pub fn get(&self, shape: &MatmulShape) -> Option<MatmulKernel> {
        self.0.iter().find(|(of, _)| of == shape).map(|&(_, kernel)| kernel)
    }
}
