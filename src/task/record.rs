//! What a person labelled.

use super::{LabelNames, Report, TaskError};
use crate::numbers::{counted, shortened};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// What a file is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// To learn from.
    Train,
    /// To measure by.
    Dev,
    /// To predict: labels may be missing, rows may not.
    Test,
}

/// An example.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its id in the file; where it has none, the number of its row (or sentence) from 0.
    pub id: String,
    /// Where it stands in the file, from 1: a line, a row of parquet, a question.
    pub line: u64,
    /// What is read.
    pub input: Input,
    /// What is to be said of it, where that is known.
    pub label: Option<Label>,
}

/// What is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// A text or a pair of texts.
    Text {
        /// The text, or the first one.
        text: String,
        /// The second one.
        pair: Option<String>,
    },
    /// Words, each of which is tagged.
    Words(Vec<String>),
    /// A question to a text.
    Question {
        /// The question.
        question: String,
        /// The text that holds the answer, one for all its questions.
        context: Arc<str>,
    },
}

/// What is to be said of an example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Label {
    /// A class, by its place in [`LabelNames`].
    Class(usize),
    /// Any number of labels, by their places, ascending.
    Classes(Vec<usize>),
    /// A number, in the file's own units.
    Value(f64),
    /// A tag for each word, by its place.
    Tags(Vec<usize>),
    /// The right answers, any of which will do; none where the question cannot be answered.
    Answers(Vec<Answer>),
}

/// A right answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// Where it stands in the context, in bytes; `None` where the file's offset was wrong.
    pub bytes: Option<Range<usize>>,
}

/// A file, read.
#[derive(Clone, Debug)]
pub struct TaskData {
    /// Its records, in its order.
    pub records: Vec<Record>,
    /// The names of classes or tags; none of numbers and answers.
    pub labels: LabelNames,
    /// What was left out, and what is odd.
    pub report: Report,
}

impl TaskData {
    /// How many records have each label; of tags, how many words.
    pub fn label_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.labels.len()];
        for label in self.records.iter().filter_map(|record| record.label.as_ref()) {
            match label {
                Label::Class(class) => counts[*class] += 1,
                Label::Classes(all) | Label::Tags(all) => all.iter().for_each(|&class| counts[class] += 1),
                Label::Value(_) | Label::Answers(_) => {}
            }
        }
        counts
    }

    /// Checks that there is something to learn, and notes what is lopsided.
    pub(super) fn checked(mut self, part: Part) -> Result<Self, TaskError> {
        let file = || self.report.file.clone();
        if self.records.is_empty() {
            return Err(TaskError::NoRecords { file: file(), reason: self.report.why_none() });
        }
        if part != Part::Train {
            return Ok(self);
        }
        let labels = || self.records.iter().filter_map(|record| record.label.as_ref());
        let counts = self.label_counts();
        if let Some(Label::Class(first)) = labels().next()
            && counts.iter().filter(|&&count| count > 0).count() == 1
        {
            return Err(TaskError::OneLabel { file: file(), label: self.labels.name(*first).into() });
        }
        if let Some(Label::Value(first)) = labels().next()
            && self.records.len() > 1
            && labels().all(|label| *label == Label::Value(*first))
        {
            return Err(TaskError::OneLabel { file: file(), label: first.to_string() });
        }
        let lone: HashSet<usize> = (0..counts.len()).filter(|&class| counts[class] == 1).collect();
        let alone: Vec<(String, u64)> = self
            .records
            .iter()
            .filter_map(|record| match &record.label {
                Some(Label::Class(class)) if lone.contains(class) => {
                    let name = shortened(self.labels.name(*class), 40);
                    Some((format!("a label with a single example ({name:?})"), record.line))
                }
                _ => None,
            })
            .collect();
        for (reason, line) in alone {
            self.report.keep(&reason, format!("line {line}"));
        }
        // Classes that a task has and that a file does not hold cannot be learnt.
        if matches!(labels().next(), Some(Label::Class(_))) {
            let absent: Vec<String> = (0..counts.len())
                .filter(|&class| counts[class] == 0)
                .map(|class| format!("{:?}", self.labels.name(class)))
                .collect();
            if !absent.is_empty() {
                let rows = counted(self.records.len() as u64, "row");
                self.report.note(format!("none of {rows} has the label {}", absent.join(" or ")));
            }
        }
        Ok(self)
    }
}
