//! What stands on top of an encoder: a head a file, which has its parameters under their names in `transformers`, and what it
//! computes.

mod labels;
mod masked_lm;
mod question_answering;
mod replaced_tokens;
mod sequence_classification;
mod token_classification;

pub use labels::Problem;
pub use masked_lm::MaskedLm;
pub(crate) use masked_lm::TIED;
pub use question_answering::QuestionAnswering;
pub use replaced_tokens::ReplacedTokens;
pub use sequence_classification::{ClassifierKind, SequenceClassification};
pub use token_classification::TokenClassification;

/// Where a head's parameters are in the table.
#[derive(Debug, Clone, PartialEq)]
pub enum Head {
    /// Says which word was masked.
    MaskedLm(MaskedLm),
    /// Says of a token whether it was replaced.
    ReplacedTokens(ReplacedTokens),
    /// Says what a text is.
    SequenceClassification(SequenceClassification),
    /// Says what a token is.
    TokenClassification(TokenClassification),
    /// Says where in a text an answer is.
    QuestionAnswering(QuestionAnswering),
}

/// The class of `transformers` that an encoder with a head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// [`Head::MaskedLm`]
    MaskedLm,
    /// [`Head::ReplacedTokens`]
    PreTraining,
    /// [`Head::SequenceClassification`] of [`ClassifierKind::Dense`].
    SequenceClassification,
    /// [`Head::SequenceClassification`] of [`ClassifierKind::Linear`], which is none of theirs.
    LinearClassification,
    /// [`Head::TokenClassification`]
    TokenClassification,
    /// [`Head::QuestionAnswering`]
    QuestionAnswering,
}

impl Head {
    /// What `transformers` calls an encoder with this head.
    pub fn architecture(&self) -> Architecture {
        match self {
            Self::MaskedLm(_) => Architecture::MaskedLm,
            Self::ReplacedTokens(_) => Architecture::PreTraining,
            Self::SequenceClassification(head) if head.dense.is_none() => Architecture::LinearClassification,
            Self::SequenceClassification(_) => Architecture::SequenceClassification,
            Self::TokenClassification(_) => Architecture::TokenClassification,
            Self::QuestionAnswering(_) => Architecture::QuestionAnswering,
        }
    }
}

impl Architecture {
    /// Those that come of pre-training.
    pub const PRE_TRAINED: [Self; 2] = [Self::MaskedLm, Self::PreTraining];

    /// Those that come of fine-tuning.
    pub const FINE_TUNED: [Self; 4] =
        [Self::SequenceClassification, Self::LinearClassification, Self::TokenClassification, Self::QuestionAnswering];

    /// The class's name. That of [`Self::LinearClassification`] is ours: no class of `transformers` loads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaskedLm => "ElectraForMaskedLM",
            Self::PreTraining => "ElectraForPreTraining",
            Self::SequenceClassification => "ElectraForSequenceClassification",
            Self::LinearClassification => "ElectraWithLinearClassifier",
            Self::TokenClassification => "ElectraForTokenClassification",
            Self::QuestionAnswering => "ElectraForQuestionAnswering",
        }
    }

    /// What a network with that head is called: of pre-training, ELECTRA's own names.
    pub fn network(self) -> &'static str {
        match self {
            Self::MaskedLm => "generator",
            Self::PreTraining => "discriminator",
            _ => "model",
        }
    }

    /// The networks with that head that are kept in a folder of their name, the one that says most first.
    pub fn folders(self) -> &'static [&'static str] {
        match self {
            Self::MaskedLm => &["encoder", "generator"],
            Self::PreTraining => &["discriminator"],
            _ => &["model"],
        }
    }

    /// How the names of the head's tensors begin.
    pub fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::MaskedLm => &[masked_lm::PREDICTIONS, masked_lm::OUTPUT],
            Self::PreTraining => &[replaced_tokens::PREDICTIONS],
            Self::SequenceClassification => &[sequence_classification::DENSE, sequence_classification::OUTPUT],
            Self::LinearClassification => &[sequence_classification::LINEAR],
            Self::TokenClassification => &[token_classification::WEIGHT, token_classification::BIAS],
            Self::QuestionAnswering => &[question_answering::OUTPUTS],
        }
    }
}
