//! The gradient of [`super::vocabulary_nll`]; `shaders/vocabulary_nll_backward.wgsl`, and on GPUs
//! `shaders/vocabulary_tiles_backward.wgsl` or, with cooperative matrices, `shaders/shared/vocabulary_cooperative_backward.wgsl`.
//!
//! Some thousand words at a time: their logits once more, turned into gradients, and two products, with the words and with
//! the rows.

use super::vocabulary_nll::{
    HARDWARE, LOGITS, ROWS, SOFTWARE, WORDS, check, chunk_words, chunks, logits, shared_scratch, sizes,
};
use crate::graph::{DType, Graph, GraphError, Node, Tensor, TensorType};
use crate::math::gemm::Matrix;
use crate::math::parallel::vectorize;
use crate::math::{Factor, Real};
use crate::op::{
    DeviceTraits, Dispatch, Epilogue, Halves, MatmulShape, Op, Operand, Shapes, Twin, no_second_derivative, twins,
};
use crate::ops::kernels::{Matmul, MatmulOperands, vocabulary_tiles};
use rayon::prelude::*;

/// From the inputs, the log-sum-exp [M] and the rows' gradients d [M]: the gradients of x, word and bias.
/// d logit = d * (softmax - onehot(target)).
#[derive(Debug)]
pub(super) struct VocabularyNllBackward;

/// Chunks of words are handled in this many groups, each with its own part of dx, added up in order.
const GROUPS: usize = 8;

impl VocabularyNllBackward {
    fn twin<R: Real>(&self, mut t: Twin<'_, R>) {
        let (x, word, bias) = (t.real(0), t.real(1), t.real(2));
        let (targets, lse, d) = (t.int(3), t.real(4), t.real(5));
        let (m, e, v) = (t.input_types[0].rows(), t.input_types[0].columns(), bias.len());
        let (dx, dword, dbias) = (t.out(0), t.out(1), t.out(2));
        let (each, products) = (v.div_ceil(GROUPS).next_multiple_of(64), t.products);
        // Brought into order once for all words.
        let rows_of = |top: usize| {
            let rows = ROWS.min(m - top);
            Factor::new(products, Matrix::new(&x[top * e..], e), (rows, e))
        };
        let factors: Vec<_> = (0..m.div_ceil(ROWS)).into_par_iter().map(|i| rows_of(i * ROWS)).collect();
        let group = |g: usize, dword: &mut [R], dbias: &mut [R]| {
            let mut dx = vec![R::ZERO; m * e];
            let mut logits = vec![R::ZERO; ROWS * WORDS];
            dbias.fill(R::ZERO);
            for start in (0..dbias.len()).step_by(WORDS) {
                let words = WORDS.min(dbias.len() - start);
                let first = g * each + start;
                let chunk = Matrix::new(&word[first * e..], e);
                let words_of = Factor::new(products, chunk.t(), (e, words));
                let back = Factor::new(products, chunk, (words, e));
                for top in (0..m).step_by(ROWS) {
                    let rows = ROWS.min(m - top);
                    let part = Matrix::new(&x[top * e..], e);
                    let bias = &bias[first..first + words];
                    logits.chunks_exact_mut(words).take(rows).for_each(|r| r.copy_from_slice(bias));
                    words_of.multiply(rows, part, (&mut logits, words), true);
                    vectorize(
                        #[inline(always)]
                        || {
                            for (i, row) in logits.chunks_exact_mut(words).take(rows).enumerate() {
                                let (lse, d) = (lse[top + i], d[top + i]);
                                row.iter_mut().for_each(|x| *x = (*x - lse).exp() * d);
                                let target = (targets[top + i] as usize).wrapping_sub(first);
                                if target < words {
                                    row[target] -= d;
                                }
                                dbias[start..start + words].iter_mut().zip(&*row).for_each(|(b, &x)| *b += x);
                            }
                        },
                    );
                    let dlogits = Matrix::new(&logits, words);
                    factors[top / ROWS].multiply(words, dlogits.t(), (&mut dword[start * e..], e), top > 0);
                    back.multiply(rows, dlogits, (&mut dx[top * e..], e), true);
                }
            }
            dx
        };
        let parts = dword.par_chunks_mut(each * e).zip(dbias.par_chunks_mut(each)).enumerate();
        let parts: Vec<Vec<R>> = parts.map(|(g, (w, b))| group(g, w, b)).collect();
        dx.fill(R::ZERO);
        for part in parts {
            dx.iter_mut().zip(part).for_each(|(o, p)| *o += p);
        }
    }
}

/// (first word, words) of each chunk.
fn chunks_for(m: usize, v: usize, device: &DeviceTraits) -> Vec<(usize, usize)> {
    if device.software { chunks(m, v).collect() } else { vocabulary_tiles::chunks(m, v) }
}

