//! One training step, whole or in parts, and one evaluation step as plans.

use crate::data::Batch;
use crate::electra::{Config, Inputs, Model, Objective, Precision, electra};
use crate::graph::{Bank, DType, Graph, GraphError, Recompute, Tensor};
use crate::ops::{self, AdamW, StepState};
use crate::plan::{Engine, Plan, Program, Target};
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

impl PlannedStep {
    /// Writes a batch for the next submission of `program`, which this step was loaded as. `whole` are the counts of the
    /// step's whole batch where this is a part of it.
    pub fn write(&self, engine: &mut dyn Engine, program: Program, batch: &Batch, whole: Counts) {
        let i = self.inputs;
        for (tensor, words) in [
            (i.ids, batch.ids.as_slice()),
            (i.masked_ids, &batch.masked_ids),
            (i.types, &batch.type_ids),
            (i.lengths, &batch.lengths),
            (i.positions, &batch.positions),
            (i.targets, &batch.targets),
            (i.weights, bytemuck::cast_slice(&batch.weights)),
            (i.drawn, &[whole.drawn.to_bits()]),
            (i.tokens, &[whole.tokens.to_bits()]),
        ] {
            engine.write(program, tensor, words);
        }
    }
}

/// What the losses are means over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    /// Drawn positions.
    pub drawn: f32,
    /// Tokens that are not padding.
    pub tokens: f32,
}

impl Counts {
    /// Those of a whole batch.
    pub fn of(batch: &Batch) -> Self {
        Self { drawn: batch.weights.iter().filter(|&&w| w > 0.0).count() as f32, tokens: batch.tokens() as f32 }
    }
}

/// Indices into a step's fetched outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Mean over the whole batch's drawn positions, nats; of a part, its share: `[1]`.
    GeneratorLoss,
    /// Mean over the whole batch's tokens, nats; of a part, its share: `[1]`.
    DiscriminatorLoss,
    /// The generator's best guesses [B K].
    Best,
    /// Its samples [B K].
    Sampled,
    /// 1 where a token was replaced [B L].
    Labels,
    /// Logits of "replaced" [B L].
    Logits,
    /// The gradients' global norm before clipping `[1]`; of a training step only. In mixed precision it is no finite number
    /// where the step was skipped.
    Norm,
    /// The loss scale of the step `[1]`; of a training step in mixed precision only.
    LossScale,
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

    /// The evaluation step's shape: as the training step's with `rows` examples, but of at most 32.
    pub fn of_evaluation(config: &Config, rows: usize) -> Self {
        Self { batch: rows.min(32), ..Self::of(config) }
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
    recompute: Recompute,
    given_samples: bool,
) -> Result<PlannedStep, GraphError> {
    let mut g = Graph::new(model.table.clone());
    let inputs = Inputs::new(&mut g, shape.batch, shape.length, shape.drawn);
    let samples = given_samples.then(|| g.input("samples", DType::U32, &[shape.batch * shape.drawn]));
    let objective = electra(&mut g, model, config, inputs, true, samples)?;
    let mut outputs = outputs(&objective);
    gradients(&mut g, &objective, &outputs, config, recompute)?;
    outputs.extend(update(&mut g, Bank::Gradients, config)?);
    Ok(PlannedStep { plan: Plan::new(Arc::new(g), &outputs, target), inputs, samples, objective })
}

/// Forward and backward of a part of a step's batch, `shape` its shape: its gradients are added to those of the parts
/// before. [`update_step`] follows the last part.
pub fn part_step(
    model: &Model,
    config: &Config,
    shape: StepShape,
    target: Target,
    recompute: Recompute,
) -> Result<PlannedStep, GraphError> {
    let mut g = Graph::new(model.table.clone());
    let inputs = Inputs::new(&mut g, shape.batch, shape.length, shape.drawn);
    let objective = electra(&mut g, model, config, inputs, true, None)?;
    let outputs = outputs(&objective);
    gradients(&mut g, &objective, &outputs, config, recompute)?;
    ops::accumulate(&mut g)?;
    Ok(PlannedStep { plan: Plan::new(Arc::new(g), &outputs, target), inputs, samples: None, objective })
}

/// Reverse mode, and what follows from it: the passes over the whole graph.
fn gradients(
    g: &mut Graph,
    objective: &Objective,
    outputs: &[Tensor],
    config: &Config,
    recompute: Recompute,
) -> Result<(), GraphError> {
    match config.training.precision {
        Precision::F32 => {
            g.backward(objective.loss, |_| true)?;
            g.fuse(outputs)?;
        }
        Precision::Mixed => {
            g.backward_scaled(objective.loss, |_| true)?;
            g.fuse(outputs)?;
            g.halve(outputs)?;
        }
    }
    g.recompute(recompute)
}

/// Norm, clip and update with the accumulated gradients; the outputs are [`Output::Norm`] and what follows it.
pub fn update_step(model: &Model, config: &Config, target: Target) -> Result<Plan, GraphError> {
    let mut g = Graph::new(model.table.clone());
    let outputs = update(&mut g, Bank::Accumulated, config)?;
    Ok(Plan::new(Arc::new(g), &outputs, target))
}

/// Norm, clip and update with the gradients in `bank`: the norm, and in mixed precision the loss scale.
fn update(g: &mut Graph, bank: Bank, config: &Config) -> Result<Vec<Tensor>, GraphError> {
    let gradients = g.bank(bank);
    let norm = ops::global_norm(g, gradients)?;
    let scaled = config.training.precision == Precision::Mixed;
    let spans = g.table().spans(|_| Some(1.0));
    ops::adamw(g, gradients, norm, scaled, adamw_settings(config), spans)?;
    if !scaled {
        return Ok(vec![norm]);
    }
    let (norm, scale) = ops::loss_scale(g, norm)?;
    Ok(vec![norm, scale])
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
    g.fuse(&outputs)?;
    if config.training.precision == Precision::Mixed {
        g.halve(&outputs)?;
    }
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
