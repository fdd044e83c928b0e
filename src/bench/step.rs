//! A whole training step, timed.

use super::gaps::Second;
use super::machine::Machine;
use crate::batch::{
    Batch, CLASSES, EXAMPLE_WEIGHTS, IDS, LENGTHS, MASKED_IDS, NUMBERS, POSITIONS, Shape, TAG_WEIGHTS, TAGS, TARGETS,
    TYPES, WEIGHTS,
};
use crate::config::Precision;
use crate::graph::{Bank, ParameterTable};
use crate::ops::LossScale;
use crate::plan::{Footprint, Plan, Program};
use crate::train::{Fit, Plans, Recipe, Resources, TrainError, TrainingStep, fit};
use rand_core::{Rng as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use std::sync::Arc;
use std::time::Instant;

/// Ids below this one are special tokens in a vocabulary that leyden built.
const SPECIAL: u32 = 5;
const MASK: u32 = 4;

/// A batch of full examples of random words, masked as often as `recipe` says; one that is not masked stays. A pure function of `seed`.
pub fn random_batch(recipe: &Recipe, seed: u64) -> Batch {
    let shape @ Shape { examples, length, slots } = recipe.shape;
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let words = recipe.model.networks[0].config.vocabulary as u32 - SPECIAL;
    let ids: Vec<u32> = (0..examples * length).map(|_| SPECIAL + rng.next_u32() % words).collect();
    let mut masked_ids = ids.clone();
    // Evenly spaced with a random start: as many different positions as there are slots.
    let (mut positions, mut places) = (Vec::with_capacity(examples * slots), Vec::with_capacity(examples * slots));
    for row in 0..examples {
        let start = rng.next_u32() as usize % length;
        let mut selected: Vec<u32> = (0..slots).map(|i| ((start + i * length / slots) % length) as u32).collect();
        selected.sort_unstable();
        places.extend(selected.iter().map(|&position| row * length + position as usize));
        positions.extend(selected);
    }
    let masking = recipe.objective.masking();
    for &place in &places {
        let uniform = f64::from(rng.next_u32()) / f64::from(u32::MAX);
        if masking.is_some_and(|masking| uniform < masking.mask_probability) {
            masked_ids[place] = MASK;
        }
    }
    // Of what is no masked text everything is of the first class.
    let target = |place: usize| if masking.is_some() { ids[place] } else { 0 };
    Batch::new(shape, &[CLASSES, NUMBERS, TAGS])
        .with(EXAMPLE_WEIGHTS, vec![1f32.to_bits(); examples])
        .with(TAG_WEIGHTS, vec![1f32.to_bits(); examples * length])
        .with(TARGETS, places.iter().map(|&place| target(place)).collect())
        .with(WEIGHTS, vec![1f32.to_bits(); positions.len()])
        .with(TYPES, (0..examples * length).map(|i| u32::from(i % length >= length / 2)).collect())
        .with(LENGTHS, vec![length as u32; examples])
        .with(IDS, ids)
        .with(MASKED_IDS, masked_ids)
        .with(POSITIONS, positions)
}

/// The time of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepTime {
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Seconds that the caller was busy with writing the inputs, encoding and submitting. On the CPU and on a software
    /// driver this is the step.
    pub submitting: f64,
    /// Seconds of that spent on recording commands; 0 on the CPU.
    pub encoding: f64,
}

/// Takes training steps one after the other and times them.
pub struct Stepper {
    machine: Machine,
    recipe: Recipe,
    step: TrainingStep,
    next: u64,
}

impl Stepper {
    /// Plans the training step of `recipe`, loads it into the engine, whose banks must be the model's, and initialises
    /// the weights. The batch is worked through as training within `resources` would.
    ///
    /// # Errors
    /// Those of [`fit`], and the engine's, where the device has no room for the step.
    pub fn new(mut machine: Machine, recipe: Recipe, resources: Resources) -> Result<Self, TrainError> {
        let (target, limits) = (machine.target(), machine.engine().limits());
        let fit = fit(&recipe, target, resources, limits)?;
        let step = TrainingStep::load(machine.engine(), &Plans::new(&recipe, fit, target)?)?;
        machine.engine().write_bank(Bank::Parameters, &recipe.model.initial(recipe.seed))?;
        if recipe.training.precision == Precision::Mixed {
            // Without one all gradients are zero, which are faster to multiply on some devices.
            machine.engine().write_bank(Bank::LossScale, &LossScale::initial())?;
        }
        Ok(Self { machine, recipe, step, next: 0 })
    }

