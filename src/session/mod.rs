//! A run as it is driven: trainer, folder and clock together.
//!
//! [`Session::advance`] does a step and whatever is due with it - a line of metrics, an evaluation, a checkpoint - and says
//! what happened as [`Report`]s. A terminal, a window or a test may drive it. It is also where a run survives what
//! happens to long runs: a device that goes away is opened again, and losses that are no numbers may send the run back one
//! checkpoint with another seed.

mod adapt;
mod begin;
mod device;
mod error;
mod kernels;
mod prepared;
mod report;
mod warning;
mod watch;

pub use adapt::{AdaptError, Adaptation};
pub use begin::{Change, Continued, Done, ExtendError, How, Longer, Opened, Stage, extend, go_on, start};
pub use device::{Device, open};
pub use error::SessionError;
pub use kernels::find_kernels;
pub use prepared::{PrepareError, Prepared, absolute, choose};
pub use report::{Ending, Report};
pub use warning::Warning;

use crate::batch::MaskedText;
use crate::config::Config;
use crate::corpus::{Examples, Tokenizer};
use crate::history::TextFacts;
use crate::measure::{Better, Measures, Values};
use crate::objective::Shown;
use crate::plan::{Engine, EngineError, Target};
use crate::random::Random;
use crate::run::{Identity, Run, Standing, State};
use crate::train::{Data, Event, Recipe, Resources, Snapshot, TrainError, Trainer};
use report::{HeldOutLine, IntervalLine};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watch::Watch;

/// Opens a device. Called again when it was lost.
pub type OpenEngine = dyn FnMut() -> Result<(Box<dyn Engine>, Target), EngineError>;

/// What a session is made of.
pub struct Setup {
    /// The run's settings.
    pub config: Config,
    /// What is trained, as those settings say.
    pub recipe: Recipe,
    /// What is measured of it.
    pub measures: Measures,
    /// What it reads.
    pub data: Data,
    /// The tokenizer of that text.
    pub tokenizer: Tokenizer,
    /// A fingerprint of the examples, by which a text that was changed is noticed.
    pub fingerprint: String,
    /// How much text it is, and the entropy of its word frequencies: what a generator reaches that knows nothing else.
    pub facts: TextFacts,
    /// A bank of weights to start from instead of random ones.
    pub initial: Option<Vec<f32>>,
    /// What training may take of the device.
    pub resources: Resources,
    /// The device.
    pub open: Box<OpenEngine>,
    /// Whether losses that are no numbers send the run back to its newest checkpoint, with another seed, instead of ending
    /// it.
    pub rollback: bool,
    /// How many steps this sitting may take; all that are left if `None`.
    pub stop_after: Option<u64>,
}

/// A run that is being trained.
pub struct Session {
    setup: Setup,
    run: Run,
    trainer: Trainer,
    watch: Watch,
    /// What is to be said with the next reports.
    pending: Vec<Warning>,
    /// The seed in use.
    seed: u64,
    /// The step at which this sitting ends.
    until: u64,
    /// Seconds of earlier sittings.
    earlier: f64,
    start: Instant,
    /// Time that went into evaluations and checkpoints since the last line of metrics.
    aside: Duration,
    logged: Instant,
    /// The newest checkpoint's step, and when it was written.
    saved: u64,
    saved_at: Instant,
    /// The last step whose evaluation and checkpoint, where due, are done.
    settled: u64,
    best: Option<f64>,
    /// Rollbacks and lost devices since the newest checkpoint.
    failures: u32,
    ended: bool,
}

/// Failures that are put up with between two checkpoints.
const PATIENCE: u32 = 3;

impl Session {
    /// Begins a run in `folder`, which must be free. Nothing is written unless the device can train it.
    ///
    /// # Errors
    /// [`SessionError`]: a device that cannot be opened or is too small, a folder that cannot be written.
    pub fn create(folder: &Path, mut setup: Setup) -> Result<Self, SessionError> {
        Run::check_free(folder)?;
        let trainer = trainer(&mut setup)?;
        let run = Run::create(folder, &setup.config, &setup.tokenizer, &setup.facts)?;
        Self::begin(run, setup, trainer, None)
    }

