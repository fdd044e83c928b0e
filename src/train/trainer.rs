//! The trainer: a value that one advances. It starts steps, and reports on those that have finished.

use super::error::TrainError;
use super::event::{Event, Interval, Snapshot};
use super::fit::{Fit, Resources, fit};
use super::loaded::Steps;
use super::micro_batches::{MicroBatches, flops_a_step};
use super::phases::{copy, phase_at};
use super::recipe::Recipe;
use super::step::{GRADIENT_NORM, LOSS_SCALE};
use crate::batch::{Ahead, Batch, Batches, Evaluation, Shape, Source};
use crate::config::Precision;
use crate::graph::Bank;
use crate::measure::Values;
use crate::model::Model;
use crate::objective::{LOSS, Results, Scorer, Shown, Tally};
use crate::op::StepState;
use crate::ops::LossScale;
use crate::plan::{Engine, Target, collect, pause, read_bank};
use std::collections::VecDeque;
use std::sync::Arc;

/// What the trainer reads.
#[derive(Debug, Clone)]
pub struct Data {
    /// To train on.
    pub training: Arc<dyn Source>,
    /// Held out.
    pub held_out: Arc<dyn Source>,
    /// What measures the held-out examples, where it is not the objective's own tally.
    pub scorer: Option<Arc<dyn Scorer>>,
}

/// Training, step after step.
pub struct Trainer {
    engine: Box<dyn Engine>,
    target: Target,
    resources: Resources,
    recipe: Recipe,
    steps: Steps,
    batches: Ahead,
    held_out: Arc<dyn Source>,
    scorer: Option<Arc<dyn Scorer>>,
    next: u64,
    /// How much of the schedule is behind, where the clock decides it.
    progress: Option<f64>,
    waiting: VecDeque<Started>,
    /// Floating-point operations of all steps that were reported on.
    flops: f64,
    tally: Box<dyn Tally>,
    /// Of the steps in the tally: how many, and their tokens without padding.
    counted: (u64, u64),
    /// Of the last step in the tally.
    last: LastStep,
}

/// A step that was started.
struct Started {
    step: u64,
    batch: Batch,
    learning_rate: f64,
    /// Floating-point operations.
    flops: f64,
}

/// What an interval tells of its last step alone.
#[derive(Default)]
struct LastStep {
    learning_rate: f64,
    gradient_norm: f32,
    loss_scale: Option<f32>,
    /// Since the last interval.
    skipped: u64,
    /// The last steps that were, without another between them.
    skipped_in_a_row: u32,
}

/// Skipped steps in a row after which a run will not recover: from the largest loss scale to the smallest, and some more.
const MOST_SKIPPED: u32 = 32;

/// Most steps under way on a device that cannot be waited for: one is computed while the next is handed over.
const UNDER_WAY: usize = 2;

/// Seed of the samples drawn while evaluating: the same in every run, so that figures can be compared.
const EVALUATION_SEED: u64 = 0x00e1_ec72_a000;

impl Trainer {
    /// Plans both steps, loads them into `engine` and initialises the weights. A step's batch is worked through in as many
    /// micro-batches, and computes as many activations again, as it takes to stay within `resources` and what the device can
    /// hold ([`fit`]); where the device turns out to have less, in more. Of an objective in phases, every phase has to fit.
    ///
    /// Where batches are of several lengths that is decided for the longest, and the steps of a length are loaded when its
    /// first batch comes.
    ///
    /// # Errors
    /// [`TrainError`]: a device that is too small, or fails.
    pub fn new(
        mut engine: Box<dyn Engine>,
        target: Target,
        recipe: Recipe,
        data: Data,
        resources: Resources,
    ) -> Result<Self, TrainError> {
        for later in 1..recipe.objective.phases().len() {
            fit(&recipe.in_phase(later), target, resources, engine.limits())?;
        }
        let steps = Steps::load(&mut *engine, target, &recipe, resources)?;
        engine.write_bank(Bank::Parameters, &recipe.model.initial(recipe.seed))?;
        if recipe.training.precision == Precision::Mixed {
            engine.write_bank(Bank::LossScale, &LossScale::initial())?;
        }
        let Data { training, held_out, scorer } = data;
        let batches = Batches::new(training, recipe.shape.examples, recipe.seed);
        Ok(Self {
            engine,
            target,
            resources,
            tally: recipe.objective.tally(),
            recipe,
            steps,
            batches: Ahead::new(batches),
            held_out,
            scorer,
            next: 0,
            progress: None,
            waiting: VecDeque::new(),
            flops: 0.0,
            counted: (0, 0),
            last: LastStep::default(),
        })
    }

