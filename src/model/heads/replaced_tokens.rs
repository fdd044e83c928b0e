//! The head of ELECTRA's discriminator: dense, activation, and a logit of "replaced" for every token.

use super::Head;
use crate::graph::{Graph, GraphError, Initialization, Tensor};
use crate::math::Activation;
use crate::model::{Builder, Linear, Network, encoder};

pub(super) const PREDICTIONS: &str = "discriminator_predictions.";

/// Where its parameters are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplacedTokens {
    /// Hidden to hidden: [H, H].
    pub dense: Linear,
    /// Hidden to a logit: [1, H].
    pub prediction: Linear,
    activation: Activation,
}

impl Builder {
    /// Puts a head that tells replaced tokens on `network`.
    pub fn replaced_tokens(&mut self, network: &mut Network) {
        let c = network.config.clone();
        let mut head = self.head(network);
        let dense = head.linear(&format!("{PREDICTIONS}dense"), c.hidden, c.hidden, c.normal());
        let last = format!("{PREDICTIONS}dense_prediction");
        let prediction = head.linear(&last, 1, c.hidden, Initialization::GlorotUniform);
        network.heads.push(Head::ReplacedTokens(ReplacedTokens { dense, prediction, activation: c.activation }));
    }
}

impl Network {
    /// Its head that tells replaced tokens.
    ///
    /// # Errors
    /// [`GraphError`] where it has none.
    pub fn replaced_tokens(&self) -> Result<&ReplacedTokens, GraphError> {
        let found =
            self.heads.iter().find_map(|head| if let Head::ReplacedTokens(head) = head { Some(head) } else { None });
        found.ok_or_else(|| self.without("a head for replaced tokens"))
    }
}

impl ReplacedTokens {
    /// Logits of "replaced": [T, H] to [T, 1].
    ///
    /// # Errors
    /// [`GraphError`] for an `x` of another width.
    pub fn logits(&self, g: &mut Graph, x: Tensor) -> Result<Tensor, GraphError> {
        let x = encoder::linear_activation(g, x, self.dense, self.activation)?;
        encoder::linear(g, x, self.prediction)
    }
}
