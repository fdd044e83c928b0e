//! Multi-head self-attention with padding mask and dropout; `shaders/attention.wgsl` or another of the kernels that
//! [`KernelFamily`] names. The gradient is in `attention_backward.rs`.
//!
//! qkv is [T, 3 H]: query, key and value of all heads side by side. With d = H / heads, for each example and head:
//! P = softmax(Q K^T / sqrt(d)) over the first `lengths[b]` keys, O = dropout(P) V. The output is [T, H]; the
//! log-sum-exp of each row of scores, [B, heads, L], is kept, and the gradient computes P again from it (the form of
//! FlashAttention, arXiv 2205.14135), so no tensor is as large as length squared.
//!
//! In an order ([`attention()`]), queries see the keys whose rank is no higher than their bound; only the general kernels do that.
//!
//! The reference adds -10,000 to the scores of padding instead; in single precision that is the same, except for an
//! example of length 0, whose output here is 0.

use super::attention_backward::AttentionBackward;
use crate::graph::{Graph, GraphError, Node, Tensor, TensorType};
use crate::math::gemm::{Gemm, Matrix};
use crate::math::parallel::vectorize;
use crate::math::reduce::{most, sum2};
use crate::math::{Real, keep_threshold};
use crate::op::{DeviceTraits, Dispatch, Dropout, Halves, KernelFamily, Op, Operand, Shapes, Twin, mismatch, twins};
use crate::ops::kernels::{Pass, TILE};
use rayon::prelude::*;

#[derive(Debug, Clone, Copy)]
struct Attention {
    heads: usize,
    dropout: Dropout,
}

/// Attention of `qkv` [B * L, 3 H]: [B * L, H]. `visible` says, u32, how many tokens count in each example, `[B]`, or is an order [B, 2 L]: the
/// ranks of an example's tokens as keys, and then their bounds as queries. A query sees the keys whose rank is no higher than its bound; what
/// sees none gives 0.
pub fn attention(
    g: &mut Graph,
    qkv: Tensor,
    visible: Tensor,
    heads: usize,
    probability: f32,
) -> Result<Tensor, GraphError> {
    let stream = if probability > 0.0 { g.stream("attention") } else { 0 };
    let op = Attention { heads, dropout: Dropout { probability, stream } };
    Ok(g.add(op, &[qkv, visible])?[0])
}

/// Who sees whom.
#[derive(Clone, Copy)]
pub(super) enum Visible<'a> {
    /// All see the example's first so many: `[B]`.
    Lengths(&'a [u32]),
    /// Ranks and bounds of an example's so many tokens: [B, 2, L].
    Ordered(&'a [u32], usize),
}

impl<'a> Visible<'a> {
    /// From that input of the op.
    pub fn new(words: &'a [u32], ty: &TensorType) -> Self {
        if is_ordered(ty) { Self::Ordered(words, ty.columns() / 2) } else { Self::Lengths(words) }
    }

    /// Keys that any query of the example may see.
    pub fn valid(self, example: usize, length: usize) -> usize {
        match self {
            Self::Lengths(lengths) => (lengths[example] as usize).min(length),
            Self::Ordered(..) => length,
        }
    }

    /// Puts `value` where a query of the example does not see the key, of all of its keys; how many it sees.
    pub fn hide<R: Copy>(self, (example, query): (usize, usize), row: &mut [R], value: R) -> usize {
        let Self::Ordered(words, length) = self else { return row.len() };
        let (ranks, bounds) = words[example * 2 * length..][..2 * length].split_at(length);
        let hidden = row.iter_mut().zip(ranks).filter(|(_, rank)| **rank > bounds[query]);
        length - hidden.map(|(x, _)| *x = value).count()
    }
}

/// Whether the op's second input is an order.
pub(super) fn is_ordered(visible: &TensorType) -> bool {
    visible.shape.len() > 1
}

/// Sizes of one call: examples, length, heads, width of a head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub examples: usize,
    pub length: usize,
    pub heads: usize,
    pub width: usize,
}

impl Sizes {
    pub fn new(qkv: &TensorType, visible: &TensorType, heads: usize) -> Self {
        let examples = visible.shape.first().copied().unwrap_or(1);
        Self { examples, length: qkv.rows() / examples, heads, width: qkv.columns() / 3 / heads }
    }

    pub fn hidden(self) -> usize {
        self.heads * self.width
    }

    pub fn scale(self) -> f64 {
        1.0 / (self.width as f64).sqrt()
    }

    /// Index of the first element of head `h`'s part of example `b`'s rows, for part 0 (Q), 1 (K), 2 (V).
    pub fn part(self, h: usize, part: usize) -> usize {
        part * self.hidden() + h * self.width
    }

    /// Probabilities, all of which dropout numbers.
    pub fn probabilities(self) -> usize {
        self.probability(self.examples, 0, 0)
    }

    /// Index of the probability of (example, head, row, column 0), which numbers its dropout.
    pub fn probability(self, b: usize, h: usize, row: usize) -> usize {
        ((b * self.heads + h) * self.length + row) * self.length
    }

