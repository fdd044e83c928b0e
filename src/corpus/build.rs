//! Making examples: `[CLS] A [SEP] B [SEP]` of at most L tokens, from sentences.
//!
//! The rules are those of ELECTRA's `build_pretraining_dataset.py` (arXiv 2003.10555): sentences gather until they reach a
//! target length, or their document ends; one example in ten is a single segment; otherwise segment A takes sentences up to
//! (target - 3) / 2 tokens, the one that overshoots still joins A with probability 1/2, and B takes the rest; one example in
//! twenty aims at a random length from 5 to L. What does not fit is cut off and dropped.
//!
//! Two differences. The reference lets a short sentence join A after a longer one has gone to B, out of order; here A is a run
//! of sentences. And a sentence longer than (L - 3) / 2 tokens is first cut into parts of about equal length, at
//! word starts where there are any, so that at most about half an example is dropped at a time, whatever the text looks like.
//! Every document draws its own random numbers, so that the same examples come of it on any thread.

use super::examples::{Examples, MAXIMUM_LENGTH, MINIMUM_LENGTH};
use super::statistics::Statistics;
use super::tokenizer::{SpecialTokens, Tokenizer};
use super::words::{Encoder, REMEMBERED_WORDS};
use super::{Error, sentences};
use crate::random::Random;

const SINGLE_SEGMENT: f64 = 0.1;
const RANDOM_LENGTH: f64 = 0.05;
const SHORTEST_TARGET: usize = 5;
/// Domains of the random numbers, so that no two uses share a stream.
const SPLIT_STREAM: u64 = 0x5350_4c49;
const HELD_OUT_STREAM: u64 = 0x4845_4c44;
const BUILD_STREAM: u64 = 0x4255_494c;
const BUILD_HELD_OUT_STREAM: u64 = 0x4255_4845;

/// How examples are made.
#[derive(Clone, Debug, PartialEq)]
pub struct ExampleOptions {
    /// L, the most tokens of an example, special tokens included.
    pub length: usize,
    /// Fraction of the text held out for evaluation, from 0 to 0.5.
    pub held_out: f64,
    /// Seed of the held-out choice and of segment and length draws.
    pub seed: u64,
}

impl Default for ExampleOptions {
    /// 128 tokens, a twentieth held out.
    fn default() -> Self {
        Self { length: 128, held_out: 0.05, seed: 0 }
    }
}

impl ExampleOptions {
    /// Whether the numbers are in range.
    ///
    /// # Errors
    /// [`Error::Length`] and [`Error::HeldOut`].
    pub fn check(&self) -> Result<(), Error> {
        if !(MINIMUM_LENGTH..=MAXIMUM_LENGTH).contains(&self.length) {
            return Err(Error::Length { found: self.length, minimum: MINIMUM_LENGTH, maximum: MAXIMUM_LENGTH });
        }
        if !(0.0..=0.5).contains(&self.held_out) {
            return Err(Error::HeldOut { found: self.held_out });
        }
        Ok(())
    }
}

/// A text made ready for training.
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    /// What is trained on.
    pub training: Examples,
    /// What is evaluated on; empty if nothing is held out.
    pub held_out: Examples,
    /// Counts over the training examples.
    pub statistics: Statistics,
    /// Documents of the text.
    pub documents: usize,
    /// Tokens cut off at the ends of examples, training and held-out, and so never seen.
    pub dropped: u64,
}

