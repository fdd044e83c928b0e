//! One of several, a row: which class, or which of an example's tokens; `shaders/softmax_nll.wgsl` and
//! `shaders/softmax_nll_backward.wgsl`.
//!
//! Both are one op. Its rows have N logits each, S apart, and S rows lie side by side: logits [M / S, N, S]. Classes are N = C and
//! S = 1; tokens are N = L and S = the number of questions that are asked about an example.

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};

/// What [`softmax_nll`] and [`span_nll`] give.
#[derive(Debug, Clone, Copy)]
pub struct SoftmaxOutput {
    /// Each row's negative log-likelihood of its target, nats: `[M]`. The only one that a gradient flows through.
    pub nll: Tensor,
    /// The index of each row's largest logit, of equals the lowest: `[M]`, u32.
    pub best: Tensor,
}

/// Which of C classes, a row: -log softmax(logits)\[target\], of `logits` [M, C] and the classes `targets`, u32, M of them. A target
/// that is no class counts as the last one.
pub fn softmax_nll(g: &mut Graph, logits: Tensor, targets: Tensor) -> Result<SoftmaxOutput, GraphError> {
    let length = g.ty(logits).columns();
    output(g, SoftmaxNll { length, stride: 1 }, &[logits, targets])
}

/// Which token of its example, a question: -log softmax of its logits, over the first lengths\[b\] of example b's L tokens, at the
/// target. `logits` [B L, S] of S questions (S = 2: where an answer starts and where it ends), `targets` [B, S], u32, positions
/// within the example, and `lengths` `[B]`, u32; M = B S rows come back, example by example. A target behind the last token
/// counts as that token; an example without tokens has a likelihood of 1 and no gradient.
pub fn span_nll(g: &mut Graph, logits: Tensor, targets: Tensor, lengths: Tensor) -> Result<SoftmaxOutput, GraphError> {
    let (rows, stride, examples) = (g.ty(logits).rows(), g.ty(logits).columns(), g.ty(lengths).len());
    let op = SoftmaxNll { length: rows / examples.max(1), stride };
    output(g, op, &[logits, targets, lengths])
}

fn output(g: &mut Graph, op: SoftmaxNll, inputs: &[Tensor]) -> Result<SoftmaxOutput, GraphError> {
    let out = g.add(op, inputs)?;
    Ok(SoftmaxOutput { nll: out[0], best: out[2] })
}

/// From logits, targets and, where rows end early, lengths, to the likelihood, the log-sum-exp and the best index.
#[derive(Debug, Clone, Copy)]
struct SoftmaxNll {
    /// N, logits of a row.
    length: usize,
    /// S, rows side by side.
    stride: usize,
}

/// One row: where it starts in the logits, and how many it has.
struct Row {
    first: usize,
    end: usize,
}

impl SoftmaxNll {
    fn row(&self, row: usize, lengths: Option<&[u32]>) -> Row {
        let (example, column) = (row / self.stride, row % self.stride);
        let end = lengths.map_or(self.length, |lengths| self.length.min(lengths[example] as usize));
        Row { first: example * self.length * self.stride + column, end }
    }

    fn check(&self, op: &'static str, inputs: &[&TensorType], lengths: bool) -> Result<(), GraphError> {
        let whole = |x: &TensorType, y: &TensorType| x.len() == y.len() * self.length;
        match inputs {
            [x, y, n, ..] if lengths && whole(x, y) && y.len() == n.len() * self.stride => {
                [y, n].iter().all(|t| t.dtype == DType::U32)
            }
            [x, y, ..] if !lengths && whole(x, y) => y.dtype == DType::U32,
            _ => false,
        }
        .then_some(())
        .ok_or_else(|| {
            let expected = match lengths {
                true => "logits [B L, S], targets [B, S] and lengths [B]",
                false => "logits [M, C] and M targets",
            };
            mismatch(op, inputs, expected)
        })
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (logits, targets) = (t.real(0), t.int(1));
        let lengths = (t.input_types.len() > 2).then(|| t.int(2));
        let (nll, lse, best) = (t.out(0), t.out(1), t.out_int(2));
        for (m, &target) in targets.iter().enumerate() {
            let Row { first, end } = self.row(m, lengths);
            let logit = |j: usize| logits[first + j * self.stride].wide();
            (nll[m], lse[m], best[m]) = (R::ZERO, R::ZERO, 0);
            if end == 0 {
                continue;
            }
            let mut most = f64::from(f32::MIN);
            for j in 0..end {
                if logit(j) > most {
                    (most, best[m]) = (logit(j), j as u32);
                }
            }
            let above = (0..end).map(|j| (logit(j) - most).exp()).sum::<f64>().ln();
            // The target's own logit taken off first: where it is the largest, nothing is lost.
            nll[m] = R::of(above - (logit((target as usize).min(end - 1)) - most));
            lse[m] = R::of(most + above);
        }
    }

