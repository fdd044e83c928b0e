//! Adds a part's gradients to those of the parts before; `shaders/accumulate.wgsl`.

use crate::graph::{Bank, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::math::parallel::{self, vectorize};
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

#[derive(Debug)]
struct Accumulate;

/// Adds the bank of gradients to the bank of accumulated ones, which part 0 of a step overwrites, whatever was there.
pub fn accumulate(g: &mut Graph) -> Result<(), GraphError> {
    let inputs = [Bank::Accumulated, Bank::Gradients].map(|b| g.bank(b));
    g.add(Accumulate, &inputs).map(drop)
}

impl Accumulate {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (gradients, first) = (t.real(1), t.step.part == 0);
        parallel::rows(t.out(0), 1, |start, sums| {
            let gradients = &gradients[start..start + sums.len()];
            if first {
                return sums.copy_from_slice(gradients);
            }
            vectorize(
                #[inline(always)]
                || sums.iter_mut().zip(gradients).for_each(|(sum, &g)| *sum += g),
            );
        });
    }
}

impl Op for Accumulate {
    fn name(&self) -> &'static str {
        "accumulate"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [sums, gradients] if sums == gradients => Ok(vec![(*sums).clone()]),
            _ => Err(mismatch("accumulate", inputs, "two banks of one size")),
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("accumulate")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        // Banks are multiples of 64 elements.
        let quads = shapes.outputs[0].len() / 4;
        let dispatch = Dispatch::new("accumulate").read(Operand::Input(1)).write(Operand::Output(0));
        vec![dispatch.word(quads).elements(quads, 256)]
    }

    twins!();
}
