//! The gradient before an activation; `shaders/activation_backward.wgsl`, over `shaders/shared/activation.wgsl`. The forward
//! part is an epilogue of [`super::linear_activation`].

use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::math::parallel::{self, vectorize};
use crate::math::{Activation, Real};
use crate::op::{
    DeviceTraits, Dispatch, Halves, Op, Operand, Pointwise, Prologue, Shapes, Twin, mismatch, no_second_derivative,
    twins,
};

/// `du = dy * f'(u)`, in `dy`'s memory where nobody needs `dy` any more.
#[derive(Debug)]
struct ActivationBackward(Activation);

/// The gradient before an activation from the one behind it; `u` is what the activation was given.
pub fn activation_backward(g: &mut Graph, u: Tensor, dy: Tensor, activation: Activation) -> Result<Tensor, GraphError> {
    g.add1(ActivationBackward(activation), &[dy, u])
}

impl ActivationBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (u, activation) = (t.real(1), self.0);
        parallel::rows(t.out(0), 1, |start, d| {
            vectorize(
                #[inline(always)]
                || activation.multiply_by_derivative(&u[start..], d),
            );
        });
    }
}

impl Op for ActivationBackward {
    fn name(&self) -> &'static str {
        "activation_backward"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [d, u] if d.len() == u.len() => Ok(vec![TensorType::new(d.dtype, &u.shape)]),
            _ => Err(mismatch("activation_backward", inputs, "dy and u of one size")),
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0, 1], outputs: &[0] }
    }

    fn prologues(&self) -> Vec<Prologue> {
        vec![Prologue { what: Pointwise::ActivationGradient(self.0), input: 0, side: Some(1), rest: None }]
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("activation_backward")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let len = shapes.outputs[0].len();
        let dispatch = Dispatch::new("activation_backward")
            .element("U", shapes.inputs[1].dtype)
            .element("D", shapes.outputs[0].dtype)
            .constant("activation", self.0.number())
            .read(Operand::Input(1))
            .write(Operand::Output(0))
            .word(len);
        vec![dispatch.elements(len.div_ceil(4), 256)]
    }

    twins!();
}
