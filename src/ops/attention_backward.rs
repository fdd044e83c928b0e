//! The gradient of [`super::attention`]; `shaders/attention_backward_query.wgsl` and `attention_backward_key.wgsl`.
//!
//! With S the scores, P their softmax and O = dropout(P) V: dV = dropout(P)^T dO, dP = dropout(dO V^T),
//! dS = P * (dP - D) with D = rowsum(dO * O), dQ = dS K / sqrt(d), dK = dS^T Q / sqrt(d). P is computed again from
//! the log-sum-exp. One kernel owns rows of queries (D, dQ), the next one rows of keys (dK, dV), so that neither needs
//! sums across workgroups.

use super::attention::Sizes;
use super::dropout::Dropout;
use super::layer_norm::sum2;
use super::{DeviceTraits, Dispatch, Draws, Op, Operand, Real, Shapes, Twin, mismatch, no_second_derivative, twins};
use crate::cpu::gemm::{Matrix, Threads, gemm};
use crate::cpu::parallel::vectorize;
use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use rayon::prelude::*;

/// From qkv, lengths, the output, the log-sum-exp and the output's gradient: the gradient of qkv.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttentionBackward {
    pub heads: usize,
    pub dropout: Dropout,
}

impl AttentionBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (qkv, lengths, out, lse, d) = (t.real(0), t.int(1), t.real(2), t.real(3), t.real(4));
        let s = Sizes::new(t.input_types[0], t.input_types[1], self.heads);
        let (l, w, hidden, stride) = (s.length, s.width, s.hidden(), 3 * s.hidden());
        let draws = Draws::new(&t.step, self.dropout.stream, s.probabilities());
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
                vectorize(
                    #[inline(always)]
                    || {
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
                    },
                );
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

    /// D = rowsum(dO * O), [B, heads, L].
    fn scratch(&self, shapes: &Shapes, _device: &DeviceTraits) -> Vec<TensorType> {
        vec![shapes.inputs[3].clone()]
    }

    fn dispatches(&self, shapes: &Shapes, _device: &DeviceTraits) -> Vec<Dispatch> {
        let s = Sizes::new(&shapes.inputs[0], &shapes.inputs[1], self.heads);
        let [qkv, lengths, out, lse, d] = [0, 1, 2, 3, 4].map(Operand::Input);
        let (dqkv, means) = (Operand::Output(0), Operand::Scratch(0));
        let query = Dispatch::new("attention_backward_query").read(qkv).read(lengths).read(out).read(lse).read(d);
        let key = Dispatch::new("attention_backward_key").read(qkv).read(lengths).read(lse).read(d).read(means);
        let query = query.write(dqkv).write(means);
        vec![s.arguments(self.dropout, query), s.arguments(self.dropout, key.write(dqkv))]
    }

    twins!();
}
