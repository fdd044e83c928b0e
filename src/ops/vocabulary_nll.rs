//! Which word, of all of a vocabulary: each row's negative log-likelihood of its target, and a sample of its softmax, without
//! ever holding M x V logits; `shaders/vocabulary_*.wgsl`.
//!
//! The forward pass keeps, for each row, the running maximum and sum of exponentials (the online softmax of Milakov and
//! Gimelshein, arXiv 1805.02867), the largest logit's word, and the word with the largest logit + Gumbel noise, which is a
//! sample of the softmax. The gradient computes the same logits again. GPUs use logits where they are made
//! (`vocabulary_tiles.rs`). Drivers that run shaders on the CPU, whose workgroup memory is memory like any other, multiply
//! matrices a few thousand words at a time and read the logits back.
//!
//! x [M, E], word [V, E], bias [V], targets of M elements: -log softmax(x word^T + bias)[target], a row.

use super::vocabulary_nll_backward::VocabularyNllBackward;
use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::gemm::Matrix;
use crate::math::parallel::vectorize;
use crate::math::reduce::{self, sum2};
use crate::math::{Draws, Factor, Real, uniform};
use crate::op::{DeviceTraits, Dispatch, Halves, Op, Operand, Shapes, Twin, mismatch, twins};
use crate::ops::kernels::{Matmul, MatmulOperands, vocabulary_tiles};
use rayon::prelude::*;

#[derive(Debug, Clone, Copy)]
struct VocabularyNll {
    /// The random numbers of the samples, and how they are drawn, where there are to be some.
    draw: Option<(u32, Sampling)>,
}

/// How words are sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it first, more than 0: the higher, the more alike the words.
    pub temperature: f32,
    /// Whether a row's target is never drawn.
    pub excludes_target: bool,
}

impl Default for Sampling {
    /// By the softmax as it is.
    fn default() -> Self {
        Self { temperature: 1.0, excludes_target: false }
    }
}

/// What [`vocabulary_nll`] gives.
#[derive(Debug, Clone, Copy)]
pub struct VocabularyOutput {
    /// Each row's negative log-likelihood of its target, nats: `[M]`. The only one that a gradient flows through.
    pub nll: Tensor,
    /// Log-sum-exp of each row's logits: `[M]`.
    pub lse: Tensor,
    /// A sample of each row's softmax: `[M]`, u32. No gradient flows through it.
    pub sampled: Tensor,
    /// Each row's most likely word: `[M]`, u32.
    pub best: Tensor,
}

/// Likelihood, sample and best guess in one pass over the vocabulary: of x [M, E], `words` the matrix [V, E] and the bias `[V]`,
/// and the ids of the targets, u32, M of them.
pub fn vocabulary_nll(
    g: &mut Graph,
    x: Tensor,
    words: (Tensor, Tensor),
    targets: Tensor,
) -> Result<VocabularyOutput, GraphError> {
    vocabulary_nll_sampled(g, x, words, targets, Sampling::default())
}

/// As [`vocabulary_nll`] with samples that are drawn otherwise. Of a vocabulary of nothing but the target, that is never drawn, word 0 is.
pub fn vocabulary_nll_sampled(
    g: &mut Graph,
    x: Tensor,
    (word, bias): (Tensor, Tensor),
    targets: Tensor,
    sampling: Sampling,
) -> Result<VocabularyOutput, GraphError> {
    let draw = Some((g.stream("sample"), sampling));
    add(g, VocabularyNll { draw }, [x, word, bias, targets])
}

/// As [`vocabulary_nll`] where no sample is of use, which costs as much as the rest of a logit: [`VocabularyOutput::sampled`] is the most
/// likely word.
pub fn vocabulary_nll_without_sample(
    g: &mut Graph,
    x: Tensor,
    (word, bias): (Tensor, Tensor),
    targets: Tensor,
) -> Result<VocabularyOutput, GraphError> {
    add(g, VocabularyNll { draw: None }, [x, word, bias, targets])
}

fn add(g: &mut Graph, op: VocabularyNll, inputs: [Tensor; 4]) -> Result<VocabularyOutput, GraphError> {
    let out = g.add(op, &inputs)?;
    Ok(VocabularyOutput { nll: out[0], lse: out[1], sampled: out[2], best: out[3] })
}

/// What kernels are told where nothing is drawn.
const NO_STREAM: u32 = u32::MAX;

impl Sampling {
    /// What logits are multiplied with.
    pub(super) fn sharpness(self) -> f32 {
        1.0 / self.temperature
    }
}

