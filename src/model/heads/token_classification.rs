//! The head of a classifier of tokens: dropout, and C logits for each.

use super::Head;
use crate::graph::{Graph, GraphError, Tensor};
use crate::model::{Builder, Linear, Network, encoder};
use crate::ops;

pub(super) const WEIGHT: &str = "classifier.weight";
pub(super) const BIAS: &str = "classifier.bias";

/// Where its parameters are, and what its outputs stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenClassification {
    /// Hidden to outputs: [C, H].
    pub output: Linear,
    /// What each of the C classes is called, such as `B-PER`.
    pub labels: Vec<String>,
    dropout: f32,
}

impl Builder {
    /// Puts a classifier of tokens on `network`, with a class for each of `labels`.
    pub fn token_classification(&mut self, network: &mut Network, labels: Vec<String>) {
        let c = network.config.clone();
        let output = self.head(network).linear("classifier", labels.len(), c.hidden, c.normal());
        network.heads.push(Head::TokenClassification(TokenClassification { output, labels, dropout: c.dropout }));
    }
}

impl Network {
    /// Its classifier of tokens.
    ///
    /// # Errors
    /// [`GraphError`] where it has none.
    pub fn token_classification(&self) -> Result<&TokenClassification, GraphError> {
        let found = self.heads.iter().find_map(|head| match head {
            Head::TokenClassification(head) => Some(head),
            _ => None,
        });
        found.ok_or_else(|| self.without("a head that classifies tokens"))
    }
}

impl TokenClassification {
    /// Logits of every token, those of padding too: [B L, H] to [B L, C]. With `dropout` as often as the network's settings say.
    ///
    /// # Errors
    /// [`GraphError`] for an `x` of another width.
    pub fn logits(&self, g: &mut Graph, x: Tensor, dropout: bool) -> Result<Tensor, GraphError> {
        let x = ops::dropout(g, x, if dropout { self.dropout } else { 0.0 })?;
        encoder::linear(g, x, self.output)
    }
}
