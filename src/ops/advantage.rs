//! How much better a draw did than was expected; `shaders/advantage.wgsl`.
//!
//! What weighs a draw's log-likelihood in REINFORCE (Williams 1992): its reward beyond a baseline. The baseline is
//! b = -log sigmoid(x) of a logit x (Clark et al., arXiv 2003.10555, appendix F), as a reward that is -log of a probability is.

use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::math::{Real, softplus};
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, twins};

#[derive(Debug)]
struct Advantage;

/// weight (reward - b), b = -log sigmoid(logit): `[M]`, of rewards, logits and weights of M elements. No gradient flows through it.
pub fn advantage(g: &mut Graph, rewards: Tensor, logits: Tensor, weights: Tensor) -> Result<Tensor, GraphError> {
    g.add1(Advantage, &[rewards, logits, weights])
}

impl Advantage {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (rewards, logits, weights) = (t.real(0), t.real(1), t.real(2));
        for (i, o) in t.out(0).iter_mut().enumerate() {
            *o = R::of(weights[i].wide() * (rewards[i].wide() - softplus(-logits[i].wide())));
        }
    }
}

impl Op for Advantage {
    fn name(&self) -> &'static str {
        "advantage"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [r, x, w] if r.len() == x.len() && r.len() == w.len() => Ok(vec![TensorType::f32(&[r.len()])]),
            _ => Err(mismatch("advantage", inputs, "M rewards, logits and weights")),
        }
    }

    fn backward(&self, _: &mut Graph, node: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        Ok(vec![None; node.inputs.len()])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let rows = shapes.outputs[0].len();
        let dispatch = (0..3).fold(Dispatch::new("advantage"), |d, i| d.read(Operand::Input(i)));
        vec![dispatch.write(Operand::Output(0)).word(rows).elements(rows, 256)]
    }

    twins!();
}
