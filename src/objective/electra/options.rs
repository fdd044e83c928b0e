//! What the paper varies of ELECTRA beside the generator's size (Clark et al., arXiv 2003.10555, sections 3.2 and 3.4).

use crate::model::{ModelConfig, Tie};
use crate::objective::{BadValue, Generator, GeneratorSizes};
use serde::{Deserialize, Serialize};

/// Which tokens the discriminator's loss is over: `over` in `[objective]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// All tokens, which is ELECTRA.
    #[default]
    All,
    /// The selected ones, which the paper calls ELECTRA 15 %.
    Selected,
}

/// What generator and discriminator share: `tying` in `[objective]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tying {
    /// Nothing.
    None,
    /// The embeddings of tokens, positions and segments.
    #[default]
    Embeddings,
    /// All but the heads. Both have one size then.
    All,
}

/// Whose words stand where tokens were selected: `replaced_by` in `[objective]`. The reference's `uniform_generator` is the last of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplacedBy {
    /// A generator's that is trained beside the discriminator, which is ELECTRA.
    #[default]
    Generator,
    /// A generator's that stays as it began: at random, or as `training.init_from` has it. What it shares with the discriminator is trained.
    Frozen,
    /// Words as frequent as those that were selected, whatever stands around them: of a generator that is a linear layer without an input, a logit for
    /// every word. Easier to find than a generator's that is trained for long, which serves short runs (README, "Compare at equal cost").
    Unigram,
    /// Any of the vocabulary, all as likely.
    Uniform,
}

impl ReplacedBy {
    /// Whether it is what is meant where nothing is said.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there is a generator with layers.
    pub fn has_generator(self) -> bool {
        matches!(self, Self::Generator | Self::Frozen)
    }
}

impl Over {
    /// Whether it is what is meant where nothing is said.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Tying {
    /// Whether it is what is meant where nothing is said.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// What a model's networks share by it.
    pub fn tie(self) -> Tie {
        match self {
            Self::None => Tie::None,
            Self::Embeddings => Tie::Embeddings,
            Self::All => Tie::All,
        }
    }

    /// Whether two networks of these sizes can share that.
    ///
    /// # Errors
    /// [`BadValue`] where not.
    pub fn check(self, generator: &Generator, encoder: &ModelConfig) -> Result<(), BadValue> {
        let ModelConfig { hidden, layers, heads, feed_forward, .. } = *encoder;
        if self != Self::All || generator.sizes(encoder) == (GeneratorSizes { hidden, layers, heads, feed_forward }) {
            return Ok(());
        }
        Err(BadValue::new("objective.tying", "all", "none or embeddings, or objective.generator = 1"))
    }
}
