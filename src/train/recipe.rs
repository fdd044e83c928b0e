//! What is trained, and how: all that a step is planned from.

use super::phases::{in_schedule, trained};
use super::rates::Rates;
use super::step::learning_rate;
use crate::batch::Shape;
use crate::config::{Config, OptimizerConfig, TrainingConfig};
use crate::graph::Parameter;
use crate::model::Model;
use crate::objective::{Objective, Phase};
use crate::op::StepState;
use std::sync::Arc;

/// What a [`Trainer`](super::Trainer) trains, beside the text.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// What is learnt.
    pub objective: Arc<dyn Objective>,
    /// The objective's networks.
    pub model: Model,
    /// Of a step's whole batch; of the longest where batches are of several lengths.
    pub shape: Shape,
    /// AdamW and the learning rate.
    pub optimizer: OptimizerConfig,
    /// Steps and precision.
    pub training: TrainingConfig,
    /// Decides initial weights, batches, masks, dropout and samples.
    pub seed: u64,
    /// How fast each parameter learns beside the others.
    pub rates: Rates,
    /// Which of the objective's phases its steps are of.
    pub phase: usize,
}

impl Recipe {
    /// What a run of these settings trains.
    pub fn new(config: &Config) -> Self {
        let (objective, length) = (config.objective.shared(), config.data.length);
        let shape = Shape { examples: config.training.batch, length, slots: objective.slots(length) };
        Self {
            objective,
            model: Model::new(config),
            shape,
            optimizer: config.optimizer.clone(),
            training: config.training.clone(),
            seed: config.seed,
            rates: config.optimizer.layer_decay.map_or(Rates::Uniform, |decay| Rates::ByLayer(decay as f32)),
            phase: 0,
        }
    }

    /// The same in another phase.
    pub fn in_phase(&self, phase: usize) -> Self {
        Self { phase, ..self.clone() }
    }

    /// The same for batches of another shape.
    pub(super) fn with_shape(&self, shape: Shape) -> Self {
        Self { shape, ..self.clone() }
    }

    /// Which parameters are trained in its phase.
    pub fn trained(&self) -> impl Fn(&Parameter) -> bool + use<> {
        let phases = self.objective.phases();
        trained(&self.model, phases.get(self.phase).unwrap_or(&Phase::WHOLE))
    }

    /// The learning rate at `step` (from 0), which may be between two.
    pub fn learning_rate(&self, step: f64) -> f64 {
        let (step, steps) = in_schedule(&self.objective.phases(), self.training.steps, self.phase, step);
        learning_rate(&self.optimizer, steps, step)
    }

    /// What step `step` (from 0) tells every kernel.
    pub fn step_state(&self, step: u64) -> StepState {
        let (optimizer, seed) = (&self.optimizer, self.seed);
        // What begins a schedule of its own begins with moments of 0.
        let (own, _) = in_schedule(&self.objective.phases(), self.training.steps, self.phase, step as f64);
        let correction = |beta: f64| {
            if optimizer.bias_correction { (1.0 / (1.0 - beta.powf(own + 1.0))) as f32 } else { 1.0 }
        };
        StepState {
            seed: [seed as u32, (seed >> 32) as u32],
            step: step as u32,
            learning_rate: self.learning_rate(step as f64) as f32,
            correction1: correction(optimizer.beta1),
            correction2: correction(optimizer.beta2),
            ..StepState::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    #[test]
    fn bias_correction_begins_anew_with_a_schedule_of_its_own() {
        let config = preset("tiny").unwrap().with_objective("two-stage").unwrap().set("training.steps=10").unwrap();
        let recipe = Recipe::new(&config);
        let first = |phase: usize, step| recipe.in_phase(phase).step_state(step).correction1;
        assert!((first(0, 0) - 10.0).abs() < 1e-4 && first(0, 4) < 3.0);
        assert!((first(1, 5) - 10.0).abs() < 1e-4, "{}", first(1, 5));
        let joint = Recipe::new(&preset("tiny").unwrap());
        assert!((joint.step_state(5).correction1 - 1.0 / (1.0 - 0.9f32.powi(6))).abs() < 1e-4);
    }
}
