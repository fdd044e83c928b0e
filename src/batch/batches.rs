//! Batches of a source's examples, by step.

use super::by_length::{ByLength, lengths};
use super::{Batch, Source, padded};
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
/// batch together with the following epoch's first. The order is computed place by place and takes no memory. Where the source
/// says how long its examples are, the rows of a batch are of like lengths, and the batch as long as [`padded`] makes its
/// longest: an epoch's order is worked out when the epoch begins, and takes a word an example.
#[derive(Clone, Debug)]
pub struct Batches {
    source: Arc<dyn Source>,
    size: usize,
    seed: u64,
    by_length: Option<ByLength>,
}

/// The order of an epoch.
enum Order {
    ByLot(Permutation),
    ByLength(Arc<[u32]>),
}

impl Order {
    fn at(&self, place: u64) -> usize {
        match self {
            Self::ByLot(order) => order.at(place) as usize,
            Self::ByLength(order) => order[place as usize] as usize,
        }
    }
}

impl Batches {
    /// Batches of `size` examples. Without examples, or with a size of 0, batches have only rows of length 0 or none.
    pub fn new(source: Arc<dyn Source>, size: usize, seed: u64) -> Self {
        let lengths = lengths(&*source).filter(|_| size > 0);
        let by_length = lengths.map(|lengths| ByLength::new(lengths, size, (seed, ORDER_STREAM)));
        Self { source, size, seed, by_length }
    }

    /// The same examples in another order, under other masks.
    pub fn with_seed(&self, seed: u64) -> Self {
        let by_length = self.by_length.as_ref().map(|orders| orders.with_seed(seed));
        Self { seed, by_length, ..self.clone() }
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
        let length = self.by_length.as_ref().map_or(self.source.length(), |orders| {
            let longest = self.examples(step, 0..self.size).map(|(_, example)| orders.tokens(example)).max();
            padded(longest.unwrap_or_default(), self.source.length())
        });
        let mut batch = self.source.empty(rows.len(), length);
        for (row, (drawn, example)) in self.examples(step, rows).enumerate() {
            // `drawn` stands for (step, row): no two rows of a run share it.
            let mut random = Random::new(self.seed, MASK_STREAM, drawn);
            self.source.fill(&mut batch, row, example, &mut random);
        }
        batch
    }

    /// The examples in some rows of a step's batch, each with how many were drawn before it in the whole run.
    fn examples(&self, step: u64, rows: Range<usize>) -> impl Iterator<Item = (u64, usize)> {
        let size = self.source.examples() as u64;
        let first = step * self.size as u64;
        let rows = if size > 0 { first + rows.start as u64..first + rows.end as u64 } else { 0..0 };
        let mut order: Option<(u64, Order)> = None;
        rows.map(move |drawn| {
            let epoch = drawn / size;
            let (_, order) = match order.take() {
                Some(known) if known.0 == epoch => order.insert(known),
                _ => order.insert((epoch, self.order(epoch))),
            };
            (drawn, order.at(drawn % size))
        })
    }

    fn order(&self, epoch: u64) -> Order {
        match &self.by_length {
            Some(orders) => Order::ByLength(orders.epoch(epoch)),
            None => Order::ByLot(Permutation::new(self.source.examples() as u64, self.seed, ORDER_STREAM, epoch)),
        }
    }
}

/// Held-out batches: the same examples with the same masks every time. The last one is filled up with rows of length 0. Where the
/// source says how long its examples are they come by length, and a batch is as long as [`padded`] makes its longest.
#[derive(Clone, Debug)]
pub struct Evaluation {
    source: Arc<dyn Source>,
    examples: usize,
    size: usize,
    seed: u64,
    /// The examples by length, and their lengths.
    by_length: Option<Arc<[(usize, u32)]>>,
}

impl Evaluation {
    /// Batches of `size` examples, at most `limit` examples in all, which are drawn by the seed where there are more.
    pub fn new(source: Arc<dyn Source>, size: usize, limit: usize, seed: u64) -> Self {
        let lengths = lengths(&*source);
        let mut new = Self { examples: source.examples().min(limit), source, size, seed, by_length: None };
        new.by_length = lengths.map(|lengths| {
            let mut drawn: Vec<_> = new.drawn(0..new.examples).map(|example| (example, lengths[example])).collect();
            drawn.sort_by_key(|&(_, tokens)| tokens);
            drawn.into()
        });
        new
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
        let first = (index * self.size).min(self.examples);
        let places = first..(first + self.size).min(self.examples);
        match &self.by_length {
            None => self.filled(self.source.length(), self.drawn(places)),
            Some(sorted) => {
                let rows = &sorted[places];
                let longest = rows.last().map_or(0, |&(_, tokens)| tokens as usize);
                self.filled(padded(longest, self.source.length()), rows.iter().map(|&(example, _)| example))
            }
        }
    }

    fn filled(&self, length: usize, examples: impl Iterator<Item = usize>) -> Batch {
        let mut batch = self.source.empty(self.size, length);
        for (row, example) in examples.enumerate() {
            // Keyed by the example, so that its mask does not depend on the batch size.
            let mut random = Random::new(self.seed, EVALUATION_MASK_STREAM, example as u64);
            self.source.fill(&mut batch, row, example, &mut random);
        }
        batch
    }

    /// Examples as the seed draws them.
    fn drawn(&self, places: Range<usize>) -> impl Iterator<Item = usize> {
        let order = Permutation::new(self.source.examples() as u64, self.seed, EVALUATION_ORDER_STREAM, 0);
        places.map(move |place| order.at(place as u64) as usize)
    }

    /// All batches, in order.
    pub fn iter(&self) -> impl Iterator<Item = Batch> {
        (0..self.len()).map(|index| self.batch(index))
    }
}