    /// What is trained.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Where each parameter is.
    pub fn model(&self) -> &Model {
        &self.recipe.model
    }

    /// What its steps are planned for.
    pub fn target(&self) -> Target {
        self.target
    }

    /// The device, in words.
    pub fn device(&self) -> String {
        self.engine.describe()
    }

    /// How a step's batch is worked through.
    pub fn fit(&self) -> Fit {
        self.steps.fit
    }

    /// The micro-batches that a step's batch is worked through in.
    pub fn micro_batches(&self) -> MicroBatches {
        self.fit().micro_batches
    }

    /// Bytes of the device's memory that training takes.
    pub fn allocated(&self) -> usize {
        self.engine.allocated()
    }

    /// Seconds that the device has spent on each kind of operation so far; none where the engine does not measure them as
    /// it goes.
    pub fn seconds_by_op(&self) -> Vec<(&'static str, f64)> {
        self.engine.seconds_by_op()
    }

    /// Floating-point operations of a step by kind of operation, of the longest where batches are of several lengths.
    pub fn flops_by_op(&self) -> Vec<(&'static str, u64)> {
        self.steps.flops_by_op.clone()
    }

    /// The weights as they are: a bank, laid out as [`Model::table`] says. Waits for the device.
    ///
    /// # Errors
    /// [`TrainError::Engine`].
    pub async fn weights_async(&mut self) -> Result<Vec<f32>, TrainError> {
        Ok(read_bank(&mut *self.engine, Bank::Parameters).await?)
    }

    /// Whether the device had less memory than was planned with, so that there are more micro-batches.
    pub fn short_of_memory(&self) -> bool {
        self.steps.short_of_memory
    }

    /// Floating-point operations of all steps that were reported on, since the run began.
    pub fn flops(&self) -> f64 {
        self.flops
    }

    /// Steps started.
    pub fn started(&self) -> u64 {
        self.next
    }

    /// Lets the clock decide where in the schedule the next steps are: `fraction` of all of it is behind.
    pub fn set_progress(&mut self, fraction: f64) {
        self.progress = Some(fraction);
    }

    /// Where in the schedule the next step is.
    fn schedule_step(&self) -> f64 {
        self.progress.map_or(self.next as f64, |fraction| fraction * self.recipe.training.steps as f64)
    }

    /// Starts the next step and reports on steps that have finished meanwhile. Does not wait for the device, but where the batch
    /// is the first of its length. On a device that cannot be waited for, for a step before the last.
    pub async fn advance_async(&mut self) -> Result<Vec<Event>, TrainError> {
        let mut events = self.change_phase().await?;
        if self.engine.under_way() > 0 {
            events.extend(self.report(UNDER_WAY - 1).await?);
        }
        let batch = self.batches.batch(self.next);
        let learning_rate = self.recipe.learning_rate(self.schedule_step());
        let state = StepState { learning_rate: learning_rate as f32, ..self.recipe.step_state(self.next) };
        if self.steps.get(batch.shape()).is_none() {
            events.extend(self.report(0).await?);
        }
        let steps = self.steps.get_or_load(&mut *self.engine, &self.recipe, batch.shape())?;
        steps.training.submit(&mut *self.engine, &batch, &state)?;
        self.waiting.push_back(Started { step: self.next, flops: steps.flops, batch, learning_rate });
        self.next += 1;
        events.extend(self.report(usize::MAX).await?);
        Ok(events)
    }

    /// The phase that the next step is of.
    pub fn next_phase(&self) -> usize {
        phase_at(&self.recipe.objective.phases(), self.recipe.training.steps, self.schedule_step())
    }

    /// Begins the next step's phase, if that is another one: all that went before is reported on.
    async fn change_phase(&mut self) -> Result<Vec<Event>, TrainError> {
        let (phases, next) = (self.recipe.objective.phases(), self.next_phase());
        let mut events = Vec::new();
        while self.recipe.phase < next {
            events.extend(self.finish_async().await?);
            events.extend(self.close_interval().map(Event::Interval));
            let mut snapshot = self.snapshot_async().await?;
            snapshot.phase += 1;
            let phase = &phases[snapshot.phase];
            if let Some(networks) = phase.copies {
                let moments = [&mut snapshot.moment1, &mut snapshot.moment2];
                copy(&self.recipe.model, networks, &mut snapshot.weights, moments);
            }
            self.resume_async(&snapshot, self.recipe.seed).await?;
            events.push(Event::Phase { step: self.next, name: phase.name });
        }
        Ok(events)
    }

