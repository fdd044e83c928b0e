//! Sum of two tensors of one shape; `shaders/add.wgsl`.

use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::math::parallel::{self, vectorize};
use crate::op::{DeviceTraits, Dispatch, Halves, Op, Operand, Pointwise, Prologue, Shapes, Twin, mismatch, twins};

#[derive(Debug)]
struct Add;

/// `a + b`, in `a`'s memory where nobody needs `a` any more.
pub fn add(g: &mut Graph, a: Tensor, b: Tensor) -> Result<Tensor, GraphError> {
    g.add1(Add, &[a, b])
}

impl Add {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let b = t.real(1);
        parallel::rows(t.out(0), 1, |start, out| {
            vectorize(
                #[inline(always)]
                || {
                    for (o, &x) in out.iter_mut().zip(&b[start..]) {
                        *o += x;
                    }
                },
            );
        });
    }
}

impl Op for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [a, b] if a.shape == b.shape && a.dtype.is_real() && b.dtype.is_real() => Ok(vec![(*a).clone()]),
            _ => Err(mismatch("add", inputs, "two tensors of one shape")),
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0, 1], outputs: &[0] }
    }

    fn prologues(&self) -> Vec<Prologue> {
        let sum = |input, side| Prologue { what: Pointwise::Add, input, side: Some(side), rest: None };
        vec![sum(0, 1), sum(1, 0)]
    }

    fn backward(&self, _: &mut Graph, _: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        Ok(vec![d[0], d[0]])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let n = shapes.outputs[0].len();
        let dispatch = Dispatch::new("add")
            .element("B", shapes.inputs[1].dtype)
            .element("Out", shapes.outputs[0].dtype)
            .read(Operand::Input(1))
            .write(Operand::Output(0))
            .word(n);
        vec![dispatch.elements(n, 256)]
    }

    twins!();
}
