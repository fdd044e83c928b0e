//! The weights rounded to half precision, all at once; `shaders/round_weights.wgsl`.

use crate::graph::{Bank, DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::{Real, parallel};
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

#[derive(Debug)]
struct RoundWeights;

/// Fills [`Bank::Halves`] with the bank of parameters, rounded to nearest.
pub fn round_weights(g: &mut Graph) -> Result<(), GraphError> {
    let (parameters, halves) = (g.bank(Bank::Parameters), g.bank(Bank::Halves));
    g.add1(RoundWeights, &[parameters, halves]).map(|_| ())
}

impl RoundWeights {
    // What is written is rounded by the engine, as every tensor of halves.
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let parameters = t.real(0);
        parallel::rows(t.out(0), 1, |start, out| out.copy_from_slice(&parameters[start..start + out.len()]));
    }
}

impl Op for RoundWeights {
    fn name(&self) -> &'static str {
        "round_weights"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [parameters, halves] if parameters.shape == halves.shape && halves.dtype == DType::F16 => {
                Ok(vec![(*halves).clone()])
            }
            _ => Err(mismatch("round_weights", inputs, "the banks of parameters and of their halves")),
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(1, 0)]
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("round_weights")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        // A bank's length is a multiple of four.
        let quads = shapes.outputs[0].len() / 4;
        let dispatch = Dispatch::new("round_weights")
            .element("Half", DType::F16)
            .read(Operand::Input(0))
            .write(Operand::Output(0))
            // What was there is not read.
            .moving(shapes.outputs[0].len())
            .word(quads);
        vec![dispatch.elements(quads, 256)]
    }

    twins!();
}
