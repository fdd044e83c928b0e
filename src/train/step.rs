//! One training step, whole or in parts, and one evaluation step as plans.

use crate::batch::{Batch, Shape};
use crate::config::{Config, Precision};
use crate::graph::{Bank, Graph, GraphError, Recompute, Tensor};
use crate::model::Model;
use crate::objective::electra::electra;
use crate::objective::{Bound, Inputs, Merge, Mode, Output, Outputs};
use crate::ops::{self, AdamW, StepState};
use crate::plan::{Engine, Fetched, Plan, Program, Target};
use std::sync::Arc;

/// The gradients' global norm before clipping `[1]`, an output of a training step. In mixed precision it is no finite number
/// where the step was skipped.
pub const GRADIENT_NORM: &str = "gradient_norm";
/// The loss scale of the step `[1]`, an output of a training step in mixed precision.
pub const LOSS_SCALE: &str = "loss_scale";

/// A planned step: what goes in, and what comes out, by name.
#[derive(Debug, Clone)]
pub struct PlannedStep {
    /// The plan.
    pub plan: Plan,
    /// What to write before a step.
    pub inputs: Vec<(Tensor, Bound)>,
    /// The plan's outputs, in order.
    pub outputs: Vec<Output>,
}

impl PlannedStep {
    fn new(g: Graph, inputs: Inputs, outputs: Vec<Output>, target: Target) -> Self {
        Self { plan: planned(g, &outputs, target), inputs: inputs.into_bound(), outputs }
    }

    /// Writes a batch for the next submission of `program`, which this step was loaded as; `whole` is the step's whole batch,
    /// of which `batch` may be a part.
    pub fn write(&self, engine: &mut dyn Engine, program: Program, batch: &Batch, whole: &Batch) {
        for (tensor, bound) in &self.inputs {
            engine.write(program, *tensor, &bound.words(batch, whole));
        }
    }

    /// What a run of the step left.
    pub fn results(&self, fetched: Fetched) -> Results {
        let named = self.outputs.iter().map(|output| output.name).zip(fetched.outputs);
        Results { step: fetched.step, outputs: named.collect() }
    }
}

fn planned(g: Graph, outputs: &[Output], target: Target) -> Plan {
    let tensors: Vec<Tensor> = outputs.iter().map(|output| output.tensor).collect();
    Plan::new(Arc::new(g), &tensors, target)
}

/// What a finished step left, by the names of its [`Output`]s.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// [`StepState::step`] of the run.
    pub step: u32,
    /// Words; floating-point numbers as their bits.
    pub outputs: Vec<(&'static str, Vec<u32>)>,
}

impl Results {
    /// The words of an output; none where there is no such output.
    pub fn words(&self, name: &str) -> &[u32] {
        self.outputs.iter().find(|(known, _)| *known == name).map_or(&[], |(_, words)| words)
    }

    /// The numbers of a floating-point output.
    pub fn reals(&self, name: &str) -> &[f32] {
        bytemuck::cast_slice(self.words(name))
    }

    /// The only number of a floating-point output; none where there is no such output.
    pub fn scalar(&self, name: &str) -> Option<f32> {
        self.reals(name).first().copied()
    }
}

/// The shape of a training step's batch.
pub fn shape(config: &Config) -> Shape {
    Shape {
        examples: config.training.batch,
        length: config.data.length,
        slots: config.masking().slots(config.data.length),
    }
}

/// The evaluation step's: as the training step's with `rows` examples, but of at most 32.
pub fn evaluation_shape(config: &Config, rows: usize) -> Shape {
    Shape { examples: rows.min(32), ..shape(config) }
}

/// Forward, backward, norm, clip and update, of a batch of this shape. What `given` names is a column of the batch
/// ([`Mode::given`]).
pub fn training_step(
    model: &Model,
    config: &Config,
    shape: Shape,
    target: Target,
    recompute: Recompute,
    given: &'static [&'static str],
) -> Result<PlannedStep, GraphError> {
    let (mut g, mut inputs) = (Graph::new(model.table.clone()), Inputs::new(shape));
    let outputs = electra(&mut g, model, config, &mut inputs, Mode { dropout: true, given })?;
    gradients(&mut g, &outputs, config, recompute)?;
    let update = update(&mut g, Bank::Gradients, config)?;
    Ok(PlannedStep::new(g, inputs, [outputs.into_list(), update].concat(), target))
}

/// Forward and backward of a part of a step's batch, `shape` its shape: its gradients are added to those of the parts
/// before. [`update_step`] follows the last part.
pub fn part_step(
    model: &Model,
    config: &Config,
    shape: Shape,
    target: Target,
    recompute: Recompute,
) -> Result<PlannedStep, GraphError> {
    let (mut g, mut inputs) = (Graph::new(model.table.clone()), Inputs::new(shape));
    let outputs = electra(&mut g, model, config, &mut inputs, Mode { dropout: true, given: &[] })?;
    gradients(&mut g, &outputs, config, recompute)?;
    ops::accumulate(&mut g)?;
    Ok(PlannedStep::new(g, inputs, outputs.into_list(), target))
}

/// Reverse mode, and what follows from it: the passes over the whole graph.
fn gradients(g: &mut Graph, outputs: &Outputs, config: &Config, recompute: Recompute) -> Result<(), GraphError> {
    let (loss, keep) = (outputs.loss(), outputs.tensors());
    match config.training.precision {
        Precision::F32 => {
            g.backward(loss, |_| true)?;
            g.fuse(&keep)?;
        }
        Precision::Mixed => {
            g.backward_scaled(loss, |_| true)?;
            g.fuse(&keep)?;
            g.halve(&keep)?;
        }
    }
    g.recompute(recompute)
}

/// Norm, clip and update with the accumulated gradients.
pub fn update_step(model: &Model, config: &Config, target: Target) -> Result<PlannedStep, GraphError> {
    let mut g = Graph::new(model.table.clone());
    let outputs = update(&mut g, Bank::Accumulated, config)?;
    Ok(PlannedStep { plan: planned(g, &outputs, target), inputs: Vec::new(), outputs })
}

/// Norm, clip and update with the gradients in `bank`: the norm, and in mixed precision the loss scale.
fn update(g: &mut Graph, bank: Bank, config: &Config) -> Result<Vec<Output>, GraphError> {
    let gradients = g.bank(bank);
    let norm = ops::global_norm(g, gradients)?;
    let scaled = config.training.precision == Precision::Mixed;
    let spans = g.table().spans(|_| Some(1.0));
    ops::adamw(g, gradients, norm, scaled, adamw_settings(config), spans)?;
    let output = |name, tensor| Output { name, tensor, merge: Merge::Sum };
    if !scaled {
        return Ok(vec![output(GRADIENT_NORM, norm)]);
    }
    let (norm, scale) = ops::loss_scale(g, norm)?;
    Ok(vec![output(GRADIENT_NORM, norm), output(LOSS_SCALE, scale)])
}

/// The objective without dropout, gradient or update.
pub fn evaluation_step(
    model: &Model,
    config: &Config,
    shape: Shape,
    target: Target,
) -> Result<PlannedStep, GraphError> {
    let (mut g, mut inputs) = (Graph::new(model.table.clone()), Inputs::new(shape));
    let outputs = electra(&mut g, model, config, &mut inputs, Mode::default())?;
    let keep = outputs.tensors();
    g.fuse(&keep)?;
    if config.training.precision == Precision::Mixed {
        g.halve(&keep)?;
    }
    Ok(PlannedStep::new(g, inputs, outputs.into_list(), target))
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
