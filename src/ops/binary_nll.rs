//! Yes or no, a row; `shaders/binary_nll.wgsl` and `shaders/binary_nll_backward.wgsl`.

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::{Real, logistic};
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

#[derive(Debug)]
struct BinaryNll;

/// The negative log-likelihood of each label, nats, `[T]`: -log sigmoid(logit) where it is 1, -log sigmoid(-logit) where it is 0.
/// `logits` and `labels`, u32 and 0 or 1, have T elements: a token each, or [M, C] of M rows with C labels each, any number of
/// which may be 1.
pub fn binary_nll(g: &mut Graph, logits: Tensor, labels: Tensor) -> Result<Tensor, GraphError> {
    g.add1(BinaryNll, &[logits, labels])
}

impl BinaryNll {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (logits, labels) = (t.real(0), t.int(1));
        for ((o, &x), &y) in t.out(0).iter_mut().zip(logits).zip(labels) {
            // max(x, 0) - x y + log(1 + exp(-|x|)) does not overflow.
            let (x, y) = (x.wide(), f64::from(y));
            *o = R::of(x.max(0.0) - x * y + (-x.abs()).exp().ln_1p());
        }
    }
}

fn check(op: &'static str, inputs: &[&TensorType]) -> Result<(), GraphError> {
    match inputs {
        [x, y, ..] if x.len() == y.len() && y.dtype == DType::U32 => Ok(()),
        _ => Err(mismatch(op, inputs, "logits and labels of T elements")),
    }
}

impl Op for BinaryNll {
    fn name(&self) -> &'static str {
        "binary_nll"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        check("binary_nll", inputs)?;
        Ok(vec![TensorType::f32(&[inputs[0].len()])])
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let Some(d) = d[0] else { return Ok(vec![None; 2]) };
        let logits = g.add1(BinaryNllBackward, &[node.inputs[0], node.inputs[1], d])?;
        Ok(vec![Some(logits), None])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let tokens = shapes.inputs[0].len();
        let dispatch = (0..2).fold(Dispatch::new("binary_nll"), |d, i| d.read(Operand::Input(i)));
        vec![dispatch.write(Operand::Output(0)).word(tokens).elements(tokens, 256)]
    }

    twins!();
}

/// d (sigmoid(logit) - label), d `[T]`.
#[derive(Debug)]
struct BinaryNllBackward;

impl BinaryNllBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (logits, labels, d) = (t.real(0), t.int(1), t.real(2));
        for (i, o) in t.out(0).iter_mut().enumerate() {
            let p = logistic(logits[i].wide());
            *o = R::of(d[i].wide() * (p - f64::from(labels[i])));
        }
    }
}

impl Op for BinaryNllBackward {
    fn name(&self) -> &'static str {
        "binary_nll_backward"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        check("binary_nll_backward", inputs)?;
        Ok(vec![inputs[0].clone()])
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("binary_nll_backward")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let tokens = shapes.inputs[0].len();
        let dispatch = (0..3).fold(Dispatch::new("binary_nll_backward"), |d, i| d.read(Operand::Input(i)));
        vec![dispatch.write(Operand::Output(0)).word(tokens).elements(tokens, 256)]
    }

    twins!();
}
