//! What is trained: networks over one table of parameters.
//!
//! A [`Model`] is a list of [`Network`]s: embeddings, an encoder, and heads on top of it. They are descriptors: they hold
//! indices into the [`ParameterTable`], and two networks share what has the same index in both. A [`Builder`] walks
//! through each network once and says of every parameter its shape, how it starts, and what `transformers` calls it.
//!
//! The letters of shapes are those of the [crate](crate#letters-of-shapes); M = rows that a head is asked about.

mod builder;
mod config;
mod encoder;
mod heads;
mod initial;

pub use builder::{Builder, Part, Tie};
pub(crate) use config::EPSILONS;
pub use config::{ModelConfig, PositionInitialization};
pub use encoder::Encoded;
pub(crate) use heads::TIED;
pub use heads::{
    Architecture, ClassifierKind, Head, MaskedLm, Problem, QuestionAnswering, ReplacedTokens, SequenceClassification,
    TokenClassification,
};

use crate::graph::{GraphError, ParameterTable};
use std::sync::Arc;

/// Indices of a linear layer's weight and bias in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// [out, in]
    pub weight: usize,
    /// `[out]`
    pub bias: usize,
}

/// Indices of a layer norm's scale and shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Norm {
    /// Scale, `[C]`.
    pub gamma: usize,
    /// Shift, `[C]`.
    pub beta: usize,
}

/// What stands for words before the first layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embeddings {
    /// [V, E]
    pub word: usize,
    /// [P, E]
    pub position: usize,
    /// [Y, E]
    pub types: usize,
    /// Over E.
    pub norm: Norm,
}

/// One encoder layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Query, key and value on top of each other: [3 H, H].
    pub qkv: Linear,
    /// Attention's output: [H, H].
    pub attention: Linear,
    /// Behind attention.
    pub attention_norm: Norm,
    /// [F, H]
    pub intermediate: Linear,
    /// [H, F]
    pub output: Linear,
    /// Behind the feed-forward part.
    pub output_norm: Norm,
}

/// From embeddings to what heads see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoder {
    /// Embedding width to hidden width, where they differ: [H, E].
    pub project: Option<Linear>,
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
}

/// The name of an encoder's own layer that gives the logit of "replaced", of not copying ([`Network::own`]).
pub const COPY: &str = "copy";

/// The name of an encoder's own layer that gives the logit of a token's being none of the words to choose from.
pub const NEITHER: &str = "neither";

/// An encoder with its embeddings and its heads: where everything is in the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Its name in the model, and its folder's in a checkpoint.
    pub name: &'static str,
    /// Sizes and settings.
    pub config: ModelConfig,
    /// Below the encoder.
    pub embeddings: Embeddings,
    /// The layers.
    pub encoder: Encoder,
    /// On top of it. The first is what a folder of `transformers` is said to be.
    pub heads: Vec<Head>,
    /// What an objective has put on it for itself, by name: in no folder of `transformers`.
    pub own: Vec<(&'static str, Linear)>,
    /// All its parameters as `transformers` names them.
    pub parts: Vec<Part>,
}

/// All that is trained together.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The layout of the banks.
    pub table: Arc<ParameterTable>,
    /// The networks; what two of them share has one index.
    pub networks: Vec<Network>,
}

impl Model {
    /// The network of that name.
    ///
    /// # Errors
    /// [`GraphError`] where there is none: the objective is another one's.
    pub fn network(&self, name: &str) -> Result<&Network, GraphError> {
        self.networks.iter().find(|network| network.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.networks.iter().map(|network| network.name).collect();
            GraphError { op: "network", found: names.join(", "), expected: name.into() }
        })
    }

    /// Tells the heads that find answers how much must speak for saying nothing.
    pub fn set_null_threshold(&mut self, threshold: Option<f64>) {
        for head in self.networks.iter_mut().flat_map(|network| &mut network.heads) {
            if let Head::QuestionAnswering(head) = head {
                head.null_threshold = threshold;
            }
        }
    }

    /// The first network with such a head.
    ///
    /// # Errors
    /// [`GraphError`] where none has one.
    pub fn with_head(&self, architecture: Architecture) -> Result<&Network, GraphError> {
        let has = |network: &&Network| network.heads.iter().any(|head| head.architecture() == architecture);
        self.networks.iter().find(has).ok_or_else(|| {
            let names: Vec<&str> = self.networks.iter().map(|network| network.name).collect();
            GraphError { op: "network", found: names.join(", "), expected: architecture.name().into() }
        })
    }
}
