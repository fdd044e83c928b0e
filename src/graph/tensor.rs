//! Tensor handles and types.

use std::fmt;

/// What a tensor's elements are; both are four bytes wide on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit floating point.
    F32,
    /// 32-bit unsigned: token ids, positions, lengths.
    U32,
}

/// Element type and shape (row-major).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// What the elements are.
    pub dtype: DType,
    /// Sizes, slowest first.
    pub shape: Vec<usize>,
}

impl TensorType {
    /// A type of this element type and shape.
    pub fn new(dtype: DType, shape: &[usize]) -> Self {
        Self { dtype, shape: shape.to_vec() }
    }

    /// A floating-point tensor of this shape.
    pub fn f32(shape: &[usize]) -> Self {
        Self::new(DType::F32, shape)
    }

    /// An unsigned tensor of this shape.
    pub fn u32(shape: &[usize]) -> Self {
        Self::new(DType::U32, shape)
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on a device.
    pub fn bytes(&self) -> usize {
        self.len() * 4
    }

    /// The size of the last dimension, 1 for a scalar.
    pub fn columns(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// All but the last dimension, multiplied.
    pub fn rows(&self) -> usize {
        self.len() / self.columns().max(1)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.dtype {
            DType::F32 => "f32",
            DType::U32 => "u32",
        };
        write!(f, "{name}{:?}", self.shape)
    }
}

/// A tensor of one [`super::Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tensor(pub(super) u32);

impl Tensor {
    /// Index into [`super::Graph::values`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