    /// Loads the steps of another phase in place of those that are loaded. The banks are zeros then.
    fn load_phase(&mut self, phase: usize) -> Result<(), TrainError> {
        self.engine.reset();
        self.recipe.phase = phase;
        self.steps = Steps::load(&mut *self.engine, self.target, &self.recipe, self.resources)?;
        Ok(())
    }

    /// Waits for every step that was started and reports on them.
    pub async fn finish_async(&mut self) -> Result<Vec<Event>, TrainError> {
        self.report(0).await
    }

    /// Reports on steps that have finished, and waits until at most `most` are under way.
    async fn report(&mut self, most: usize) -> Result<Vec<Event>, TrainError> {
        let mut events = Vec::new();
        while let Some(steps) = self.waiting.front().and_then(|oldest| self.steps.get(oldest.batch.shape())) {
            let (batch, wait) = (self.recipe.shape.examples, self.waiting.len() > most);
            let Some(out) = steps.training.collect(&mut *self.engine, batch, wait)? else {
                if wait && self.engine.under_way() > 0 {
                    pause().await;
                    continue;
                }
                break;
            };
            let losses = steps.training.losses(&out);
            let Some(started) = self.waiting.pop_front() else { break };
            self.record(&started, losses, &out, &mut events)?;
        }
        Ok(events)
    }

    fn record(
        &mut self,
        started: &Started,
        losses: Values,
        out: &Results,
        events: &mut Vec<Event>,
    ) -> Result<(), TrainError> {
        let step = started.step;
        let norm = out.scalar(GRADIENT_NORM).unwrap_or(f32::NAN);
        let loss_scale = out.scalar(LOSS_SCALE);
        let skipped = loss_scale.is_some() && !norm.is_finite() && self.last.skipped_in_a_row < MOST_SKIPPED;
        let whole = out.scalar(LOSS).is_some_and(f32::is_finite);
        if !whole || losses.iter().any(|(_, loss)| !loss.is_finite()) || !(norm.is_finite() || skipped) {
            return Err(TrainError::NotFinite { step, losses, norm, mixed: loss_scale.is_some() });
        }
        self.tally.add(&started.batch, out);
        let (steps, tokens) = self.counted;
        self.counted = (steps + 1, tokens + started.batch.tokens());
        self.flops += started.flops;
        let last = &mut self.last;
        (last.learning_rate, last.loss_scale) = (started.learning_rate, loss_scale);
        if skipped {
            (last.skipped, last.skipped_in_a_row) = (last.skipped + 1, last.skipped_in_a_row + 1);
        } else {
            (last.gradient_norm, last.skipped_in_a_row) = (norm, 0);
        }
        events.push(Event::Step { step, values: losses });
        let done = step + 1;
        if done.is_multiple_of(self.recipe.training.log_every) || done == self.recipe.training.steps {
            events.extend(self.interval(done).map(Event::Interval));
        }
        Ok(())
    }

    /// Closes the interval before its time, as at a stop: what the steps since the last one came to. Call it when every
    /// step has been reported on ([`Trainer::finish_async`]).
    pub fn close_interval(&mut self) -> Option<Interval> {
        self.interval(self.next)
    }

    /// `None` if no step has finished since the last interval.
    fn interval(&mut self, done: u64) -> Option<Interval> {
        let (steps, tokens) = std::mem::take(&mut self.counted);
        if steps == 0 {
            return None;
        }
        let skipped = std::mem::take(&mut self.last.skipped);
        let LastStep { learning_rate, gradient_norm, loss_scale, .. } = self.last;
        let (flops, values) = (self.flops, self.tally.finish());
        Some(Interval { step: done, tokens, flops, learning_rate, gradient_norm, loss_scale, skipped, values })
    }

    /// Measures the held-out examples with dropout off. The same masks and samples' noise every time. Waits for the
    /// device; call it when every step has been reported on ([`Trainer::finish_async`]).
    pub async fn evaluate_async(&mut self) -> Result<Values, TrainError> {
        let mut tally = self.scorer.as_ref().map_or_else(|| self.recipe.objective.tally(), |scorer| scorer.tally());
        let most = self.recipe.training.evaluation_examples;
        let held_out = self.evaluation(self.held_out.clone(), most);
        for index in 0..held_out.len() {
            let batch = held_out.batch(index);
            if let Some(out) = self.run_evaluation(&batch, index).await? {
                tally.add(&batch, &out);
            }
        }
        Ok(tally.finish())
    }

