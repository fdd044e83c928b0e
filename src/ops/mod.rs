//! The ops: one file each, with the shape rule, the gradient rule, the CPU twin and the WGSL dispatches.
//!
//! To add one: a file here with a struct that implements [`Op`], a function that adds it to a graph, a shader of the
//! same stem under `shaders/`, and a row in `tests/kernels.rs`, which holds the kernel against the twin on random
//! odd shapes and the gradient against finite differences.
//!
//! The letters of shapes are those of the [crate](crate#letters-of-shapes).

mod accumulate;
mod activation;
mod adamw;
mod add;
mod agreement;
mod attention;
mod attention_backward;
mod attention_kernel;
mod binary_nll;
mod constant;
mod dropout;
mod embedding;
mod embedding_gradient;
mod gather_rows;
mod global_norm;
mod kernel;
mod layer_norm;
mod length_mask;
mod linear;
mod loss_scale;
mod matmul;
mod matmul_choice;
mod matmul_kernel;
mod multiply_add;
mod pointwise;
mod random;
mod real;
mod replace_tokens;
mod round_weights;
mod tuning;
mod twin;
mod vocabulary_nll;
mod vocabulary_nll_backward;
mod vocabulary_tiles;
mod weighted_mean;
mod weighted_sum;

pub use accumulate::accumulate;
pub use activation::{Activation, activation_backward};
pub use adamw::{AdamW, MOST_SPANS, adamw};
pub use add::add;
pub use agreement::agreement;
pub use attention::attention;
pub use attention_kernel::AttentionKernel;
pub use binary_nll::binary_nll;
pub use constant::constant;
pub use dropout::{Dropout, dropout};
pub use embedding::{EmbeddingTables, embedding};
pub use embedding_gradient::{position_gradient, word_gradient};
pub use gather_rows::gather_rows;
pub use global_norm::global_norm;
pub use kernel::{Access, Binding, DeviceTraits, Dispatch, Operand, Shapes};
pub use layer_norm::{EPSILON, layer_norm, residual_layer_norm};
pub use length_mask::length_mask;
pub use linear::{linear, linear_activation};
pub use loss_scale::{LossScale, loss_scale};
pub use matmul::{Epilogue, Matmul, MatmulOperands};
pub use matmul_kernel::{MatmulFamily, MatmulKernel, MatmulShape, MatmulTextError};
pub use multiply_add::multiply_add;
pub use pointwise::{Pointwise, Prologue};
pub use random::{Draws, keep_threshold, uniform};
pub use real::Real;
pub use replace_tokens::replace_tokens;
pub use round_weights::round_weights;
pub use tuning::Tuning;
pub use twin::{StepState, Twin};
pub(crate) use twin::{View, ViewMut};
pub use vocabulary_nll::{VocabularyOutput, vocabulary_nll};
pub use weighted_mean::weighted_mean;
pub use weighted_sum::{MOST_TERMS, weighted_sum};

use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use std::fmt::Debug;
use std::sync::Arc;

/// What a node computes.
pub trait Op: Debug + Send + Sync {
    /// The stem that the file, the shader, the twin and the test share.
    fn name(&self) -> &'static str;

    /// The shape rule: the outputs' types, or what does not fit.
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError>;

    /// Pairs (input, output) where the output starts with the input's contents. The plan lets the output take over
    /// the input's memory where it can and copies where it cannot; the op sees the output only.
    fn takes_over(&self) -> &'static [(usize, usize)] {
        &[]
    }

    /// The tensors that may be in half precision in place of single, for the pass `graph/mixed.rs`. The kernel's shader
    /// leaves the types of these open. A tensor that an output takes over and the output are always of one type.
    fn halves(&self) -> Halves {
        Halves::NONE
    }

    /// What the op does to one of its inputs element by element before all else, which the op that computes the input could
    /// do as well; for the pass `graph/fuse.rs`. Where there are several, one of them is enough.
    fn prologues(&self) -> Vec<Prologue> {
        Vec::new()
    }

    /// This op with `next` done to its output 0, the side input behind its own inputs; `None` where it cannot.
    fn fused(&self, _next: Pointwise) -> Option<Arc<dyn Op>> {
        None
    }

    /// The gradient rule: from the outputs' gradients (`None`: does not matter to the loss) to the inputs'.
    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError>;

    /// Floating-point operations, a multiply-add counted as two; 0 where they do not matter beside the matmuls.
    fn flops(&self, _shapes: &Shapes) -> u64 {
        0
    }

    /// The matrix multiplications among the WGSL dispatches for which there is a choice of kernels.
    fn matmuls(&self, _shapes: &Shapes) -> Vec<MatmulShape> {
        Vec::new()
    }

    /// Tensors that the WGSL dispatches need beside inputs and outputs.
    fn scratch(&self, _shapes: &Shapes, _device: &DeviceTraits) -> Vec<TensorType> {
        Vec::new()
    }

    /// The WGSL dispatches, in order.
    fn dispatches(&self, shapes: &Shapes, device: &DeviceTraits) -> Vec<Dispatch>;

    /// The CPU twin.
    fn twin_f32(&self, t: Twin<'_, f32>);

    /// The CPU twin in double precision, for gradient checks.
    fn twin_f64(&self, t: Twin<'_, f64>);
}

/// Which of an op's tensors may be in half precision, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halves {
    /// Inputs: activations, their gradients, and weights.
    pub inputs: &'static [usize],
    /// Outputs.
    pub outputs: &'static [usize],
}

impl Halves {
    /// None of them.
    pub const NONE: Self = Self { inputs: &[], outputs: &[] };
}

/// Implements both precisions of the CPU twin by one generic method `fn twin<R: Real>(&self, t: Twin<'_, R>)`.
macro_rules! twins {
    () => {
        fn twin_f32(&self, t: crate::ops::Twin<'_, f32>) {
            self.twin(t);
        }
        fn twin_f64(&self, t: crate::ops::Twin<'_, f64>) {
            self.twin(t);
        }
    };
}
pub(crate) use twins;

/// An error of `op` for inputs of `types`.
pub(crate) fn mismatch(op: &'static str, types: &[&TensorType], expected: impl Into<String>) -> GraphError {
    let found = types.iter().map(|t| t.to_string()).collect::<Vec<_>>().join(", ");
    GraphError { op, found, expected: expected.into() }
}

/// Ops that only appear in gradients have none of their own.
pub(crate) fn no_second_derivative(op: &'static str) -> Result<Vec<Option<Tensor>>, GraphError> {
    Err(GraphError { op, found: "a gradient of a gradient".into(), expected: "first derivatives only".into() })
}
