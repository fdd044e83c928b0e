//! An op that passes a tensor on, as it is, between precisions.

use leyden::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use leyden::math::Real;
use leyden::op::{DeviceTraits, Dispatch, Halves, Op, Operand, Shapes, Twin};

#[derive(Debug)]
struct Pass;

/// `x`, through a node that reads and writes both precisions: with one before and one behind another op, every tensor of
/// that op, gradients too, may become a half.
pub fn pass(g: &mut Graph, x: Tensor) -> Result<Tensor, GraphError> {
    g.add1(Pass, &[x])
}

impl Pass {
    fn twin<R: Real>(mut t: Twin<'_, R>) {
        let x = t.real(0);
        t.out(0).copy_from_slice(x);
    }
}

impl Op for Pass {
    fn name(&self) -> &'static str {
        "pass"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        Ok(vec![TensorType::f32(&inputs[0].shape)])
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0], outputs: &[0] }
    }

    fn backward(&self, g: &mut Graph, _: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        Ok(vec![d[0].map(|d| pass(g, d)).transpose()?])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let (n, to) = (shapes.outputs[0].len(), shapes.outputs[0].dtype);
        let (x, y) = (Operand::Input(0), Operand::Output(0));
        if shapes.inputs[0].dtype == DType::F32 {
            let quads = n.div_ceil(4);
            let round = Dispatch::new("round_weights").element("Half", to).read(x).write(y);
            return vec![round.word(quads).elements(quads, 256)];
        }
        let zero = Dispatch::new("constant").element("Out", to).write(y).word(n).float(0.0).elements(n, 256);
        let add = Dispatch::new("add").element("B", DType::F16).element("Out", to).read(x).write(y);
        vec![zero, add.word(n).elements(n, 256)]
    }

    fn twin_f32(&self, t: Twin<'_, f32>) {
        Self::twin(t);
    }

    fn twin_f64(&self, t: Twin<'_, f64>) {
        Self::twin(t);
    }
}
