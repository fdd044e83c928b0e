//! The vocabulary head's kernels for GPUs: logits by tiles of 64 rows and 64 words that are used where they are made;
//! `shaders/vocabulary_tiles.wgsl`, `_merge` and `_backward`, over `shaders/shared/vocabulary_tile.wgsl`, or the same with
//! cooperative matrices, `shaders/shared/vocabulary_cooperative.wgsl`.
//!
//! The forward pass never writes a logit: a workgroup goes over some tiles of words for its 64 rows, keeps what is to be
//! known of each row, and a second kernel puts the workgroups' parts together in order.
//!
//! The backward pass makes the logits again by the same tiles, turns them into their gradients in registers and writes
//! those, some thousand words at a time, for the matrix-multiplication kernels, which read them twice. That is three
//! products of M x V x E, none more than there must be, and three times M x V numbers of memory traffic. The alternative
//! writes nothing but makes the logits twice, for dX in workgroups that own rows and for dW in workgroups that own words:
//! a fourth product of 2 M V E operations in place of that traffic. For ELECTRA-Small at 128 x 128 tokens, 19 GFLOP against
//! 0.89 GB in single precision, or 0.45 GB in half, at 60 % of the peak:
//!
//! | | fourth product | traffic, single | traffic, half |
//! |---|---|---|---|
//! | H100, 60 TFLOP/s, 3.3 TB/s | 0.53 ms | 0.27 ms | 0.13 ms |
//! | RTX 3060 for laptops, 11 TFLOP/s, 336 GB/s | 2.9 ms | 2.7 ms | 1.3 ms |
//! | Radeon 780M, 8 TFLOP/s, 90 GB/s | 4.0 ms | 9.9 ms | 5.0 ms |
//!
//! The fourth product is the dearer one or equal wherever memory is not shared with a CPU, and 60 % is more than a kernel
//! reaches whose accumulators of two products share 16 KiB of workgroup memory and one set of registers; the other way
//! profits from every faster matrix multiplication.

use crate::graph::{DType, TensorType};
use crate::op::{DeviceTraits, Dispatch, KernelFamily, Operand, Shapes};
use crate::ops::vocabulary_nll::{HARDWARE, Sampling, chunk_words, sizes};

/// Rows and words of a tile.
const TILE: usize = 64;
/// Workgroups of the forward pass: enough to fill a large GPU several times, for an even end; more would only make more
/// parts to put together.
const WORKGROUPS: usize = 1_024;
/// Words of memory that hold what is known of a row: as written by `shared/vocabulary_rows.wgsl`, and as read by
/// `vocabulary_nll_finish.wgsl`.
const PARTIAL: usize = 7;
const STATE: usize = 8;

/// Workgroup memory of the kernels of cooperative matrices, in bytes.
const COOPERATIVE_MEMORY: u32 = 32_256;

/// Whether the device has all that the kernels of cooperative matrices need.
pub(super) fn multiplies(device: &DeviceTraits) -> bool {
    let room = device.workgroup_memory >= COOPERATIVE_MEMORY && device.invocations >= 128;
    device.f16 && room && device.cooperative.is_some_and(|size| [8, 16].contains(&size))
}

/// Whether they are what the device's traits name, and can multiply x and word.
fn cooperative(s: &Shapes, device: &DeviceTraits) -> bool {
    let halves = s.inputs[..2].iter().all(|ty| ty.dtype == DType::F16 && ty.columns().is_multiple_of(4));
    halves && device.vocabulary == Some(KernelFamily::Cooperative) && multiplies(device)
}

/// Workgroups of the forward pass along V, and the tiles of each.
fn groups(m: usize, v: usize) -> (usize, usize) {
    let tiles = v.div_ceil(TILE);
    let each = tiles.div_ceil((WORKGROUPS / m.div_ceil(TILE).max(1)).clamp(1, tiles.max(1)));
    (tiles.div_ceil(each.max(1)), each)
}

/// (first word, words) of each chunk of the backward pass. What a vocabulary has beyond a multiple of four is a chunk of its
/// own, so that all others can be read by vectors.
pub(in crate::ops) fn chunks(m: usize, v: usize) -> Vec<(usize, usize)> {
    let words = chunk_words(m, v, HARDWARE);
    let vectors = v - v % 4;
    let mut chunks: Vec<_> = (0..vectors).step_by(words).map(|first| (first, words.min(vectors - first))).collect();
    if vectors < v {
        chunks.push((vectors, v - vectors));
    }
    chunks
}

