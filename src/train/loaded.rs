//! The steps that are loaded into an engine: a training step and an evaluation step for each shape of batch that has turned up.

use super::error::TrainError;
use super::fit::{Fit, Resources, fit};
use super::micro_batches::{MicroBatches, Plans, flops_a_step};
use super::recipe::Recipe;
use super::step::PlannedStep;
use super::training_step::TrainingStep;
use crate::batch::Shape;
use crate::plan::{Engine, EngineError, Program, Target, collect};
use std::collections::BTreeMap;

/// The steps of a phase. How a batch is worked through is decided once, for the longest shape, which is the recipe's; the steps
/// of others are planned and loaded when a batch of theirs first turns up, and where there is no room those that were used
/// longest ago go.
pub(super) struct Steps {
    target: Target,
    pub fit: Fit,
    /// Whether the device had less memory than was planned with.
    pub short_of_memory: bool,
    /// Floating-point operations of the longest training step by kind of operation.
    pub flops_by_op: Vec<(&'static str, u64)>,
    /// Bytes that the engine may hold beside what all shapes share.
    room: u64,
    /// By the shape of a step's whole batch.
    loaded: BTreeMap<Shape, Loaded>,
    /// How often one was asked for.
    asked: u64,
}

/// The steps of a shape.
pub(super) struct Loaded {
    pub training: TrainingStep,
    /// The evaluation step, and the engine's name for it.
    pub evaluation: (PlannedStep, Program),
    /// Floating-point operations of a training step.
    pub flops: f64,
    bytes: u64,
    used: u64,
}

impl Loaded {
    fn load(engine: &mut dyn Engine, plans: Plans, flops: f64) -> Result<Self, EngineError> {
        let training = TrainingStep::load(engine, &plans)?;
        match engine.load(plans.evaluation.plan.clone()) {
            Ok(program) => {
                let bytes = plans.own();
                Ok(Self { training, evaluation: (plans.evaluation, program), flops, bytes, used: 0 })
            }
            Err(error) => {
                // What was wrong comes first.
                let _ = training.unload(engine);
                Err(error)
            }
        }
    }

    fn unload(self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        let evaluation = engine.unload(self.evaluation.1);
        self.training.unload(engine).and(evaluation)
    }
}

impl Steps {
    /// Loads the longest steps of the recipe's phase in the way that fits best, in more micro-batches where the device turns out to
    /// have less memory.
    pub fn load(
        engine: &mut dyn Engine,
        target: Target,
        recipe: &Recipe,
        resources: Resources,
    ) -> Result<Self, TrainError> {
        let planned = fit(recipe, target, resources, engine.limits())?;
        let mut parts = planned.micro_batches.count;
        loop {
            let fit = Fit { micro_batches: MicroBatches::new(recipe.shape.examples, parts), ..planned };
            let plans = Plans::new(recipe, fit, target)?;
            let room = resources.allowed(engine.limits()).saturating_sub(plans.shared() + plans.batches());
            match Loaded::load(engine, plans, flops_a_step(recipe)? as f64) {
                Err(EngineError::OutOfMemory { .. }) if fit.micro_batches.examples > 1 => {
                    engine.reset();
                    parts *= 2;
                }
                loaded => {
                    let loaded = loaded?;
                    return Ok(Self {
                        target,
                        fit,
                        short_of_memory: fit != planned,
                        flops_by_op: loaded.training.flops_by_op(),
                        room,
                        loaded: [(recipe.shape, loaded)].into(),
                        asked: 0,
                    });
                }
            }
        }
    }

    /// Examples of a batch for the evaluation step.
    pub fn evaluation_examples(&self) -> usize {
        super::step::evaluation_examples(self.fit.micro_batches.examples)
    }

    /// The steps for whole batches of this shape, if they are loaded.
    pub fn get(&mut self, shape: Shape) -> Option<&mut Loaded> {
        self.loaded.get_mut(&shape)
    }

    /// Those steps, which are loaded where they are not: then every step has to be collected.
    pub fn get_or_load(
        &mut self,
        engine: &mut dyn Engine,
        recipe: &Recipe,
        shape: Shape,
    ) -> Result<&mut Loaded, TrainError> {
        self.asked += 1;
        let asked = self.asked;
        let loaded = match self.loaded.remove(&shape) {
            Some(loaded) => loaded,
            None => self.load_beside(engine, &recipe.with_shape(shape))?,
        };
        Ok(self.loaded.entry(shape).insert_entry(Loaded { used: asked, ..loaded }).into_mut())
    }

    /// Loads the steps of another shape; where there is no room for them, in place of those that were used longest ago.
    fn load_beside(&mut self, engine: &mut dyn Engine, recipe: &Recipe) -> Result<Loaded, TrainError> {
        let (plans, flops) = (Plans::new(recipe, self.fit, self.target)?, flops_a_step(recipe)? as f64);
        loop {
            let held: u64 = self.loaded.values().map(|loaded| loaded.bytes).sum();
            if self.loaded.is_empty() || held + plans.own() <= self.room {
                match Loaded::load(engine, plans.clone(), flops) {
                    Err(EngineError::OutOfMemory { .. }) if !self.loaded.is_empty() => {}
                    loaded => return Ok(loaded?),
                }
            }
            let oldest = self.loaded.iter().min_by_key(|(_, loaded)| loaded.used).map(|(shape, _)| *shape);
            if let Some(oldest) = oldest.and_then(|shape| self.loaded.remove(&shape)) {
                oldest.unload(engine)?;
            }
        }
    }

    /// Waits for everything that is under way and forgets it.
    pub async fn abandon(&mut self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        while collect(engine).await?.is_some() {}
        self.loaded.values_mut().for_each(|loaded| loaded.training.forget());
        Ok(())
    }
}
