//! What a run's networks can be asked, and what they say of a text.

use crate::config::Config;
use crate::model::Builder;
use crate::objective::Demonstration;
use crate::probe::Request;
use crate::session::Material;
use crate::task::{Input, Label, Prediction, Record};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Held-out texts that the window gets.
pub(super) const TEXTS: usize = 24;
/// Tokens of one that is a sentence of running text.
const TOKENS: RangeInclusive<usize> = 7..=24;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Question {
    /// Which words of a sentence are fakes, or what its masked words are.
    Sentence(Request),
    /// What a fine-tuned network says of a text, as [`Input::typed`] reads it.
    Text(String),
}

/// What a run's networks can be asked, and held-out texts to begin with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Demonstrates {
    /// Sentences of which words are replaced or masked.
    Sentences {
        /// Of the held-out text.
        sentences: Vec<String>,
        /// Whether its networks guess masked words, and none tells replaced tokens.
        masked_lm: bool,
        /// Whether one puts in words for another to find.
        fakes: bool,
    },
    /// Texts, of which a fine-tuned network says something.
    Texts {
        /// To be measured by.
        examples: Vec<Example>,
        /// Why it is these weights that answer, in words; `None` for those of a run that is trained.
        chosen: Option<String>,
    },
}

/// A held-out text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The text, as [`Input::as_typed`] has it.
    pub text: String,
    /// What is to be said of it, where that is known.
    pub label: Option<Label>,
}

impl Example {
    /// Of labelled records.
    pub(super) fn all(records: &[Record]) -> Vec<Self> {
        let example = |record: &Record| Self { text: record.input.as_typed(), label: record.label.clone() };
        records.iter().take(TEXTS).map(example).collect()
    }
}

impl Demonstrates {
    /// What a run of `config` that reads `material` can be asked while it is trained.
    pub(super) fn of(config: &Config, material: &Material) -> Self {
        match material {
            Material::Text(text) => Self::sentences(config, text.texts(TEXTS, TOKENS)),
            Material::Labelled(task) => Self::Texts { examples: Example::all(&task.shown), chosen: None },
        }
    }

    /// Of running text.
    pub(super) fn sentences(config: &Config, sentences: Vec<String>) -> Self {
        let masked_lm = matches!(config.objective.demonstration(), Demonstration::Masked { .. });
        let networks = config.objective.networks(&mut Builder::default(), &config.model);
        let fakes = !masked_lm && networks.iter().any(|network| network.masked_lm().is_ok());
        Self::Sentences { sentences, masked_lm, fakes }
    }
}

/// What a fine-tuned network says of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// What was read.
    pub input: Input,
    /// What it says.
    pub prediction: Prediction,
    /// What a person should know of it, as that it was cut, a line each.
    pub remarks: Vec<String>,
}
