//! Orders of examples in which those of like lengths are beside each other.

use super::{Source, padded};
use crate::random::{Permutation, Random};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Domains of the random numbers, so that no two uses share a stream.
const SHUFFLE_STREAM: u64 = 0x5348_5546;
const SEAM_STREAM: u64 = 0x5345_414d;

/// The tokens of every example, where batches of `source` are to be made of like lengths.
pub(super) fn lengths(source: &dyn Source) -> Option<Arc<[u32]>> {
    let all: Option<Arc<[u32]>> = (0..source.examples()).map(|i| source.tokens(i).map(|n| n as u32)).collect();
    all.filter(|all| !all.is_empty())
}

/// Orders of epochs in which the rows of each batch are of like lengths, each a pure function of (lengths, batch, seed, epoch).
///
/// All examples in an order by lot, sorted by the length that a row is padded to, and cut into batches, which are shuffled. Of rows
/// that come to the same length chance decides who is with whom: a batch of rows that are alike in more than they must be is a poor
/// sample, since long sentences are not labelled as short ones are. (transformers' `group_by_length` sorts by tokens, and leaves
/// more to chance by sorting no more than 50 batches together.) A batch that two epochs share has its rows of both from about the
/// same place among all lengths.
#[derive(Clone, Debug)]
pub(super) struct ByLength {
    lengths: Arc<[u32]>,
    batch: usize,
    seed: u64,
    stream: u64,
    /// The epochs that were asked for last.
    known: Arc<Mutex<BTreeMap<u64, Arc<[u32]>>>>,
}

impl ByLength {
    /// Orders for batches of `batch` rows; `stream` is the one that examples are drawn from.
    pub fn new(lengths: Arc<[u32]>, batch: usize, (seed, stream): (u64, u64)) -> Self {
        Self { lengths, batch, seed, stream, known: Arc::default() }
    }

    /// The same examples in other orders.
    pub fn with_seed(&self, seed: u64) -> Self {
        Self::new(self.lengths.clone(), self.batch, (seed, self.stream))
    }

    /// Tokens of an example.
    pub fn tokens(&self, example: usize) -> usize {
        self.lengths[example] as usize
    }

    /// The examples of an epoch, in order.
    pub fn epoch(&self, epoch: u64) -> Arc<[u32]> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(order) = known.get(&epoch) {
            return order.clone();
        }
        let order: Arc<[u32]> = self.order(epoch).into();
        // A batch is of two epochs where one ends.
        if known.len() > 1 {
            known.pop_first();
        }
        known.insert(epoch, order.clone());
        order
    }

    fn order(&self, epoch: u64) -> Vec<u32> {
        let (examples, batch) = (self.lengths.len(), self.batch);
        let by_lot = Permutation::new(examples as u64, self.seed, self.stream, epoch);
        let mut sorted: Vec<u32> = (0..examples as u64).map(|place| by_lot.at(place) as u32).collect();
        sorted.sort_by_cached_key(|&example| padded(self.lengths[example as usize] as usize, usize::MAX));
        // Rows of the batch that the epoch before has begun, and of the one that the next will fill.
        let begun = (u128::from(epoch) * examples as u128 % batch as u128) as usize;
        let head = ((batch - begun) % batch).min(examples);
        let tail = (examples - head) % batch;
        let mut seam = |epoch: u64, rows: usize| -> Vec<u32> {
            let place = Random::new(self.seed, SEAM_STREAM, epoch).unit() * (sorted.len() - rows) as f64;
            sorted.drain(place as usize..place as usize + rows).collect()
        };
        let (head, tail) = (seam(epoch, head), seam(epoch + 1, tail));
        let mut batches: Vec<&[u32]> = sorted.chunks(batch).collect();
        Random::new(self.seed, SHUFFLE_STREAM, epoch).shuffle(&mut batches);
        [&head[..]].into_iter().chain(batches).chain([&tail[..]]).flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tokens of all whole batches with their padding, each as long as its longest row is padded to.
    fn with_padding(order: &[u32], lengths: &[u32], batch: usize) -> usize {
        let longest = |rows: &[u32]| rows.iter().map(|&row| lengths[row as usize] as usize).max().unwrap_or_default();
        order.chunks_exact(batch).map(|rows| padded(longest(rows), usize::MAX) * batch).sum()
    }

    proptest! {
        #[test]
        fn every_epoch_has_every_example_once(count in 1usize..300, batch in 1usize..40, epoch in 0u64..9, seed: u64) {
            let lengths: Arc<[u32]> = (0..count as u64).map(|i| Random::new(seed, 1, i).below(100) as u32).collect();
            let orders = ByLength::new(lengths, batch, (seed, 2));
            let order = orders.epoch(epoch);
            let mut sorted = order.to_vec();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..count as u32).collect::<Vec<_>>());
            // Whatever was asked before.
            orders.epoch(epoch + 3);
            orders.with_seed(!seed).epoch(epoch);
            orders.epoch(epoch + 1);
            prop_assert_eq!(&orders.epoch(epoch), &order);
            prop_assert_eq!(&orders.with_seed(seed).epoch(epoch), &order);
            if count > 20 * batch {
                prop_assert_ne!(&orders.epoch(epoch + 1), &order);
                prop_assert_ne!(&orders.with_seed(!seed).epoch(epoch), &order);
            }
        }
    }

    #[test]
    fn rows_of_a_batch_are_of_like_lengths() {
        // As sentences are: many short ones, few long ones.
        let lengths: Arc<[u32]> =
            (0..5_003).map(|i| (3.0 + 60.0 * Random::new(1, 1, i).unit().powi(3)) as u32).collect();
        let tokens: usize = lengths.iter().map(|&n| padded(n as usize, usize::MAX)).sum();
        for batch in [8, 32] {
            let orders = ByLength::new(lengths.clone(), batch, (3, 4));
            let all: Vec<u32> = (0..6).flat_map(|epoch| orders.epoch(epoch).to_vec()).collect();
            let sorted = with_padding(&all, &lengths, batch) as f64 / (6 * tokens) as f64;
            let by_lot = Permutation::new(lengths.len() as u64, 3, 4, 0);
            let by_lot: Vec<u32> = (0..lengths.len() as u64).map(|place| by_lot.at(place) as u32).collect();
            let random = with_padding(&by_lot, &lengths, batch) as f64 / tokens as f64;
            assert!(sorted < 1.05 && random > 1.9, "batches of {batch}: {sorted} and {random} of the tokens");
        }
    }

    #[test]
    fn batches_are_composed_anew() {
        // All are padded to one length: nothing but chance decides who is with whom.
        let orders = ByLength::new((0..320).map(|i| i % 8 + 1).collect(), 32, (3, 4));
        let (one, other) = (orders.epoch(0), orders.epoch(1));
        let together = |order: &[u32], rows: &[u32]| {
            order
                .chunks(32)
                .map(|batch| rows.iter().filter(|row| batch.contains(row)).count())
                .max()
                .unwrap_or_default()
        };
        assert!(one.chunks(32).all(|rows| together(&other, rows) < 14));
    }

    #[test]
    fn lengths_come_in_no_order() {
        let lengths: Arc<[u32]> = (0..1_000).map(|i| i / 10 * 64).collect();
        let order = ByLength::new(lengths.clone(), 10, (3, 4)).epoch(0);
        let means: Vec<u32> =
            order.chunks(10).map(|rows| rows.iter().map(|&row| lengths[row as usize]).sum()).collect();
        let rises = means.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((30..70).contains(&rises), "{rises} of 99");
    }
}