/// Words and rows whose logits are held at a time by one thread.
pub(super) const WORDS: usize = 1_024;
pub(super) const ROWS: usize = 128;

/// What is known of a row after some words.
#[derive(Debug, Clone, Copy)]
struct Running<R> {
    most: R,
    total: R,
    best: u32,
    sample: R,
    sampled: u32,
    target: R,
}

impl<R: Real> Running<R> {
    fn new() -> Self {
        let least = R::of(f64::from(f32::MIN));
        Self { most: least, total: R::ZERO, best: 0, sample: least, sampled: 0, target: R::ZERO }
    }

    /// Takes in what is known from later words.
    fn merge(&mut self, other: &Self) {
        let most = self.most.max(other.most);
        self.total = self.total * (self.most - most).exp() + other.total * (other.most - most).exp();
        if other.most > self.most {
            self.best = other.best;
        }
        if other.sample > self.sample {
            (self.sample, self.sampled) = (other.sample, other.sampled);
        }
        self.most = most;
        self.target += other.target;
    }

    /// From one row's logits of the words `first..`; `noise` is scratch of the same length. What is drawn is numbered from an element
    /// on.
    #[inline(always)]
    fn of(logits: &[R], noise: &mut [R], first: usize, target: usize, draws: Option<(Draws, usize, Sampling)>) -> Self {
        let most = reduce::most(logits);
        for (n, &x) in noise.iter_mut().zip(logits) {
            *n = (x - most).exp();
        }
        let total = sum2(
            noise,
            noise,
            #[inline(always)]
            |x, _| x,
        );
        let find = |row: &[R], value: R| (first + row.iter().position(|&x| x == value).unwrap_or(0)) as u32;
        let best = find(logits, most);
        let (sample, sampled) = match draws {
            Some((draws, element, sampling)) => {
                gumbel(noise, draws, element);
                let sharpness = R::of(f64::from(sampling.sharpness()));
                for (n, &x) in noise.iter_mut().zip(logits) {
                    *n += x * sharpness;
                }
                if let Some(excluded) = noise.get_mut(target.wrapping_sub(first)).filter(|_| sampling.excludes_target) {
                    *excluded = R::of(f64::from(f32::MIN));
                }
                let sample = reduce::most(noise);
                (sample, find(noise, sample))
            }
            None => (most, best),
        };
        Self {
            most,
            total,
            best,
            sample,
            sampled,
            target: if target >= first && target < first + logits.len() { logits[target - first] } else { R::ZERO },
        }
    }
}

/// Fills `out` with Gumbel noise of elements `start..`, as the reference writes it.
#[inline(always)]
fn gumbel<R: Real>(out: &mut [R], draws: Draws, start: usize) {
    let tiny = R::of(1e-9);
    draws.map(
        start,
        out,
        #[inline(always)]
        |_, bits| -(tiny - (R::of(f64::from(uniform(bits))) + tiny).ln()).ln(),
    );
}

impl VocabularyNll {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (x, word, bias, targets) = (t.real(0), t.real(1), t.real(2), t.int(3));
        let (m, e, v) = (t.input_types[0].rows(), t.input_types[0].columns(), bias.len());
        let draws = self.draw.map(|(stream, sampling)| (t.step.draws(stream, m * v), sampling));
        let chunk = |logits: &mut Vec<R>, first: usize| {
            let words = WORDS.min(v - first);
            logits.resize(ROWS * WORDS + WORDS, R::ZERO);
            let (logits, noise) = logits.split_at_mut(ROWS * WORDS);
            let mut found = Vec::with_capacity(m);
            let chunk = Factor::new(t.products, Matrix::new(&word[first * e..], e).t(), (e, words));
            for top in (0..m).step_by(ROWS) {
                let rows = ROWS.min(m - top);
                logits.chunks_exact_mut(words).take(rows).for_each(|r| r.copy_from_slice(&bias[first..first + words]));
                chunk.multiply(rows, Matrix::new(&x[top * e..], e), (logits, words), true);
                vectorize(
                    #[inline(always)]
                    || {
                        for (i, row) in logits.chunks_exact(words).take(rows).enumerate() {
                            let (m, target) = (top + i, targets[top + i] as usize);
                            let draws = draws.map(|(draws, sampling)| (draws, m * v + first, sampling));
                            found.push(Running::of(row, &mut noise[..words], first, target, draws));
                        }
                    },
                );
            }
            found
        };
        let starts: Vec<usize> = (0..v).step_by(WORDS).collect();
        let parts: Vec<Vec<Running<R>>> = starts.par_iter().map_init(Vec::new, |l, &first| chunk(l, first)).collect();
        let (nll, lse, sampled, best) = (t.out(0), t.out(1), t.out_int(2), t.out_int(3));
        for row in 0..m {
            let mut all = Running::new();
            parts.iter().for_each(|part| all.merge(&part[row]));
            lse[row] = all.most + R::of(all.total.wide().ln());
            (sampled[row], best[row]) = (all.sampled, all.best);
            nll[row] = lse[row] - all.target;
        }
    }
}

