//! One training step and one evaluation step as plans.

use crate::electra::{Config, Inputs, Model, Objective, electra};
use crate::graph::{Bank, DType, Graph, GraphError, Tensor};
use crate::ops::{self, AdamW, StepState};
use crate::plan::{Plan, Target};
use std::sync::Arc;

/// A planned step and the tensors that go in and come out.
#[derive(Debug, Clone)]
pub struct PlannedStep {
    /// The plan. Its outputs are [`Output`]'s, in order.
    pub plan: Plan,
    /// What to write before a step.
    pub inputs: Inputs,
    /// Samples to write instead of drawing them, [B K]; only where asked for.
    pub samples: Option<Tensor>,
    /// The objective's tensors.
    pub objective: Objective,
}

/// Indices into a step's fetched outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Mean over drawn positions, nats: `[1]`.
    GeneratorLoss,
    /// Mean over tokens, nats: `[1]`.
    DiscriminatorLoss,
    /// The generator's best guesses [B K].
    Best,
    /// Its samples [B K].
    Sampled,
    /// 1 where a token was replaced [B L].
    Labels,
    /// Logits of "replaced" [B L].
    Logits,
    /// The gradients' global norm before clipping `[1]`; of a training step only.
    Norm,
}

/// The examples, length and drawn positions of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepShape {
    /// Examples.
    pub batch: usize,
    /// Tokens an example.
    pub length: usize,
    /// Drawn positions an example.
    pub drawn: usize,
}

impl StepShape {
    /// A training step's shape.
    pub fn of(config: &Config) -> Self {
        Self { batch: config.training.batch, length: config.data.length, drawn: config.max_predictions() }
    }

    /// The evaluation step's shape: as the training step's, but of at most 32 examples.
    pub fn of_evaluation(config: &Config) -> Self {
        let shape = Self::of(config);
        Self { batch: shape.batch.min(32), ..shape }
    }
}

fn outputs(o: &Objective) -> Vec<Tensor> {
    vec![o.generator_loss, o.discriminator_loss, o.best, o.sampled, o.labels, o.logits]
}

/// Forward, backward, norm, clip and update. With `given_samples` the samples are an input.
pub fn training_step(
    model: &Model,
    config: &Config,
    shape: StepShape,
    target: Target,
    given_samples: bool,
) -> Result<PlannedStep, GraphError> {
    let mut g = Graph::new(model.table.clone());
    let inputs = Inputs::new(&mut g, shape.batch, shape.length, shape.drawn);
    let samples = given_samples.then(|| g.input("samples", DType::U32, &[shape.batch * shape.drawn]));
    let objective = electra(&mut g, model, config, inputs, true, samples)?;
    g.backward(objective.loss)?;
    let gradients = g.bank(Bank::Gradients);
    let norm = ops::global_norm(&mut g, gradients)?;
    ops::adamw(&mut g, norm, adamw_settings(config))?;
    let mut outputs = outputs(&objective);
    outputs.push(norm);
    Ok(PlannedStep { plan: Plan::new(Arc::new(g), &outputs, target), inputs, samples, objective })
}

/// The objective without dropout, gradient or update.
pub fn evaluation_step(
    model: &Model,
    config: &Config,
    shape: StepShape,
    target: Target,
) -> Result<PlannedStep, GraphError> {
    let mut g = Graph::new(model.table.clone());
    let inputs = Inputs::new(&mut g, shape.batch, shape.length, shape.drawn);
    let objective = electra(&mut g, model, config, inputs, false, None)?;
    let outputs = outputs(&objective);
    Ok(PlannedStep { plan: Plan::new(Arc::new(g), &outputs, target), inputs, samples: None, objective })
}

fn adamw_settings(config: &Config) -> AdamW {
    let o = &config.optimizer;
    AdamW { beta1: o.beta1, beta2: o.beta2, epsilon: o.epsilon, weight_decay: o.weight_decay, clip_norm: o.clip_norm }
}

/// The learning rate at `step` (from 0) of the schedule: peak * (1 - t / T) * min(1, t / warmup), as the reference has it, so
/// the first step's is 0 where there is a warm-up.
pub fn learning_rate(config: &Config, step: f64) -> f64 {
    let (t, total) = (step, config.training.steps as f64);
    let warmup = config.optimizer.warmup as f64;
    let warm = if warmup > 0.0 { (t / warmup).min(1.0) } else { 1.0 };
    config.optimizer.learning_rate * (1.0 - t / total).max(0.0) * warm
}

/// What step `step` (from 0) tells every kernel.
pub fn step_state(config: &Config, step: u64) -> StepState {
    let o = &config.optimizer;
    let correction = |beta: f64| {
        if o.bias_correction { (1.0 / (1.0 - beta.powf((step + 1) as f64))) as f32 } else { 1.0 }
    };
    StepState {
        seed: [config.seed as u32, (config.seed >> 32) as u32],
        step: step as u32,
        learning_rate: learning_rate(config, step as f64) as f32,
        correction1: correction(o.beta1),
        correction2: correction(o.beta2),
        ..StepState::default()
    }
}
