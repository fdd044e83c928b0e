//! What a run notes of its text: `text.json`.

use serde::{Deserialize, Serialize};

/// Counts of the training text, which the run's folder keeps because the text itself may be gone when somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TextFacts {
    /// Documents, those held out included.
    pub documents: u64,
    /// Tokens to train on, special tokens apart.
    pub tokens: u64,
    /// Entropy of the token frequencies in nats: the loss of guessing words by how frequent each is.
    pub unigram_entropy: f64,
}

impl TextFacts {
    /// The file's name in a run's folder.
    pub const FILE: &'static str = "text.json";
}
