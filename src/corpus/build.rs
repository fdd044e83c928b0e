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

use super::examples::{Examples, MAXIMUM_LENGTH, MINIMUM_LENGTH};
use super::statistics::Statistics;
use super::tokenizer::{SpecialTokens, Tokenizer};
use super::words::Encoder;
use super::{Error, documents, sentences};
use crate::data::Random;

const SINGLE_SEGMENT: f64 = 0.1;
const RANDOM_LENGTH: f64 = 0.05;
const SHORTEST_TARGET: usize = 5;
/// Domains of the random numbers, so that no two uses share a stream.
const SPLIT_STREAM: u64 = 0x5350_4c49;
const BUILD_STREAM: u64 = 0x4255_494c;

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

/// Makes training and held-out examples of a text.
///
/// Whole documents are held out, drawn by the seed, until they make up the fraction. A document that would take more than
/// one and a half times the fraction is passed over; where every document would - a single one, say - the end of the longest is
/// held out instead, from the start of a sentence if possible. The same text, tokenizer and options give the same examples.
///
/// # Errors
/// [`Error::Length`] and [`Error::HeldOut`] for options out of range; [`Error::TooSmall`] where the text does not make one
/// training example and, unless nothing is to be held out, one held-out example.
pub fn build(text: &str, tokenizer: &Tokenizer, options: &ExampleOptions) -> Result<Corpus, Error> {
    if !(MINIMUM_LENGTH..=MAXIMUM_LENGTH).contains(&options.length) {
        return Err(Error::Length { found: options.length, minimum: MINIMUM_LENGTH, maximum: MAXIMUM_LENGTH });
    }
    if !(0.0..=0.5).contains(&options.held_out) {
        return Err(Error::HeldOut { found: options.held_out });
    }
    let documents = documents(text);
    let split = Split::draw(&documents, options);
    let mut encoder = Encoder::new(tokenizer);
    let (training, training_dropped) = build_part(&split.training, tokenizer, &mut encoder, options, 0)?;
    let (held_out, held_out_dropped) = build_part(&split.held_out, tokenizer, &mut encoder, options, 1)?;
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
        dropped: training_dropped + held_out_dropped,
    })
}

/// The documents of each part, in the order of the text.
struct Split<'a> {
    training: Vec<&'a str>,
    held_out: Vec<&'a str>,
}

impl<'a> Split<'a> {
    fn draw(documents: &[&'a str], options: &ExampleOptions) -> Self {
        let everything = Self { training: documents.to_vec(), held_out: Vec::new() };
        if options.held_out == 0.0 || documents.is_empty() {
            return everything;
        }
        // By bytes, which are known before anything is encoded and close enough to tokens.
        let bytes: usize = documents.iter().map(|document| document.len()).sum();
        let goal = bytes as f64 * options.held_out;
        let mut order: Vec<usize> = (0..documents.len()).collect();
        Random::new(options.seed, SPLIT_STREAM, 0).shuffle(&mut order);
        let mut chosen = vec![false; documents.len()];
        let mut held = 0;
        for index in order {
            let with = held + documents[index].len();
            if (held as f64) < goal && with as f64 <= 1.5 * goal {
                chosen[index] = true;
                held = with;
            }
        }
        if held > 0 {
            let (held_out, training): (Vec<_>, Vec<_>) = documents.iter().zip(chosen).partition(|(_, chosen)| *chosen);
            let texts = |part: Vec<(&&'a str, bool)>| part.into_iter().map(|(document, _)| *document).collect();
            return Self { training: texts(training), held_out: texts(held_out) };
        }
        let Some(longest) = (0..documents.len()).max_by_key(|&index| documents[index].len()) else {
            return everything;
        };
        let (head, tail) = split_by_sentences(documents[longest], goal, options.length);
        let mut training = documents.to_vec();
        training[longest] = head;
        Self { training, held_out: vec![tail] }
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

fn build_part(
    documents: &[&str],
    tokenizer: &Tokenizer,
    encoder: &mut Encoder<'_>,
    options: &ExampleOptions,
    part: u64,
) -> Result<(Examples, u64), Error> {
    let mut builder = Builder::new(tokenizer.special(), options, part);
    let continues: Vec<bool> = (0..tokenizer.size() as u32).map(|id| tokenizer.continues_word(id)).collect();
    let mut ids = Vec::new();
    for document in documents {
        for sentence in sentences(document) {
            ids.clear();
            encoder.encode_into(sentence, &mut ids)?;
            let starts_word = |id: u32| !continues.get(id as usize).copied().unwrap_or(false);
            for part in cut_evenly(&ids, (options.length - 3) / 2, starts_word) {
                builder.add(part);
            }
        }
        builder.finish();
    }
    Ok((builder.examples, builder.dropped))
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

/// Gathers sentences and turns them into examples.
struct Builder {
    special: SpecialTokens,
    random: Random,
    /// Tokens to gather before an example is made.
    target: usize,
    /// Ids of the gathered sentences, and where each sentence ends.
    gathered: Vec<u32>,
    ends: Vec<usize>,
    examples: Examples,
    dropped: u64,
}

impl Builder {
    fn new(special: SpecialTokens, options: &ExampleOptions, part: u64) -> Self {
        Self {
            special,
            random: Random::new(options.seed, BUILD_STREAM, part),
            target: options.length,
            gathered: Vec::new(),
            ends: Vec::new(),
            examples: Examples::new(options.length),
            dropped: 0,
        }
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
        self.target = if self.random.chance(RANDOM_LENGTH) {
            SHORTEST_TARGET + self.random.below((length - SHORTEST_TARGET + 1) as u64) as usize
        } else {
            length
        };
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
        let options = ExampleOptions { length: 32, ..ExampleOptions::default() };
        let (mut single, mut overshot, mut short_a) = (0, 0, 0);
        for seed in 0..2_000 {
            let options = ExampleOptions { seed, ..options.clone() };
            let mut builder = Builder::new(SPECIAL, &options, 0);
            for sentence in 0..4 {
                builder.add(&[10 + sentence; 8]);
            }
            let mut row = [0; 32];
            let (length, boundary) = builder.examples.copy(0, &mut row);
            assert_eq!(builder.examples.len(), 1);
            // A aims at 14 tokens: 8, and with probability 1/2 another 8.
            match boundary {
                32 => single += 1,
                10 => short_a += 1,
                18 => overshot += 1,
                other => panic!("a boundary of {other}"),
            }
            assert_eq!(length, 32);
            assert_eq!(builder.dropped, if boundary == 32 { 2 } else { 3 });
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
        let mut builder = Builder::new(SPECIAL, &ExampleOptions::default(), 0);
        builder.add(&[9]);
        builder.finish();
        builder.finish();
        let mut row = [0; 128];
        assert_eq!(builder.examples.copy(0, &mut row), (3, 3));
        assert_eq!(row[..3], [2, 9, 3]);
        assert_eq!(builder.examples.len(), 1);
    }
}
