//! Which of a few words, a row; `shaders/candidate_nll.wgsl`, `shaders/candidate_nll_slopes.wgsl` and
//! `shaders/candidate_nll_backward.wgsl`.
//!
//! A word's logit is its row of the vocabulary's matrix times the row, and its bias, as in [`vocabulary_nll`](super::vocabulary_nll());
//! before the words stands, where there is one, the logit of rejecting them all. MC-BERT (arXiv 2006.05744) and TEAMS
//! (arXiv 2106.00139) choose so.

use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::{Real, parallel};
use crate::op::{DeviceTraits, Dispatch, Op, Operand, Shapes, Twin, mismatch, no_second_derivative, twins};
use crate::ops::word_gradient;

/// The most words of a row.
pub const MOST_CANDIDATES: usize = 64;

/// What [`candidate_nll`] gives; N options a row: C candidates, and one more where they may be rejected.
#[derive(Debug, Clone, Copy)]
pub struct CandidateOutput {
    /// Each row's negative log-likelihood of its target, nats: `[M]`. The only one that a gradient flows through.
    pub nll: Tensor,
    /// What each option has: [M, N]. No gradient flows through it.
    pub probabilities: Tensor,
}

/// Which of the `candidates` [M, C], u32: of x [M, E], `words` the matrix [V, E] and the bias `[V]`, and the options `targets`, u32, M of
/// them. With `rejection`, M logits, option 0 is to reject them all, and the candidates are options from 1 on.
///
/// # Errors
/// [`GraphError`] for other shapes, and for more candidates than [`MOST_CANDIDATES`].
pub fn candidate_nll(
    g: &mut Graph,
    x: Tensor,
    (word, bias): (Tensor, Tensor),
    (candidates, targets): (Tensor, Tensor),
    rejection: Option<Tensor>,
) -> Result<CandidateOutput, GraphError> {
    let inputs: Vec<Tensor> = [x, word, bias, candidates, targets].into_iter().chain(rejection).collect();
    let out = g.add(CandidateNll, &inputs)?;
    Ok(CandidateOutput { nll: out[0], probabilities: out[1] })
}

#[derive(Debug)]
struct CandidateNll;

impl CandidateNll {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let rejects = t.input_types.len() > 5;
        let (e, c, first) = (t.input_types[0].columns(), t.input_types[3].columns(), usize::from(rejects));
        let (x, word, bias, candidates, targets) = (t.real(0), t.real(1), t.real(2), t.int(3), t.int(4));
        let rejection = if rejects { t.real(5) } else { &[] };
        let n = c + first;
        parallel::rows2((t.out(0), 1), (t.out(1), n), |start, nll, probabilities| {
            for (i, p) in probabilities.chunks_exact_mut(n).enumerate() {
                let m = start + i;
                if rejects {
                    p[0] = rejection[m];
                }
                let x = &x[m * e..][..e];
                for (p, &id) in p[first..].iter_mut().zip(&candidates[m * c..][..c]) {
                    let id = (id as usize).min(bias.len() - 1);
                    let product: f64 = x.iter().zip(&word[id * e..][..e]).map(|(&x, &w)| (x * w).wide()).sum();
                    *p = R::of(product + bias[id].wide());
                }
                let largest = p[1..].iter().fold(p[0], |most, &x| if x > most { x } else { most }).wide();
                let above = p.iter().map(|x| (x.wide() - largest).exp()).sum::<f64>().ln();
                let target = (targets[m] as usize).min(n - 1);
                nll[i] = R::of(above - (p[target].wide() - largest));
                p.iter_mut().for_each(|x| *x = R::of((x.wide() - largest - above).exp()));
            }
        });
    }
}

impl Op for CandidateNll {
    fn name(&self) -> &'static str {
        "candidate_nll"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [x, word, bias, candidates, targets, rejection @ ..]
                if x.columns() == word.columns()
                    && word.rows() == bias.len()
                    && candidates.dtype == DType::U32
                    && targets.dtype == DType::U32
                    && candidates.rows() == x.rows()
                    && candidates.columns() <= MOST_CANDIDATES
                    && targets.len() == x.rows()
                    && rejection.iter().all(|logits| logits.len() == x.rows()) =>
            {
                let m = x.rows();
                let options = candidates.columns() + rejection.len();
                Ok(vec![TensorType::f32(&[m]), TensorType::f32(&[m, options])])
            }
            _ => Err(mismatch(
                "candidate_nll",
                inputs,
                format!(
                    "x [M, E], word [V, E], bias [V], candidates [M, C] of {MOST_CANDIDATES} at most, M targets, and M \
                     logits at most"
                ),
            )),
        }
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let mut gradients = vec![None; node.inputs.len()];
        let Some(d) = d[0] else { return Ok(gradients) };
        let [x, word, bias, candidates, targets] = [0, 1, 2, 3, 4].map(|i| node.inputs[i]);
        let rejects = node.inputs.len() > 5;
        let vocabulary = g.ty(bias).len();
        let inputs = [x, word, candidates, targets, node.outputs[1], d];
        let out = g.add(CandidateNllBackward { rejects }, &inputs)?;
        gradients[0] = Some(out[0]);
        gradients[1] = Some(word_gradient(g, candidates, out[2], vocabulary)?);
        gradients[2] = Some(word_gradient(g, candidates, out[1], vocabulary)?);
        if rejects {
            gradients[5] = Some(out[3]);
        }
        Ok(gradients)
    }

    /// A product a candidate.
    fn flops(&self, s: &Shapes) -> u64 {
        2 * s.inputs[3].len() as u64 * s.inputs[0].columns() as u64
    }

    fn dispatches(&self, s: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let rejects = s.inputs.len() > 5;
        let (m, e, c) = (s.inputs[0].rows(), s.inputs[0].columns(), s.inputs[3].columns());
        let dispatch =
            (0..5).fold(Dispatch::new("candidate_nll").constant("rejects", rejects), |d, i| d.read(Operand::Input(i)));
        let dispatch = dispatch.read(Operand::Input(if rejects { 5 } else { 0 }));
        let dispatch = (0..2).fold(dispatch, |d, i| d.write(Operand::Output(i)));
        vec![dispatch.word(m).word(e).word(c).word(s.inputs[2].len()).elements(m, 1)]
    }

    twins!();
}

