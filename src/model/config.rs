//! What a network is like: what `[model]` of a run's settings and a config.json of `transformers` say.

use crate::math::Activation;
use crate::ops::EPSILON;
use serde::{Deserialize, Serialize};

/// Sizes and settings of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Words, special tokens included. A vocabulary trained on a small text may turn out smaller.
    pub vocabulary: usize,
    /// The longest input in tokens.
    pub positions: usize,
    /// Segment types.
    pub types: usize,
    /// Width of the embeddings.
    pub embedding: usize,
    /// Width of the layers.
    pub hidden: usize,
    /// Number of layers.
    pub layers: usize,
    /// Attention heads a layer.
    pub heads: usize,
    /// Width of the feed-forward part.
    pub feed_forward: usize,
    /// Probability of dropout on embeddings and layers.
    pub dropout: f32,
    /// Probability of dropout on attention probabilities.
    pub attention_dropout: f32,
    /// Standard deviation of the initial embeddings and layer weights.
    pub initializer_range: f64,
    /// How the position embeddings start; they are trained either way.
    pub position_initialization: PositionInitialization,
    /// Of the feed-forward parts and of the head that tells replaced tokens.
    #[serde(default)]
    pub activation: Activation,
    /// Added to the variance in every layer norm.
    #[serde(default = "epsilon")]
    pub layer_norm_epsilon: f64,
}

/// What a layer norm's epsilon may be: a normal number in single precision, and no more than what it stands beside.
pub(crate) const EPSILONS: std::ops::RangeInclusive<f64> = 1e-30..=1.0;

fn epsilon() -> f64 {
    EPSILON
}

/// How position embeddings start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionInitialization {
    /// At random like the others, as in the paper.
    Normal,
    /// As waves, so that "the next token" is the same turn at every position: attention finds neighbours much sooner,
    /// which is most of what a short run can learn.
    Sinusoidal,
}
