//! What an op is: the shape rule, the gradient rule, the CPU twin and the WGSL dispatches, as the trait [`Op`], and the words
//! that it is described in. Passes, plans and engines know ops by this alone; [`crate::ops`] has the ops themselves.

mod device;
mod dispatch;
mod matmul_kernel;
mod matmul_shape;
mod pointwise;
mod step_state;
mod twin;

pub use device::{DeviceTraits, FamilyOf, KernelFamily, Tuning};
pub use dispatch::{Access, Binding, Dispatch, Operand, Shapes};
pub use matmul_kernel::{MatmulFamily, MatmulKernel, MatmulTextError};
pub use matmul_shape::{Epilogue, MatmulShape};
pub use pointwise::{Dropout, Pointwise, Prologue};
pub use step_state::StepState;
pub use twin::Twin;
pub(crate) use twin::{View, ViewMut};

use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use std::fmt::Debug;
use std::sync::Arc;

/// What a node computes.
pub trait Op: Debug + Send + Sync {
    /// The stem that the file, the shader, the twin and the test share.
    fn name(&self) -> &'static str;

    /// The shape rule: the outputs' types, or what does not fit.
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError>;

    /// Pairs (input, output) where the op works in place: the output starts with the input's contents. The plan gives it
    /// the input's memory where it can and copies where it cannot; the op sees the output only.
    fn in_place(&self) -> &'static [(usize, usize)] {
        &[]
    }

    /// The tensors that may be in half precision in place of single, for the pass `graph/mixed.rs`. The kernel's shader
    /// leaves the types of these open. The two of a pair of [`Self::in_place`] are always of one type.
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

    /// Gradients of parameters among the outputs that could be computed later, together with those of others; for the pass
    /// `graph/group.rs`.
    fn gradients(&self) -> Option<Gradients> {
        None
    }

    /// Floating-point operations, a multiply-add counted as two; 0 where they do not matter beside the matmuls.
    fn flops(&self, _shapes: &Shapes) -> u64 {
        0
    }

    /// The matrix multiplications among the WGSL dispatches for which there is a choice of kernels.
    fn matmuls(&self, _shapes: &Shapes) -> Vec<MatmulShape> {
        Vec::new()
    }

    /// Of an op with several of them: one that does nothing but the first of this shape, and its tensors, to try kernels with.
    fn matmul_alone(&self, _shape: &MatmulShape, _shapes: &Shapes) -> Option<(Arc<dyn Op>, Shapes)> {
        None
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

/// Gradients of parameters that [`ops::ParameterGradients`](crate::ops::ParameterGradients) computes as well.
#[derive(Debug, Clone)]
pub enum Gradients {
    /// Of inputs dy \[T, N\] and x \[T, K\] the outputs dW = dy^T x and db = column sums of dy, and nothing else.
    Linear,
    /// Outputs 1 and 2 are dgamma \[C\] and dbeta \[C\].
    Norm {
        /// The same op with one output in place of these two: what they are the sums of, \[blocks, 2, C\].
        rest: Arc<dyn Op>,
    },
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
        fn twin_f32(&self, t: crate::op::Twin<'_, f32>) {
            self.twin(t);
        }
        fn twin_f64(&self, t: crate::op::Twin<'_, f64>) {
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
