//! Tensor handles and types.

use std::fmt;

/// What a tensor's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point: activations and copies of weights in mixed precision. The CPU engine holds such a tensor in
    /// its own precision and rounds what is written.
    F16,
    /// 32-bit unsigned: token ids, positions, lengths.
    U32,
}

impl DType {
    /// Bytes of an element on a device.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::F16 => 2,
        }
    }

    /// Whether the elements are real numbers, of any precision.
    pub fn is_real(self) -> bool {
        self != Self::U32
    }

    /// WGSL's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::U32 => "u32",
        }
    }
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

    /// A tensor of this shape in half precision.
    pub fn f16(shape: &[usize]) -> Self {
        Self::new(DType::F16, shape)
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
        self.len() * self.dtype.bytes()
    }

    /// Words of four bytes on a device, the last of which may be half full.
    pub fn words(&self) -> usize {
        self.bytes().div_ceil(4)
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
        write!(f, "{}{:?}", self.dtype.name(), self.shape)
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
