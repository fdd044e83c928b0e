//! What is learnt in fine-tuning: an encoder and one head, "model", on labelled batches. An objective for each kind of head.
//!
//! What the paper does (Clark et al., arXiv 2003.10555, appendix B) but for the heads, which are those of `transformers`' classes: only
//! so does `transformers` load the folders. The reference's classifier of one linear layer can be had and says that nobody else
//! loads it.

mod answering;
mod classification;
mod tagging;

pub use answering::Answering;
pub use classification::Classification;
pub use tagging::Tagging;

use crate::batch::{Batch, Column, IDS};
use crate::graph::{Graph, GraphError, Tensor};
use crate::measure::{Mean, Values};
use crate::model::{Model, Network};
use crate::objective::{Inputs, LOSS, Mode, Outputs, Results, Tally};
use crate::ops;

/// What the network of a fine-tuning run is called.
pub const NETWORK: &str = "model";

/// The names of what a step gives beside the loss.
pub mod outputs {
    /// What the head says: [B, C] of texts, [B L, C] of tokens, [B L, 2] of where an answer starts and ends.
    pub const LOGITS: &str = "logits";
}

/// The network and what its encoder makes of a batch: [B L, H].
fn encoded<'m>(
    g: &mut Graph,
    model: &'m Model,
    batch: &mut Inputs,
    mode: Mode,
) -> Result<(&'m Network, Tensor), GraphError> {
    let network = model.network(NETWORK)?;
    let (ids, encoded) = (batch.column(g, IDS), batch.encoded(g, mode));
    let hidden = network.encode(g, ids, encoded)?;
    Ok((network, hidden))
}

/// The loss, a mean over the step's batch by the column of weights, and the logits.
fn weighted(
    g: &mut Graph,
    batch: &mut Inputs,
    (logits, nll): (Tensor, Tensor),
    weights: Column,
) -> Result<Outputs, GraphError> {
    let (total, weights) = (batch.total(g, weights), batch.column(g, weights));
    let loss = ops::weighted_mean(g, nll, weights, total)?;
    Ok(Outputs::new(loss).rows(outputs::LOGITS, logits))
}

/// Adds up the loss while training, and of what has classes how many are right.
#[derive(Debug)]
struct TrainingTally {
    /// What weighs the loss, and where the classes are, if there are any.
    weights: Column,
    classes: Option<Column>,
    loss: Mean,
    right: Mean,
}

impl TrainingTally {
    fn new(weights: Column, classes: Option<Column>) -> Self {
        Self { weights, classes, loss: Mean::default(), right: Mean::default() }
    }
}

impl Tally for TrainingTally {
    fn add(&mut self, batch: &Batch, out: &Results) {
        self.loss.add(out.mean(LOSS), f64::from(batch.total(self.weights.name)));
        let Some(classes) = self.classes else { return };
        let (truth, weights) = (batch.column(classes.name), batch.reals(self.weights.name));
        let logits = out.reals(outputs::LOGITS);
        let outputs = logits.len() / truth.len().max(1);
        let weighed = truth.iter().zip(weights).zip(logits.chunks(outputs.max(1))).filter(|((_, w), _)| **w > 0.0);
        let (mut right, mut all) = (0, 0);
        for ((&truth, _), logits) in weighed {
            all += 1;
            right += usize::from(super::prediction::best(logits) == truth as usize);
        }
        self.right.add_sum(right as f64, all as f64);
    }

    fn finish(&mut self) -> Values {
        let (loss, right) = (std::mem::take(&mut self.loss), std::mem::take(&mut self.right));
        let mut values = Values::from([(LOSS, loss.value())]);
        if self.classes.is_some() {
            values.set(super::evaluation::ACCURACY, right.value());
        }
        values
    }
}
