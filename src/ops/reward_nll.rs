//! How well a logit foretells a reward; `shaders/reward_nll.wgsl` and `shaders/reward_nll_backward.wgsl`.
//!
//! A reward R is -log of a probability, exp(-R), and the baseline's logit x stands for sigmoid(x). It is trained by the cross-entropy
//! of the one to the other (Clark et al., arXiv 2003.10555, appendix F): softplus(x) - x exp(-R).

use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::math::{Real, logistic, softplus};
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

#[derive(Debug)]
struct RewardNll;

/// The cross-entropy of sigmoid(logit) to exp(-reward), nats: `[M]`, of M logits and rewards, which are not below 0. No gradient flows
/// to the rewards.
pub fn reward_nll(g: &mut Graph, logits: Tensor, rewards: Tensor) -> Result<Tensor, GraphError> {
    g.add1(RewardNll, &[logits, rewards])
}

impl RewardNll {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (logits, rewards) = (t.real(0), t.real(1));
        for (i, o) in t.out(0).iter_mut().enumerate() {
            let x = logits[i].wide();
            *o = R::of(softplus(x) - x * (-rewards[i].wide()).exp());
        }
    }
}

fn check(op: &'static str, inputs: &[&TensorType]) -> Result<(), GraphError> {
    match inputs {
        [x, r, ..] if x.len() == r.len() => Ok(()),
        _ => Err(mismatch(op, inputs, "M logits and rewards")),
    }
}

impl Op for RewardNll {
    fn name(&self) -> &'static str {
        "reward_nll"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        check("reward_nll", inputs)?;
        Ok(vec![TensorType::f32(&[inputs[0].len()])])
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let Some(d) = d[0] else { return Ok(vec![None; 2]) };
        let logits = g.add1(RewardNllBackward, &[node.inputs[0], node.inputs[1], d])?;
        Ok(vec![Some(logits), None])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let rows = shapes.inputs[0].len();
        let dispatch = (0..2).fold(Dispatch::new("reward_nll"), |d, i| d.read(Operand::Input(i)));
        vec![dispatch.write(Operand::Output(0)).word(rows).elements(rows, 256)]
    }

    twins!();
}

/// d (sigmoid(logit) - exp(-reward)), in the shape of the logits.
#[derive(Debug)]
struct RewardNllBackward;

impl RewardNllBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (logits, rewards, d) = (t.real(0), t.real(1), t.real(2));
        for (i, o) in t.out(0).iter_mut().enumerate() {
            *o = R::of(d[i].wide() * (logistic(logits[i].wide()) - (-rewards[i].wide()).exp()));
        }
    }
}

impl Op for RewardNllBackward {
    fn name(&self) -> &'static str {
        "reward_nll_backward"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        check("reward_nll_backward", inputs)?;
        Ok(vec![inputs[0].clone()])
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("reward_nll_backward")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let rows = shapes.inputs[0].len();
        let dispatch = (0..3).fold(Dispatch::new("reward_nll_backward"), |d, i| d.read(Operand::Input(i)));
        vec![dispatch.write(Operand::Output(0)).word(rows).elements(rows, 256)]
    }

    twins!();
}
