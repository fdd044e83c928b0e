//! A step's batch in micro-batches, and the plans of everything that training runs.

use super::fit::Fit;
use super::recipe::Recipe;
use super::step::{PlannedStep, evaluation_examples, evaluation_step, micro_batch_step, training_step, update_step};
use crate::batch::{Ahead, Shape};
use crate::graph::{Bank, GraphError, Recompute};
use crate::plan::{Footprint, Plan, Target};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How a step's batch is worked through: in micro-batches of one size, whose gradients are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MicroBatches {
    /// How many there are in a step.
    pub count: usize,
    /// Examples in each; the last one is filled up with empty ones.
    pub examples: usize,
}

impl MicroBatches {
    /// A batch of `batch` examples in at most `most` micro-batches that are as equal as can be.
    pub fn new(batch: usize, most: usize) -> Self {
        let examples = batch.div_ceil(most.max(1)).max(1);
        Self { count: batch.div_ceil(examples).max(1), examples }
    }
}

/// Everything that a [`super::Trainer`] loads into its engine.
#[derive(Debug, Clone)]
pub struct Plans {
    /// The split that the plans are for.
    pub micro_batches: MicroBatches,
    /// What their backward part computes again.
    pub recompute: Recompute,
    /// The whole training step, or a micro-batch of it.
    pub training: PlannedStep,
    /// What follows the last micro-batch; none where the step is whole.
    pub update: Option<PlannedStep>,
    /// Measuring held-out text.
    pub evaluation: PlannedStep,
    /// The evaluation's shape.
    pub evaluation_shape: Shape,
}

impl Plans {
    /// Plans training in the given way.
    ///
    /// # Errors
    /// [`GraphError`] where the model does not fit together.
    pub fn new(recipe: &Recipe, fit: Fit, target: Target) -> Result<Self, GraphError> {
        let Fit { micro_batches, recompute } = fit;
        let whole = micro_batches.count == 1;
        let shape = Shape { examples: micro_batches.examples, ..recipe.shape };
        let evaluation_shape = Shape { examples: evaluation_examples(micro_batches.examples), ..recipe.shape };
        Ok(Self {
            micro_batches,
            recompute,
            training: if whole {
                training_step(recipe, shape, target, recompute, &[])?
            } else {
                micro_batch_step(recipe, shape, target, recompute)?
            },
            update: if whole { None } else { Some(update_step(recipe, target)?) },
            evaluation: evaluation_step(recipe, evaluation_shape, target)?,
            evaluation_shape,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Plan> {
        [&self.training, &self.evaluation].into_iter().chain(&self.update).map(|step| &step.plan)
    }

    /// The banks that all plans together use.
    pub fn banks(&self) -> BTreeSet<Bank> {
        self.all().flat_map(Plan::banks).collect()
    }

    /// Bytes that an engine holds with all of them loaded and as many steps under way as it allows.
    pub fn bytes(&self) -> u64 {
        self.shared() + self.own()
    }

    /// Bytes of what they share with the plans of other lengths: the banks.
    pub(super) fn shared(&self) -> u64 {
        let (len, banks) = (self.training.plan.graph().table().len(), self.banks());
        match self.training.plan.target() {
            Target::Cpu => banks.iter().map(|bank| bank.ty(len).len() as u64 * 4).sum(),
            Target::Gpu(_) => Footprint::shared(len, banks),
        }
    }

    /// Bytes of what is theirs alone.
    pub(super) fn own(&self) -> u64 {
        let bytes = |plan, readbacks| Footprint::of(plan).bytes(readbacks);
        let update = self.update.iter().map(|update| bytes(&update.plan, Footprint::MOST_READBACKS)).sum::<u64>();
        // The trainer has several steps under way, but waits for each evaluation.
        update + bytes(&self.training.plan, Footprint::MOST_READBACKS) + bytes(&self.evaluation.plan, 1)
    }

    /// Bytes of the batches that exist at a time, where they are in the same memory: of the columns that a step reads.
    pub(super) fn batches(&self) -> u64 {
        match self.training.plan.target() {
            Target::Cpu => {
                let micro_batch = Footprint::of(&self.training.plan).inputs;
                micro_batch * (self.micro_batches.count * Ahead::MOST) as u64
            }
            Target::Gpu(_) => 0,
        }
    }

    /// Bytes of the largest buffer, banks included.
    pub(super) fn largest_buffer(&self) -> u64 {
        self.all().flat_map(Plan::buffers).map(|buffer| buffer.len as u64 * 4).max().unwrap_or_default()
    }

    /// Bytes of the largest window that a kernel sees.
    pub(super) fn largest_binding(&self) -> u64 {
        self.all().map(Footprint::largest_binding).max().unwrap_or_default()
    }
}

/// Floating-point operations of a training step, forward and backward, nothing computed again: matrix products and
/// attention.
///
/// # Errors
/// [`GraphError`] where the model does not fit together.
pub fn flops_a_step(recipe: &Recipe) -> Result<u64, GraphError> {
    Ok(training_step(recipe, recipe.shape, Target::Cpu, Recompute::Off, &[])?.plan.flops())
}
