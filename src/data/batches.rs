//! Batches of examples, by step.
//!
//! B = examples a batch, L = tokens an example, K = drawn positions an example.

use super::random::Permutation;
use super::{Masking, Random};
use crate::corpus::{Examples, SpecialTokens};
use std::ops::Range;
use std::sync::Arc;

/// Domains of the random numbers, so that no two uses share a stream.
const ORDER_STREAM: u64 = 0x4f52_4445;
const MASK_STREAM: u64 = 0x4d41_534b;
const EVALUATION_ORDER_STREAM: u64 = 0x4556_4f52;
const EVALUATION_MASK_STREAM: u64 = 0x4556_4d41;

/// One batch. Matrices are row by row. Rows of length 0 (no tokens, no drawn positions) are legal: they fill up the last
/// batch of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// B.
    pub batch_size: usize,
    /// L.
    pub length: usize,
    /// K.
    pub predictions: usize,
    /// Original ids, `[PAD]` behind the example. `[B, L]`
    pub ids: Vec<u32>,
    /// What the generator sees: `ids` with `[MASK]` at most drawn positions. `[B, L]`
    pub masked_ids: Vec<u32>,
    /// 1 in segment B, else 0. `[B, L]`
    pub type_ids: Vec<u32>,
    /// Tokens before the padding. `[B]`
    pub lengths: Vec<u32>,
    /// Drawn positions as rows of a `[B * L, ...]` matrix, b * L + position, ascending; b * L in slots not used. `[B, K]`
    pub positions: Vec<u32>,
    /// Original ids at the drawn positions, 0 in slots not used. `[B, K]`
    pub targets: Vec<u32>,
    /// 1 for a drawn position, 0 for a slot not used. `[B, K]`
    pub weights: Vec<f32>,
}

impl Batch {
    /// A batch of rows of length 0.
    fn empty(batch_size: usize, length: usize, predictions: usize, pad: u32) -> Self {
        let slots = batch_size * predictions;
        Self {
            batch_size,
            length,
            predictions,
            ids: vec![pad; batch_size * length],
            masked_ids: vec![pad; batch_size * length],
            type_ids: vec![0; batch_size * length],
            lengths: vec![0; batch_size],
            positions: (0..slots).map(|slot| (slot / predictions * length) as u32).collect(),
            targets: vec![0; slots],
            weights: vec![0.0; slots],
        }
    }

    /// Part `index` of the batch where it is worked through `rows` examples at a time. Positions count from the part's
    /// first row; the last part is filled up with rows of length 0, whose ids are 0.
    pub fn part(&self, index: usize, rows: usize) -> Self {
        let first = (index * rows).min(self.batch_size);
        let here = first..(first + rows).min(self.batch_size);
        let mut part = Self::empty(rows, self.length, self.predictions, 0);
        let copy = |to: &mut Vec<u32>, from: &[u32], width: usize| {
            to[..here.len() * width].copy_from_slice(&from[here.start * width..here.end * width]);
        };
        copy(&mut part.ids, &self.ids, self.length);
        copy(&mut part.masked_ids, &self.masked_ids, self.length);
        copy(&mut part.type_ids, &self.type_ids, self.length);
        copy(&mut part.lengths, &self.lengths, 1);
        copy(&mut part.positions, &self.positions, self.predictions);
        copy(&mut part.targets, &self.targets, self.predictions);
        let slots = here.start * self.predictions..here.end * self.predictions;
        part.positions[..slots.len()].iter_mut().for_each(|position| *position -= (first * self.length) as u32);
        part.weights[..slots.len()].copy_from_slice(&self.weights[slots]);
        part
    }

    /// Tokens that are not padding.
    pub fn tokens(&self) -> u64 {
        self.lengths.iter().map(|&length| u64::from(length)).sum()
    }

    /// Puts an example into row `row` and masks it.
    fn fill(&mut self, row: usize, source: &Source, index: usize, random: &mut Random) {
        let start = row * self.length;
        let ids = &mut self.ids[start..start + self.length];
        let (length, boundary) = source.examples.copy(index, ids);
        self.lengths[row] = length as u32;
        self.type_ids[start + boundary..start + length].fill(1);
        let masked = &mut self.masked_ids[start..start + length];
        masked.copy_from_slice(&ids[..length]);
        let drawn = source.masking.draw(masked, self.predictions, source.special, random);
        let slot = row * self.predictions;
        for (slot, position) in (slot..).zip(drawn) {
            self.positions[slot] = start as u32 + position;
            self.targets[slot] = ids[position as usize];
            self.weights[slot] = 1.0;
        }
    }
}

/// Examples and how they are masked.
#[derive(Clone, Debug)]
struct Source {
    examples: Arc<Examples>,
    special: SpecialTokens,
    masking: Masking,
    batch_size: usize,
    predictions: usize,
    seed: u64,
}

