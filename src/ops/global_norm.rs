//! The norm of all gradients together; `shaders/global_norm.wgsl`.

use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::math::parallel::vectorize;
use crate::math::reduce::sum2;
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};
use rayon::prelude::*;

#[derive(Debug)]
struct GlobalNorm;

/// Square root of the sum of squares of `x`: `[1]`.
pub fn global_norm(g: &mut Graph, x: Tensor) -> Result<Tensor, GraphError> {
    g.add1(GlobalNorm, &[x])
}

impl GlobalNorm {
    /// The kernel's parts: how many, at most 1,024, and elements of each, a multiple of 1,024.
    fn parts(len: usize) -> (usize, usize) {
        let per_group = len.div_ceil(1_024).next_multiple_of(1_024).max(1_024);
        (len.div_ceil(per_group), per_group)
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        // Pieces of a fixed size, added up in order and in double precision.
        let square = |x: &[R]| {
            vectorize(
                #[inline(always)]
                || sum2(x, x, |a, b| a * b),
            )
            .wide()
        };
        let parts: Vec<f64> = t.real(0).par_chunks(1 << 14).map(square).collect();
        t.out(0)[0] = R::of(parts.iter().sum::<f64>().sqrt());
    }
}

impl Op for GlobalNorm {
    fn name(&self) -> &'static str {
        "global_norm"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [_] => Ok(vec![TensorType::f32(&[1])]),
            _ => Err(mismatch("global_norm", inputs, "one tensor")),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("global_norm")
    }

    fn scratch(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<TensorType> {
        vec![TensorType::f32(&[Self::parts(shapes.inputs[0].len()).0])]
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let len = shapes.inputs[0].len();
        let (groups, per_group) = Self::parts(len);
        let sums = Dispatch::new("global_norm")
            .read(Operand::Input(0))
            .write(Operand::Scratch(0))
            .word(len)
            .word(per_group)
            .groups(groups, 1, 1);
        let root = Dispatch::new("global_norm_root").read(Operand::Scratch(0)).write(Operand::Output(0)).word(groups);
        vec![sums, root]
    }

    twins!();
}
