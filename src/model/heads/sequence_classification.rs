//! The head of a classifier of texts: what it says of the first token, `[CLS]`, is what it says of the text.

use super::{Head, Problem};
use crate::graph::{Graph, GraphError, Initialization, Tensor};
use crate::math::Activation;
use crate::model::{Builder, Linear, Network, encoder};
use crate::ops;
use serde::{Deserialize, Serialize};

pub(super) const DENSE: &str = "classifier.dense";
pub(super) const OUTPUT: &str = "classifier.out_proj";
pub(super) const LINEAR: &str = "linear_classifier";

/// How a classifier gets from `[CLS]` to its outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassifierKind {
    /// Dropout, dense, GELU, dropout, linear: that of `ElectraForSequenceClassification`.
    #[default]
    Dense,
    /// Dropout, linear: that of the reference. No class of `transformers` has it.
    Linear,
}

/// Where its parameters are, and what its outputs stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceClassification {
    /// Hidden to hidden: [H, H]; `None` of [`ClassifierKind::Linear`].
    pub dense: Option<Linear>,
    /// Hidden to outputs: [C, H].
    pub output: Linear,
    /// What is asked.
    pub problem: Problem,
    /// What each of the C outputs is called.
    pub labels: Vec<String>,
    /// How many of the labels' units an output of 1 is, a power of two: 1 but where a number is learnt. In a file of `transformers`
    /// the last layer is that much larger, which is exact, so that its outputs are in the labels' own units.
    pub scale: f32,
    dropout: f32,
}

impl Builder {
    /// Puts a classifier of texts on `network`, with an output for each of `labels`; of a regression to one number that is one
    /// label, its name.
    pub fn sequence_classification(
        &mut self,
        network: &mut Network,
        kind: ClassifierKind,
        problem: Problem,
        labels: Vec<String>,
    ) {
        self.classification(network, kind, (problem, labels), (1.0, Initialization::Zeros));
    }

    /// Puts a regression to one number on `network`, whose outputs are in units of `scale`, a power of two. They begin around
    /// `mean`, in the labels' units: a bias that had to be learnt would take longer than all the rest.
    pub fn regression(
        &mut self,
        network: &mut Network,
        kind: ClassifierKind,
        label: String,
        (scale, mean): (f32, f32),
    ) {
        let problem = (Problem::Regression, vec![label]);
        let bias = if mean == 0.0 { Initialization::Zeros } else { Initialization::Constant(mean / scale) };
        self.classification(network, kind, problem, (scale, bias));
    }

    fn classification(
        &mut self,
        network: &mut Network,
        kind: ClassifierKind,
        (problem, labels): (Problem, Vec<String>),
        (scale, bias): (f32, Initialization),
    ) {
        let c = network.config.clone();
        let mut head = self.head(network);
        let (dense, output) = match kind {
            ClassifierKind::Dense => (Some(head.linear(DENSE, c.hidden, c.hidden, c.normal())), OUTPUT),
            ClassifierKind::Linear => (None, LINEAR),
        };
        head.scale = scale;
        let weight = head.parameter(&format!("{output}.weight"), &[labels.len(), c.hidden], true, c.normal());
        let bias = head.parameter(&format!("{output}.bias"), &[labels.len()], false, bias);
        let output = Linear { weight, bias };
        let head = SequenceClassification { dense, output, problem, labels, scale, dropout: c.dropout };
        network.heads.push(Head::SequenceClassification(head));
    }
}

impl Network {
    /// Its classifier of texts.
    ///
    /// # Errors
    /// [`GraphError`] where it has none.
    pub fn sequence_classification(&self) -> Result<&SequenceClassification, GraphError> {
        let found = self.heads.iter().find_map(|head| match head {
            Head::SequenceClassification(head) => Some(head),
            _ => None,
        });
        found.ok_or_else(|| self.without("a head that classifies texts"))
    }
}

impl SequenceClassification {
    /// Outputs of a batch: logits, or numbers of a regression. What [`Network::encode_first`] says of `[CLS]`, [B, H], to [B, C]. GELU
    /// whatever the layers have, as in `transformers`; with `dropout` as often as the network's settings say.
    ///
    /// # Errors
    /// [`GraphError`] for an `x` of another width.
    pub fn logits(&self, g: &mut Graph, x: Tensor, dropout: bool) -> Result<Tensor, GraphError> {
        let dropout = if dropout { self.dropout } else { 0.0 };
        let mut x = ops::dropout(g, x, dropout)?;
        if let Some(dense) = self.dense {
            x = encoder::linear_activation(g, x, dense, Activation::Gelu)?;
            x = ops::dropout(g, x, dropout)?;
        }
        encoder::linear(g, x, self.output)
    }
}
