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
            positions: (0..slots)
                .map(|slot| (slot / predictions * length) as u32)
                .collect(),
            targets: vec![0; slots],
            weights: vec![0.0; slots],
        }
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
        let drawn = source
            .masking
            .draw(masked, self.predictions, source.special, random);
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
    fn new(
        examples: Arc<Examples>,
        special: SpecialTokens,
        masking: Masking,
        batch_size: usize,
        seed: u64,
    ) -> Self {
        Self {
            predictions: masking.maximum(examples.length()),
            examples,
            special,
            masking,
            batch_size,
            seed,
        }
    }

    fn empty(&self, rows: usize) -> Batch {
        Batch::empty(
            rows,
            self.examples.length(),
            self.predictions,
            self.special.pad,
        )
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
        Self {
            source: Source::new(examples, special, masking, batch_size, seed),
        }
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
        Self {
            examples: examples.len().min(limit),
            source: Source::new(examples, special, masking, batch_size, seed),
        }
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
        let order = Permutation::new(
            source.examples.len() as u64,
            source.seed,
            EVALUATION_ORDER_STREAM,
            0,
        );
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

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: SpecialTokens = SpecialTokens {
        pad: 0,
        unk: 1,
        cls: 2,
        sep: 3,
        mask: 4,
    };
    const LENGTH: usize = 16;

    /// Example i holds the ids 100 * (i + 1) + position.
    fn examples(count: usize) -> Arc<Examples> {
        let mut examples = Examples::new(LENGTH);
        for example in 0..count as u32 {
            let words = 3 + example % 8;
            let word = |position| 100 * (example + 1) + position;
            let mut ids = vec![SPECIAL.cls];
            ids.extend((0..words).map(word));
            ids.push(SPECIAL.sep);
            let boundary = ids.len();
            if example % 2 == 0 {
                ids.extend([word(90), word(91), SPECIAL.sep]);
            }
            examples.push(&ids, boundary);
        }
        Arc::new(examples)
    }

    fn batches(count: usize, batch_size: usize, seed: u64) -> Batches {
        Batches::new(
            examples(count),
            SPECIAL,
            Masking::default(),
            batch_size,
            seed,
        )
    }

    /// The example in each row that is not empty.
    fn rows(batch: &Batch) -> Vec<u32> {
        let filled = (0..batch.batch_size).filter(|&row| batch.lengths[row] > 0);
        filled
            .map(|row| batch.ids[row * LENGTH + 1] / 100 - 1)
            .collect()
    }

    fn check(batch: &Batch) {
        let (b, l, k) = (batch.batch_size, batch.length, batch.predictions);
        assert_eq!(
            [
                batch.ids.len(),
                batch.masked_ids.len(),
                batch.type_ids.len()
            ],
            [b * l; 3]
        );
        assert_eq!(
            [
                batch.positions.len(),
                batch.targets.len(),
                batch.weights.len()
            ],
            [b * k; 3]
        );
        for row in 0..b {
            let length = batch.lengths[row] as usize;
            for position in 0..l {
                let at = row * l + position;
                let slot = (row * k..(row + 1) * k).find(|&slot| {
                    batch.weights[slot] == 1.0 && batch.positions[slot] as usize == at
                });
                match slot {
                    Some(slot) => {
                        assert!(batch.ids[at] >= 100, "only words are drawn");
                        assert_eq!(batch.targets[slot], batch.ids[at]);
                        assert!([batch.ids[at], SPECIAL.mask].contains(&batch.masked_ids[at]));
                    }
                    None => assert_eq!(batch.masked_ids[at], batch.ids[at]),
                }
                assert_eq!(batch.ids[at] == SPECIAL.pad, position >= length);
                if position >= length {
                    assert_eq!(batch.type_ids[at], 0);
                }
            }
            let used = batch.weights[row * k..(row + 1) * k]
                .iter()
                .filter(|&&weight| weight == 1.0)
                .count();
            let k_row = (0.15 * length as f64).round_ties_even() as usize;
            assert_eq!(used, if length == 0 { 0 } else { k_row.clamp(1, k) });
            for slot in row * k + used..(row + 1) * k {
                let unused = (
                    batch.positions[slot] as usize,
                    batch.targets[slot],
                    batch.weights[slot],
                );
                assert_eq!(unused, (row * l, 0, 0.0));
            }
        }
    }

    #[test]
    fn a_batch_is_what_it_says() {
        let batches = batches(10, 4, 7);
        for step in 0..50 {
            check(&batches.batch(step));
        }
    }

    #[test]
    fn segment_b_has_type_1() {
        let batch = batches(10, 10, 7).batch(0);
        for (row, example) in rows(&batch).into_iter().enumerate() {
            let types = &batch.type_ids[row * LENGTH..(row + 1) * LENGTH];
            let first = types.iter().position(|&kind| kind == 1);
            if example % 2 == 0 {
                assert_eq!(first, Some(batch.lengths[row] as usize - 3));
                assert_eq!(types.iter().sum::<u32>(), 3);
            } else {
                assert_eq!(first, None);
            }
        }
    }

    #[test]
    fn every_epoch_has_every_example_once_in_a_new_order() {
        let batches = batches(10, 4, 3);
        let order: Vec<u32> = (0..15)
            .flat_map(|step| rows(&batches.batch(step)))
            .collect();
        let epochs: Vec<&[u32]> = order.chunks(10).collect();
        for epoch in &epochs {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<u32>>());
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_eq!(batches.steps_per_epoch(), 2.5);
    }

    #[test]
    fn a_batch_larger_than_the_corpus_goes_round() {
        let batch = batches(3, 8, 0).batch(0);
        check(&batch);
        for example in 0..3 {
            assert!(
                rows(&batch)
                    .iter()
                    .filter(|&&found| found == example)
                    .count()
                    >= 2
            );
        }
    }

    #[test]
    fn batches_depend_on_seed_and_step_alone() {
        let (one, other) = (batches(10, 4, 3), batches(10, 4, 3));
        let forwards: Vec<Batch> = (0..20).map(|step| one.batch(step)).collect();
        for step in (0..20).rev() {
            assert_eq!(other.batch(step), forwards[step as usize]);
        }
        assert_ne!(batches(10, 4, 4).batch(0), forwards[0]);
        // The same examples, a later epoch: other masks.
        let whole = batches(10, 10, 3);
        let masks = |step| {
            let batch = whole.batch(step);
            let mut masks: Vec<(u32, Vec<u32>)> = rows(&batch)
                .into_iter()
                .zip(batch.masked_ids.chunks(LENGTH).map(<[u32]>::to_vec))
                .collect();
            masks.sort();
            masks
        };
        assert_ne!(masks(0), masks(1));
    }

    #[test]
    fn parts_make_up_the_whole() {
        let batches = batches(10, 6, 3);
        let whole = batches.batch(4);
        for part in [0..2, 2..5, 5..6] {
            let found = batches.rows(4, part.clone());
            check(&found);
            assert_eq!(
                found.masked_ids,
                whole.masked_ids[part.start * LENGTH..part.end * LENGTH]
            );
            let k = whole.predictions;
            assert_eq!(found.targets, whole.targets[part.start * k..part.end * k]);
        }
    }

    #[test]
    fn evaluation_is_the_same_every_time() {
        let evaluation = |batch_size, limit| {
            Evaluation::new(
                examples(10),
                SPECIAL,
                Masking::default(),
                batch_size,
                limit,
                1,
            )
        };
        let found: Vec<Batch> = evaluation(4, 100).iter().collect();
        assert_eq!(found.len(), 3);
        found.iter().for_each(check);
        assert_eq!(found, evaluation(4, 100).iter().collect::<Vec<Batch>>());
        assert_eq!(found[2].lengths[2..], [0, 0]);
        let mut seen: Vec<u32> = found.iter().flat_map(rows).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<u32>>());
        // Another batch size: the same rows.
        let wide = evaluation(10, 100).batch(0);
        assert_eq!(wide.masked_ids[..4 * LENGTH], found[0].masked_ids);
        assert_eq!(
            evaluation(4, 5)
                .iter()
                .flat_map(|batch| rows(&batch))
                .count(),
            5
        );
        assert!(
            evaluation(4, 100)
                .batch(3)
                .lengths
                .iter()
                .all(|&length| length == 0)
        );
    }

    #[test]
    fn no_examples_make_empty_rows() {
        let none = Arc::new(Examples::new(LENGTH));
        let batch = Batches::new(none.clone(), SPECIAL, Masking::default(), 2, 0).batch(9);
        check(&batch);
        assert_eq!(
            (batch.lengths.as_slice(), batch.tokens()),
            ([0, 0].as_slice(), 0)
        );
        let evaluation = Evaluation::new(none, SPECIAL, Masking::default(), 2, 10, 0);
        assert!(evaluation.is_empty());
        assert_eq!(evaluation.batch(0).tokens(), 0);
    }
}
