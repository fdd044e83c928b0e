//! What is learnt, an objective a file: its settings, its networks, its page, and what is measured of it.
//!
//! An [`Objective`] is a description. [`train`](crate::train) builds its page into a step, [`run`](crate::run) keeps its
//! networks, and whoever draws or stores numbers loops over its [`Measures`]; none of them knows which objective it is. A
//! new one is its file, a line in the list below, and its golden test.
//!
//! A page is written with [`Inputs`], a batch's columns asked for by name, and gives [`Outputs`], which have names too.

pub mod adversarial;
pub mod all_tokens;
mod demonstration;
pub mod electra;
mod generator;
mod inputs;
mod list;
pub mod mc_bert;
pub mod mlm;
mod outputs;
mod phase;
pub mod replace_mlm;
pub mod teams;
pub mod two_stage;
mod words;
pub mod xlnet;

pub use demonstration::{Demonstration, Shown};
pub use generator::{Generator, GeneratorSizes};
pub use inputs::{Bound, Inputs, Mode};
pub use list::ObjectiveConfig;
pub use outputs::{LOSS, Merge, Output, Outputs, Results};
pub use phase::Phase;

use crate::batch::{Batch, Masking};
use crate::graph::{Graph, GraphError};
use crate::measure::{Measures, Values};
use crate::model::{Builder, Model, ModelConfig, Network};
use std::fmt::Debug;

/// What is learnt from batches, and how one sees that it is.
pub trait Objective: Debug + Send + Sync {
    /// What people call it, as in `ELECTRA`.
    fn title(&self) -> &'static str;

    /// What is learnt, in two short sentences for somebody who has heard of none of it.
    fn about(&self) -> &'static str;

    /// Whether its settings can go together with each other and with a network of these `sizes`.
    ///
    /// # Errors
    /// [`BadValue`] names the first that cannot.
    fn check(&self, sizes: &ModelConfig) -> Result<(), BadValue>;

    /// The networks that are trained together. The last has these `sizes` and is the one that is kept.
    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network>;

    /// Which tokens of an example are selected, and what becomes of them, where it learns from masked text.
    fn masking(&self) -> Option<Masking> {
        None
    }

    /// K, the slots of an example of at most `length` tokens.
    fn slots(&self, length: usize) -> usize {
        self.masking().map_or(0, |masking| masking.slots(length))
    }

    /// The page: from a batch to the loss, and the losses that it is made of as sums by the names of their measures: those are shown
    /// step by step, and watched. `model` has this objective's networks.
    ///
    /// # Errors
    /// [`GraphError`] where the model is another one's, or does not fit together.
    fn build(&self, g: &mut Graph, model: &Model, batch: &mut Inputs, mode: Mode) -> Result<Outputs, GraphError>;

    /// What is measured, in the order in which it is shown. The first measure that selects chooses the best checkpoint.
    fn measures(&self, setting: &Setting) -> Measures;

    /// What adds up steps' outputs to the values of those measures.
    fn tally(&self) -> Box<dyn Tally>;

    /// What held-out text measured before training and after it says, in a sentence.
    fn in_words(&self, before: &Values, after: &Values) -> String;

    /// What can be shown of a sentence.
    fn demonstration(&self) -> Demonstration;

    /// Training in phases, one behind the other.
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::WHOLE]
    }

    /// How large its generator is, where it has one.
    fn generator_mut(&mut self) -> Option<&mut Generator> {
        None
    }
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {found}, expected {expected}")]
pub struct BadValue {
    /// The setting, as in `objective.masked_fraction`.
    pub key: &'static str,
    /// Its value.
    pub found: String,
    /// What it may be.
    pub expected: String,
}

impl BadValue {
    /// With a value that is written as it is.
    pub fn new(key: &'static str, found: impl ToString, expected: impl Into<String>) -> Self {
        Self { key, found: found.to_string(), expected: expected.into() }
    }
}

/// What baselines and advice depend on, beside the objective.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// V, words of the vocabulary.
    pub vocabulary: u64,
    /// Of the training text's word frequencies, in nats a token.
    pub unigram_entropy: f64,
    /// The peak learning rate.
    pub learning_rate: f64,
    /// The norm that gradients are clipped to.
    pub clip_norm: f64,
}

/// Adds up what steps give.
pub trait Tally: Debug + Send {
    /// Takes in a step: the batch that it was given, and what it left.
    fn add(&mut self, batch: &Batch, out: &Results);

    /// What all steps since the start or the last call came to, and the baselines that move; empties the tally. NaN is what
    /// could not be measured.
    fn finish(&mut self) -> Values;
}

/// What measures examples where it takes more than a batch's columns, as a text that an answer is taken from.
pub trait Scorer: Debug + Send + Sync {
    /// A tally of those examples, which batches name by their places ([`EXAMPLES`](crate::batch::EXAMPLES)).
    fn tally(&self) -> Box<dyn Tally>;
}
