//! Multiply-adds in registers: what a device can do at best; `shaders/multiply_add.wgsl`. No model has it, it is a measure
//! for those who time the others.

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

/// Elements that one invocation has.
const ELEMENTS: usize = 32;

/// Every element by `A` plus `B`: no number of repeats leaves the range, and for thousands of them elements differ and change,
/// as real numbers do.
const A: f32 = -0.999_9;
const B: f32 = 0.61;

#[derive(Debug)]
struct MultiplyAdd {
    repeats: usize,
}

/// `x` with `x <- .61 - .9999 x` done `repeats` times to every element, in single precision; its length is a multiple of 32.
pub fn multiply_add(g: &mut Graph, x: Tensor, repeats: usize) -> Result<Tensor, GraphError> {
    g.add1(MultiplyAdd { repeats }, &[x])
}

impl MultiplyAdd {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let x = t.real(0);
        for (y, &x) in t.out(0).iter_mut().zip(x) {
            *y = (0..self.repeats).fold(x, |y, _| y * R::of(A.into()) + R::of(B.into()));
        }
    }
}

impl Op for MultiplyAdd {
    fn name(&self) -> &'static str {
        "multiply_add"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [x] if x.dtype == DType::F32 && x.len().is_multiple_of(ELEMENTS) => Ok(vec![TensorType::f32(&x.shape)]),
            _ => Err(mismatch("multiply_add", inputs, "one f32 tensor, a multiple of 32 long")),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("multiply_add")
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        2 * (shapes.outputs[0].len() * self.repeats) as u64
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let len = shapes.outputs[0].len();
        let dispatch = Dispatch::new("multiply_add").read(Operand::Input(0)).write(Operand::Output(0));
        vec![dispatch.word(len / 4).word(self.repeats).float(A).float(B).elements(len / ELEMENTS, 256)]
    }

    twins!();
}