    /// Continues `run`: where there is a checkpoint, from the newest, else from step 0.
    ///
    /// # Errors
    /// [`SessionError`]: a device that cannot be opened or is too small, a damaged or foreign checkpoint, a text that is not
    /// the run's.
    pub fn resume(run: Run, setup: Setup) -> Result<Self, SessionError> {
        let newest = run.newest(&setup.config, &setup.recipe.model)?;
        Self::resume_from(run, setup, newest)
    }

    /// As [`Session::resume`] with what [`Run::newest`] found, `None` for a run that was never saved.
    ///
    /// # Errors
    /// As [`Session::resume`].
    pub fn resume_from(run: Run, mut setup: Setup, newest: Option<(Snapshot, State)>) -> Result<Self, SessionError> {
        let trainer = trainer(&mut setup)?;
        Self::begin(run, setup, trainer, newest)
    }

    fn begin(
        mut run: Run,
        setup: Setup,
        mut trainer: Trainer,
        newest: Option<(Snapshot, State)>,
    ) -> Result<Self, SessionError> {
        if newest.as_ref().is_some_and(|(_, state)| state.text != setup.fingerprint) {
            return Err(crate::run::RunError::TextChanged { folder: run.folder().into() }.into());
        }
        let (mut seed, mut earlier) = (setup.recipe.seed, 0.0);
        match newest {
            Some((snapshot, state)) => {
                (seed, earlier) = (state.seed, state.seconds);
                trainer.resume(&snapshot, seed)?;
            }
            None => {
                if let Some(weights) = &setup.initial {
                    trainer.start_from(weights)?;
                }
            }
        }
        let step = trainer.started();
        run.rewind(step, &setup.measures)?;
        run.keep_measures(&setup.measures)?;
        let now = Instant::now();
        let mut session = Self {
            watch: Watch::new(&setup.recipe, &setup.measures),
            pending: watch::beforehand(
                &setup.recipe,
                step,
                (setup.data.training.examples(), setup.data.held_out.examples()),
            ),
            until: setup.stop_after.map_or(u64::MAX, |n| step.saturating_add(n)),
            best: run.best()?.map(|(_, value)| value),
            setup,
            run,
            trainer,
            seed,
            earlier,
            start: now,
            aside: Duration::ZERO,
            logged: now,
            saved: step,
            saved_at: now,
            settled: step,
            failures: 0,
            ended: false,
        };
        // The held-out text before anything is learnt, which every figure is compared with.
        if step == 0 && session.run.is_unmeasured()? {
            session.evaluate()?;
        }
        let device = session.trainer.device();
        session.run.log_event(step, if step == 0 { "started" } else { "continued" }, &device)?;
        Ok(session)
    }

    /// The run's settings.
    pub fn config(&self) -> &Config {
        &self.setup.config
    }

    /// The run's folder.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The run's folder, to write to.
    pub fn run_mut(&mut self) -> &mut Run {
        &mut self.run
    }

    /// What is measured.
    pub fn measures(&self) -> &Measures {
        &self.setup.measures
    }

    /// The trainer.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// The device, in words.
    pub fn device(&self) -> String {
        self.trainer.device()
    }