/// The type of the logits' gradients. Kernels for GPUs make them of logits that nobody reads, and write them as x is; on a
/// software driver they lie where the logits were.
fn gradient_type(s: &Shapes, device: &DeviceTraits) -> DType {
    if device.software { DType::F32 } else { s.inputs[0].dtype }
}

/// A chunk's part of dx: dlogits word.
fn input_gradient(s: &Shapes, dlogits: DType, first: usize, words: usize) -> Matmul {
    let (m, e, _) = sizes(s);
    let elements = [dlogits, s.inputs[1].dtype, DType::F32, DType::F32];
    Matmul { m, n: e, k: words, elements, accumulate: first > 0, b_offset: first * e, ..Matmul::default() }
}

/// A chunk's rows of dword, dlogits^T x, and its part of dbias.
fn word_gradient(s: &Shapes, dlogits: DType, first: usize, words: usize) -> Matmul {
    let (m, e, _) = sizes(s);
    Matmul {
        m: words,
        n: e,
        k: m,
        transpose_a: true,
        elements: [dlogits, s.inputs[0].dtype, DType::F32, DType::F32],
        c_offset: first * e,
        bias_offset: first,
        epilogue: Epilogue::RowSums,
        ..Matmul::default()
    }
}

impl Op for VocabularyNllBackward {
    fn name(&self) -> &'static str {
        "vocabulary_nll_backward"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        check("vocabulary_nll_backward", inputs)?;
        Ok(inputs[..3].iter().map(|t| TensorType::f32(&t.shape)).collect())
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("vocabulary_nll_backward")
    }

    /// Not dx: chunk after chunk is added to it, and it is small.
    fn halves(&self) -> Halves {
        Halves { inputs: &[0, 1], outputs: &[] }
    }

    /// The logits once more, and two products.
    fn flops(&self, s: &Shapes) -> u64 {
        6 * s.inputs[0].len() as u64 * s.inputs[2].len() as u64
    }

    /// Those of a GPU, where many chunks are alike.
    fn matmuls(&self, s: &Shapes) -> Vec<MatmulShape> {
        let ((m, _, v), dtype) = (sizes(s), s.inputs[0].dtype);
        let mut shapes = Vec::new();
        for (first, words) in vocabulary_tiles::chunks(m, v) {
            for product in [input_gradient(s, dtype, first, words), word_gradient(s, dtype, first, words)] {
                let shape = product.shape(false);
                if !shapes.contains(&shape) {
                    shapes.push(shape);
                }
            }
        }
        shapes
    }

    /// Gradients of a chunk's logits, and what the products need.
    fn scratch(&self, s: &Shapes, device: &DeviceTraits) -> Vec<TensorType> {
        let (m, _, v) = sizes(s);
        let dtype = gradient_type(s, device);
        let mut scratch =
            vec![TensorType::new(dtype, &[m, chunk_words(m, v, if device.software { SOFTWARE } else { HARDWARE })])];
        let mut products = Vec::new();
        for (first, words) in chunks_for(m, v, device) {
            if device.software {
                products.push(logits(s, first, words).scratch(true, device));
            }
            products.push(input_gradient(s, dtype, first, words).scratch(false, device));
            products.push(word_gradient(s, dtype, first, words).scratch(false, device));
        }
        shared_scratch(products.into_iter(), &mut scratch);
        scratch
    }

    fn dispatches(&self, s: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
        let (m, _, v) = sizes(s);
        let dtype = gradient_type(s, device);
        let dlogits = Operand::Scratch(0);
        let [x, word, targets, lse, d] = [0, 1, 3, 4, 5].map(Operand::Input);
        let [dx, dword, dbias] = [0, 1, 2].map(Operand::Output);
        let to_dx = MatmulOperands { a: dlogits, b: word, c: dx, bias: None, second: None };
        let to_dword = MatmulOperands { a: dlogits, b: x, c: dword, bias: None, second: Some(dbias) };
        let mut dispatches = Vec::new();
        for (first, words) in chunks_for(m, v, device) {
            if device.software {
                dispatches.extend(logits(s, first, words).dispatches(&LOGITS, 1, device));
                let turn = Dispatch::new("vocabulary_nll_backward")
                    .read(targets)
                    .read(lse)
                    .read(d)
                    .write(dlogits)
                    .word(m * words)
                    .word(words)
                    .word(first)
                    .elements(m * words, 256);
                dispatches.push(turn);
            } else {
                let operands = [lse, d, dlogits];
                dispatches.push(vocabulary_tiles::backward(s, (first, words), operands, dtype, device));
            }
            dispatches.extend(input_gradient(s, dtype, first, words).dispatches(&to_dx, 1, device));
            dispatches.extend(word_gradient(s, dtype, first, words).dispatches(&to_dword, 1, device));
        }
        dispatches
    }

    twins!();
}
