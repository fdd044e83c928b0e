//! Tagging words: a class for each, as spans of names or of phrases are written.

use super::{NETWORK, TrainingTally, encoded, weighted};
use crate::batch::{TAG_WEIGHTS, TAGS};
use crate::graph::{Graph, GraphError};
use crate::measure::{Measures, Values};
use crate::model::{Builder, Model, ModelConfig, Network};
use crate::objective::{BadValue, Demonstration, Inputs, Mode, Objective, Outputs, Setting, Tally};
use crate::ops;
use crate::task::evaluation::{Facts, Scores};
use serde::{Deserialize, Serialize};

/// The settings of a classifier of words. A word is asked for at its first piece.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tagging {
    /// What each class is called, such as `B-PER`.
    pub labels: Vec<String>,
    /// What is measured of held-out sentences, the one that chooses the best checkpoint first.
    pub scores: Scores,
    /// What training's tags are like, for whoever knows no more than that.
    #[serde(default)]
    pub facts: Facts,
}

impl Objective for Tagging {
    fn title(&self) -> &'static str {
        "tagging"
    }

    fn about(&self) -> &'static str {
        "A pre-trained network learns from tagged words how to tag others. What it knows of language is there already."
    }

    fn check(&self, _: &ModelConfig) -> Result<(), BadValue> {
        match self.labels.len() {
            2..=4_096 => Ok(()),
            labels => Err(BadValue::new("objective.labels", format!("{labels} names"), "2 to 4096")),
        }
    }

    /// The encoder with a classifier of tokens.
    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network> {
        let mut network = b.network(NETWORK, sizes);
        b.token_classification(&mut network, self.labels.clone());
        vec![network]
    }

    fn build(&self, g: &mut Graph, model: &Model, batch: &mut Inputs, mode: Mode) -> Result<Outputs, GraphError> {
        g.in_scope(NETWORK, |g| {
            let (network, hidden) = encoded(g, model, batch, mode)?;
            let logits = network.token_classification()?.logits(g, hidden, mode.dropout)?;
            let tags = batch.column(g, TAGS);
            let nll = ops::softmax_nll(g, logits, tags)?.nll;
            weighted(g, batch, (logits, nll), TAG_WEIGHTS)
        })
    }

    fn measures(&self, _: &Setting) -> Measures {
        self.scores.measures("nats a word", &self.facts)
    }

    fn tally(&self) -> Box<dyn Tally> {
        Box::new(TrainingTally::new(TAG_WEIGHTS, Some(TAGS)))
    }

    fn in_words(&self, before: &Values, after: &Values) -> String {
        self.scores.in_words(before, after)
    }

    fn demonstration(&self) -> Demonstration {
        Demonstration::Predictions
    }
}
