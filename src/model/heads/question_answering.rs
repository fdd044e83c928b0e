//! The head that finds an answer in a text: of every token a logit that the answer starts there, and one that it ends there.

use super::Head;
use crate::graph::{Graph, GraphError, Tensor};
use crate::model::{Builder, Linear, Network, encoder};

pub(super) const OUTPUTS: &str = "qa_outputs";

/// Where its parameters are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuestionAnswering {
    /// Hidden to start and end: [2, H].
    pub outputs: Linear,
    /// Where questions may have no answer, how much more must speak for saying nothing than for the best answer, in units of logits;
    /// `None` where all have one.
    pub null_threshold: Option<f64>,
}

impl Builder {
    /// Puts a head that finds answers on `network`; with a threshold for saying nothing where there may be none.
    pub fn question_answering(&mut self, network: &mut Network, null_threshold: Option<f64>) {
        let c = network.config.clone();
        let outputs = self.head(network).linear(OUTPUTS, 2, c.hidden, c.normal());
        network.heads.push(Head::QuestionAnswering(QuestionAnswering { outputs, null_threshold }));
    }
}

impl Network {
    /// Its head that finds answers.
    ///
    /// # Errors
    /// [`GraphError`] where it has none.
    pub fn question_answering(&self) -> Result<&QuestionAnswering, GraphError> {
        let found = self.heads.iter().find_map(|head| match head {
            Head::QuestionAnswering(head) => Some(head),
            _ => None,
        });
        found.ok_or_else(|| self.without("a head that finds answers"))
    }
}

impl QuestionAnswering {
    /// Logits of every token, that the answer starts there and that it ends there: [B L, H] to [B L, 2], as
    /// [`span_nll`](crate::ops::span_nll) takes them. No dropout, as in `transformers`.
    ///
    /// # Errors
    /// [`GraphError`] for an `x` of another width.
    pub fn logits(&self, g: &mut Graph, x: Tensor) -> Result<Tensor, GraphError> {
        encoder::linear(g, x, self.outputs)
    }
}