    /// The bindings of what comes in: logits, targets, lengths.
    fn dispatch(&self, shader: &'static str, lengths: bool) -> Dispatch {
        let lengths_or_not = if lengths { Operand::Input(2) } else { Operand::Input(1) };
        Dispatch::new(shader)
            .constant("has_lengths", lengths)
            .read(Operand::Input(0))
            .read(Operand::Input(1))
            .read(lengths_or_not)
    }
}

impl Op for SoftmaxNll {
    fn name(&self) -> &'static str {
        "softmax_nll"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        self.check("softmax_nll", inputs, inputs.len() > 2)?;
        let m = inputs[1].len();
        Ok(vec![TensorType::f32(&[m]), TensorType::f32(&[m]), TensorType::u32(&[m])])
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let Some(d) = d[0] else { return Ok(vec![None; node.inputs.len()]) };
        let op = SoftmaxNllBackward { of: *self, lengths: node.inputs.len() > 2 };
        let mut inputs = node.inputs.clone();
        inputs.extend([node.outputs[1], d]);
        let mut gradients = vec![None; node.inputs.len()];
        gradients[0] = Some(g.add1(op, &inputs)?);
        Ok(gradients)
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let m = shapes.outputs[0].len();
        let lanes = self.length.next_power_of_two().min(64);
        let dispatch = self.dispatch("softmax_nll", shapes.inputs.len() > 2).constant("lanes", lanes as u32);
        let dispatch = (0..3).fold(dispatch, |d, i| d.write(Operand::Output(i)));
        vec![dispatch.word(m).word(self.length).word(self.stride).elements(m, 256 / lanes)]
    }

    twins!();
}

/// d (softmax(logits) - onehot(target)), in the shape of the logits, from the inputs, the log-sum-exp and d, `[M]` both.
#[derive(Debug)]
struct SoftmaxNllBackward {
    of: SoftmaxNll,
    lengths: bool,
}

impl SoftmaxNllBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (logits, targets) = (t.real(0), t.int(1));
        let lengths = self.lengths.then(|| t.int(2));
        let behind = 2 + usize::from(self.lengths);
        let (lse, d, out) = (t.real(behind), t.real(behind + 1), t.out(0));
        out.fill(R::ZERO);
        for (m, &target) in targets.iter().enumerate() {
            let Row { first, end } = self.of.row(m, lengths);
            for j in 0..end {
                let i = first + j * self.of.stride;
                let p = (logits[i].wide() - lse[m].wide()).exp();
                let hit = j == (target as usize).min(end - 1);
                out[i] = R::of(d[m].wide() * (p - f64::from(u8::from(hit))));
            }
        }
    }
}

impl Op for SoftmaxNllBackward {
    fn name(&self) -> &'static str {
        "softmax_nll_backward"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        self.of.check("softmax_nll_backward", inputs, self.lengths)?;
        Ok(vec![inputs[0].clone()])
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("softmax_nll_backward")
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let len = shapes.outputs[0].len();
        let behind = 2 + usize::from(self.lengths);
        let dispatch = self
            .of
            .dispatch("softmax_nll_backward", self.lengths)
            .read(Operand::Input(behind))
            .read(Operand::Input(behind + 1))
            .write(Operand::Output(0));
        vec![dispatch.word(len).word(self.of.length).word(self.of.stride).elements(len, 256)]
    }

    twins!();
}
