//! Layer normalisation with the residual sum and dropout in front of it; `shaders/layer_norm.wgsl` and
//! `shaders/layer_norm_backward.wgsl`.
//!
//! h = residual + dropout(x); y = (h - mean(h)) / sqrt(var(h) + eps) * gamma + beta, over rows of C elements.
//! Kept for the gradient: h [T, C] (in x's memory) and (mean, 1 / sqrt(var + eps)) a row, [T, 2].

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::Real;
use crate::math::parallel::{self, vectorize};
use crate::math::reduce::{sum, sum2};
use crate::op::{
    DeviceTraits, Dispatch, Dropout, Gradients, Halves, Op, Operand, Pointwise, Prologue, Shapes, Twin, mismatch,
    no_second_derivative, twins,
};
use crate::ops::kernels::{AddParts, PartsSum};
use rayon::prelude::*;
use std::sync::Arc;

/// The epsilon of every published ELECTRA.
pub const EPSILON: f64 = 1e-12;

/// The longest row that the kernels take: 256 lanes of 16 elements.
const MOST_COLUMNS: usize = 4_096;

/// Invocations of a workgroup that share a row of `columns`: four elements each where 256 are enough for that.
fn lanes(columns: usize) -> usize {
    columns.div_ceil(4).next_power_of_two().min(256)
}

/// Sets the constants that both kernels split rows by.
fn split_rows(dispatch: Dispatch, columns: usize) -> Dispatch {
    let lanes = lanes(columns);
    dispatch
        .constant("columns", columns as u32)
        .constant("lanes", lanes as u32)
        .constant("per_lane", columns.div_ceil(lanes) as u32)
}

#[derive(Debug, Clone, Copy)]
struct LayerNorm {
    epsilon: f32,
    residual: bool,
    dropout: Dropout,
    /// Whether dropout is of y instead of x.
    drops_output: bool,
}

/// `layer_norm(x) * gamma + beta`.
pub fn layer_norm(
    g: &mut Graph,
    x: Tensor,
    (gamma, beta): (Tensor, Tensor),
    epsilon: f64,
) -> Result<Tensor, GraphError> {
    let epsilon = epsilon as f32;
    let op = LayerNorm { epsilon, residual: false, dropout: Dropout::default(), drops_output: false };
    Ok(g.add(op, &[x, gamma, beta])?[0])
}

/// `layer_norm(residual + dropout(x)) * gamma + beta`.
pub fn residual_layer_norm(
    g: &mut Graph,
    x: Tensor,
    residual: Tensor,
    (gamma, beta): (Tensor, Tensor),
    epsilon: f64,
    probability: f32,
) -> Result<Tensor, GraphError> {
    let stream = if probability > 0.0 { g.stream("residual_layer_norm") } else { 0 };
    let epsilon = epsilon as f32;
    let op = LayerNorm { epsilon, residual: true, dropout: Dropout { probability, stream }, drops_output: false };
    Ok(g.add(op, &[x, gamma, beta, residual])?[0])
}

impl LayerNorm {
    fn drops_input(&self) -> bool {
        self.dropout.probability > 0.0 && !self.drops_output
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (gamma, beta) = (t.real(1), t.real(2));
        let residual = if self.residual { t.real(3) } else { &[] };
        let c = gamma.len();
        let draws = t.step.draws(self.dropout.stream, t.output_types[0].len());
        let this = *self;
        let (y, h, stats) = (t.out(0), t.out(1), t.out(2));
        parallel::rows3((y, c), (h, c), (stats, 2), |start, y, h, stats| {
            vectorize(
                #[inline(always)]
                || {
                    for (i, ((y, h), stats)) in
                        y.chunks_exact_mut(c).zip(h.chunks_exact_mut(c)).zip(stats.chunks_exact_mut(2)).enumerate()
                    {
                        let row = start + i;
                        if this.drops_input() {
                            this.dropout.apply(draws, row * c, h);
                        }
                        if this.residual {
                            add_row(h, &residual[row * c..(row + 1) * c]);
                        }
                        let n = R::of(c as f64);
                        let mean = sum(h, |x| x) / n;
                        let variance = sum(h, |x| (x - mean) * (x - mean)) / n;
                        let rstd = R::ONE / (variance + R::of(this.epsilon.into())).sqrt();
                        for (((y, &h), &g), &b) in y.iter_mut().zip(&*h).zip(gamma).zip(beta) {
                            *y = (h - mean) * rstd * g + b;
                        }
                        if this.drops_output {
                            this.dropout.apply(draws, row * c, y);
                        }
                        stats.copy_from_slice(&[mean, rstd]);
                    }
                },
            );
        });
    }
}