/// Makes training and held-out examples of documents, none of which gets into an example with another.
///
/// Whole documents are held out, drawn by the seed, until they make up the fraction. A document that would take more than
/// one and a half times the fraction is passed over; where every document would - a single one, say - the end of the longest is
/// held out instead, from the start of a sentence if possible. The same text, tokenizer and options give the same examples.
///
/// # Errors
/// [`Error::Length`] and [`Error::HeldOut`] for options out of range; [`Error::TooSmall`] where the text does not make one
/// training example and, unless nothing is to be held out, one held-out example.
pub fn build<T: AsRef<str>>(documents: &[T], tokenizer: &Tokenizer, options: &ExampleOptions) -> Result<Corpus, Error> {
    options.check()?;
    let documents: Vec<&str> = documents.iter().map(AsRef::as_ref).collect();
    let lengths: Vec<usize> = documents.iter().map(|document| document.len()).collect();
    let split = Split::draw(&lengths, options);
    let mut maker = Maker::new(tokenizer, options, REMEMBERED_WORDS);
    let (mut training, mut held_out) = (Examples::new(options.length), Examples::new(options.length));
    let mut dropped = 0;
    for (index, document) in documents.iter().enumerate() {
        let (trained, held) = split.parts(index, document, options);
        dropped += maker.add(trained, index as u64, Part::Training, &mut training)?;
        dropped += maker.add(held, index as u64, Part::HeldOut, &mut held_out)?;
    }
    if training.is_empty() || (options.held_out > 0.0 && held_out.is_empty()) {
        return Err(Error::TooSmall {
            sentences: documents.iter().map(|document| sentences(document).count()).sum(),
            training: training.len(),
            held_out: held_out.len(),
        });
    }
    Ok(Corpus {
        statistics: Statistics::of(&training, tokenizer.special()),
        training,
        held_out,
        documents: documents.len(),
        dropped,
    })
}

/// The two parts of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Training,
    HeldOut,
}

/// What is held out.
#[derive(Debug)]
pub(crate) struct Split {
    /// Of the documents that were drawn together: whether they are held out.
    chosen: Vec<bool>,
    /// A document whose end is held out, and about how many bytes of it.
    cut: Option<(usize, f64)>,
}

impl Split {
    /// Draws it for documents of these lengths in bytes: known before anything is encoded, and close enough to tokens.
    pub(crate) fn draw(lengths: &[usize], options: &ExampleOptions) -> Self {
        let mut chosen = vec![false; lengths.len()];
        if options.held_out == 0.0 {
            return Self { chosen, cut: None };
        }
        let goal = lengths.iter().sum::<usize>() as f64 * options.held_out;
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        Random::new(options.seed, SPLIT_STREAM, 0).shuffle(&mut order);
        let mut held = 0;
        for index in order {
            let with = held + lengths[index];
            if (held as f64) < goal && with as f64 <= 1.5 * goal {
                chosen[index] = true;
                held = with;
            }
        }
        let longest = (0..lengths.len()).max_by_key(|&index| lengths[index]);
        Self { chosen, cut: longest.filter(|_| held == 0).map(|index| (index, goal)) }
    }

    /// A document as (trained on, held out). Documents beyond those of the draw are held out one by one, each with the
    /// probability of the fraction.
    pub(crate) fn parts<'a>(&self, index: usize, document: &'a str, options: &ExampleOptions) -> (&'a str, &'a str) {
        if let Some((_, bytes)) = self.cut.filter(|(cut, _)| *cut == index) {
            return split_by_sentences(document, bytes, options.length);
        }
        let held = match self.chosen.get(index) {
            Some(&chosen) => chosen,
            None => Random::new(options.seed, HELD_OUT_STREAM, index as u64).chance(options.held_out),
        };
        if held { ("", document) } else { (document, "") }
    }
}

/// A document as (head, tail), the tail of about `goal` bytes: the last sentences, at least one. A tail that would be more
/// than half of the document, since a sentence is that long, is cut at a word instead if it has `minimum` bytes.
fn split_by_sentences(document: &str, goal: f64, minimum: usize) -> (&str, &str) {
    let start_of = |sentence: &str| sentence.as_ptr() as usize - document.as_ptr() as usize;
    let starts: Vec<usize> = sentences(document).map(start_of).collect();
    let cut = document.floor_char_boundary((document.len() as f64 - goal) as usize);
    let after = starts.partition_point(|&start| start < cut);
    let at = starts.get(after).or(starts.last()).copied().unwrap_or(document.len());
    if at < document.len() / 2 && document.len() - cut >= minimum {
        let word = document[cut..].find(char::is_whitespace).unwrap_or(0);
        return document.split_at(cut + word);
    }
    document.split_at(at)
}

/// Makes the examples of document after document. What a document becomes depends on nothing but its text, its index and the
/// options, so documents may be worked on in any order and on any number of threads.
pub(crate) struct Maker<'a> {
    encoder: Encoder<'a>,
    special: SpecialTokens,
    options: ExampleOptions,
    /// By id: whether the token continues a word.
    continues: Vec<bool>,
    ids: Vec<u32>,
}