    /// The tokenizer of the text.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.setup.tokenizer
    }

    /// Steps started.
    pub fn step(&self) -> u64 {
        self.trainer.started()
    }

    /// Seconds of training, over all sittings.
    pub fn seconds(&self) -> f64 {
        self.earlier + self.start.elapsed().as_secs_f64()
    }

    /// How much of the schedule is behind, 0 to 1: by the clock where the settings have hours, else by steps.
    pub fn progress(&self) -> f64 {
        let t = &self.setup.recipe.training;
        let done = match t.hours {
            Some(hours) => self.seconds() / (hours * 3_600.0),
            None => self.step() as f64 / t.steps as f64,
        };
        done.min(1.0)
    }

    /// Whether the schedule is at its end.
    pub fn is_complete(&self) -> bool {
        self.progress() >= 1.0
    }

    /// Whether the session has ended: the schedule is at its end, or it was stopped.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Starts a step, reports on what has finished and does what is due; with `stop`, saves and ends.
    ///
    /// # Errors
    /// [`SessionError`] for what the session cannot recover from. Earlier checkpoints are untouched.
    pub fn advance(&mut self, stop: bool) -> Result<Vec<Report>, SessionError> {
        let mut reports = Vec::new();
        if self.ended {
            return Ok(reports);
        }
        for warning in std::mem::take(&mut self.pending) {
            self.warn(self.step(), warning, &mut reports)?;
        }
        match self.go(stop, &mut reports) {
            Ok(()) => {}
            Err(SessionError::Train(error)) => self.recover(error, &mut reports)?,
            Err(error) => return Err(error),
        }
        Ok(reports)
    }

    fn go(&mut self, stop: bool, reports: &mut Vec<Report>) -> Result<(), SessionError> {
        let complete = self.is_complete();
        let ends = complete || stop || self.step() >= self.until;
        if self.step() > self.settled || ends {
            self.settle(ends, complete, reports)?;
        }
        if ends {
            self.ended = true;
            if let Some(warning) = self.watch.end(&self.setup.recipe, self.step(), complete) {
                self.warn(self.step(), warning, reports)?;
            }
            let folder = self.run.newest_folder().unwrap_or_default();
            let ending = Ending { step: self.step(), complete, seconds: self.start.elapsed().as_secs_f64(), folder };
            self.run.log_event(ending.step, if complete { "done" } else { "stopped" }, "")?;
            reports.push(Report::Ended(ending));
            return Ok(());
        }
        if self.setup.recipe.training.hours.is_some() {
            self.trainer.set_progress(self.progress());
        }
        let events = self.trainer.advance()?;
        self.take_in(events, reports)
    }

    /// Does what is due at this step: evaluation and checkpoint. At the end, whatever is not done yet.
    fn settle(&mut self, ends: bool, complete: bool, reports: &mut Vec<Report>) -> Result<(), SessionError> {
        let t = &self.setup.recipe.training;
        let step = self.step();
        let unsettled = step > self.settled;
        let by_clock =
            t.checkpoint_minutes > 0.0 && self.saved_at.elapsed().as_secs_f64() > 60.0 * t.checkpoint_minutes;
        let evaluates = unsettled && step.is_multiple_of(t.evaluate_every) || complete;
        let saves = unsettled && step.is_multiple_of(t.checkpoint_every) || by_clock || ends;
        if !evaluates && !saves {
            return Ok(());
        }
        let events = self.trainer.finish()?;
        self.take_in(events, reports)?;
        // A line of metrics ends here, so that a run which goes on from this checkpoint writes the lines that it would have
        // written otherwise.
        let rest = self.trainer.close_interval().map(Event::Interval);
        self.take_in(rest.into_iter().collect(), reports)?;
        let began = Instant::now();
        let mut held_out = None;
        if evaluates {
            let values = self.evaluate()?;
            let value = self.setup.measures.selecting().map_or(f64::NAN, |m| values.or_nan(&m.name));
            let best = self.best.is_none_or(|best| self.better().beats(value, best));
            held_out = Some((value, best));
            reports.push(Report::HeldOut { step, values, best });
        }
        let best = held_out.is_some_and(|(_, best)| best);
        if (saves || best) && (step > self.saved || self.run.newest_folder().is_none() || held_out.is_some()) {
            let folder = self.save(held_out.map(|(value, _)| value))?;
            reports.push(Report::Saved { step, folder });
        }
        if best {
            self.best = held_out.map(|(value, _)| value);
        }
        self.settled = step;
        self.aside += began.elapsed();
        Ok(())
    }

    /// Which way the measure that chooses the best checkpoint is better.
    fn better(&self) -> Better {
        self.setup.measures.selecting().map_or(Better::Neither, |m| m.better)
    }

    fn evaluate(&mut self) -> Result<Values, SessionError> {
        let held_out = self.trainer.evaluate()?;
        let (step, seconds, flops) = (self.step(), self.seconds(), self.trainer.flops());
        self.run.log(&HeldOutLine { step, seconds, flops, held_out: &held_out })?;
        Ok(held_out)
    }

    fn save(&mut self, held_out: Option<f64>) -> Result<PathBuf, SessionError> {
        let snapshot = self.trainer.snapshot()?;
        let standing = Standing { seed: self.seed, seconds: self.seconds(), held_out, better: self.better() };
        let Setup { config, tokenizer, fingerprint, .. } = &self.setup;
        let identity = Identity { config, model: self.trainer.model(), tokenizer, text: fingerprint };
        let folder = self.run.checkpoint(&snapshot, &standing, identity)?;
        (self.saved, self.saved_at, self.failures) = (snapshot.step, Instant::now(), 0);
        Ok(folder)
    }

    fn take_in(&mut self, events: Vec<Event>, reports: &mut Vec<Report>) -> Result<(), SessionError> {
        for event in events {
            match event {
                Event::Step { step, values } => {
                    let warning = self.watch.step(&self.setup.recipe, step, &values);
                    reports.push(Report::Step { step, values });
                    if let Some(warning) = warning {
                        self.warn(step + 1, warning, reports)?;
                    }
                }
                Event::Interval(interval) => {
                    let seconds = self.seconds();
                    let worked = self.logged.elapsed().saturating_sub(self.aside).as_secs_f64();
                    let tokens_per_second = interval.tokens as f64 / worked.max(1e-9);
                    (self.logged, self.aside) = (Instant::now(), Duration::ZERO);
                    self.run.log(&IntervalLine { seconds, tokens_per_second, interval: &interval })?;
                    let warnings = self.watch.look(&self.setup.recipe, &interval);
                    let step = interval.step;
                    reports.push(Report::Interval { interval, tokens_per_second });
                    for warning in warnings {
                        self.warn(step, warning, reports)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn warn(&mut self, step: u64, warning: Warning, reports: &mut Vec<Report>) -> Result<(), SessionError> {
        self.run.log_event(step, "warning", &warning.to_string())?;
        reports.push(Report::Warning(warning));
        Ok(())
    }

    /// Goes on from the last good state, if the error is one that may be gone then.
    fn recover(&mut self, error: TrainError, reports: &mut Vec<Report>) -> Result<(), SessionError> {
        let step = self.step();
        let lost = matches!(error, TrainError::Engine(EngineError::DeviceLost { .. }));
        let diverged = matches!(error, TrainError::NotFinite { .. } | TrainError::WeightsNotFinite { .. });
        self.failures += 1;
        // A device that is lost twice without a checkpoint between is not coming back by itself.
        let most = if lost { 1 } else { PATIENCE };
        if !(lost || diverged && self.setup.rollback) || self.failures > most {
            let _ = self.run.log_event(step, "failed", &error.to_string());
            return Err(SessionError::Failed { error, folder: self.run.newest_folder() });
        }
        let newest = self.run.newest(&self.setup.config, self.trainer.model())?;
        if diverged {
            // Another order of batches, other masks: most often the spike is not met again.
            self.seed = Random::new(self.seed, ROLLBACK_STREAM, step).below(1 << 53);
        }
        if lost {
            self.trainer = trainer(&mut self.setup)?;
        }
        let snapshot = match newest {
            Some((snapshot, _)) => snapshot,
            None => self.beginning(),
        };
        self.trainer.resume(&snapshot, self.seed)?;
        let back = snapshot.step;
        self.run.rewind(back, &self.setup.measures)?;
        self.settled = back;
        self.watch = Watch::new(&self.setup.recipe, &self.setup.measures);
        (self.logged, self.aside) = (Instant::now(), Duration::ZERO);
        self.run.log_event(back, if lost { "device lost" } else { "rolled back" }, &error.to_string())?;
        reports.push(match lost {
            true => Report::Reopened { reason: error.to_string(), step: back },
            false => Report::RolledBack { reason: error.to_string(), step: back, seed: self.seed },
        });
        Ok(())
    }

    /// The state at step 0.
    fn beginning(&self) -> Snapshot {
        let model = self.trainer.model();
        let zeros = vec![0.0; model.table.len()];
        let weights = self.setup.initial.clone().unwrap_or_else(|| model.initial(self.setup.recipe.seed));
        Snapshot { step: 0, weights, moment1: zeros.clone(), moment2: zeros, flops: Some(0.0), loss_scale: None }
    }

    /// Waits for every step that was started and reports on them.
    ///
    /// # Errors
    /// [`SessionError`], as [`Session::advance`].
    pub fn flush(&mut self) -> Result<Vec<Report>, SessionError> {
        let mut reports = Vec::new();
        match self.trainer.finish() {
            Ok(events) => self.take_in(events, &mut reports)?,
            Err(error) => self.recover(error, &mut reports)?,
        }
        Ok(reports)
    }

    /// Writes a checkpoint now, unless the newest is of this step. A line of metrics ends here.
    ///
    /// # Errors
    /// [`SessionError`], as [`Session::advance`].
    pub fn checkpoint(&mut self) -> Result<Vec<Report>, SessionError> {
        let mut reports = self.flush()?;
        if self.step() == self.saved && self.run.newest_folder().is_some() {
            return Ok(reports);
        }
        let began = Instant::now();
        let rest = self.trainer.close_interval().map(Event::Interval);
        self.take_in(rest.into_iter().collect(), &mut reports)?;
        match self.save(None) {
            Ok(folder) => reports.push(Report::Saved { step: self.step(), folder }),
            Err(SessionError::Train(error)) => self.recover(error, &mut reports)?,
            Err(error) => return Err(error),
        }
        self.aside += began.elapsed();
        Ok(reports)
    }

    /// Shows a few held-out sentences of `prepared`, writes them to samples.jsonl, and returns what the networks made of every token.
    ///
    /// # Errors
    /// [`SessionError`] if the device or the disk fails.
    pub fn sample(&mut self, prepared: &Prepared) -> Result<Vec<Vec<Shown>>, SessionError> {
        const COUNT: usize = 4;
        const TOKENS: std::ops::RangeInclusive<usize> = 9..=26;
        let mut picked = Examples::new(prepared.held_out.length());
        for ids in prepared.sentences(COUNT, TOKENS) {
            picked.push(&ids, ids.len());
        }
        let verdicts = self.show(Arc::new(picked))?;
        let step = self.step();
        for sentence in &verdicts {
            self.run.log_sample(&report::sample_line(step, sentence, &prepared.tokenizer))?;
        }
        Ok(verdicts)
    }

    /// Leaves out `time` that has passed while the session was made to wait: it was no training.
    pub fn rested(&mut self, time: Duration) {
        for instant in [&mut self.start, &mut self.logged, &mut self.saved_at] {
            *instant += time;
        }
    }

    /// The weights as they are: a bank, laid out as the model's table says. Waits for the device.
    ///
    /// # Errors
    /// [`SessionError::Train`] if the device fails.
    pub fn weights(&mut self) -> Result<Vec<f32>, SessionError> {
        Ok(self.trainer.weights()?)
    }

    /// Masks `examples` and asks the networks; see [`Trainer::show`].
    ///
    /// # Errors
    /// [`SessionError::Train`] if the device fails.
    pub fn show(&mut self, examples: Arc<Examples>) -> Result<Vec<Vec<Shown>>, SessionError> {
        let masking = self.setup.recipe.objective.masking();
        Ok(self.trainer.show(Arc::new(MaskedText::new(examples, &self.setup.tokenizer, masking)))?)
    }
}

fn trainer(setup: &mut Setup) -> Result<Trainer, SessionError> {
    let (engine, target) = (setup.open)()?;
    Ok(Trainer::new(engine, target, setup.recipe.clone(), setup.data.clone(), setup.resources)?)
}

/// Domain of the random numbers that make a new seed.
const ROLLBACK_STREAM: u64 = 0x524f_4c4c;