impl Source {
    fn new(examples: Arc<Examples>, special: SpecialTokens, masking: Masking, batch_size: usize, seed: u64) -> Self {
        Self { predictions: masking.maximum(examples.length()), examples, special, masking, batch_size, seed }
    }

    fn empty(&self, rows: usize) -> Batch {
        Batch::empty(rows, self.examples.length(), self.predictions, self.special.pad)
    }
}

/// Training batches without end. A batch is a pure function of (examples, seed, step), so a resumed run sees what an
/// uninterrupted one would have seen.
///
/// Every epoch takes the examples in an order of its own; what is left at its end and does not fill a batch starts the next
/// batch together with the following epoch's first. The order is computed place by place and takes no memory.
#[derive(Clone, Debug)]
pub struct Batches {
    source: Source,
}

impl Batches {
    /// Batches of `batch_size` examples. Without examples, or with a batch size of 0, batches have only rows of length 0 or
    /// none.
    pub fn new(
        examples: Arc<Examples>,
        special: SpecialTokens,
        masking: Masking,
        batch_size: usize,
        seed: u64,
    ) -> Self {
        Self { source: Source::new(examples, special, masking, batch_size, seed) }
    }

    /// The same examples in another order, under other masks.
    pub fn with_seed(&self, seed: u64) -> Self {
        Self { source: Source { seed, ..self.source.clone() } }
    }

    /// B, the examples of a batch.
    pub fn batch_size(&self) -> usize {
        self.source.batch_size
    }

    /// K, the drawn positions of an example at most.
    pub fn predictions(&self) -> usize {
        self.source.predictions
    }

    /// Steps until every example was seen once, a fraction included.
    pub fn steps_per_epoch(&self) -> f64 {
        self.source.examples.len() as f64 / self.source.batch_size as f64
    }

    /// The batch of a step, counted from 0.
    pub fn batch(&self, step: u64) -> Batch {
        self.rows(step, 0..self.source.batch_size)
    }

    /// Some rows of a step's batch as a batch of their own, for steps that are worked through in parts: the parts hold what
    /// [`batch`](Self::batch) holds, with positions counted from the part's first row.
    pub fn rows(&self, step: u64, rows: Range<usize>) -> Batch {
        let source = &self.source;
        let mut batch = source.empty(rows.len());
        let size = source.examples.len() as u64;
        if size == 0 {
            return batch;
        }
        let order_of = |epoch| Permutation::new(size, source.seed, ORDER_STREAM, epoch);
        let first = step * source.batch_size as u64 + rows.start as u64;
        let mut epoch = first / size;
        let mut order = order_of(epoch);
        for row in 0..rows.len() {
            let drawn = first + row as u64;
            if drawn / size != epoch {
                epoch = drawn / size;
                order = order_of(epoch);
            }
            // `drawn` stands for (step, row): no two rows of a run share it.
            let mut random = Random::new(source.seed, MASK_STREAM, drawn);
            batch.fill(row, source, order.at(drawn % size) as usize, &mut random);
        }
        batch
    }
}

/// Held-out batches: the same examples with the same masks every time. The last one is filled up with rows of length 0.
#[derive(Clone, Debug)]
pub struct Evaluation {
    source: Source,
    examples: usize,
}

impl Evaluation {
    /// Batches of `batch_size` examples, at most `limit` examples in all, which are drawn by the seed where there are more.
    pub fn new(
        examples: Arc<Examples>,
        special: SpecialTokens,
        masking: Masking,
        batch_size: usize,
        limit: usize,
        seed: u64,
    ) -> Self {
        Self { examples: examples.len().min(limit), source: Source::new(examples, special, masking, batch_size, seed) }
    }

    /// Number of batches.
    pub fn len(&self) -> usize {
        self.examples.div_ceil(self.source.batch_size.max(1))
    }

    /// Whether there is nothing to evaluate on.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Batch `index`; beyond the last, one of rows of length 0.
    pub fn batch(&self, index: usize) -> Batch {
        let source = &self.source;
        let mut batch = source.empty(source.batch_size);
        let order = Permutation::new(source.examples.len() as u64, source.seed, EVALUATION_ORDER_STREAM, 0);
        let first = (index * source.batch_size).min(self.examples);
        let end = (first + source.batch_size).min(self.examples);
        for (row, place) in (first..end).enumerate() {
            let example = order.at(place as u64);
            // Keyed by the example, so that its mask does not depend on the batch size.
            let mut random = Random::new(source.seed, EVALUATION_MASK_STREAM, example);
            batch.fill(row, source, example as usize, &mut random);
        }
        batch
    }

    /// All batches, in order.
    pub fn iter(&self) -> impl Iterator<Item = Batch> {
        (0..self.len()).map(|index| self.batch(index))
    }
}
