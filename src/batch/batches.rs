//! Batches of a source's examples, by step.

use super::{Batch, Source};
use crate::random::{Permutation, Random};
use std::ops::Range;
use std::sync::Arc;

/// Domains of the random numbers, so that no two uses share a stream.
const ORDER_STREAM: u64 = 0x4f52_4445;
const MASK_STREAM: u64 = 0x4d41_534b;
const EVALUATION_ORDER_STREAM: u64 = 0x4556_4f52;
const EVALUATION_MASK_STREAM: u64 = 0x4556_4d41;

/// Training batches without end. A batch is a pure function of (examples, seed, step), so a resumed run sees what an
/// uninterrupted one would have seen.
///
/// Every epoch takes the examples in an order of its own; what is left at its end and does not fill a batch starts the next
/// batch together with the following epoch's first. The order is computed place by place and takes no memory.
#[derive(Clone, Debug)]
pub struct Batches {
    source: Arc<dyn Source>,
    size: usize,
    seed: u64,
}

impl Batches {
    /// Batches of `size` examples. Without examples, or with a size of 0, batches have only rows of length 0 or none.
    pub fn new(source: Arc<dyn Source>, size: usize, seed: u64) -> Self {
        Self { source, size, seed }
    }

    /// The same examples in another order, under other masks.
    pub fn with_seed(&self, seed: u64) -> Self {
        Self { seed, ..self.clone() }
    }

    /// Steps until every example was seen once, a fraction included.
    pub fn steps_per_epoch(&self) -> f64 {
        self.source.examples() as f64 / self.size as f64
    }

    /// The batch of a step, counted from 0.
    pub fn batch(&self, step: u64) -> Batch {
        self.rows(step, 0..self.size)
    }

    /// Some rows of a step's batch as a batch of their own, for steps that are worked through in parts: the parts hold what
    /// [`batch`](Self::batch) holds.
    pub fn rows(&self, step: u64, rows: Range<usize>) -> Batch {
        let mut batch = self.source.empty(rows.len(), self.source.length());
        let size = self.source.examples() as u64;
        if size == 0 {
            return batch;
        }
        let order_of = |epoch| Permutation::new(size, self.seed, ORDER_STREAM, epoch);
        let first = step * self.size as u64 + rows.start as u64;
        let mut epoch = first / size;
        let mut order = order_of(epoch);
        for row in 0..rows.len() {
            let drawn = first + row as u64;
            if drawn / size != epoch {
                epoch = drawn / size;
                order = order_of(epoch);
            }
            // `drawn` stands for (step, row): no two rows of a run share it.
            let mut random = Random::new(self.seed, MASK_STREAM, drawn);
            self.source.fill(&mut batch, row, order.at(drawn % size) as usize, &mut random);
        }
        batch
    }
}

/// Held-out batches: the same examples with the same masks every time. The last one is filled up with rows of length 0.
#[derive(Clone, Debug)]
pub struct Evaluation {
    source: Arc<dyn Source>,
    examples: usize,
    size: usize,
    seed: u64,
}

impl Evaluation {
    /// Batches of `size` examples, at most `limit` examples in all, which are drawn by the seed where there are more.
    pub fn new(source: Arc<dyn Source>, size: usize, limit: usize, seed: u64) -> Self {
        Self { examples: source.examples().min(limit), source, size, seed }
    }

    /// Number of batches.
    pub fn len(&self) -> usize {
        self.examples.div_ceil(self.size.max(1))
    }

    /// Whether there is nothing to evaluate on.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Batch `index`; beyond the last, one of rows of length 0.
    pub fn batch(&self, index: usize) -> Batch {
        let mut batch = self.source.empty(self.size, self.source.length());
        let order = Permutation::new(self.source.examples() as u64, self.seed, EVALUATION_ORDER_STREAM, 0);
        let first = (index * self.size).min(self.examples);
        let end = (first + self.size).min(self.examples);
        for (row, place) in (first..end).enumerate() {
            let example = order.at(place as u64);
            // Keyed by the example, so that its mask does not depend on the batch size.
            let mut random = Random::new(self.seed, EVALUATION_MASK_STREAM, example);
            self.source.fill(&mut batch, row, example as usize, &mut random);
        }
        batch
    }

    /// All batches, in order.
    pub fn iter(&self) -> impl Iterator<Item = Batch> {
        (0..self.len()).map(|index| self.batch(index))
    }
}
