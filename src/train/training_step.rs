//! A training step on an engine: submitted part after part, and its outputs put together again.

use super::fit::Fit;
use super::micro_batches::Plans;
use super::step::{GRADIENT_NORM, LOSS_SCALE, PlannedStep};
use crate::batch::Batch;
use crate::measure::Values;
use crate::objective::{LOSS, Merge, Output, Results};
use crate::op::StepState;
use crate::plan::{Engine, EngineError, Plan, Program, Step};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A training step that is loaded into an engine, whole or in micro-batches.
#[derive(Debug)]
pub struct TrainingStep {
    fit: Fit,
    step: PlannedStep,
    program: Program,
    update: Option<(PlannedStep, Program)>,
    /// The names of what the loss that is minimised is made of, as outputs and as values; its own where that is all there is.
    losses: Vec<(&'static str, Arc<str>)>,
    /// What has come back of the oldest step that is not complete.
    found: Vec<Results>,
}

impl TrainingStep {
    /// Loads the training step of `plans`.
    ///
    /// # Errors
    /// Those of [`Engine::load`].
    pub fn load(engine: &mut dyn Engine, plans: &Plans) -> Result<Self, EngineError> {
        let program = engine.load(plans.training.plan.clone())?;
        let update = match &plans.update {
            Some(update) => match engine.load(update.plan.clone()) {
                Ok(program) => Some((update.clone(), program)),
                Err(error) => {
                    // What was wrong comes first.
                    let _ = engine.unload(program);
                    return Err(error);
                }
            },
            None => None,
        };
        let fit = Fit { micro_batches: plans.micro_batches, recompute: plans.recompute };
        let step = plans.training.clone();
        let sums = step.outputs.iter().filter(|output| output.merge == Merge::Sum).map(|output| output.name);
        let mut losses: Vec<_> = sums.filter(|name| ![GRADIENT_NORM, LOSS_SCALE].contains(name)).collect();
        if losses.len() > 1 {
            losses.retain(|name| *name != LOSS);
        }
        let losses = losses.into_iter().map(|name| (name, name.into())).collect();
        Ok(Self { fit, step, program, update, losses, found: Vec::new() })
    }

    /// The micro-batches, and what is computed again.
    pub fn fit(&self) -> Fit {
        self.fit
    }

    /// The whole step's plan, or a part's, and the program it is.
    pub fn micro_batch(&self) -> (&Plan, Program) {
        (&self.step.plan, self.program)
    }

    /// The programs that a step runs, and their plans.
    pub fn programs(&self) -> impl Iterator<Item = (Program, &Plan)> {
        let update = self.update.iter().map(|(update, program)| (*program, &update.plan));
        [(self.program, &self.step.plan)].into_iter().chain(update)
    }

    /// Every plan that a step runs, with how often it does.
    pub fn plans(&self) -> impl Iterator<Item = (&Plan, usize)> {
        let update = self.update.iter().map(|(update, _)| (&update.plan, 1));
        [(&self.step.plan, self.fit.micro_batches.count)].into_iter().chain(update)
    }

    /// Floating-point operations of a whole step by kind of operation.
    pub fn flops_by_op(&self) -> Vec<(&'static str, u64)> {
        let mut by_op: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (plan, times) in self.plans() {
            for step in plan.steps() {
                if let Step::Run { node, .. } = step {
                    let op = &plan.graph().nodes()[*node].op;
                    *by_op.entry(op.name()).or_default() += times as u64 * op.flops(&plan.shapes(*node));
                }
            }
        }
        by_op.into_iter().collect()
    }

    /// The losses of a step by name, those that the loss that is minimised is made of.
    pub fn losses(&self, out: &Results) -> Values {
        let value =
            |(name, value): &(&'static str, Arc<str>)| (value.clone(), out.scalar(name).map_or(f64::NAN, f64::from));
        self.losses.iter().map(value).collect()
    }

    /// Starts a step on a whole batch. Does not wait for it.
    ///
    /// # Errors
    /// Those of [`Engine::submit`].
    pub fn submit(&self, engine: &mut dyn Engine, batch: &Batch, state: &StepState) -> Result<(), EngineError> {
        let Some((_, update)) = self.update else {
            self.step.write(engine, self.program, batch, batch);
            return engine.submit(self.program, state, true);
        };
        for index in 0..self.fit.micro_batches.count {
            let part = batch.micro_batch(index, self.fit.micro_batches.examples);
            self.step.write(engine, self.program, &part, batch);
            engine.submit(self.program, &StepState { part: index as u32, ..*state }, true)?;
        }
        engine.submit(update, state, true)
    }

    /// The outputs of the oldest step that was not collected, those of a whole batch of `batch` examples: `None` if there
    /// is none, or if it is not ready and `wait` is not set.
    ///
    /// # Errors
    /// Those of [`Engine::collect`].
    pub fn collect(
        &mut self,
        engine: &mut dyn Engine,
        batch: usize,
        wait: bool,
    ) -> Result<Option<Results>, EngineError> {
        let Some((update, _)) = &self.update else {
            return Ok(engine.collect(wait)?.map(|fetched| self.step.results(fetched)));
        };
        while self.found.len() <= self.fit.micro_batches.count {
            let Some(fetched) = engine.collect(wait)? else { return Ok(None) };
            let of = if self.found.len() < self.fit.micro_batches.count { &self.step } else { update };
            self.found.push(of.results(fetched));
        }
        Ok(Some(self.merge(batch)))
    }

    /// Forgets what has come back of a step that is not complete, where nothing more of it will.
    pub(super) fn forget(&mut self) {
        self.found.clear();
    }

    /// Gives its memory back. Every step has to be collected.
    ///
    /// # Errors
    /// Those of [`Engine::unload`]; the memory is given back all the same.
    pub(super) fn unload(self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        let update = self.update.map_or(Ok(()), |(_, program)| engine.unload(program));
        engine.unload(self.program).and(update)
    }

    /// The micro-batches' outputs as [`Merge`] says, rows without those that filled up the last one, and the update's own.
    fn merge(&mut self, batch: usize) -> Results {
        let rows = self.fit.micro_batches.examples;
        let mut parts = std::mem::take(&mut self.found);
        let update = parts.pop();
        let merged = |output: &Output| {
            let of = |part: &Results| part.words(output.name).to_vec();
            let words = match output.merge {
                Merge::Sum => {
                    let sum: f64 = parts.iter().filter_map(|part| part.scalar(output.name)).map(f64::from).sum();
                    vec![(sum as f32).to_bits()]
                }
                Merge::Rows => {
                    let width = parts.first().map_or(0, |part| part.words(output.name).len() / rows);
                    parts.iter().flat_map(of).take(batch * width).collect()
                }
            };
            (output.name, words)
        };
        let mut outputs: Vec<_> = self.step.outputs.iter().map(merged).collect();
        outputs.extend(update.into_iter().flat_map(|update| update.outputs));
        Results { step: parts.first().map_or(0, |part| part.step), outputs }
    }
}