impl<'a> Maker<'a> {
    /// One that remembers the ids of so many words.
    pub(crate) fn new(tokenizer: &'a Tokenizer, options: &ExampleOptions, remembered_words: usize) -> Self {
        Self {
            encoder: Encoder::new(tokenizer, remembered_words),
            special: tokenizer.special(),
            options: options.clone(),
            continues: (0..tokenizer.size() as u32).map(|id| tokenizer.continues_word(id)).collect(),
            ids: Vec::new(),
        }
    }

    /// Appends the examples of a document, or of its part, and gives the number of tokens that were cut off.
    pub(crate) fn add(
        &mut self,
        document: &str,
        index: u64,
        part: Part,
        examples: &mut Examples,
    ) -> Result<u64, Error> {
        let stream = match part {
            Part::Training => BUILD_STREAM,
            Part::HeldOut => BUILD_HELD_OUT_STREAM,
        };
        let mut builder =
            Builder::new(self.special, Random::new(self.options.seed, stream, index), self.options.length, examples);
        for sentence in sentences(document) {
            self.ids.clear();
            self.encoder.encode_into(sentence, &mut self.ids)?;
            let starts_word = |id: u32| !self.continues.get(id as usize).copied().unwrap_or(false);
            for part in cut_evenly(&self.ids, (self.options.length - 3) / 2, starts_word) {
                builder.add(part);
            }
        }
        builder.finish();
        Ok(builder.dropped)
    }
}

/// Cuts ids into parts of at most `limit`, of about equal length, at word starts if there are any.
fn cut_evenly(mut ids: &[u32], limit: usize, starts_word: impl Fn(u32) -> bool) -> Vec<&[u32]> {
    let mut parts = Vec::new();
    while ids.len() > limit {
        let even = ids.len().div_ceil(ids.len().div_ceil(limit));
        let cut = (1..=even).rev().find(|&cut| starts_word(ids[cut])).unwrap_or(even);
        let (part, rest) = ids.split_at(cut);
        parts.push(part);
        ids = rest;
    }
    if !ids.is_empty() {
        parts.push(ids);
    }
    parts
}

/// Gathers a document's sentences and turns them into examples.
struct Builder<'a> {
    special: SpecialTokens,
    random: Random,
    /// Tokens to gather before an example is made.
    target: usize,
    /// Ids of the gathered sentences, and where each sentence ends.
    gathered: Vec<u32>,
    ends: Vec<usize>,
    examples: &'a mut Examples,
    dropped: u64,
}

impl<'a> Builder<'a> {
    fn new(special: SpecialTokens, mut random: Random, length: usize, examples: &'a mut Examples) -> Self {
        let target = draw_target(&mut random, length);
        Self { special, random, target, gathered: Vec::new(), ends: Vec::new(), examples, dropped: 0 }
    }

    fn add(&mut self, sentence: &[u32]) {
        self.gathered.extend_from_slice(sentence);
        self.ends.push(self.gathered.len());
        if self.gathered.len() >= self.target {
            self.make_example();
        }
    }

    /// The document is over: what is gathered becomes an example, however short.
    fn finish(&mut self) {
        if !self.gathered.is_empty() {
            self.make_example();
        }
    }

    fn make_example(&mut self) {
        let length = self.examples.length();
        let aim = if self.random.chance(SINGLE_SEGMENT) { usize::MAX } else { self.target.saturating_sub(3) / 2 };
        // A is a run of sentences from the first; `split` is where it ends.
        let mut split = 0;
        for &end in &self.ends {
            let joins = split == 0 || end < aim || (split < aim && self.random.chance(0.5));
            if !joins {
                break;
            }
            split = end;
        }
        let (a, b) = self.gathered.split_at(split);
        let a = &a[..a.len().min(length - 2)];
        let b = &b[..b.len().min(length.saturating_sub(a.len() + 3))];
        self.dropped += (self.gathered.len() - a.len() - b.len()) as u64;

        let mut ids = Vec::with_capacity(length);
        ids.push(self.special.cls);
        ids.extend_from_slice(a);
        ids.push(self.special.sep);
        let boundary = ids.len();
        if !b.is_empty() {
            ids.extend_from_slice(b);
            ids.push(self.special.sep);
        }
        self.examples.push(&ids, boundary);

        self.gathered.clear();
        self.ends.clear();
        self.target = draw_target(&mut self.random, length);
    }
}

