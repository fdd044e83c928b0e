//! Where the rows of batches come from.

use super::masking::Lexicon;
use super::{Batch, IDS, LENGTHS, MASKED_IDS, MASKED_TEXT, Masking, POSITIONS, Shape, TARGETS, TYPES, WEIGHTS};
use crate::corpus::{Examples, SpecialTokens, Tokenizer};
use crate::random::Random;
use std::fmt::Debug;
use std::sync::Arc;

/// Examples by number, as rows of batches. Which of them come when is for [`Batches`](super::Batches) to say.
pub trait Source: Debug + Send + Sync {
    /// How many examples there are.
    fn examples(&self) -> usize;

    /// L of the longest batch, in tokens: no example has more.
    fn length(&self) -> usize;

    /// Tokens of an example, where batches are to be made of examples of like lengths; `None` where every batch is as long as
    /// the longest.
    fn tokens(&self, index: usize) -> Option<usize> {
        let _ = index;
        None
    }

    /// A batch of rows of length 0, `length` wide.
    fn empty(&self, rows: usize, length: usize) -> Batch;

    /// Puts example `index` into row `row` of an [`empty`](Source::empty) batch that is wide enough. What is decided by lot comes
    /// from `random` alone, so that the same example with the same numbers is the same row.
    fn fill(&self, batch: &mut Batch, row: usize, index: usize, random: &mut Random);
}

/// Text of which some tokens are asked for: the columns of [`MASKED_TEXT`].
#[derive(Debug, Clone)]
pub struct MaskedText {
    examples: Arc<Examples>,
    special: SpecialTokens,
    /// The ids that are words, of which random ones are drawn.
    words: Arc<[u32]>,
    /// Whether each id goes on a word, where whole words are selected.
    continues: Option<Arc<[bool]>>,
    masking: Masking,
}

impl MaskedText {
    /// Examples of a tokenizer's ids, masked.
    pub fn new(examples: Arc<Examples>, tokenizer: &Tokenizer, masking: Masking) -> Self {
        let special = tokenizer.special();
        // There may be holes among the ids.
        let words = (0..tokenizer.size() as u32).filter(|&id| !special.contains(id) && tokenizer.token(id).is_some());
        Self::of(examples, (special, words.collect()), masking)
    }

    /// Examples of ids of which these are special, and those are words.
    pub fn of(examples: Arc<Examples>, (special, words): (SpecialTokens, Arc<[u32]>), masking: Masking) -> Self {
        Self { examples, special, words, continues: None, masking }
    }

    /// The same where all pieces of a word are selected or none, if `whole`: pieces that go on a word begin with `##`.
    pub fn with_whole_words(self, tokenizer: &Tokenizer, whole: bool) -> Self {
        Self { continues: whole.then(|| tokenizer.continues().into()), ..self }
    }
}

impl Source for MaskedText {
    fn examples(&self) -> usize {
        self.examples.len()
    }

    fn length(&self) -> usize {
        self.examples.length()
    }

    fn empty(&self, rows: usize, length: usize) -> Batch {
        let shape = Shape { examples: rows, length, slots: self.masking.slots(length) };
        let mut batch = Batch::new(shape, &MASKED_TEXT);
        [IDS, MASKED_IDS].iter().for_each(|column| batch.column_mut(column.name).fill(self.special.pad));
        batch
    }

    fn fill(&self, batch: &mut Batch, row: usize, index: usize, random: &mut Random) {
        let Shape { length: width, slots, .. } = batch.shape();
        let tokens = row * width..(row + 1) * width;
        let ids = &mut batch.column_mut(IDS.name)[tokens.clone()];
        let (length, boundary) = self.examples.copy(index, ids);
        let mut masked = ids[..length].to_vec();
        let lexicon = Lexicon { special: self.special, words: &self.words, continues: self.continues.as_deref() };
        let selected = self.masking.draw(&mut masked, slots, lexicon, random);
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