    /// How a step's batch is worked through.
    pub fn fit(&self) -> Fit {
        self.step.fit()
    }

    /// Tokens of a step.
    pub fn tokens(&self) -> usize {
        self.recipe.shape.examples * self.recipe.shape.length
    }

    /// Floating-point operations of a step that [`crate::op::Op::flops`] counts.
    pub fn flops(&self) -> u64 {
        self.step.plans().map(|(plan, times)| plan.flops() * times as u64).sum()
    }

    /// Dispatches of a step; 0 on the CPU.
    pub fn dispatches(&self) -> usize {
        self.step.plans().map(|(plan, times)| Footprint::of(plan).dispatches * times).sum()
    }

    /// Bytes that the engine holds.
    pub fn allocated(&mut self) -> usize {
        self.machine.engine().allocated()
    }

    /// The device, in words.
    pub fn describe(&mut self) -> String {
        self.machine.engine().describe()
    }

    /// The engine, and the table that its plans are over.
    pub fn machine(&mut self) -> (&mut Machine, Arc<ParameterTable>) {
        (&mut self.machine, self.step.micro_batch().0.graph().table().clone())
    }

    /// Times `count` steps after one that is not counted. As in training, a GPU has the next step waiting when it ends
    /// one, so that a step's seconds run from the end of the step before; the last one has one behind it too, which is not
    /// counted, or it would be done as soon as it is asked for where submitting is what takes the time. Batches are made before
    /// the clock starts.
    ///
    /// # Errors
    /// The engine's.
    pub fn run(&mut self, count: usize) -> Result<Vec<StepTime>, TrainError> {
        let ahead = usize::from(matches!(self.machine, Machine::Gpu(_)));
        let all = 1 + count + ahead;
        let (mut times, mut submitted) = (Vec::with_capacity(count), Vec::with_capacity(all));
        let batches = self.batches(all);
        let mut last = Instant::now();
        for done in 0..all {
            while submitted.len() < all && submitted.len() <= done + ahead {
                submitted.push(self.start(&batches[submitted.len()])?);
            }
            let batch = self.recipe.shape.examples;
            self.step.collect(self.machine.engine(), batch, true)?;
            let now = Instant::now();
            if (1..=count).contains(&done) {
                times.push(StepTime {
                    seconds: (now - last).as_secs_f64(),
                    submitting: submitted[done].0,
                    encoding: submitted[done].1,
                });
            }
            last = now;
        }
        Ok(times)
    }

    /// Batches of the next `count` steps.
    fn batches(&self, count: usize) -> Vec<Batch> {
        (self.next..).take(count).map(|step| random_batch(&self.recipe, step)).collect()
    }

    /// Writes a batch and submits a step; seconds that took, and those of them spent on recording.
    fn start(&mut self, batch: &Batch) -> Result<(f64, f64), TrainError> {
        let start = Instant::now();
        self.step.submit(self.machine.engine(), batch, &self.recipe.step_state(self.next))?;
        self.next += 1;
        let seconds = start.elapsed().as_secs_f64();
        let encoding = match &mut self.machine {
            Machine::Cpu(_) => 0.0,
            Machine::Gpu(gpu) => gpu.take_encoding_time().as_secs_f64(),
        };
        Ok((seconds, encoding))
    }

    /// When each call of a step ran, the second of two. On a GPU the first one is still under way when it is submitted, as in
    /// training.
    pub(super) fn profile(&mut self) -> Result<Second, TrainError> {
        let batches = self.batches(2);
        self.machine.begin_profile();
        let started = batches.iter().try_for_each(|batch| self.start(batch).map(drop));
        let timed = self.machine.take_profile();
        started?;
        for _ in &batches {
            self.step.collect(self.machine.engine(), self.recipe.shape.examples, true)?;
        }
        Ok(Second::of(timed?))
    }

    /// The programs that a step runs, and their plans.
    pub(super) fn programs(&self) -> impl Iterator<Item = (Program, &Plan)> {
        self.step.programs()
    }
}
