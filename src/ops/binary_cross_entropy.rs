//! Binary cross-entropy over the tokens that are not padding; `shaders/binary_cross_entropy.wgsl` and
//! `shaders/binary_cross_entropy_backward.wgsl`.

use super::{DeviceTraits, Dispatch, Op, Operand, Real, Shapes, Twin, mismatch, no_second_derivative, twins};
use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};

#[derive(Debug)]
struct BinaryCrossEntropy;

/// What the reference adds to a count it divides by.
pub(super) const TINY: f64 = 1e-6;

/// Sum over the first `lengths[b]` tokens of each example of -log sigmoid(+-logit), divided by `count` + 1e-6: `[1]`.
/// `logits` `[T]`, `labels` [B, L] of 0 and 1, `lengths` `[B]`, `count` `[1]`: the tokens of all parts of the batch, of
/// which these examples may be one.
pub fn binary_cross_entropy(
    g: &mut Graph,
    logits: Tensor,
    labels: Tensor,
    lengths: Tensor,
    count: Tensor,
) -> Result<Tensor, GraphError> {
    g.add1(BinaryCrossEntropy, &[logits, labels, lengths, count])
}

impl BinaryCrossEntropy {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (logits, labels, lengths, count) = (t.real(0), t.int(1), t.int(2), t.real(3)[0]);
        let length = t.input_types[1].columns();
        let mut total = 0.0;
        for (i, (&x, &y)) in logits.iter().zip(labels).enumerate() {
            if i % length < lengths[i / length] as usize {
                // max(x, 0) - x y + log(1 + exp(-|x|)) does not overflow.
                let (x, y) = (x.wide(), f64::from(y));
                total += x.max(0.0) - x * y + (-x.abs()).exp().ln_1p();
            }
        }
        t.out(0)[0] = R::of(total / (count.wide() + TINY));
    }
}

fn check(op: &'static str, inputs: &[&TensorType]) -> Result<(), GraphError> {
    match inputs {
        [x, y, l, n] if x.len() == y.len() && y.dtype == DType::U32 && y.rows() == l.len() && n.len() == 1 => Ok(()),
        _ => Err(mismatch(op, inputs, "logits [T], labels [B, L], lengths [B] and count [1]")),
    }
}

impl Op for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        "binary_cross_entropy"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        check("binary_cross_entropy", inputs)?;
        Ok(vec![TensorType::f32(&[1])])
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let Some(d) = d[0] else { return Ok(vec![None; 4]) };
        let mut inputs = node.inputs.clone();
        inputs.push(d);
        Ok(vec![Some(g.add1(BinaryCrossEntropyBackward, &inputs)?), None, None, None])
    }

    fn scratch(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<TensorType> {
        vec![TensorType::f32(&[shapes.inputs[0].len().div_ceil(1_024)])]
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let (tokens, labels) = (shapes.inputs[0].len(), &shapes.inputs[1]);
        let groups = tokens.div_ceil(1_024);
        let sums = Dispatch::new("binary_cross_entropy")
            .read(Operand::Input(0))
            .read(Operand::Input(1))
            .read(Operand::Input(2))
            .write(Operand::Scratch(0))
            .word(tokens)
            .word(labels.columns())
            .groups(groups, 1, 1);
        let mean = Dispatch::new("binary_cross_entropy_mean")
            .read(Operand::Scratch(0))
            .read(Operand::Input(3))
            .write(Operand::Output(0))
            .word(groups)
            .float(TINY as f32);
        vec![sums, mean]
    }

    twins!();
}

/// d (sigmoid(logit) - label) / count, 0 for padding.
#[derive(Debug)]
struct BinaryCrossEntropyBackward;

impl BinaryCrossEntropyBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (logits, labels, lengths, count, d) = (t.real(0), t.int(1), t.int(2), t.real(3)[0], t.real(4)[0]);
        let length = t.input_types[1].columns();
        let scale = d.wide() / (count.wide() + TINY);
        for (i, o) in t.out(0).iter_mut().enumerate() {
            let real = i % length < lengths[i / length] as usize;
            let p = 1.0 / (1.0 + (-logits[i].wide()).exp());
            *o = if real { R::of(scale * (p - f64::from(labels[i]))) } else { R::ZERO };
        }
    }
}

impl Op for BinaryCrossEntropyBackward {
    fn name(&self) -> &'static str {
        "binary_cross_entropy_backward"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        check("binary_cross_entropy_backward", &inputs[..4])?;
        Ok(vec![inputs[0].clone()])
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("binary_cross_entropy_backward")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let (tokens, labels) = (shapes.inputs[0].len(), &shapes.inputs[1]);
        let dispatch = (0..5).fold(Dispatch::new("binary_cross_entropy_backward"), |d, i| d.read(Operand::Input(i)));
        let dispatch = dispatch.write(Operand::Output(0)).word(tokens).word(labels.columns()).float(TINY as f32);
        vec![dispatch.groups(tokens.div_ceil(1_024), 1, 1)]
    }

    twins!();
}