    /// Workgroups of a head for the general kernels: one for each tile of 32 rows and slice of 64 columns.
    pub fn blocks(self) -> usize {
        self.length.div_ceil(32) * self.width.div_ceil(64)
    }

    /// The uniform of an attention kernel (`shaders/shared/attention.wgsl`), and so many workgroups a head.
    pub fn arguments(self, dropout: Dropout, blocks: usize, dispatch: Dispatch) -> Dispatch {
        let groups = self.examples * self.heads * blocks;
        dispatch
            .word(groups)
            .word(self.length)
            .word(self.heads)
            .word(self.width)
            .word(dropout.stream as usize)
            .word(keep_threshold(dropout.probability) as usize)
            .float(1.0 / (1.0 - dropout.probability))
            .float(self.scale() as f32)
            .word(self.probabilities())
            .elements(groups, 1)
    }
}

impl Attention {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (qkv, visible) = (t.real(0), Visible::new(t.int(1), t.input_types[1]));
        let s = Sizes::new(t.input_types[0], t.input_types[1], self.heads);
        let (l, w, stride) = (s.length, s.width, 3 * s.hidden());
        let least = R::of(f64::from(f32::MIN));
        let draws = t.step.draws(self.dropout.stream, s.probabilities());
        let out = t.out(0).par_chunks_mut(l * s.hidden());
        let lse = t.out(1).par_chunks_mut(s.heads * l);
        out.zip(lse).enumerate().for_each_init(Vec::new, |scores: &mut Vec<R>, (b, (out, lse))| {
            let valid = visible.valid(b, l);
            if valid == 0 {
                out.fill(R::ZERO);
                lse.fill(R::ZERO);
                return;
            }
            scores.resize(l * l, R::ZERO);
            let qkv = &qkv[b * l * stride..(b + 1) * l * stride];
            for h in 0..s.heads {
                let at = |part| Matrix::new(&qkv[s.part(h, part)..], stride);
                let gemm = Gemm { m: l, n: valid, k: w, alpha: s.scale(), ..Gemm::default() };
                gemm.run(at(0), at(1).t(), scores, l);
                vectorize(
                    #[inline(always)]
                    || {
                        for (i, row) in scores.chunks_exact_mut(l).enumerate() {
                            row[valid..].fill(R::ZERO);
                            if visible.hide((b, i), &mut row[..valid], least) == 0 {
                                row.fill(R::ZERO);
                                lse[h * l + i] = R::ZERO;
                                continue;
                            }
                            lse[h * l + i] = softmax(&mut row[..valid]);
                            visible.hide((b, i), &mut row[..valid], R::ZERO);
                            if self.dropout.probability > 0.0 {
                                self.dropout.apply(draws, s.probability(b, h, i), row);
                            }
                        }
                    },
                );
                let out = &mut out[h * w..];
                let gemm = Gemm { m: l, n: w, k: valid, ..Gemm::default() };
                gemm.run(Matrix::new(scores, l), at(2), out, s.hidden());
            }
        });
    }
}

/// Softmax in place; the log-sum-exp.
#[inline(always)]
fn softmax<R: Real>(row: &mut [R]) -> R {
    let most = most(row);
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
            [qkv, visible]
                if !visible.is_empty()
                    && qkv.rows().is_multiple_of(visible.shape[0])
                    && (!is_ordered(visible) || visible.len() == 2 * qkv.rows())
                    && qkv.columns().is_multiple_of(3 * self.heads) =>
            {
                let s = Sizes::new(qkv, visible, self.heads);
                Ok(vec![TensorType::f32(&[qkv.rows(), s.hidden()]), TensorType::f32(&[s.examples, s.heads, s.length])])
            }
            _ => Err(mismatch(
                "attention",
                inputs,
                format!("qkv [B L, 3 H] with H in {} heads, lengths [B] or an order [B, 2 L]", self.heads),
            )),
        }
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0], outputs: &[0] }
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

    fn dispatches(&self, shapes: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
        let s = Sizes::new(&shapes.inputs[0], &shapes.inputs[1], self.heads);
        let (qkv, out) = (shapes.inputs[0].dtype, shapes.outputs[0].dtype);
        let ordered = is_ordered(&shapes.inputs[1]);
        let kernel =
            if ordered { KernelFamily::General } else { KernelFamily::choose(s, Pass::Forward, &[qkv], device) };
        let (shader, blocks) = match kernel {
            KernelFamily::General => ("attention", s.blocks()),
            KernelFamily::Tiles => ("attention_tiles", s.length.div_ceil(TILE)),
            KernelFamily::Cooperative => {
                let shader = device.by_matrices(["attention_cooperative_8", "attention_cooperative_16"]);
                (shader, s.length.div_ceil(TILE))
            }
        };
        let dispatch = Dispatch::new(shader)
            .element("Qkv", qkv)
            .element("Out", out)
            .read(Operand::Input(0))
            .read(Operand::Input(1))
            .write(Operand::Output(0))
            .write(Operand::Output(1));
        let dispatch = if ordered { dispatch.constant("ordered", true) } else { dispatch };
        vec![s.arguments(self.dropout, blocks, dispatch)]
    }

    twins!();
}
