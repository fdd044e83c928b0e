//! A fine-tuned network on a device, and what it says of records.

use super::features::{FeatureOptions, Features, Row};
use super::forward::Forward;
use super::{Prediction, Record, TaskError, TaskKind};
use crate::graph::{Graph, GraphError, Tensor};
use crate::model::{Head, Network};
use crate::plan::{Engine, EngineError, Target};
use crate::transformers::Pretrained;

/// Why nothing can be predicted. One line each.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// What is to be read.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The device.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model does not fit together: a bug, since folders are checked.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// A network that was fine-tuned, on a device.
pub struct Predictor(Forward);

impl Predictor {
    /// Puts the weights of a fine-tuned network ([`Pretrained::load_fine_tuned`]) on `engine`, whose banks must have the length of
    /// its table; plans are made for `target`.
    ///
    /// # Errors
    /// [`PredictError::Engine`].
    pub fn new(found: Pretrained, engine: Box<dyn Engine>, target: Target) -> Result<Self, PredictError> {
        Forward::new(found, engine, target, logits).map(Self)
    }

    /// The device, in words.
    pub fn device(&self) -> String {
        self.0.device()
    }

    /// What is on top of the network: what it can be asked.
    pub fn head(&self) -> Option<&Head> {
        self.0.network().heads.first()
    }

    /// The names of its classes, labels or tags.
    pub fn labels(&self) -> &[String] {
        match self.head() {
            Some(Head::SequenceClassification(head)) => &head.labels,
            Some(Head::TokenClassification(head)) => &head.labels,
            _ => &[],
        }
    }

    /// The longest row in tokens.
    pub fn longest(&self) -> usize {
        self.0.longest()
    }

    /// What it says of each record, in their order. What is longer than a row is cut, or read in windows.
    ///
    /// # Errors
    /// [`PredictError`].
    pub fn predict(&mut self, records: &[Record]) -> Result<Vec<Prediction>, PredictError> {
        let Some(kind) = self.head().and_then(TaskKind::of) else {
            return Ok(vec![Prediction::None; records.len()]);
        };
        let options = FeatureOptions::of_length(self.longest());
        let features = Features::of(records, self.0.tokenizer(), &options, kind)?;
        let rows: Vec<&Row> = (0..features.len()).map(|index| features.row(index)).collect();
        let mut logits = vec![Vec::new(); rows.len()];
        self.0.run(&rows, |row, found| logits[row] = found.to_vec())?;
        let mut predictions = features.decode(records, self.labels().len(), &logits);
        if let Some(Head::QuestionAnswering(head)) = self.head() {
            for prediction in &mut predictions {
                if let Prediction::Answer(found) = prediction {
                    found.threshold = head.null_threshold;
                }
            }
        }
        Ok(predictions)
    }
}

/// What the head says.
fn logits(network: &Network, g: &mut Graph, hidden: Tensor, count: usize) -> Result<Tensor, GraphError> {
    match network.heads.first() {
        Some(Head::SequenceClassification(head)) => head.logits(g, hidden, count, false),
        Some(Head::TokenClassification(head)) => head.logits(g, hidden, false),
        Some(Head::QuestionAnswering(head)) => head.logits(g, hidden),
        _ => Ok(hidden),
    }
}
