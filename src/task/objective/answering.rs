//! Finding the answer to a question in a text: where it starts and where it ends; at `[CLS]` where there is none.

use super::{NETWORK, TrainingTally, encoded, weighted};
use crate::batch::{LENGTHS, TARGETS, WEIGHTS};
use crate::graph::{Graph, GraphError};
use crate::measure::{Measures, Values};
use crate::model::{Builder, Model, ModelConfig, Network};
use crate::objective::{BadValue, Demonstration, Inputs, Mode, Objective, Outputs, Setting, Tally};
use crate::ops;
use crate::task::evaluation::{Facts, Scores};
use serde::{Deserialize, Serialize};

/// The settings of whoever finds answers. Start and end are said apart, as `ElectraForQuestionAnswering` does; in the reference the
/// end is told where the start is, which that class cannot hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answering {
    /// Whether there are questions without an answer, as in SQuAD 2.0.
    pub unanswerable: bool,
    /// What is measured of held-out questions, the one that chooses the best checkpoint first.
    pub scores: Scores,
}

impl Objective for Answering {
    fn title(&self) -> &'static str {
        "question answering"
    }

    fn about(&self) -> &'static str {
        "A pre-trained network learns from questions and answers where in a text an answer is. What it knows of language is there already."
    }

    fn check(&self, _: &ModelConfig) -> Result<(), BadValue> {
        Ok(())
    }

    /// The encoder with a head that finds answers.
    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network> {
        let mut network = b.network(NETWORK, sizes);
        b.question_answering(&mut network, self.unanswerable.then_some(0.0));
        vec![network]
    }

    fn slots(&self, _: usize) -> usize {
        2
    }

    fn build(&self, g: &mut Graph, model: &Model, batch: &mut Inputs, mode: Mode) -> Result<Outputs, GraphError> {
        g.in_scope(NETWORK, |g| {
            let (network, hidden) = encoded(g, model, batch, mode)?;
            let logits = network.question_answering()?.logits(g, hidden)?;
            let (spans, lengths) = (batch.column(g, TARGETS), batch.column(g, LENGTHS));
            let nll = ops::span_nll(g, logits, spans, lengths)?.nll;
            weighted(g, batch, (logits, nll), WEIGHTS)
        })
    }

    fn measures(&self, _: &Setting) -> Measures {
        self.scores.measures("nats a window", &Facts::default())
    }

    fn tally(&self) -> Box<dyn Tally> {
        Box::new(TrainingTally::new(WEIGHTS, None))
    }

    fn in_words(&self, before: &Values, after: &Values) -> String {
        self.scores.in_words(before, after)
    }

    fn demonstration(&self) -> Demonstration {
        Demonstration::Predictions
    }
}
