//! The derivative of GELU; `shaders/gelu_backward.wgsl`. The forward part is an epilogue of [`super::linear_gelu`].

use super::{
    DeviceTraits, Dispatch, Halves, Op, Operand, Pointwise, Prologue, Real, Shapes, Twin, mismatch,
    no_second_derivative, twins,
};
use crate::cpu::parallel::{self, vectorize};
use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};

/// `du = dy * gelu'(u)`, in `dy`'s memory where nobody needs `dy` any more.
#[derive(Debug)]
struct GeluBackward;

/// The gradient before GELU from the one behind it; `u` is what GELU was given.
pub fn gelu_backward(g: &mut Graph, u: Tensor, dy: Tensor) -> Result<Tensor, GraphError> {
    g.add1(GeluBackward, &[dy, u])
}

/// d/dx x Phi(x) = Phi(x) + x phi(x).
#[inline(always)]
pub(super) fn gelu_derivative<R: Real>(x: R) -> R {
    // The exponential is the one inside erf, which the compiler sees.
    let z = x * R::of(std::f64::consts::FRAC_1_SQRT_2);
    let phi = (-(z * z)).exp() * R::of(0.398_942_280_401_432_7);
    R::of(0.5) * (R::ONE + z.erf()) + x * phi
}

impl GeluBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let u = t.real(1);
        parallel::rows(t.out(0), 1, |start, d| {
            vectorize(
                #[inline(always)]
                || {
                    for (d, &u) in d.iter_mut().zip(&u[start..]) {
                        *d *= gelu_derivative(u);
                    }
                },
            );
        });
    }
}

impl Op for GeluBackward {
    fn name(&self) -> &'static str {
        "gelu_backward"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [d, u] if d.len() == u.len() => Ok(vec![TensorType::new(d.dtype, &u.shape)]),
            _ => Err(mismatch("gelu_backward", inputs, "dy and u of one size")),
        }
    }

    fn takes_over(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0, 1], outputs: &[0] }
    }

    fn prologues(&self) -> Vec<Prologue> {
        vec![Prologue { what: Pointwise::GeluGradient, input: 0, side: Some(1), rest: None }]
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("gelu_backward")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let len = shapes.outputs[0].len();
        let dispatch = Dispatch::new("gelu_backward")
            .element("U", shapes.inputs[1].dtype)
            .element("D", shapes.outputs[0].dtype)
            .read(Operand::Input(1))
            .write(Operand::Output(0))
            .word(len);
        vec![dispatch.elements(len.div_ceil(4), 256)]
    }

    twins!();
}
