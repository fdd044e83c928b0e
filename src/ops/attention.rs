//! Multi-head self-attention with padding mask and dropout; `shaders/attention.wgsl`, `shaders/attention_backward_*.wgsl`.
//!
//! qkv is [T, 3 H]: query, key and value of all heads side by side. With d = H / heads, for each example and head:
//! P = softmax(Q K^T / sqrt(d)) over the first `lengths[b]` keys, O = dropout(P) V. The output is [T, H]; the
//! log-sum-exp of each row of scores, [B, heads, L], is kept, and the gradient computes P again from it (the form of
//! FlashAttention, arXiv 2205.14135), so no tensor is as large as length squared.
//!
//! The reference adds -10,000 to the scores of padding instead; in single precision that is the same, except for an
//! example of length 0, whose output here is 0.

use super::dropout::Dropout;
use super::layer_norm::sum2;
use super::{DeviceTraits, Dispatch, Draws, Op, Real, Shapes, Twin, mismatch, no_second_derivative, twins};
use crate::cpu::gemm::{Matrix, Threads, gemm};
use crate::cpu::parallel::vectorize;
use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use rayon::prelude::*;

#[derive(Debug, Clone, Copy)]
struct Attention {
    heads: usize,
    dropout: Dropout,
}

/// Attention of `qkv` [B * L, 3 H] with `lengths` [B] tokens that count in each example; [B * L, H].
pub fn attention(
    g: &mut Graph,
    qkv: Tensor,
    lengths: Tensor,
    heads: usize,
    probability: f32,
) -> Result<Tensor, GraphError> {
    let stream = if probability > 0.0 { g.stream() } else { 0 };
    let op = Attention { heads, dropout: Dropout { probability, stream } };
    Ok(g.add(op, &[qkv, lengths])?[0])
}

/// Sizes of one call: examples, length, heads, width of a head.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    examples: usize,
    length: usize,
    heads: usize,
    width: usize,
}

impl Sizes {
    fn new(qkv: &TensorType, lengths: &TensorType, heads: usize) -> Self {
        let examples = lengths.len();
        Self { examples, length: qkv.rows() / examples, heads, width: qkv.columns() / 3 / heads }
    }

    fn hidden(self) -> usize {
        self.heads * self.width
    }

    fn scale(self) -> f64 {
        1.0 / (self.width as f64).sqrt()
    }

    /// Index of the first element of head `h`'s part of example `b`'s rows, for part 0 (Q), 1 (K), 2 (V).
    fn part(self, h: usize, part: usize) -> usize {
        part * self.hidden() + h * self.width
    }

    /// Index of the probability of (example, head, row, column 0), which numbers its dropout.
    fn probability(self, b: usize, h: usize, row: usize) -> usize {
        ((b * self.heads + h) * self.length + row) * self.length
    }
}

impl Attention {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (qkv, lengths) = (t.real(0), t.int(1));
        let s = Sizes::new(t.input_types[0], t.input_types[1], self.heads);
        let (l, w, stride) = (s.length, s.width, 3 * s.hidden());
        let draws = Draws::new(&t.step, self.dropout.stream);
        let out = t.out(0).par_chunks_mut(l * s.hidden());
        let lse = t.out(1).par_chunks_mut(s.heads * l);
        out.zip(lse).enumerate().for_each_init(Vec::new, |scores: &mut Vec<R>, (b, (out, lse))| {
            let valid = (lengths[b] as usize).min(l);
            if valid == 0 {
                out.fill(R::ZERO);
                lse.fill(R::ZERO);
                return;
            }
            scores.resize(l * l, R::ZERO);
            let qkv = &qkv[b * l * stride..(b + 1) * l * stride];
            for h in 0..s.heads {
                let at = |part| Matrix::new(&qkv[s.part(h, part)..], stride);
                gemm((l, valid, w), (scores, l), at(0), at(1).t(), (s.scale(), false), Threads::One);
                vectorize(#[inline(always)] || {
                    for (i, row) in scores.chunks_exact_mut(l).enumerate() {
                        row[valid..].fill(R::ZERO);
                        lse[h * l + i] = softmax(&mut row[..valid]);
                        if self.dropout.probability > 0.0 {
                            self.dropout.apply(draws, s.probability(b, h, i), row);
                        }
                    }
                });
                let out = &mut out[h * w..];
                gemm((l, w, valid), (out, s.hidden()), Matrix::new(scores, l), at(2), (1.0, false), Threads::One);
            }
        });
    }
}

