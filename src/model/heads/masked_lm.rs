//! The head of a masked language model: dense, GELU, layer norm, and a logit for every word of the vocabulary.

use super::Head;
use crate::graph::{Graph, GraphError, Initialization, Tensor};
use crate::math::Activation;
use crate::model::{Builder, Linear, Network, Norm, encoder};

pub(super) const PREDICTIONS: &str = "generator_predictions.";
pub(super) const OUTPUT: &str = "generator_lm_head.";
/// The output matrix; newer versions of `transformers` leave it out where it is the word embeddings.
pub(crate) const TIED: &str = "generator_lm_head.weight";

/// Where its parameters are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaskedLm {
    /// Hidden to embedding width: [E, H].
    pub dense: Linear,
    /// Over E.
    pub norm: Norm,
    /// Embedding width to words: [V, E]. The word embeddings, or a matrix of its own.
    pub output: usize,
    /// A bias for every word: `[V]`.
    pub bias: usize,
    /// Whether tokens attend to `[MASK]` where it is asked for words. In XLNet, whose layers have never met it, none does: a masked token is asked
    /// about, and seen by nobody, itself included.
    pub attends_to_masks: bool,
    epsilon: f64,
}

impl Builder {
    /// Puts a masked language model's head on `network`. Its output matrix is the word embeddings where they are `tied`.
    pub fn masked_lm(&mut self, network: &mut Network, tied: bool) {
        let (c, word) = (network.config.clone(), network.embeddings.word);
        let normal = c.normal();
        let mut head = self.head(network);
        let dense = head.linear(&format!("{PREDICTIONS}dense"), c.embedding, c.hidden, normal);
        let norm = head.norm(&format!("{PREDICTIONS}LayerNorm"), c.embedding);
        let output = if tied {
            head.alias(TIED, word);
            word
        } else {
            head.parameter(TIED, &[c.vocabulary, c.embedding], true, normal)
        };
        let bias = head.parameter("generator_lm_head.bias", &[c.vocabulary], false, Initialization::Zeros);
        network.heads.push(Head::MaskedLm(MaskedLm {
            dense,
            norm,
            output,
            bias,
            attends_to_masks: true,
            epsilon: c.layer_norm_epsilon,
        }));
    }
}

impl Network {
    /// Its masked language model's head.
    ///
    /// # Errors
    /// [`GraphError`] where it has none.
    pub fn masked_lm(&self) -> Result<&MaskedLm, GraphError> {
        let head = self.heads.iter().find_map(|head| if let Head::MaskedLm(head) = head { Some(head) } else { None });
        head.ok_or_else(|| self.without("a head for masked words"))
    }

    /// Says that no token attends to `[MASK]` where its masked language model's head is asked ([`MaskedLm::attends_to_masks`]).
    pub fn hide_masks(&mut self) {
        for head in &mut self.heads {
            if let Head::MaskedLm(head) = head {
                head.attends_to_masks = false;
            }
        }
    }

    /// Whether it guesses words by a matrix that is not its word embeddings.
    pub fn has_own_output(&self) -> bool {
        self.masked_lm().is_ok_and(|head| head.output != self.embeddings.word)
    }
}

impl MaskedLm {
    /// All but the vocabulary: [M, H] to [M, E]. GELU whatever the layers have, as in `transformers`.
    ///
    /// # Errors
    /// [`GraphError`] for an `x` of another width.
    pub fn hidden(&self, g: &mut Graph, x: Tensor) -> Result<Tensor, GraphError> {
        let x = encoder::linear_activation(g, x, self.dense, Activation::Gelu)?;
        encoder::norm(g, x, self.norm, self.epsilon)
    }
}