#[inline(always)]
fn add_row<R: Real>(to: &mut [R], from: &[R]) {
    for (t, &f) in to.iter_mut().zip(from) {
        *t += f;
    }
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        let expected = "x [T, C], gamma [C], beta [C] and, with a residual, residual [T, C]; C at most 4,096";
        let [x, gamma, beta, rest @ ..] = inputs else { return Err(mismatch("layer_norm", inputs, expected)) };
        let c = x.columns();
        let fits =
            c <= MOST_COLUMNS && gamma.shape == [c] && beta.shape == [c] && rest.len() == usize::from(self.residual);
        if !fits || rest.iter().any(|r| r.len() != x.len()) {
            return Err(mismatch("layer_norm", inputs, expected));
        }
        Ok(vec![(*x).clone(), (*x).clone(), TensorType::f32(&[x.rows(), 2])])
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 1)]
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0, 3], outputs: &[0, 1] }
    }

    fn prologues(&self) -> Vec<Prologue> {
        if !self.residual {
            return Vec::new();
        }
        let dropout = Some(self.dropout).filter(|dropout| dropout.probability > 0.0);
        let rest = Self { residual: false, dropout: Dropout::default(), ..*self };
        vec![Prologue { what: Pointwise::Residual(dropout), input: 0, side: Some(3), rest: Some(Arc::new(rest)) }]
    }

    fn fused(&self, next: Pointwise) -> Option<Arc<dyn Op>> {
        match next {
            Pointwise::Dropout(dropout) if !self.residual && self.dropout.probability == 0.0 => {
                Some(Arc::new(Self { dropout, drops_output: true, ..*self }))
            }
            _ => None,
        }
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        if self.drops_output {
            // Ops are fused when the gradients are there.
            return no_second_derivative("layer_norm");
        }
        let Some(dy) = d[0] else { return Ok(vec![None; node.inputs.len()]) };
        let op = LayerNormBackward { dropout: self.dropout, in_parts: false };
        let out = g.add(op, &[dy, node.outputs[1], node.outputs[2], node.inputs[1]])?;
        let dx = out.get(3).copied().unwrap_or(out[0]);
        let mut gradients = vec![Some(dx), Some(out[1]), Some(out[2])];
        if self.residual {
            gradients.push(Some(out[0]));
        }
        Ok(gradients)
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let (rows, c) = (shapes.inputs[0].rows(), shapes.inputs[0].columns());
        // Without a residual the binding has to hold something.
        let residual = if self.residual { Operand::Input(3) } else { Operand::Input(1) };
        let residual_type = if self.residual { shapes.inputs[3].dtype } else { DType::F32 };
        let dispatch = split_rows(Dispatch::new("layer_norm"), c)
            .element("Residual", residual_type)
            .element("Y", shapes.outputs[0].dtype)
            .element("H", shapes.outputs[1].dtype)
            .constant("has_residual", self.residual)
            .constant("has_dropout", self.drops_input())
            .constant("drops_output", self.drops_output)
            .read(Operand::Input(1))
            .read(Operand::Input(2))
            .read(residual)
            .write(Operand::Output(0))
            .write(Operand::Output(1))
            // Where nothing is done to x it is read only.
            .moving(rows * c * if self.residual || self.drops_input() { 2 } else { 1 })
            .write(Operand::Output(2));
        vec![self.dropout.words(dispatch.word(rows)).float(self.epsilon).elements(rows, 256 / lanes(c))]
    }

    twins!();
}

