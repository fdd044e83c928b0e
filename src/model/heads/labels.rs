//! What the outputs of a classifier stand for.

use serde::{Deserialize, Serialize};

/// What is asked of a classifier with C outputs. The names are those of `problem_type` in a config.json of `transformers`, and in
/// each case the loss is the one that its classes take for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Problem {
    /// A number an output; the squared error.
    #[serde(rename = "regression")]
    Regression,
    /// One of C classes; cross entropy.
    #[serde(rename = "single_label_classification")]
    SingleLabel,
    /// Any number of C labels; binary cross entropy of each.
    #[serde(rename = "multi_label_classification")]
    MultiLabel,
}

impl Problem {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Regression, Self::SingleLabel, Self::MultiLabel];

    /// What `transformers` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::SingleLabel => "single_label_classification",
            Self::MultiLabel => "multi_label_classification",
        }
    }
}