    /// Runs the evaluation step on all of `source`: each example's tokens, and what the networks made of them. Nothing where the
    /// objective has nothing to show.
    pub async fn show_async(&mut self, source: Arc<dyn Source>) -> Result<Vec<Vec<Shown>>, TrainError> {
        let (demonstration, count) = (self.recipe.objective.demonstration(), source.examples());
        let source = self.evaluation(source, count);
        let mut shown = Vec::new();
        for index in 0..source.len() {
            let batch = source.batch(index);
            if let Some(out) = self.run_evaluation(&batch, index).await? {
                shown.extend(demonstration.tokens(&batch, &out));
            }
        }
        Ok(shown)
    }

    /// At most `count` examples of `source` in batches for the evaluation step.
    fn evaluation(&self, source: Arc<dyn Source>, count: usize) -> Evaluation {
        Evaluation::new(source, self.steps.evaluation_examples(), count, EVALUATION_SEED)
    }

    async fn run_evaluation(&mut self, batch: &Batch, index: usize) -> Result<Option<Results>, TrainError> {
        let whole = Shape { examples: self.recipe.shape.examples, ..batch.shape() };
        let (step, program) = &self.steps.get_or_load(&mut *self.engine, &self.recipe, whole)?.evaluation;
        step.write(&mut *self.engine, *program, batch, batch);
        let seed = [EVALUATION_SEED as u32, (EVALUATION_SEED >> 32) as u32];
        // Parts of one great batch: what is drawn for an example does not depend on how many fit into a step.
        let state = StepState { seed, part: index as u32, ..StepState::default() };
        self.engine.submit(*program, &state, true)?;
        Ok(collect(&mut *self.engine).await?.map(|fetched| step.results(fetched)))
    }

    /// All that a run needs to go on from here, as banks laid out as [`Model::table`] says. Waits for the device; call it
    /// when every step has been reported on ([`Trainer::finish_async`]).
    pub async fn snapshot_async(&mut self) -> Result<Snapshot, TrainError> {
        let weights = self.weights_async().await?;
        let moment1 = read_bank(&mut *self.engine, Bank::Moment1).await?;
        let moment2 = read_bank(&mut *self.engine, Bank::Moment2).await?;
        if [&weights, &moment1, &moment2].iter().any(|bank| bank.iter().any(|x| !x.is_finite())) {
            return Err(TrainError::WeightsNotFinite { step: self.next });
        }
        let loss_scale = match self.recipe.training.precision {
            Precision::Auto | Precision::F32 | Precision::Bf16 => None,
            Precision::Mixed => read_bank(&mut *self.engine, Bank::LossScale).await?.first_chunk().copied(),
        };
        let flops = Some(self.flops);
        let (step, phase) = (self.next, self.recipe.phase);
        Ok(Snapshot { step, phase, weights, moment1, moment2, flops, loss_scale })
    }

    /// Replaces the initial weights before the first step. As a bank, laid out as [`Model::table`] says.
    pub fn start_from(&mut self, weights: &[f32]) -> Result<(), TrainError> {
        Ok(self.engine.write_bank(Bank::Parameters, weights)?)
    }

    /// Goes on from a snapshot of the same model with `seed`. Batches, masks and random numbers are functions of seed and
    /// step, so with the same seed what follows is what would have followed then: bit for bit on the same device. Steps
    /// that are under way are waited for and forgotten.
    pub async fn resume_async(&mut self, snapshot: &Snapshot, seed: u64) -> Result<(), TrainError> {
        self.steps.abandon(&mut *self.engine).await?;
        self.waiting.clear();
        if snapshot.phase != self.recipe.phase {
            self.load_phase(snapshot.phase)?;
        }
        self.engine.write_bank(Bank::Parameters, &snapshot.weights)?;
        self.engine.write_bank(Bank::Moment1, &snapshot.moment1)?;
        self.engine.write_bank(Bank::Moment2, &snapshot.moment2)?;
        if self.recipe.training.precision == Precision::Mixed {
            let mut bank = LossScale::initial();
            if let Some(known) = snapshot.loss_scale {
                bank[..known.len()].copy_from_slice(&known);
            }
            self.engine.write_bank(Bank::LossScale, &bank)?;
        }
        self.recipe.seed = seed;
        self.batches = self.batches.with_seed(seed);
        self.next = snapshot.step;
        self.flops = match snapshot.flops {
            Some(flops) => flops,
            // Such checkpoints are of runs whose batches are all of one length.
            None => snapshot.step as f64 * flops_a_step(&self.recipe)? as f64,
        };
        (self.tally, self.counted) = (self.recipe.objective.tally(), (0, 0));
        self.last = LastStep::default();
        Ok(())
    }
}