pub(super) fn check(op: &'static str, inputs: &[&TensorType]) -> Result<(), GraphError> {
    match inputs {
        [x, word, bias, targets, ..]
            if x.columns() == word.columns()
                && word.rows() == bias.len()
                && targets.dtype == DType::U32
                && targets.len() == x.rows() =>
        {
            Ok(())
        }
        _ => Err(mismatch(op, inputs, "x [M, E], word [V, E], bias [V], M targets")),
    }
}

/// M, E, V.
pub(super) fn sizes(shapes: &Shapes) -> (usize, usize, usize) {
    (shapes.inputs[0].rows(), shapes.inputs[0].columns(), shapes.inputs[2].len())
}

/// Logits that are held at a time, for all rows, by a software driver: 32 MiB, which stay in a CPU's last cache. With four times as many
/// lavapipe does a step of one layer at 128 x 128 tokens at .87 to .91 of the speed.
pub(super) const SOFTWARE: usize = 8 << 20;
/// By a GPU: 128 MiB in single precision, which every device can bind. Products of fewer words have few workgroups for a large GPU; that is
/// counted, no GPU has measured it.
pub(super) const HARDWARE: usize = 32 << 20;

/// Words whose logits a device holds at a time: no more than half of the vocabulary.
pub(super) fn chunk_words(m: usize, v: usize, elements: usize) -> usize {
    let most = (elements / m.max(1) / 64 * 64).max(64);
    v.div_ceil(v.div_ceil(most).max(2)).next_multiple_of(64)
}

/// (first word, words) of each chunk on a software driver.
pub(super) fn chunks(m: usize, v: usize) -> impl Iterator<Item = (usize, usize)> {
    let words = chunk_words(m, v, SOFTWARE);
    (0..v).step_by(words).map(move |first| (first, words.min(v - first)))
}

/// A chunk's logits, x word^T + bias, in single precision.
pub(super) fn logits(s: &Shapes, first: usize, words: usize) -> Matmul {
    let (m, e, _) = sizes(s);
    let elements = [s.inputs[0].dtype, s.inputs[1].dtype, DType::F32, DType::F32];
    let (b_offset, bias_offset) = (first * e, first);
    Matmul { m, n: words, k: e, transpose_b: true, elements, b_offset, bias_offset, ..Matmul::default() }
}

/// Where [`logits`] reads and writes.
pub(super) const LOGITS: MatmulOperands = MatmulOperands {
    a: Operand::Input(0),
    b: Operand::Input(1),
    c: Operand::Scratch(0),
    bias: Some(Operand::Input(2)),
    second: None,
};

/// Appends scratch tensors that several products share one after the other: each as large as the largest.
pub(super) fn shared_scratch(products: impl Iterator<Item = Vec<TensorType>>, scratch: &mut Vec<TensorType>) {
    let own = scratch.len();
    for product in products {
        for (i, ty) in product.into_iter().enumerate() {
            match scratch.get_mut(own + i) {
                Some(largest) if largest.len() < ty.len() => *largest = ty,
                Some(_) => {}
                None => scratch.push(ty),
            }
        }
    }
}

/// What is known of each row in the end.
const STATE: Operand = Operand::Scratch(1);

impl VocabularyNll {
    /// As kernels are told it.
    fn stream(&self) -> usize {
        self.draw.map_or(NO_STREAM, |(stream, _)| stream) as usize
    }

    fn sampling(&self) -> Sampling {
        self.draw.map(|(_, sampling)| sampling).unwrap_or_default()
    }

    /// Logits of a chunk, what is known of each row [M, 8], and what the products need.
    fn chunks_scratch(&self, s: &Shapes, device: &DeviceTraits) -> Vec<TensorType> {
        let (m, _, v) = sizes(s);
        let mut scratch = vec![TensorType::f32(&[m, chunk_words(m, v, SOFTWARE)]), TensorType::u32(&[m, 8])];
        let products: Vec<Matmul> = chunks(m, v).map(|(first, words)| logits(s, first, words)).collect();
        shared_scratch(products.iter().map(|p| p.scratch(true, device)), &mut scratch);
        scratch
    }

