//! Saying what a text, or a pair of texts, is: one of some classes, any number of labels, or a number.

use super::{NETWORK, TrainingTally, weighted};
use crate::batch::{CLASSES, Column, IDS, NUMBERS, TARGETS};
use crate::graph::{Graph, GraphError};
use crate::measure::{Measures, Values};
use crate::model::{Builder, ClassifierKind, Model, ModelConfig, Network, Problem};
use crate::objective::{BadValue, Demonstration, Inputs, Mode, Objective, Outputs, Setting, Tally};
use crate::ops;
use crate::task::evaluation::{Facts, Scores};
use crate::task::{TaskKind, labelled};
use serde::{Deserialize, Serialize};

/// The settings of a classifier of texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// What its outputs stand for.
    pub problem: Problem,
    /// What each of them is called; of a number, one name.
    pub labels: Vec<String>,
    /// How it gets from `[CLS]` to them.
    #[serde(default)]
    pub head: ClassifierKind,
    /// Of a number: how many of the label's units an output of 1 is, a power of two.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub scale: f32,
    /// What is measured of held-out texts, the one that chooses the best checkpoint first.
    pub scores: Scores,
    /// What training's labels are like, for whoever knows no more than that.
    #[serde(default)]
    pub facts: Facts,
}

fn one() -> f32 {
    1.0
}

fn is_one(scale: &f32) -> bool {
    *scale == 1.0
}

impl Classification {
    /// What weighs the loss of each output.
    fn weights(&self) -> Column {
        labelled::weights(TaskKind::Classification(self.problem))
    }
}

impl Objective for Classification {
    fn title(&self) -> &'static str {
        match self.problem {
            Problem::Regression => "regression",
            Problem::SingleLabel => "classification",
            Problem::MultiLabel => "multi-label classification",
        }
    }

    fn about(&self) -> &'static str {
        "A pre-trained network learns from labelled texts what to say of a text. What it knows of language is there already."
    }

    fn check(&self, _: &ModelConfig) -> Result<(), BadValue> {
        let (labels, least) = (self.labels.len(), if self.problem == Problem::SingleLabel { 2 } else { 1 });
        let most = if self.problem == Problem::Regression { 1 } else { 4_096 };
        if !(least..=most).contains(&labels) {
            return Err(BadValue::new("objective.labels", format!("{labels} names"), format!("{least} to {most}")));
        }
        if !(self.scale.is_normal() && self.scale > 0.0 && self.scale.log2().fract() == 0.0) {
            return Err(BadValue::new("objective.scale", self.scale, "a power of two"));
        }
        Ok(())
    }

    /// The encoder with a classifier of texts.
    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network> {
        let mut network = b.network(NETWORK, sizes);
        match (self.problem, self.labels.first()) {
            (Problem::Regression, Some(label)) => {
                b.regression(&mut network, self.head, label.clone(), (self.scale, self.facts.mean));
            }
            _ => b.sequence_classification(&mut network, self.head, self.problem, self.labels.clone()),
        }
        vec![network]
    }

    fn slots(&self, _: usize) -> usize {
        if self.problem == Problem::MultiLabel { self.labels.len() } else { 0 }
    }

    fn build(&self, g: &mut Graph, model: &Model, batch: &mut Inputs, mode: Mode) -> Result<Outputs, GraphError> {
        g.in_scope(NETWORK, |g| {
            let network = model.network(NETWORK)?;
            let (ids, input) = (batch.column(g, IDS), batch.encoded(g, mode));
            let hidden = network.encode_first(g, ids, input)?;
            let logits = network.sequence_classification()?.logits(g, hidden, mode.dropout)?;
            let nll = match self.problem {
                Problem::SingleLabel => {
                    let classes = batch.column(g, CLASSES);
                    ops::softmax_nll(g, logits, classes)?.nll
                }
                Problem::MultiLabel => {
                    let labels = batch.column(g, TARGETS);
                    ops::binary_nll(g, logits, labels)?
                }
                Problem::Regression => {
                    let numbers = batch.column(g, NUMBERS);
                    ops::squared_error(g, logits, numbers)?
                }
            };
            weighted(g, batch, (logits, nll), self.weights())
        })
    }

    fn measures(&self, _: &Setting) -> Measures {
        let unit = match self.problem {
            Problem::Regression => "squared error of label / scale",
            Problem::SingleLabel => "nats a text",
            Problem::MultiLabel => "nats a label",
        };
        self.scores.measures(unit, &self.facts)
    }

    fn tally(&self) -> Box<dyn Tally> {
        let classes = (self.problem == Problem::SingleLabel).then_some(CLASSES);
        Box::new(TrainingTally::new(self.weights(), classes))
    }

    fn in_words(&self, before: &Values, after: &Values) -> String {
        self.scores.in_words(before, after)
    }

    fn demonstration(&self) -> Demonstration {
        Demonstration::Predictions
    }
}