/// With g = d (p - onehot(target)) of each option: of x the sum of g times the candidates' rows [M, E], g of each candidate [M C],
/// g times x for each candidate [M C, E], and g of rejecting them, as the logits came.
#[derive(Debug)]
struct CandidateNllBackward {
    rejects: bool,
}

impl CandidateNllBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (x, word, candidates, targets, p, d) = (t.real(0), t.real(1), t.int(2), t.int(3), t.real(4), t.real(5));
        let e = t.input_types[0].columns();
        let c = t.input_types[2].columns();
        let first = usize::from(self.rejects);
        let (n, words) = (c + first, word.len() / e);
        let slope = |m: usize, j: usize| {
            let hit = j == (targets[m] as usize).min(n - 1);
            d[m] * (p[m * n + j] - if hit { R::ONE } else { R::ZERO })
        };
        let (dx, dlogits, rows) = (t.out(0), t.out(1), t.out(2));
        parallel::rows3((dx, e), (dlogits, c), (rows, c * e), |start, dx, dlogits, rows| {
            for (i, dx) in dx.chunks_exact_mut(e).enumerate() {
                let (m, x) = (start + i, &x[(start + i) * e..][..e]);
                dx.fill(R::ZERO);
                for j in 0..c {
                    let g = slope(m, first + j);
                    dlogits[i * c + j] = g;
                    let word = &word[(candidates[m * c + j] as usize).min(words - 1) * e..][..e];
                    let row = &mut rows[(i * c + j) * e..][..e];
                    for ((dx, &w), (row, &x)) in dx.iter_mut().zip(word).zip(row.iter_mut().zip(x)) {
                        *dx += g * w;
                        *row = g * x;
                    }
                }
            }
        });
        if self.rejects {
            t.out(3).iter_mut().enumerate().for_each(|(m, out)| *out = slope(m, 0));
        }
    }
}

impl Op for CandidateNllBackward {
    fn name(&self) -> &'static str {
        "candidate_nll_backward"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        match inputs {
            [x, _, candidates, targets, p, d]
                if d.len() == x.rows() && targets.len() == d.len() && p.rows() == d.len() =>
            {
                let (m, e) = (x.rows(), x.columns());
                let mut out = vec![
                    TensorType::f32(&x.shape),
                    TensorType::f32(&[candidates.len()]),
                    TensorType::f32(&[candidates.len(), e]),
                ];
                if self.rejects {
                    out.push(TensorType::f32(&[m, 1]));
                }
                Ok(out)
            }
            _ => Err(mismatch("candidate_nll_backward", inputs, "x, words, candidates, targets, probabilities, d [M]")),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("candidate_nll_backward")
    }

    fn flops(&self, s: &Shapes) -> u64 {
        3 * s.outputs[2].len() as u64
    }

    fn dispatches(&self, s: &Shapes, _: &DeviceTraits) -> Vec<Dispatch> {
        let (m, e) = (s.inputs[0].rows(), s.inputs[0].columns());
        let (c, words) = (s.inputs[2].columns(), s.inputs[1].rows());
        let options = s.inputs[4].columns();
        // Every binding that a shader declares must be there; nothing is written where nothing is rejected.
        let rejection = if self.rejects { Operand::Output(3) } else { Operand::Scratch(0) };
        let slopes =
            [3, 4, 5].into_iter().fold(Dispatch::new("candidate_nll_slopes"), |d, i| d.read(Operand::Input(i)));
        let slopes = slopes
            .constant("rejects", self.rejects)
            .write(Operand::Output(1))
            .write(rejection)
            .word(m * options)
            .word(options)
            .elements(m * options, 256);
        let back =
            [0, 1, 2].into_iter().fold(Dispatch::new("candidate_nll_backward"), |d, i| d.read(Operand::Input(i)));
        let back = back
            .read(Operand::Output(1))
            .write(Operand::Output(0))
            .write(Operand::Output(2))
            .word(m * e)
            .word(e)
            .word(c)
            .word(words)
            .elements(m * e, 256);
        vec![slopes, back]
    }

    fn scratch(&self, _: &Shapes, _: &DeviceTraits) -> Vec<TensorType> {
        if self.rejects { Vec::new() } else { vec![TensorType::f32(&[4])] }
    }

    twins!();
}