fn draw_target(random: &mut Random, length: usize) -> usize {
    if random.chance(RANDOM_LENGTH) {
        SHORTEST_TARGET + random.below((length - SHORTEST_TARGET + 1) as u64) as usize
    } else {
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: SpecialTokens = SpecialTokens { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 };

    #[test]
    fn long_sentences_are_cut_evenly_at_word_starts() {
        // Ids of 100 and more continue a word.
        let starts_word = |id: u32| id < 100;
        let ids: Vec<u32> = (10..21).collect();
        let lengths = |parts: Vec<&[u32]>| parts.iter().map(|part| part.len()).collect::<Vec<_>>();
        assert_eq!(lengths(cut_evenly(&ids, 11, starts_word)), [11]);
        assert_eq!(lengths(cut_evenly(&ids, 10, starts_word)), [6, 5]);
        assert_eq!(lengths(cut_evenly(&ids, 5, starts_word)), [4, 4, 3]);
        let inside = [10, 11, 12, 13, 14, 100, 101, 15];
        assert_eq!(lengths(cut_evenly(&inside, 7, starts_word)), [4, 4]);
        assert_eq!(lengths(cut_evenly(&inside, 6, starts_word)), [4, 4]);
        assert_eq!(lengths(cut_evenly(&[10, 11, 100, 101, 102, 12], 5, starts_word)), [1, 5]);
        assert_eq!(lengths(cut_evenly(&[100; 9], 4, starts_word)), [3, 3, 3]);
        assert!(cut_evenly(&[], 4, starts_word).is_empty());
    }

    #[test]
    fn sentences_become_segments_of_half_the_target() {
        let (mut single, mut overshot, mut short_a) = (0, 0, 0);
        for seed in 0..2_000 {
            let mut examples = Examples::new(32);
            let mut builder = Builder::new(SPECIAL, Random::new(seed, 0, 0), 32, &mut examples);
            builder.target = 32;
            for sentence in 0..4 {
                builder.add(&[10 + sentence; 8]);
            }
            let dropped = builder.dropped;
            let mut row = [0; 32];
            let (length, boundary) = examples.copy(0, &mut row);
            assert_eq!(examples.len(), 1);
            // A aims at 14 tokens: 8, and with probability 1/2 another 8.
            match boundary {
                32 => single += 1,
                10 => short_a += 1,
                18 => overshot += 1,
                other => panic!("a boundary of {other}"),
            }
            assert_eq!(length, 32);
            assert_eq!(dropped, if boundary == 32 { 2 } else { 3 });
        }
        // 200, 900 and 900 expected; standard deviations 13 and 22.
        assert!((140..260).contains(&single), "{single}");
        assert!((800..1_000).contains(&overshot), "{overshot}");
        assert!((800..1_000).contains(&short_a), "{short_a}");
    }

    #[test]
    fn a_document_is_split_between_sentences_or_else_words() {
        let text = "One is here. Two is. Three.";
        assert_eq!(split_by_sentences(text, 3.0, 8), ("One is here. Two is. ", "Three."));
        assert_eq!(split_by_sentences(text, 14.0, 8), ("One is here. ", "Two is. Three."));
        let endless = "word ".repeat(20);
        let (head, tail) = split_by_sentences(&endless, 12.0, 8);
        assert_eq!((head.len(), tail.trim()), (89, "word word"));
        assert_eq!(split_by_sentences(&endless, 5.0, 8), ("", endless.as_str()));
        let unspaced = "\u{4e2d}".repeat(20);
        assert_eq!(split_by_sentences(&unspaced, 10.0, 8).1.len(), 12);
        assert_eq!(split_by_sentences("", 0.0, 8), ("", ""));
    }

    #[test]
    fn a_document_end_makes_a_short_example() {
        let mut examples = Examples::new(128);
        let mut builder = Builder::new(SPECIAL, Random::new(0, 0, 0), 128, &mut examples);
        builder.add(&[9]);
        builder.finish();
        builder.finish();
        let mut row = [0; 128];
        assert_eq!(examples.copy(0, &mut row), (3, 3));
        assert_eq!(row[..3], [2, 9, 3]);
        assert_eq!(examples.len(), 1);
    }
}
