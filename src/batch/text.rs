//! Batches of a text's examples, by step.

use super::{Batch, IDS, LENGTHS, MASKED_IDS, MASKED_TEXT, Masking, POSITIONS, Shape, TARGETS, TYPES, WEIGHTS};
use crate::corpus::{Examples, SpecialTokens};
use crate::random::{Permutation, Random};
use std::ops::Range;
use std::sync::Arc;

/// Domains of the random numbers, so that no two uses share a stream.
const ORDER_STREAM: u64 = 0x4f52_4445;
const MASK_STREAM: u64 = 0x4d41_534b;
const EVALUATION_ORDER_STREAM: u64 = 0x4556_4f52;
const EVALUATION_MASK_STREAM: u64 = 0x4556_4d41;

/// Examples and how they are masked.
#[derive(Clone, Debug)]
struct Source {
    examples: Arc<Examples>,
    special: SpecialTokens,
    masking: Masking,
    batch_size: usize,
    slots: usize,
    seed: u64,
}

impl Source {
    fn new(examples: Arc<Examples>, special: SpecialTokens, masking: Masking, batch_size: usize, seed: u64) -> Self {
        Self { slots: masking.slots(examples.length()), examples, special, masking, batch_size, seed }
    }

    fn shape(&self, examples: usize) -> Shape {
        Shape { examples, length: self.examples.length(), slots: self.slots }
    }

    /// A batch of rows of length 0.
    fn empty(&self, rows: usize) -> Batch {
        let mut batch = Batch::new(self.shape(rows), &MASKED_TEXT);
        [IDS, MASKED_IDS].iter().for_each(|column| batch.column_mut(column.name).fill(self.special.pad));
        batch
    }

    /// Puts an example into row `row` and masks it.
    fn fill(&self, batch: &mut Batch, row: usize, index: usize, random: &mut Random) {
        let Shape { length: width, slots, .. } = batch.shape();
        let tokens = row * width..(row + 1) * width;
        let ids = &mut batch.column_mut(IDS.name)[tokens.clone()];
        let (length, boundary) = self.examples.copy(index, ids);
        let mut masked = ids[..length].to_vec();
        let selected = self.masking.draw(&mut masked, slots, self.special, random);
        let targets: Vec<u32> = selected.iter().map(|&position| ids[position as usize]).collect();
        let set = |to: &mut [u32], first: usize, words: &[u32]| to[first..first + words.len()].copy_from_slice(words);
        batch.column_mut(LENGTHS.name)[row] = length as u32;
        batch.column_mut(TYPES.name)[tokens.start + boundary..tokens.start + length].fill(1);
        set(batch.column_mut(MASKED_IDS.name), tokens.start, &masked);
        set(batch.column_mut(POSITIONS.name), row * slots, &selected);
        set(batch.column_mut(TARGETS.name), row * slots, &targets);
        set(batch.column_mut(WEIGHTS.name), row * slots, &vec![1f32.to_bits(); selected.len()]);
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

    /// The shape of a batch.
    pub fn shape(&self) -> Shape {
        self.source.shape(self.source.batch_size)
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
    /// [`batch`](Self::batch) holds.
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
            source.fill(&mut batch, row, order.at(drawn % size) as usize, &mut random);
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
            source.fill(&mut batch, row, example as usize, &mut random);
        }
        batch
    }

    /// All batches, in order.
    pub fn iter(&self) -> impl Iterator<Item = Batch> {
        (0..self.len()).map(|index| self.batch(index))
    }
}
