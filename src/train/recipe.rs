//! What is trained, and how: all that a step is planned from.

use super::step::step_state;
use crate::batch::Shape;
use crate::config::{Config, OptimizerConfig, TrainingConfig};
use crate::model::Model;
use crate::objective::Objective;
use crate::op::StepState;
use std::sync::Arc;

/// What a [`Trainer`](super::Trainer) trains, beside the text.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// What is learnt.
    pub objective: Arc<dyn Objective>,
    /// The objective's networks.
    pub model: Model,
    /// Of a step's whole batch.
    pub shape: Shape,
    /// AdamW and the learning rate.
    pub optimizer: OptimizerConfig,
    /// Steps and precision.
    pub training: TrainingConfig,
    /// Decides initial weights, batches, masks, dropout and samples.
    pub seed: u64,
}

impl Recipe {
    /// What a run of these settings trains.
    pub fn new(config: &Config) -> Self {
        let (objective, length) = (config.objective.shared(), config.data.length);
        let shape = Shape { examples: config.training.batch, length, slots: objective.masking().slots(length) };
        Self {
            objective,
            model: Model::new(config),
            shape,
            optimizer: config.optimizer.clone(),
            training: config.training.clone(),
            seed: config.seed,
        }
    }

    /// What step `step` (from 0) tells every kernel.
    pub fn step_state(&self, step: u64) -> StepState {
        step_state(&self.optimizer, self.training.steps, self.seed, step)
    }
}
