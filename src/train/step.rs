//! One training step, whole or in micro-batches, and one evaluation step as plans.

use super::recipe::Recipe;
use crate::batch::{Batch, Shape};
use crate::config::{OptimizerConfig, Precision};
use crate::graph::{Bank, Graph, GraphError, Recompute, Tensor};
use crate::objective::{Bound, Inputs, Merge, Mode, Output, Outputs, Results};
use crate::ops::{self, AdamW};
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

/// The objective's page in the recipe's phase.
fn page(
    g: &mut Graph,
    recipe: &Recipe,
    inputs: &mut Inputs,
    dropout: bool,
    given: &'static [&'static str],
) -> Result<Outputs, GraphError> {
    let mode = Mode { dropout, phase: recipe.phase, given };
    recipe.objective.build(g, &recipe.model, inputs, mode)
}

fn planned(g: Graph, outputs: &[Output], target: Target) -> Plan {
    let tensors: Vec<Tensor> = outputs.iter().map(|output| output.tensor).collect();
    Plan::new(Arc::new(g), &tensors, target)
}

/// Examples of the evaluation step: as many as of the training step, but at most 32.
pub fn evaluation_examples(training: usize) -> usize {
    training.min(32)
}

/// Forward, backward, norm, clip and update, of a batch of this shape. What `given` names is a column of the batch
/// ([`Mode::given`]).
pub fn training_step(
    recipe: &Recipe,
    shape: Shape,
    target: Target,
    recompute: Recompute,
    given: &'static [&'static str],
) -> Result<PlannedStep, GraphError> {
    let (mut g, mut inputs) = (Graph::new(recipe.model.table.clone()), Inputs::new(shape));
    let outputs = page(&mut g, recipe, &mut inputs, true, given)?;
    gradients(&mut g, &outputs, recipe, (target, recompute))?;
    let update = update(&mut g, Bank::Gradients, recipe)?;
    Ok(PlannedStep::new(g, inputs, [outputs.into_list(), update].concat(), target))
}

/// Forward and backward of a micro-batch, `shape` its shape: its gradients are added to those of the micro-batches
/// before. [`update_step`] follows the last part.
pub fn micro_batch_step(
    recipe: &Recipe,
    shape: Shape,
    target: Target,
    recompute: Recompute,
) -> Result<PlannedStep, GraphError> {
    let (mut g, mut inputs) = (Graph::new(recipe.model.table.clone()), Inputs::new(shape));
    let outputs = page(&mut g, recipe, &mut inputs, true, &[])?;
    gradients(&mut g, &outputs, recipe, (target, recompute))?;
    ops::accumulate(&mut g)?;
    Ok(PlannedStep::new(g, inputs, outputs.into_list(), target))
}

/// Reverse mode, and what follows from it: the passes over the whole graph.
fn gradients(
    g: &mut Graph,
    outputs: &Outputs,
    recipe: &Recipe,
    (target, recompute): (Target, Recompute),
) -> Result<(), GraphError> {
    let (loss, keep, trained) = (outputs.loss(), outputs.tensors(), recipe.trained());
    match recipe.training.precision {
        Precision::Auto | Precision::F32 | Precision::Bf16 => {
            g.backward(loss, trained)?;
            g.fuse(&keep)?;
        }
        Precision::Mixed => {
            g.backward_scaled(loss, trained)?;
            g.fuse(&keep)?;
            g.halve(&keep)?;
        }
    }
    g.multiply_in(recipe.training.precision.products());
    g.recompute(recompute)?;
    // Where activations are computed again, memory counts more than dispatches.
    if target == Target::Cpu || recompute != Recompute::Off { Ok(()) } else { g.group(&keep) }
}

/// Norm, clip and update with the accumulated gradients.
pub fn update_step(recipe: &Recipe, target: Target) -> Result<PlannedStep, GraphError> {
    let mut g = Graph::new(recipe.model.table.clone());
    let outputs = update(&mut g, Bank::Accumulated, recipe)?;
    Ok(PlannedStep { plan: planned(g, &outputs, target), inputs: Vec::new(), outputs })
}

/// Norm, clip and update with the gradients in `bank`: the norm, and in mixed precision the loss scale.
fn update(g: &mut Graph, bank: Bank, recipe: &Recipe) -> Result<Vec<Output>, GraphError> {
    let gradients = g.bank(bank);
    let norm = ops::global_norm(g, gradients)?;
    let scaled = recipe.training.precision == Precision::Mixed;
    let (trained, rates) = (recipe.trained(), recipe.rates.factors(&recipe.model));
    let spans = g.table().spans(|parameter| trained(parameter).then(|| rates(parameter)));
    ops::adamw(g, gradients, norm, scaled, adamw_settings(&recipe.optimizer), spans)?;
    let output = |name, tensor| Output { name, tensor, merge: Merge::Sum };
    if !scaled {
        return Ok(vec![output(GRADIENT_NORM, norm)]);
    }
    let (norm, scale) = ops::loss_scale(g, norm)?;
    Ok(vec![output(GRADIENT_NORM, norm), output(LOSS_SCALE, scale)])
}

/// The objective without dropout, gradient or update.
pub fn evaluation_step(recipe: &Recipe, shape: Shape, target: Target) -> Result<PlannedStep, GraphError> {
    let (mut g, mut inputs) = (Graph::new(recipe.model.table.clone()), Inputs::new(shape));
    let outputs = page(&mut g, recipe, &mut inputs, false, &[])?;
    without_gradient(&mut g, &outputs.tensors(), recipe.training.precision)?;
    Ok(PlannedStep::new(g, inputs, outputs.into_list(), target))
}

/// The passes over a whole graph that has no gradient; `keep` is what is read of it.
pub(crate) fn without_gradient(g: &mut Graph, keep: &[Tensor], precision: Precision) -> Result<(), GraphError> {
    g.fuse(keep)?;
    if precision == Precision::Mixed {
        g.halve(keep)?;
    }
    g.multiply_in(precision.products());
    Ok(())
}

fn adamw_settings(o: &OptimizerConfig) -> AdamW {
    AdamW { beta1: o.beta1, beta2: o.beta2, epsilon: o.epsilon, weight_decay: o.weight_decay, clip_norm: o.clip_norm }
}

/// The learning rate at `step` (from 0) of a schedule of so many steps: peak * (1 - t / T) * min(1, t / warmup), as the reference
/// has it, so the first step's is 0 where there is a warm-up.
pub fn learning_rate(optimizer: &OptimizerConfig, steps: u64, step: f64) -> f64 {
    let warmup = optimizer.warmup as f64;
    let warm = if warmup > 0.0 { (step / warmup).min(1.0) } else { 1.0 };
    optimizer.learning_rate * (1.0 - step / steps as f64).max(0.0) * warm
}
