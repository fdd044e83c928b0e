//! Records to rows of ids, and what a network says of them back to words and texts.
//!
//! A row is as long as it is, up to a length: filling it up is the batch's affair. [`texts`](fn@texts) makes one of a record, [`words`]
//! and [`questions`] one or several (windows), each of which knows its record by its place.

mod answers;
mod questions;
mod texts;
mod words;

pub use answers::{AnswerOptions, Candidate, Found, n_best};
pub use questions::{QuestionOptions, QuestionReport, Window, questions};
pub use texts::texts;
pub use words::{TagRow, WordReport, words};

use super::TaskError;

/// What a network reads: L ids, L types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The place of its record.
    pub record: usize,
    /// `[CLS]`, the text, `[SEP]`, and a second one with its own `[SEP]`.
    pub ids: Vec<u32>,
    /// 0 up to the first `[SEP]`, 1 behind it.
    pub types: Vec<u32>,
}

/// What was cut at the length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Texts (or pairs, or queries) that were cut.
    pub texts: u64,
    /// Out of so many.
    pub of: u64,
    /// Tokens that were cut off.
    pub tokens: u64,
}

impl Cut {
    fn count(&mut self, before: usize, after: usize) {
        self.of += 1;
        self.texts += u64::from(after < before);
        self.tokens += (before - after) as u64;
    }
}

fn check(length: usize, least: usize) -> Result<(), TaskError> {
    if length < least { Err(TaskError::Length { length, least }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use crate::corpus::{SAMPLE, Tokenizer, VocabularyOptions};
    use std::sync::OnceLock;

    /// One that is learnt from the text in the binary, and that takes marks off letters.
    pub(super) fn tokenizer() -> Tokenizer {
        static TOKENIZER: OnceLock<Tokenizer> = OnceLock::new();
        let learn = || {
            let options = VocabularyOptions { size: 1_000, strip_accents: true, ..VocabularyOptions::default() };
            Tokenizer::train(SAMPLE.lines().take(4_000), &options).expect("the sample has words")
        };
        TOKENIZER.get_or_init(learn).clone()
    }
}