    fn chunks_dispatches(&self, s: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
        let (m, _, v) = sizes(s);
        let mut dispatches = Vec::new();
        for (first, words) in chunks(m, v) {
            dispatches.extend(logits(s, first, words).dispatches(&LOGITS, 2, device));
            let update = Dispatch::new("vocabulary_nll")
                .read(LOGITS.c)
                .read(Operand::Input(3))
                .write(STATE)
                .word(m)
                .word(words)
                .word(first)
                .word(v)
                .word(self.stream())
                .float(self.sampling().sharpness())
                .word(usize::from(self.sampling().excludes_target));
            dispatches.push(update.elements(m, 1));
        }
        dispatches
    }
}

impl Op for VocabularyNll {
    fn name(&self) -> &'static str {
        "vocabulary_nll"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        check("vocabulary_nll", inputs)?;
        let m = inputs[0].rows();
        Ok(vec![TensorType::f32(&[m]), TensorType::f32(&[m]), TensorType::u32(&[m]), TensorType::u32(&[m])])
    }

    fn backward(&self, g: &mut Graph, node: &Node, d: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        let Some(d) = d[0] else { return Ok(vec![None; 4]) };
        let mut inputs = node.inputs.clone();
        inputs.extend([node.outputs[1], d]);
        let out = g.add(VocabularyNllBackward, &inputs)?;
        Ok(vec![Some(out[0]), Some(out[1]), Some(out[2]), None])
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0, 1], outputs: &[] }
    }

    fn flops(&self, s: &Shapes) -> u64 {
        2 * s.inputs[0].len() as u64 * s.inputs[2].len() as u64
    }

    fn scratch(&self, s: &Shapes, device: &DeviceTraits) -> Vec<TensorType> {
        if device.software { self.chunks_scratch(s, device) } else { vocabulary_tiles::scratch(s) }
    }

    fn dispatches(&self, s: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
        let (m, _, v) = sizes(s);
        let mut dispatches = if device.software {
            self.chunks_dispatches(s, device)
        } else {
            vocabulary_tiles::forward(s, self.stream(), self.sampling(), device).to_vec()
        };
        let outputs = [0, 1, 2, 3].map(Operand::Output);
        let finish = outputs.into_iter().fold(Dispatch::new("vocabulary_nll_finish").read(STATE), Dispatch::write);
        dispatches.push(finish.word(m).word(v).elements(m, 256));
        dispatches
    }

    twins!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_follow_the_temperature_and_may_exclude_the_target() {
        let logits = [0.0f64, 1.0, 2.0, -1.0];
        for (temperature, excludes_target) in [(1.0, false), (0.5, false), (2.0, true), (1.0, true)] {
            let sampling = Sampling { temperature, excludes_target };
            let weight = |i: usize| {
                if excludes_target && i == 2 { 0.0 } else { (logits[i] / f64::from(temperature)).exp() }
            };
            let total: f64 = (0..4).map(weight).sum();
            let (mut counts, draws) = ([0.0f64; 4], Draws::new([3, 4], 1, 7, 0));
            const COUNT: usize = 40_000;
            for row in 0..COUNT {
                // As the words 10 to 13.
                let found = Running::of(&logits, &mut [0.0; 4], 10, 12, Some((draws, 4 * row, sampling)));
                counts[found.sampled as usize - 10] += 1.0;
            }
            for (i, count) in counts.into_iter().enumerate() {
                let p = weight(i) / total;
                let off = (count / COUNT as f64 - p).abs();
                assert!(off <= 4.0 * (p * (1.0 - p) / COUNT as f64).sqrt(), "{sampling:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn chunks_cover_the_vocabulary() {
        for (m, v, expected) in [(2_432, 30_522, 9), (9_830, 30_522, 37), (1, 1, 1), (19, 64, 1), (19, 130, 2)] {
            let chunks: Vec<_> = chunks(m, v).collect();
            assert_eq!(chunks.len(), expected, "{m} rows, {v} words");
            let mut next = 0;
            for (first, words) in chunks {
                assert_eq!(first, next);
                assert!(first % 64 == 0 && words > 0 && words * m <= SOFTWARE);
                next = first + words;
            }
            assert_eq!(next, v);
        }
    }
}
