//! What decides which kernel is fast for a matrix multiplication, and its text form.

use super::matmul_kernel::{MatmulTextError, sizes};
use crate::graph::DType;
use crate::math::Activation;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What decides which kernel is fast for a multiplication, and which may be used at all: everything of a
/// [`Matmul`](crate::ops::kernels::Matmul) but the offsets.
///
/// The text form, which [`FromStr`] reads back: `16384x1024x256 nt f16 f16 f16 f32 bias gelu accumulate unaligned`; sizes
/// m, n and k; `t` for a transposed A or B and `n` for one that is not; the types of A, B, C and the second output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MatmulShape {
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// The length of the sums.
    pub k: usize,
    /// A is stored \[k, m\].
    pub transpose_a: bool,
    /// B is stored \[n, k\].
    pub transpose_b: bool,
    /// The types of A, B, C and the second tensor.
    pub elements: [DType; 4],
    /// A bias is added.
    pub has_bias: bool,
    /// What else is written.
    pub epilogue: Epilogue,
    /// C += instead of C =.
    pub accumulate: bool,
    /// Every stored line and offset is a multiple of 4 elements, so that whole vectors can be read.
    pub aligned: bool,
}

impl MatmulShape {
    /// Floating-point operations, a multiply-add counted as two.
    pub fn flops(&self) -> u64 {
        2 * self.m as u64 * self.n as u64 * self.k as u64
    }
}

impl fmt::Display for MatmulShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |transposed: bool| if transposed { 't' } else { 'n' };
        write!(f, "{}x{}x{} {}{}", self.m, self.n, self.k, letter(self.transpose_a), letter(self.transpose_b))?;
        for dtype in self.elements {
            write!(f, " {}", dtype.name())?;
        }
        for (on, name) in [
            (self.has_bias, "bias"),
            (self.epilogue != Epilogue::None, self.epilogue.name()),
            (self.accumulate, "accumulate"),
            (!self.aligned, "unaligned"),
        ] {
            if on {
                write!(f, " {name}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for MatmulShape {
    type Err = MatmulTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_shape(text).ok_or_else(|| MatmulTextError {
            what: "shape of a matrix multiplication",
            found: text.to_string(),
            example: "16384x1024x256 nt f32 f32 f32 f32 bias gelu",
        })
    }
}

fn parse_shape(text: &str) -> Option<MatmulShape> {
    let mut words = text.split_whitespace();
    let [m, n, k] = sizes(words.next())?;
    let (transpose_a, transpose_b) = match words.next()? {
        "nn" => (false, false),
        "nt" => (false, true),
        "tn" => (true, false),
        "tt" => (true, true),
        _ => return None,
    };
    let mut elements = [DType::F32; 4];
    for dtype in &mut elements {
        let word = words.next()?;
        *dtype = [DType::F32, DType::F16].into_iter().find(|dtype| dtype.name() == word)?;
    }
    let epilogue = Epilogue::None;
    let (has_bias, accumulate, aligned) = (false, false, true);
    let mut shape =
        MatmulShape { m, n, k, transpose_a, transpose_b, elements, has_bias, epilogue, accumulate, aligned };
    for word in words {
        match word {
            "bias" => shape.has_bias = true,
            "accumulate" => shape.accumulate = true,
            "unaligned" => shape.aligned = false,
            _ => shape.epilogue = Epilogue::ALL.into_iter().find(|epilogue| epilogue.name() == word)?,
        }
    }
    Some(shape)
}

impl From<MatmulShape> for String {
    fn from(shape: MatmulShape) -> Self {
        shape.to_string()
    }
}

impl TryFrom<String> for MatmulShape {
    type Error = MatmulTextError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What a matrix multiplication does beside writing the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Epilogue {
    /// Nothing.
    #[default]
    None,
    /// The activation of C \[m, n\], from element 0 of the second output on. Not with `accumulate`.
    Activation(Activation),
    /// The sum over k of every row of op(A), \[m\], from `bias_offset` on: of a weight gradient dY^T X the bias
    /// gradient. Not with a bias.
    RowSums,
    /// C becomes op(A) op(B) times f'(U), element by element: of an input gradient dY W what flows on through the
    /// activation f.
    /// U \[m, n\] is read from element 0 of the second tensor on. Not with `accumulate`.
    ActivationGradient(Activation),
    /// C is put through `dropout`. Not with `accumulate`.
    Dropout,
    /// C is put through `dropout`, if there is one, and the second tensor \[m, n\] from element 0 on is added. Not with
    /// `accumulate`.
    Residual,
}

impl Epilogue {
    const ALL: [Self; 10] = [
        Self::None,
        Self::Activation(Activation::Gelu),
        Self::Activation(Activation::GeluNew),
        Self::Activation(Activation::Relu),
        Self::RowSums,
        Self::ActivationGradient(Activation::Gelu),
        Self::ActivationGradient(Activation::GeluNew),
        Self::ActivationGradient(Activation::Relu),
        Self::Dropout,
        Self::Residual,
    ];

    /// The activation of either kind.
    pub(crate) fn activation(self) -> Option<Activation> {
        match self {
            Self::Activation(activation) | Self::ActivationGradient(activation) => Some(activation),
            _ => None,
        }
    }

    /// Whether there is a second tensor and it is written.
    pub fn writes_second(self) -> bool {
        matches!(self, Self::Activation(_) | Self::RowSums)
    }

    /// Whether there is a second tensor and it is read.
    pub fn reads_second(self) -> bool {
        matches!(self, Self::ActivationGradient(_) | Self::Residual)
    }

    /// The name in the text form of a [`MatmulShape`].
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Activation(activation) => activation.name(),
            Self::RowSums => "row_sums",
            Self::ActivationGradient(Activation::Gelu) => "gelu_gradient",
            Self::ActivationGradient(Activation::GeluNew) => "gelu_new_gradient",
            Self::ActivationGradient(Activation::Relu) => "relu_gradient",
            Self::Dropout => "dropout",
            Self::Residual => "residual",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_back() {
        for text in [
            "16384x1024x256 nt f32 f32 f32 f32 bias gelu",
            "256x1024x16384 tn f16 f16 f32 f32 row_sums accumulate",
            "7x9x1 nn f32 f16 f16 f32 unaligned",
            "16384x1024x256 nn f16 f16 f16 f16 gelu_gradient",
            "16384x1024x256 nt f32 f32 f32 f32 bias gelu_new",
            "16384x1024x256 nn f32 f32 f32 f32 relu_gradient",
            "16384x256x1024 nt f32 f32 f32 f32 bias residual",
        ] {
            let shape: MatmulShape = text.parse().expect("a shape");
            assert_eq!(shape.to_string(), text);
            assert_eq!(serde_json::from_str::<MatmulShape>(&format!("{text:?}")).ok(), Some(shape));
        }
    }

    #[test]
    fn what_is_no_shape_is_refused() {
        for text in ["", "1x2x3", "1x2x3 nx f32 f32 f32 f32", "1x2x3 nn f32 f32 f32", "1x2x3 nn f32 f32 f32 u32"] {
            assert!(text.parse::<MatmulShape>().is_err(), "{text}");
        }
    }
}
