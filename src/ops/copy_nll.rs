//! A word of a text in which some were replaced, which is copied or guessed; `shaders/copy_nll.wgsl` and
//! `shaders/copy_nll_backward.wgsl`.
//!
//! With r the logit of "replaced", D = sigmoid(-r) the probability of copying, and -log p the word's loss where it is guessed,
//! all-tokens masked language modelling (Clark et al., arXiv 2003.10555, section 3.4) gives the word the probability
//! D [it is what stands there] + (1 - D) p. Of a word that stands there, -log of that is
//! softplus(r) - softplus(r - nll), for D / (1 - D) = exp(-r); of another, nll + softplus(-r).

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::{Real, logistic, softplus};
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

#[derive(Debug)]
struct CopyNll;

/// The negative log-likelihood of each word of the text, nats: `[T]`. Of T tokens each, the logit of "replaced", the loss `nll` of the
/// word where it is guessed, in nats, and `replaced`, u32: 0 where the word stands there, 1 where another does.
pub fn copy_nll(g: &mut Graph, logits: Tensor, nll: Tensor, replaced: Tensor) -> Result<Tensor, GraphError> {
    g.add1(CopyNll, &[logits, nll, replaced])
}

impl CopyNll {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (logits, nll, replaced) = (t.real(0), t.real(1), t.int(2));
        for (i, o) in t.out(0).iter_mut().enumerate() {
            let (r, nll) = (logits[i].wide(), nll[i].wide());
            // Below 0 neither of the two is large, above it both are, and what they have in common is left out.
            *o = R::of(match replaced[i] {
                0 if r <= 0.0 => softplus(r) - softplus(r - nll),
                0 => nll + softplus(-r) - softplus(nll - r),
                _ => nll + softplus(-r),
            });
        }
    }
}

fn check(op: &'static str, inputs: &[&TensorType]) -> Result<(), GraphError> {
    match inputs {
        [r, nll, replaced, ..] if r.len() == nll.len() && r.len() == replaced.len() && replaced.dtype == DType::U32 => {
            Ok(())
        }
        _ => Err(mismatch(op, inputs, "logits, losses and labels of T elements")),
    }
}

impl Op for CopyNll {
    fn name(&self) -> &'static str {
        "copy_nll"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        check("copy_nll", inputs)?;
        Ok(vec![TensorType::f32(&[inputs[0].len()])])
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let Some(d) = d[0] else { return Ok(vec![None; 3]) };
        let out = g.add(CopyNllBackward, &[node.inputs[0], node.inputs[1], node.inputs[2], d])?;
        Ok(vec![Some(out[0]), Some(out[1]), None])
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let tokens = shapes.inputs[0].len();
        let dispatch = (0..3).fold(Dispatch::new("copy_nll"), |d, i| d.read(Operand::Input(i)));
        vec![dispatch.write(Operand::Output(0)).word(tokens).elements(tokens, 256)]
    }

    twins!();
}

/// With s = sigmoid(nll - r) where the word stands there, the share of copying in its probability, and 0 elsewhere: of the logit
/// d (s - D), of the loss d (1 - s).
#[derive(Debug)]
struct CopyNllBackward;

impl CopyNllBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (logits, nll, replaced, d) = (t.real(0), t.real(1), t.int(2), t.real(3));
        let (to_logits, to_nll) = (t.out(0), t.out(1));
        for (i, d) in d.iter().enumerate() {
            let (r, nll, d) = (logits[i].wide(), nll[i].wide(), d.wide());
            let guessed = if replaced[i] == 0 { logistic(r - nll) } else { 1.0 };
            to_logits[i] = R::of(d * (logistic(r) - guessed));
            to_nll[i] = R::of(d * guessed);
        }
    }
}

impl Op for CopyNllBackward {
    fn name(&self) -> &'static str {
        "copy_nll_backward"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        check("copy_nll_backward", inputs)?;
        Ok(inputs[..2].iter().map(|t| TensorType::f32(&t.shape)).collect())
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("copy_nll_backward")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let tokens = shapes.inputs[0].len();
        let dispatch = (0..4).fold(Dispatch::new("copy_nll_backward"), |d, i| d.read(Operand::Input(i)));
        let dispatch = dispatch.write(Operand::Output(0)).write(Operand::Output(1));
        vec![dispatch.word(tokens).elements(tokens, 256)]
    }

    twins!();
}
