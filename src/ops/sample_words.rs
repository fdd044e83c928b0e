//! Several words a row, drawn from the softmax over a vocabulary; `shaders/sample_words.wgsl`.
//!
//! With repeats, each word is drawn anew: a random part of the row's sum of exponentials falls into one of them. Without, what was
//! drawn is left out of the next sum, which is the distribution of Gumbel-top-k (Kool et al., arXiv 1903.06059). Where
//! [`vocabulary_nll`](super::vocabulary_nll()) needs a random number a word, this needs one a draw; but it holds a row's logits, of some rows at
//! a time.

use super::vocabulary_nll::LOGITS;
use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::gemm::Matrix;
use crate::math::parallel::vectorize;
use crate::math::reduce::{most, sum2};
use crate::math::{Factor, Real, uniform};
use crate::op::{DeviceTraits, Dispatch, Halves, MatmulShape, Op, Operand, Shapes, Twin, mismatch, twins};
use crate::ops::kernels::Matmul;
use rayon::prelude::*;

/// The most words that are drawn for a row: a workgroup draws with an invocation each.
pub const MOST_DRAWN: usize = 64;

#[derive(Debug)]
struct SampleWords {
    count: usize,
    repeats: bool,
    stream: u32,
}

/// `count` words for each row of `x` [M, E], of the words whose matrix [V, E] and bias `[V]` are given: [M, count], u32, in the order
/// in which they were drawn. `excluded` has a word a row that is never drawn. Without `repeats` they all differ. No gradient flows through them.
///
/// # Errors
/// [`GraphError`] where there are no more words than are to be drawn, or more are than [`MOST_DRAWN`].
pub fn sample_words(
    g: &mut Graph,
    x: Tensor,
    (word, bias): (Tensor, Tensor),
    excluded: Option<Tensor>,
    (count, repeats): (usize, bool),
) -> Result<Tensor, GraphError> {
    let stream = g.stream("sample_words");
    let inputs: Vec<Tensor> = [x, word, bias].into_iter().chain(excluded).collect();
    g.add1(SampleWords { count, repeats, stream }, &inputs)
}

/// M, E, V.
fn sizes(shapes: &Shapes) -> (usize, usize, usize) {
    (shapes.inputs[0].rows(), shapes.inputs[0].columns(), shapes.inputs[2].len())
}

/// Neighbouring words whose exponentials are added up first: of 256 segments at most, which a workgroup can hold.
fn segment(v: usize) -> usize {
    v.div_ceil(256).max(64)
}

/// Rows whose logits a device holds at a time, about 32 MiB of them.
fn rows_at_once(m: usize, v: usize) -> usize {
    ((8 << 20) / v.max(1)).clamp(1, m.max(1))
}

/// Logits of a piece of rows, in single precision.
fn logits(s: &Shapes, first: usize, rows: usize) -> Matmul {
    let (_, e, v) = sizes(s);
    let elements = [s.inputs[0].dtype, s.inputs[1].dtype, DType::F32, DType::F32];
    Matmul { m: rows, n: v, k: e, transpose_b: true, elements, a_offset: first * e, ..Matmul::default() }
}

