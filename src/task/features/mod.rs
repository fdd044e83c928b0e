//! Records to rows of ids, and what a network says of them back to words and texts.
//!
//! A row is as long as it is, up to a length: filling it up is the batch's affair. [`texts`](fn@texts) makes one of a record, [`words`]
//! and [`questions`] one or several (windows), each of which knows its record by its place. [`Features`] are those that a kind of
//! task takes.

mod answers;
mod decode;
mod questions;
mod texts;
mod words;

pub use answers::{AnswerOptions, Candidate, Found, n_best};
pub use questions::{QuestionReport, Window, questions};
pub use texts::texts;
pub use words::{TagRow, WordReport, words};

use super::score::answers::Version;
use super::{Record, TaskError, TaskKind};
use crate::corpus::Tokenizer;
use crate::model::Problem;
use crate::numbers::{counted, grouped};
use std::ops::AddAssign;

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

impl AddAssign for Cut {
    fn add_assign(&mut self, more: Self) {
        self.texts += more.texts;
        self.of += more.of;
        self.tokens += more.tokens;
    }
}

impl Cut {
    /// What a person should know of texts that were cut at so many tokens, if any were.
    pub fn remark(&self, length: usize) -> Option<String> {
        let all = counted(self.of, "text");
        (self.texts > 0).then(|| format!("{} of {all} cut at {length} tokens", grouped(self.texts)))
    }

    fn count(&mut self, before: usize, after: usize) {
        self.of += 1;
        self.texts += u64::from(after < before);
        self.tokens += (before - after) as u64;
    }
}

/// How rows are laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureOptions {
    /// The longest row, in ids.
    pub length: usize,
    /// Of questions: from a window's start to the next one's, in tokens of the context.
    pub stride: usize,
    /// The longest question, in tokens.
    pub query: usize,
}

impl Default for FeatureOptions {
    /// Those of the reference: 512, 128, 64.
    fn default() -> Self {
        Self { length: 512, stride: 128, query: 64 }
    }
}

impl FeatureOptions {
    /// Rows of at most `length` ids, of which a question takes no more than half.
    pub fn of_length(length: usize) -> Self {
        let reference = Self::default();
        Self { length, query: reference.query.min(length / 2), ..reference }
    }
}

/// The rows of records, and what became of these.
#[derive(Clone, Debug)]
pub struct Features {
    pub(in crate::task) rows: Rows,
    length: usize,
}

#[derive(Clone, Debug)]
pub(in crate::task) enum Rows {
    Texts(Vec<Row>, Cut, Problem),
    Words(Vec<TagRow>, WordReport),
    Questions(Vec<Window>, QuestionReport, Version),
}

impl Features {
    /// Those that a network of this kind reads of `records`. Records of another kind have none.
    ///
    /// # Errors
    /// [`TaskError::Length`] where rows are too short to hold anything, [`TaskError::Tokenizer`].
    pub fn of(
        records: &[Record],
        tokenizer: &Tokenizer,
        options: &FeatureOptions,
        kind: TaskKind,
    ) -> Result<Self, TaskError> {
        let length = options.length;
        let rows = match kind {
            TaskKind::Classification(problem) => {
                let (rows, cut) = texts(records, tokenizer, length)?;
                Rows::Texts(rows, cut, problem)
            }
            TaskKind::Tagging => {
                let (rows, report) = words(records, tokenizer, length)?;
                Rows::Words(rows, report)
            }
            TaskKind::Answering(version) => {
                let (windows, report) = questions(records, tokenizer, options)?;
                Rows::Questions(windows, report, version)
            }
        };
        Ok(Self { rows, length })
    }

    /// What is asked of them.
    pub fn kind(&self) -> TaskKind {
        match &self.rows {
            Rows::Texts(.., problem) => TaskKind::Classification(*problem),
            Rows::Words(..) => TaskKind::Tagging,
            Rows::Questions(.., version) => TaskKind::Answering(*version),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Texts(rows, ..) => rows.len(),
            Rows::Words(rows, _) => rows.len(),
            Rows::Questions(windows, ..) => windows.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A row by its number, which is below [`len`](Self::len).
    pub fn row(&self, index: usize) -> &Row {
        match &self.rows {
            Rows::Texts(rows, ..) => &rows[index],
            Rows::Words(rows, _) => &rows[index].row,
            Rows::Questions(windows, ..) => &windows[index].row,
        }
    }

    /// The longest row that was asked for, in ids.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Texts, words or questions that were cut.
    pub fn cut(&self) -> Cut {
        match &self.rows {
            Rows::Texts(_, cut, _) => *cut,
            Rows::Words(_, report) => Cut { texts: report.cut, of: report.of, tokens: 0 },
            Rows::Questions(_, report, _) => report.cut,
        }
    }

    /// What a person should know of what was cut or cannot be learnt, a line each.
    pub fn remarks(&self) -> Vec<String> {
        let length = self.length;
        let of = |count: u64, all: u64, what: &str| format!("{} of {}", grouped(count), counted(all, what));
        let mut remarks = Vec::new();
        let mut say = |count: u64, remark: String| remarks.extend((count > 0).then_some(remark));
        match &self.rows {
            Rows::Texts(_, cut, _) => {
                say(cut.texts, format!("{} cut at {length} tokens", of(cut.texts, cut.of, "text")));
            }
            Rows::Words(_, r) => {
                let sentences = of(r.windowed, r.of, "sentence");
                say(r.windowed, format!("{sentences} longer than {length} tokens: read in windows"));
                say(r.cut, format!("{} longer than {length} tokens: cut", counted(r.cut, "word")));
                let unknown = counted(r.unknown, "word");
                say(r.unknown, format!("{unknown} without a letter that the tokenizer knows: read as [UNK]"));
            }
            Rows::Questions(_, r, _) => {
                say(r.cut.texts, format!("{} cut", of(r.cut.texts, r.cut.of, "question")));
                let windowed = of(r.windowed, r.cut.of, "question");
                say(r.windowed, format!("{windowed} with a text longer than {length} tokens: read in windows"));
                let answers = |count: u64| counted(count, "answer");
                say(r.inexact, format!("{} inside of a token: learnt with the rest of it", answers(r.inexact)));
                say(r.unplaced, format!("{} without a token: not learnt", answers(r.unplaced)));
                say(r.divided, format!("{} in no window as a whole: not learnt", answers(r.divided)));
            }
        }
        remarks
    }
}

fn check(length: usize, least: usize) -> Result<(), TaskError> {
    if length < least { Err(TaskError::Length { length, least }) } else { Ok(()) }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::corpus::{SAMPLE, Tokenizer, VocabularyOptions};
    use std::sync::OnceLock;

    /// One that is learnt from the text in the binary, and that takes marks off letters.
    pub(in crate::task) fn tokenizer() -> Tokenizer {
        static TOKENIZER: OnceLock<Tokenizer> = OnceLock::new();
        let learn = || {
            let options = VocabularyOptions { size: 1_000, strip_accents: true, ..VocabularyOptions::default() };
            Tokenizer::train(SAMPLE.lines().take(4_000), &options).expect("the sample has words")
        };
        TOKENIZER.get_or_init(learn).clone()
    }
}
