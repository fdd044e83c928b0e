//! What a run learns from: text, or labelled data.

use super::{Prepared, PreparedTask};
use crate::batch::{MaskedText, Source};
use crate::corpus::{Examples, Tokenizer};
use crate::history::TextFacts;
use crate::objective::Objective;
use crate::train::Data;
use std::sync::Arc;

/// What a run learns from, ready.
#[derive(Debug, Clone)]
pub enum Material {
    /// Text.
    Text(Prepared),
    /// Labelled data.
    Labelled(PreparedTask),
}

impl Material {
    /// Where it is from, for people.
    pub fn name(&self) -> &str {
        match self {
            Self::Text(text) => &text.name,
            Self::Labelled(task) => &task.name,
        }
    }

    /// Its words.
    pub fn tokenizer(&self) -> &Tokenizer {
        match self {
            Self::Text(text) => &text.tokenizer,
            Self::Labelled(task) => &task.tokenizer,
        }
    }

    /// Tells it from others.
    pub fn fingerprint(&self) -> &str {
        match self {
            Self::Text(text) => &text.fingerprint,
            Self::Labelled(task) => &task.fingerprint,
        }
    }

    /// Whether it is what a run keeps as `fingerprint`, which is its own from then on where an earlier version made it: all of a run's
    /// checkpoints have the same.
    pub(super) fn adopts(&mut self, fingerprint: &str) -> bool {
        if let Self::Text(text) = self
            && text.former_fingerprint.as_deref() == Some(fingerprint)
        {
            text.fingerprint = fingerprint.into();
        }
        self.fingerprint() == fingerprint
    }

    /// What the run's folder keeps of it.
    pub fn facts(&self) -> TextFacts {
        match self {
            Self::Text(text) => text.facts(),
            Self::Labelled(task) => task.facts(),
        }
    }

    /// What the trainer reads of it for an objective; `whole_words` are selected where they are asked for.
    pub(super) fn data(&self, objective: &dyn Objective, whole_words: bool) -> Data {
        match self {
            Self::Text(text) => {
                let source = |examples: &Arc<Examples>| -> Arc<dyn Source> {
                    let masking = objective.masking().unwrap_or_default();
                    let masked = MaskedText::new(examples.clone(), &text.tokenizer, masking);
                    Arc::new(masked.with_whole_words(&text.tokenizer, whole_words))
                };
                Data { training: source(&text.training), held_out: source(&text.held_out), scorer: None }
            }
            Self::Labelled(task) => task.data(),
        }
    }
}