/// Softmax in place; the log-sum-exp.
#[inline(always)]
fn softmax<R: Real>(row: &mut [R]) -> R {
    let mut most = row[0];
    for &x in &*row {
        most = if x > most { x } else { most };
    }
    for x in &mut *row {
        *x = (*x - most).exp();
    }
    let total = sum2(row, row, |x, _| x);
    let scale = R::ONE / total;
    for x in row {
        *x *= scale;
    }
    most + R::of(total.wide().ln())
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [qkv, lengths]
                if !lengths.is_empty()
                    && qkv.rows().is_multiple_of(lengths.len())
                    && qkv.columns().is_multiple_of(3 * self.heads) =>
            {
                let s = Sizes::new(qkv, lengths, self.heads);
                Ok(vec![TensorType::f32(&[qkv.rows(), s.hidden()]), TensorType::f32(&[s.examples, s.heads, s.length])])
            }
            _ => Err(mismatch(
                "attention",
                inputs,
                format!("qkv [B L, 3 H] with H in {} heads, lengths [B]", self.heads),
            )),
        }
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let Some(d) = d[0] else { return Ok(vec![None, None]) };
        let op = AttentionBackward { heads: self.heads, dropout: self.dropout };
        let dqkv = g.add1(op, &[node.inputs[0], node.inputs[1], node.outputs[0], node.outputs[1], d])?;
        Ok(vec![Some(dqkv), None])
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        4 * shapes.outputs[0].len() as u64 * shapes.outputs[1].columns() as u64
    }

    fn dispatches(&self, _shapes: &Shapes, _device: &DeviceTraits) -> Vec<Dispatch> {
        Vec::new()
    }

    twins!();
}

/// From qkv, lengths, the output, the log-sum-exp and the output's gradient: the gradient of qkv.
#[derive(Debug, Clone, Copy)]
struct AttentionBackward {
    heads: usize,
    dropout: Dropout,
}

impl AttentionBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (qkv, lengths, out, lse, d) = (t.real(0), t.int(1), t.real(2), t.real(3), t.real(4));
        let s = Sizes::new(t.input_types[0], t.input_types[1], self.heads);
        let (l, w, hidden, stride) = (s.length, s.width, s.hidden(), 3 * s.hidden());
        let draws = Draws::new(&t.step, self.dropout.stream);
        t.out(0).par_chunks_mut(l * stride).enumerate().for_each_init(Vec::new, |work: &mut Vec<R>, (b, dqkv)| {
            dqkv.fill(R::ZERO);
            let valid = (lengths[b] as usize).min(l);
            if valid == 0 {
                return;
            }
            work.resize(3 * l * l, R::ZERO);
            let (p, rest) = work.split_at_mut(l * l);
            let (kept, dp) = rest.split_at_mut(l * l);
            let qkv = &qkv[b * l * stride..(b + 1) * l * stride];
            let (out, d) = (&out[b * l * hidden..(b + 1) * l * hidden], &d[b * l * hidden..(b + 1) * l * hidden]);
            for h in 0..s.heads {
                let at = |part| Matrix::new(&qkv[s.part(h, part)..], stride);
                let dout = Matrix::new(&d[h * w..], hidden);
                gemm((l, valid, w), (p, l), at(0), at(1).t(), (s.scale(), false), Threads::One);
                gemm((l, valid, w), (dp, l), dout, at(2).t(), (1.0, false), Threads::One);
                vectorize(#[inline(always)] || {
                    for i in 0..l {
                        let row = i * l..i * l + valid;
                        let (p, kept, dp) = (&mut p[row.clone()], &mut kept[row.clone()], &mut dp[row]);
                        let lse = lse[(b * s.heads + h) * l + i];
                        for (p, k) in p.iter_mut().zip(&mut *kept) {
                            *p = (*p - lse).exp();
                            *k = R::ONE;
                        }
                        if self.dropout.probability > 0.0 {
                            self.dropout.apply(draws, s.probability(b, h, i), kept);
                        }
                        let at = i * hidden + h * w;
                        let mean = sum2(&out[at..at + w], &d[at..at + w], |o, d| o * d);
                        for ((p, k), dp) in p.iter().zip(&mut *kept).zip(&mut *dp) {
                            *dp = *p * (*dp * *k - mean);
                            *k *= *p;
                        }
                    }
                });
                let scores = Matrix::new(&*dp, l);
                let mut to = |part: usize, m: usize, k: usize, a: Matrix<'_, R>, b: Matrix<'_, R>, scale: f64| {
                    let to = &mut dqkv[s.part(h, part)..];
                    gemm((m, w, k), (to, stride), a, b, (scale, false), Threads::One);
                };
                to(0, l, valid, scores, at(1), s.scale());
                to(1, valid, l, scores.t(), at(0), s.scale());
                to(2, valid, l, Matrix::new(&*kept, l).t(), dout, 1.0);
            }
        });
    }
}

impl Op for AttentionBackward {
    fn name(&self) -> &'static str {
        "attention_backward"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [qkv, _, out, _, d] if out.len() == d.len() && 3 * out.len() == qkv.len() => Ok(vec![(*qkv).clone()]),
            _ => Err(mismatch("attention_backward", inputs, "qkv, lengths, output, log-sum-exp, output's gradient")),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("attention_backward")
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        10 * shapes.inputs[2].len() as u64 * shapes.inputs[3].columns() as u64
    }

    fn dispatches(&self, _shapes: &Shapes, _device: &DeviceTraits) -> Vec<Dispatch> {
        Vec::new()
    }

    twins!();
}