impl SampleWords {
    fn products<'a>(&self, s: &'a Shapes) -> impl Iterator<Item = (usize, usize, Matmul)> + 'a {
        let (m, _, v) = sizes(s);
        let each = rows_at_once(m, v);
        (0..m).step_by(each).map(move |first| {
            let rows = each.min(m - first);
            (first, rows, logits(s, first, rows))
        })
    }

    /// Draws from `logits`, which are spoilt; `weights` is scratch of the same length, `numbers` gives a random number in [0, 1) for each
    /// of the words.
    #[inline(always)]
    fn draw<R: Real>(&self, logits: &mut [R], weights: &mut [R], numbers: impl Fn(usize) -> R, out: &mut [u32]) {
        let length = segment(logits.len());
        let mut sums = [R::ZERO; 256];
        for (j, drawn) in out.iter_mut().enumerate() {
            if j == 0 || !self.repeats {
                let largest = most(logits);
                for (w, &x) in weights.iter_mut().zip(&*logits) {
                    let below = x - largest;
                    *w = if below < R::of(-87.0) { R::ZERO } else { below.exp() };
                }
                for (sum, words) in sums.iter_mut().zip(weights.chunks(length)) {
                    *sum = sum2(
                        words,
                        words,
                        #[inline(always)]
                        |x, _| x,
                    );
                }
            }
            let sums = &sums[..weights.len().div_ceil(length)];
            let goal = numbers(j) * sums.iter().fold(R::ZERO, |total, &sum| total + sum);
            // Where rounding leaves nothing to fall into, the last that could be drawn is.
            let (mut before, mut found) = (R::ZERO, 0);
            for (s, &sum) in sums.iter().enumerate() {
                if sum > R::ZERO {
                    found = s;
                }
                if goal < before + sum {
                    break;
                }
                before += sum;
            }
            let first = found * length;
            let mut word = first;
            if goal >= before {
                for (i, &w) in weights[first..].iter().take(length).enumerate() {
                    if w > R::ZERO {
                        word = first + i;
                    }
                    before += w;
                    if goal < before {
                        break;
                    }
                }
            }
            *drawn = word as u32;
            if !self.repeats {
                logits[word] = R::of(f64::from(f32::MIN));
            }
        }
    }

    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        const ROWS: usize = 16;
        let (x, word, bias) = (t.real(0), t.real(1), t.real(2));
        let excluded = (t.input_types.len() > 3).then(|| t.int(3));
        let (m, e, v) = (t.input_types[0].rows(), t.input_types[0].columns(), bias.len());
        let draws = t.step.draws(self.stream, m * self.count);
        let words = Factor::new(t.products, Matrix::new(word, e).t(), (e, v));
        let out = t.out_int(0).par_chunks_mut(ROWS * self.count).enumerate();
        out.for_each_init(Vec::new, |logits: &mut Vec<R>, (block, out)| {
            let (top, rows) = (block * ROWS, out.len() / self.count);
            logits.resize((ROWS + 1) * v, R::ZERO);
            let (logits, weights) = logits.split_at_mut(ROWS * v);
            logits.chunks_exact_mut(v).take(rows).for_each(|row| row.copy_from_slice(bias));
            words.multiply(rows, Matrix::new(&x[top * e..], e), (logits, v), true);
            vectorize(
                #[inline(always)]
                || {
                    for (i, (logits, out)) in
                        logits.chunks_exact_mut(v).zip(out.chunks_exact_mut(self.count)).enumerate()
                    {
                        let row = top + i;
                        if let Some(x) = excluded.and_then(|excluded| logits.get_mut(excluded[row] as usize)) {
                            *x = R::of(f64::from(f32::MIN));
                        }
                        let number = |j| R::of(f64::from(uniform(draws.element(row * self.count + j))));
                        self.draw(logits, weights, number, out);
                    }
                },
            );
        });
    }
}