/// What workgroups know of each row [groups, 7, M], and what is known of each row in the end [M, 8].
pub(in crate::ops) fn scratch(s: &Shapes) -> Vec<TensorType> {
    let (m, _, v) = sizes(s);
    vec![TensorType::u32(&[groups(m, v).0, PARTIAL, m]), TensorType::u32(&[m, STATE])]
}

/// What `shaders/shared/vocabulary_access.wgsl` needs, for the logits of `words` words.
fn tiles(shader: &'static str, s: &Shapes, words: usize) -> Dispatch {
    let (m, e, v) = sizes(s);
    Dispatch::new(shader)
        .constant("aligned", f64::from(u8::from(e.is_multiple_of(4))))
        .element("X", s.inputs[0].dtype)
        .element("Word", s.inputs[1].dtype)
        .flops(2 * (m * e * words) as u64)
        .read(Operand::Input(0))
        .read(Operand::Input(1))
        .moving(e * words)
        .read(Operand::Input(2))
        .moving(words)
        .read(Operand::Input(3))
        .word(m)
        .word(v)
        .word(e)
}

/// Writes `Scratch(1)`: what is known of each row.
pub(in crate::ops) fn forward(s: &Shapes, stream: usize, sampling: Sampling, device: &DeviceTraits) -> [Dispatch; 2] {
    let (m, _, v) = sizes(s);
    let (groups, each) = groups(m, v);
    let (some, state) = (Operand::Scratch(0), Operand::Scratch(1));
    let sharpness = sampling.sharpness();
    let shader = if cooperative(s, device) {
        device.by_matrices(["vocabulary_cooperative_8", "vocabulary_cooperative_16"])
    } else {
        "vocabulary_tiles"
    };
    let know = tiles(shader, s, v).write(some).word(each).word(stream);
    let know = know.float(sharpness).word(usize::from(sampling.excludes_target));
    let merge = Dispatch::new("vocabulary_tiles_merge").read(some).write(state).word(m).word(groups).float(sharpness);
    [know.groups(m.div_ceil(TILE), groups, 1), merge.elements(m, 8)]
}

/// Writes the gradients [M, words] of the logits of some words, of type `dtype`, from the log-sum-exp and each row's gradient.
pub(in crate::ops) fn backward(
    s: &Shapes,
    (first, words): (usize, usize),
    [lse, d, gradient]: [Operand; 3],
    dtype: DType,
    device: &DeviceTraits,
) -> Dispatch {
    let (m, ..) = sizes(s);
    let shader = if cooperative(s, device) {
        device.by_matrices(["vocabulary_cooperative_backward_8", "vocabulary_cooperative_backward_16"])
    } else {
        "vocabulary_tiles_backward"
    };
    let dispatch = tiles(shader, s, words).element("Gradient", dtype);
    let dispatch = dispatch.read(lse).read(d).write(gradient).moving(m * words);
    dispatch.word(first).word(words).groups(words.div_ceil(TILE), m.div_ceil(TILE), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workgroups_cover_the_vocabulary() {
        for (m, v, expected) in [(2_432, 30_522, 26), (9_830, 30_522, 6), (1, 1, 1), (1, 30_522, 477), (90_000, 500, 1)]
        {
            let (groups, each) = groups(m, v);
            assert_eq!(groups, expected, "{m} rows, {v} words");
            assert!(groups * each * TILE >= v && (groups - 1) * each * TILE < v, "{m} rows, {v} words");
        }
    }

    #[test]
    fn chunks_are_vectors_and_a_rest() {
        assert_eq!(chunks(19, 3), [(0, 3)]);
        assert_eq!(chunks(2_432, 30_522).len(), 4);
        for (m, v) in [(19, 130), (2_432, 30_522), (2_432, 30_520), (9_830, 30_522), (32_768, 522)] {
            let mut next = 0;
            let chunks = chunks(m, v);
            for (i, &(first, words)) in chunks.iter().enumerate() {
                let rest = v % 4 != 0 && i == chunks.len() - 1;
                assert_eq!(first, next, "{m} rows, {v} words");
                assert!(words > 0 && words * m <= HARDWARE && (rest || words % 4 == 0), "{m} rows, {v} words");
                next = first + words;
            }
            assert_eq!(next, v);
        }
    }
}
