//! Why labelled data cannot be used.

use crate::text::ReadError;

/// What is wrong with labelled data, and what to do about it. One line each.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A task that there is not.
    #[error("no task {name:?}; there are {known}")]
    NoTask {
        /// The name asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A task that is not offered.
    #[error("{name} is not offered: {reason}")]
    Refused {
        /// The task.
        name: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A column that is not there.
    #[error("{file}: no column {column}; there are {there}; {help}")]
    Columns {
        /// The file.
        file: String,
        /// The column, or the names it may have.
        column: String,
        /// Those that there are.
        there: String,
        /// What to do.
        help: &'static str,
    },
    /// A file of a form that the task does not come in.
    #[error("{file} holds {found}, expected {expected}")]
    Form {
        /// The file.
        file: String,
        /// What it holds.
        found: String,
        /// What the task reads.
        expected: &'static str,
    },
    /// A label that is not one of the task's, or was never seen in training.
    #[error("{file}: {place}: the label {label:?} is not one of {whose}: {known}")]
    UnknownLabel {
        /// The file.
        file: String,
        /// Where, as in `line 7`.
        place: String,
        /// The label.
        label: String,
        /// Of whom the known ones are, as in `those in training`.
        whose: String,
        /// The known ones.
        known: String,
    },
    /// A row that is wrong in a way that is not passed over.
    #[error("{file}: {place}: {reason}")]
    Row {
        /// The file.
        file: String,
        /// Where.
        place: String,
        /// What is wrong, and what was expected.
        reason: String,
    },
    /// Not one row can be used.
    #[error("{file}: {reason}")]
    NoRecords {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// Nothing to tell apart.
    #[error("{file}: every row has the label {label:?}; there is nothing to learn from one label alone")]
    OneLabel {
        /// The file.
        file: String,
        /// The label.
        label: String,
    },
    /// Answers that do not stand where they should.
    #[error(
        "{file}: {wrong} of {answers} answers are not at their offset; {place}: expected {expected:?}, found {found:?}; \
         offsets count characters from 0"
    )]
    Offsets {
        /// The file.
        file: String,
        /// How many do not.
        wrong: u64,
        /// Of how many.
        answers: u64,
        /// The first question.
        place: String,
        /// Its answer.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Too little to hold some out.
    #[error("{found} cannot be cut into training and dev data; give a dev file")]
    TooFew {
        /// What there is, as in `1 record`.
        found: String,
    },
    /// The tokenizer fails.
    #[error(transparent)]
    Tokenizer(#[from] crate::corpus::Error),
    /// Rows that are too short to hold anything.
    #[error("a length of {length} is too short: it takes at least {least} here")]
    Length {
        /// The length asked for, in ids.
        length: usize,
        /// The shortest.
        least: usize,
    },
}
