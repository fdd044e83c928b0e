//! What a fine-tuned network is asked of a record.

use super::score::answers::Version;
use crate::model::{Head, Problem};

/// What a network is asked of a record, and what its head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// What a text or a pair of texts is: [`Head::SequenceClassification`].
    Classification(Problem),
    /// What each word is: [`Head::TokenClassification`].
    Tagging,
    /// Where in a text an answer is: [`Head::QuestionAnswering`]. The version says whether there may be none.
    Answering(Version),
}

impl TaskKind {
    /// What a network with this head can be asked; `None` of one that comes of pre-training. Of questions, version 2 is of those that
    /// have a threshold for saying nothing.
    pub fn of(head: &Head) -> Option<Self> {
        match head {
            Head::SequenceClassification(head) => Some(Self::Classification(head.problem)),
            Head::TokenClassification(_) => Some(Self::Tagging),
            Head::QuestionAnswering(head) => {
                Some(Self::Answering(if head.null_threshold.is_some() { Version::Two } else { Version::One }))
            }
            Head::MaskedLm(_) | Head::ReplacedTokens(_) => None,
        }
    }
}