impl Op for SampleWords {
    fn name(&self) -> &'static str {
        "sample_words"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        let counts = |v: usize| self.count > 0 && self.count < v && self.count <= MOST_DRAWN;
        match inputs {
            [x, word, bias, excluded @ ..]
                if x.columns() == word.columns()
                    && word.rows() == bias.len()
                    && counts(bias.len())
                    && excluded.iter().all(|words| words.dtype == DType::U32 && words.len() == x.rows()) =>
            {
                Ok(vec![TensorType::u32(&[x.rows(), self.count])])
            }
            _ => Err(mismatch(
                "sample_words",
                inputs,
                format!("x [M, E], word [V, E], bias [V] of more than {} words, and M words at most", self.count),
            )),
        }
    }

    fn backward(&self, _: &mut Graph, node: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        Ok(vec![None; node.inputs.len()])
    }

    fn halves(&self) -> Halves {
        Halves { inputs: &[0, 1], outputs: &[] }
    }

    fn flops(&self, s: &Shapes) -> u64 {
        2 * s.inputs[0].len() as u64 * s.inputs[2].len() as u64
    }

    fn matmuls(&self, s: &Shapes) -> Vec<MatmulShape> {
        let mut shapes = Vec::new();
        for (_, _, product) in self.products(s) {
            let shape = product.shape(true);
            if !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
        shapes
    }

    /// Logits of a piece of rows, and what the products need.
    fn scratch(&self, s: &Shapes, device: &DeviceTraits) -> Vec<TensorType> {
        let (m, _, v) = sizes(s);
        let mut scratch = vec![TensorType::f32(&[rows_at_once(m, v), v])];
        let products: Vec<Matmul> = self.products(s).map(|(_, _, product)| product).collect();
        super::vocabulary_nll::shared_scratch(products.iter().map(|p| p.scratch(true, device)), &mut scratch);
        scratch
    }

    fn dispatches(&self, s: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
        let (m, _, v) = sizes(s);
        let excludes = s.inputs.len() > 3;
        let mut dispatches = Vec::new();
        for (first, rows, product) in self.products(s) {
            dispatches.extend(product.dispatches(&LOGITS, 1, device));
            let draw = Dispatch::new("sample_words")
                .constant("excludes", excludes)
                .constant("repeats", self.repeats)
                .write(LOGITS.c)
                .read(Operand::Input(if excludes { 3 } else { 2 }))
                .write(Operand::Output(0))
                .word(rows)
                .word(first)
                .word(m)
                .word(v)
                .word(segment(v))
                .word(self.count)
                .word(self.stream as usize);
            dispatches.push(draw.elements(rows, 1));
        }
        dispatches
    }

    twins!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::Draws;

    /// How often each word is drawn at each place of `count`, over many rows of these logits.
    fn frequencies(logits: &[f64], count: usize, repeats: bool) -> Vec<Vec<f64>> {
        const ROWS: usize = 40_000;
        let op = SampleWords { count, repeats, stream: 7 };
        let draws = Draws::new([3, 4], 1, 7, 0);
        let mut counts = vec![vec![0.0; logits.len()]; count];
        let (mut weights, mut out) = (vec![0.0; logits.len()], vec![0; count]);
        for row in 0..ROWS {
            let number = |j| f64::from(uniform(draws.element(row * count + j)));
            op.draw(&mut logits.to_vec(), &mut weights, number, &mut out);
            out.iter().zip(&mut counts).for_each(|(&word, counts)| counts[word as usize] += 1.0 / ROWS as f64);
            let differ = (0..count).all(|i| out[..i].iter().all(|&before| before != out[i]));
            assert!(repeats || differ, "{out:?}");
        }
        counts
    }

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 4.5 * (expected * (1.0 - expected) / 40_000.0).sqrt()
    }

    #[test]
    fn words_come_as_often_as_their_probability() {
        let logits: Vec<f64> = (0..150).map(|i| f64::from(i * 7 % 11) / 3.0 - f64::from(i % 3)).collect();
        let total: f64 = logits.iter().map(|x| x.exp()).sum();
        for place in frequencies(&logits, 3, true) {
            assert!(place.iter().zip(&logits).all(|(&found, x)| near(found, x.exp() / total)), "{place:?}");
        }
    }

    #[test]
    fn without_repeats_the_others_share_what_is_left() {
        let p = [0.5, 0.3, 0.15, 0.05f64];
        let found = frequencies(&p.map(f64::ln), 2, false);
        for second in 0..4 {
            let others = (0..4).filter(|&first| first != second);
            let expected: f64 = others.map(|first| p[first] * p[second] / (1.0 - p[first])).sum();
            assert!(near(found[0][second], p[second]) && near(found[1][second], expected), "{found:?}");
        }
    }

    #[test]
    fn behind_a_sure_word_others_are_drawn_by_their_own_weights() {
        let found = frequencies(&[0.0, 900.0, 1.0], 2, false);
        assert!((found[0][1] - 1.0).abs() < 1e-9, "{found:?}");
        assert!(near(found[1][2], 1f64.exp() / (1.0 + 1f64.exp())), "{found:?}");
    }
}