/// From dy, h, the statistics and gamma: dh, dgamma, dbeta and, with dropout, dx.
///
/// In parts, one output [blocks, 2, C] in place of dgamma and dbeta: what is added up to make them ([`layer_norm_sums`]).
#[derive(Debug, Clone, Copy)]
struct LayerNormBackward {
    dropout: Dropout,
    in_parts: bool,
}

/// What makes dgamma and dbeta of the parts [blocks, 2, C], the tensor `read`; each where `to` says.
pub(super) fn layer_norm_sums((blocks, c): (usize, usize), read: usize, to: [(usize, usize); 2]) -> [PartsSum; 2] {
    [0, 1].map(|i| PartsSum { len: c, parts: blocks, stride: 2 * c, from: (read, i * c), to: to[i] })
}

impl LayerNormBackward {
    /// Rows whose gamma and beta gradients are added up before the sums are; fixed, so that results do not depend on
    /// the number of threads.
    const ROWS: usize = 64;

    /// Which output dx is.
    fn dx(&self) -> usize {
        if self.in_parts { 2 } else { 3 }
    }

    /// The kernel's blocks: how many, and how often a workgroup takes 256 / lanes rows. At most 512 keep the second
    /// dispatch short, and fill a GPU.
    fn blocks(rows: usize, columns: usize) -> (usize, usize) {
        let at_a_time = 256 / lanes(columns);
        let rounds = rows.div_ceil(512 * at_a_time).max(1);
        (rows.div_ceil(rounds * at_a_time), rounds)
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (dy, h, stats, gamma) = (t.real(0), t.real(1), t.real(2), t.real(3));
        let c = gamma.len();
        let draws = t.step.draws(self.dropout.stream, h.len());
        let this = *self;
        let (blocks, rounds) = Self::blocks(t.input_types[1].rows(), c);
        let rows = if self.in_parts { rounds * (256 / lanes(c)) } else { Self::ROWS };
        let dh = t.out(0);
        let dx: &mut [R] = if self.dropout.probability > 0.0 { t.out(self.dx()) } else { &mut [] };
        let block = |index: usize, dh: &mut [R], dx: &mut [R]| {
            let mut sums = vec![R::ZERO; 2 * c];
            let (sum_gamma, sum_beta) = sums.split_at_mut(c);
            vectorize(
                #[inline(always)]
                || {
                    for (i, dh) in dh.chunks_exact_mut(c).enumerate() {
                        let row = index * rows + i;
                        let (dy, h) = (&dy[row * c..(row + 1) * c], &h[row * c..(row + 1) * c]);
                        let (mean, rstd) = (stats[2 * row], stats[2 * row + 1]);
                        for j in 0..c {
                            let xhat = (h[j] - mean) * rstd;
                            sum_gamma[j] += dy[j] * xhat;
                            sum_beta[j] += dy[j];
                            dh[j] = dy[j] * gamma[j];
                        }
                        let n = R::of(c as f64);
                        let a = sum(dh, |x| x) / n;
                        let b = sum2(dh, h, |d, h| d * (h - mean)) * rstd / n;
                        for (d, &h) in dh.iter_mut().zip(h) {
                            *d = rstd * (*d - a - (h - mean) * rstd * b);
                        }
                    }
                    if this.dropout.probability > 0.0 {
                        dx.copy_from_slice(dh);
                        this.dropout.apply(draws, index * rows * c, dx);
                    }
                },
            );
            sums
        };
        let each = rows * c;
        let sums: Vec<Vec<R>> = if dx.is_empty() {
            dh.par_chunks_mut(each).enumerate().map(|(i, dh)| block(i, dh, &mut [])).collect()
        } else {
            dh.par_chunks_mut(each).zip(dx.par_chunks_mut(each)).enumerate().map(|(i, (h, x))| block(i, h, x)).collect()
        };
        if self.in_parts {
            debug_assert_eq!(sums.len(), blocks);
            return t.out(1).copy_from_slice(&sums.concat());
        }
        let (dgamma, dbeta) = (t.out(1), t.out(2));
        dgamma.fill(R::ZERO);
        dbeta.fill(R::ZERO);
        for s in sums {
            add_row(dgamma, &s[..c]);
            add_row(dbeta, &s[c..]);
        }
    }
}

