//! The gradient of [`super::attention`]; `shaders/attention_backward_query.wgsl` and `attention_backward_key.wgsl`, or
//! `attention_backward_tiles.wgsl`, or `attention_backward_cooperative_16` and `_8` of `shaders/variants`.
//!
//! With S the scores, P their softmax and O = dropout(P) V: dV = dropout(P)^T dO, dP = dropout(dO V^T),
//! dS = P * (dP - D) with D = rowsum(dO * O), dQ = dS K / sqrt(d), dK = dS^T Q / sqrt(d). P is computed again from
//! the log-sum-exp. Of the general kernels, one owns rows of queries (D, dQ), the next one rows of keys (dK, dV), so that
//! neither needs sums across workgroups; the others own a head and compute P once for all three.

use super::attention::{Sizes, Visible, is_ordered};
use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::math::gemm::{Gemm, Matrix};
use crate::math::parallel::vectorize;
use crate::math::reduce::sum2;
use crate::op::{
    DeviceTraits, Dispatch, Dropout, Halves, KernelFamily, Op, Operand, Shapes, Twin, mismatch, no_second_derivative,
    twins,
};
use crate::ops::kernels::{Pass, TILE};
use rayon::prelude::*;

/// From qkv, what is visible, the output, the log-sum-exp and the output's gradient: the gradient of qkv.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttentionBackward {
    pub heads: usize,
    pub dropout: Dropout,
}

impl AttentionBackward {
    fn sizes(&self, shapes: &Shapes) -> Sizes {
        Sizes::new(&shapes.inputs[0], &shapes.inputs[1], self.heads)
    }

    fn kernel(&self, shapes: &Shapes, device: &DeviceTraits) -> KernelFamily {
        if is_ordered(&shapes.inputs[1]) {
            return KernelFamily::General;
        }
        let factors = [0, 4].map(|i| shapes.inputs[i].dtype);
        KernelFamily::choose(self.sizes(shapes), Pass::Backward, &factors, device)
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (qkv, out, lse, d) = (t.real(0), t.real(2), t.real(3), t.real(4));
        let visible = Visible::new(t.int(1), t.input_types[1]);
        let s = Sizes::new(t.input_types[0], t.input_types[1], self.heads);
        let (l, w, hidden, stride) = (s.length, s.width, s.hidden(), 3 * s.hidden());
        let draws = t.step.draws(self.dropout.stream, s.probabilities());
        t.out(0).par_chunks_mut(l * stride).enumerate().for_each_init(Vec::new, |work: &mut Vec<R>, (b, dqkv)| {
            dqkv.fill(R::ZERO);
            let valid = visible.valid(b, l);
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
                let gemm = Gemm { m: l, n: valid, k: w, ..Gemm::default() };
                Gemm { alpha: s.scale(), ..gemm }.run(at(0), at(1).t(), p, l);
                gemm.run(dout, at(2).t(), dp, l);
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
                            visible.hide((b, i), p, R::ZERO);
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
                let query = Gemm { m: l, n: w, k: valid, alpha: s.scale(), ..Gemm::default() };
                query.run(scores, at(1), &mut dqkv[s.part(h, 0)..], stride);
                let key = Gemm { m: valid, n: w, k: l, alpha: s.scale(), ..Gemm::default() };
                key.run(scores.t(), at(0), &mut dqkv[s.part(h, 1)..], stride);
                let value = Gemm { alpha: 1.0, ..key };
                value.run(Matrix::new(&*kept, l).t(), dout, &mut dqkv[s.part(h, 2)..], stride);
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
            [qkv, _, out, _, d] if out.len() == d.len() && 3 * out.len() == qkv.len() => {
                Ok(vec![TensorType::f32(&qkv.shape)])
            }
            _ => Err(mismatch(
                "attention_backward",
                inputs,
                "qkv, what is visible, output, log-sum-exp, output's gradient",
            )),
        }
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0, 2, 4], outputs: &[0] }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("attention_backward")
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        10 * shapes.inputs[2].len() as u64 * shapes.inputs[3].columns() as u64
    }

    /// D = rowsum(dO * O), [B, heads, L], or the queries' gradients of the tiles of keys so far, [B, L, H].
    fn scratch(&self, shapes: &Shapes, device: &DeviceTraits) -> Vec<TensorType> {
        let s = self.sizes(shapes);
        match self.kernel(shapes, device) {
            KernelFamily::General => vec![shapes.inputs[3].clone()],
            _ if s.length <= TILE => vec![TensorType::f32(&[4])],
            _ => vec![TensorType::f32(&shapes.inputs[2].shape)],
        }
    }

    fn dispatches(&self, shapes: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
        let s = self.sizes(shapes);
        let [qkv, visible, out, lse, d] = [0, 1, 2, 3, 4].map(Operand::Input);
        let (dqkv, scratch) = (Operand::Output(0), Operand::Scratch(0));
        let element = |i: usize| shapes.inputs[i].dtype;
        let typed = |shader| {
            let dispatch = Dispatch::new(shader).element("Qkv", element(0));
            dispatch.element("Dqkv", shapes.outputs[0].dtype)
        };
        let written = shapes.outputs[0].len();
        let some = |shader, thirds: usize| {
            let dispatch = typed(shader).element("Out", element(2)).read(qkv).read(visible).read(out).read(lse).read(d);
            dispatch.write(dqkv).moving(written / 3 * thirds).write(scratch)
        };
        let all = |shader| some(shader, 3);
        let whole = |dispatch| vec![s.arguments(self.dropout, 1, dispatch)];
        match self.kernel(shapes, device) {
            KernelFamily::Tiles => whole(all("attention_backward_tiles").element("Dout", element(4))),
            // The output's gradient is of the same elements as qkv there.
            KernelFamily::Cooperative => {
                let shaders = ["attention_backward_cooperative_8", "attention_backward_cooperative_16"];
                whole(all(device.by_matrices(shaders)))
            }
            KernelFamily::General => {
                // Three of the five products are the queries' kernel's; the other one computes two of them again.
                let flops = self.flops(shapes);
                let query = some("attention_backward_query", 1).flops(flops / 5 * 3);
                let key = typed("attention_backward_key").read(qkv).read(visible).read(lse).read(d).read(scratch);
                let key = key.write(dqkv).moving(written / 3 * 2).flops(flops - flops / 5 * 3);
                let ordered = is_ordered(&shapes.inputs[1]);
                let both = [query, key].map(|dispatch| {
                    let dispatch = dispatch.element("Dout", element(4));
                    if ordered { dispatch.constant("ordered", true) } else { dispatch }
                });
                both.map(|dispatch| s.arguments(self.dropout, s.blocks(), dispatch)).into()
            }
        }
    }

    twins!();
}