impl Op for LayerNormBackward {
    fn name(&self) -> &'static str {
        "layer_norm_backward"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [dy, h, stats, gamma] if dy.len() == h.len() && stats.rows() == h.rows() => {
                let (blocks, _) = Self::blocks(h.rows(), h.columns());
                let mut out = vec![(*h).clone()];
                if self.in_parts {
                    out.push(TensorType::f32(&[blocks, 2, h.columns()]));
                } else {
                    out.extend([(*gamma).clone(), (*gamma).clone()]);
                }
                if self.dropout.probability > 0.0 {
                    out.push((*h).clone());
                }
                Ok(out)
            }
            _ => Err(mismatch("layer_norm_backward", inputs, "dy and h [T, C], statistics [T, 2], gamma [C]")),
        }
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0, 1], outputs: if self.in_parts { &[0, 2] } else { &[0, 3] } }
    }

    fn gradients(&self) -> Option<Gradients> {
        (!self.in_parts).then(|| Gradients::Norm { rest: Arc::new(Self { in_parts: true, ..*self }) })
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("layer_norm_backward")
    }

    fn scratch(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<TensorType> {
        let (rows, c) = (shapes.inputs[1].rows(), shapes.inputs[1].columns());
        let mut scratch = Vec::new();
        if !self.in_parts {
            scratch.push(TensorType::f32(&[Self::blocks(rows, c).0, 2, c]));
        }
        if self.dropout.probability == 0.0 {
            // Stands where dx would.
            scratch.push(TensorType::f32(&[1]));
        }
        scratch
    }

    fn dispatches(&self, shapes: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let (rows, c) = (shapes.inputs[1].rows(), shapes.inputs[1].columns());
        let (blocks, rounds) = Self::blocks(rows, c);
        let has_dropout = self.dropout.probability > 0.0;
        let (dx, dx_type) = if has_dropout {
            (Operand::Output(self.dx()), shapes.outputs[self.dx()].dtype)
        } else {
            (Operand::Scratch(usize::from(!self.in_parts)), DType::F32)
        };
        let parts = if self.in_parts { Operand::Output(1) } else { Operand::Scratch(0) };
        let first = split_rows(Dispatch::new("layer_norm_backward"), c)
            .element("Dy", shapes.inputs[0].dtype)
            .element("H", shapes.inputs[1].dtype)
            .element("Dh", shapes.outputs[0].dtype)
            .element("Dx", dx_type)
            .constant("has_dropout", has_dropout)
            .read(Operand::Input(0))
            .read(Operand::Input(1))
            .read(Operand::Input(2))
            .read(Operand::Input(3))
            .write(Operand::Output(0))
            .write(parts)
            .write(dx);
        let first = self.dropout.words(first.word(rows).word(rounds)).groups(blocks, 1, 1);
        if self.in_parts {
            return vec![first];
        }
        let add = AddParts {
            read: vec![parts],
            write: [Operand::Output(1), Operand::Output(2)],
            element: DType::F32,
            accumulate: false,
            sums: layer_norm_sums((blocks, c), 0, [(0, 0), (1, 0)]).to_vec(),
        };
        [vec![first], add.dispatches()].concat()
    }

    twins!();
}
