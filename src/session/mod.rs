//! A run as it is driven: trainer, folder and clock together.
//!
//! [`Session::advance_async`] does a step and whatever is due with it - a line of metrics, an evaluation, a checkpoint - and says
//! what happened as [`Report`]s. A terminal, a window or a test may drive it. It is also where a run survives what
//! happens to long runs: a device that goes away is opened again, and losses that are no numbers may send the run back one
//! checkpoint with another seed.

mod adapt;
mod advance;
mod begin;
#[cfg(not(target_family = "wasm"))]
mod blocking;
mod change;
mod device;
mod error;
#[cfg(not(target_family = "wasm"))]
mod kernels;
mod labelled;
mod material;
mod prepared;
mod recommend;
mod recover;
mod report;
mod warning;
mod watch;

pub use adapt::{AdaptError, Adaptation};
pub use begin::{
    Asked, Opened, Reopened, SessionOptions, Startup, as_begun_async, fine_tune_async, reopen_async, start_async,
};
#[cfg(not(target_family = "wasm"))]
pub use blocking::{as_begun, fine_tune, open, reopen, start};
pub use change::{Change, Completed, ExtendError, Extension, extend};
pub use device::{Device, open_async};
pub use error::SessionError;
#[cfg(not(target_family = "wasm"))]
pub use kernels::find_kernels;
pub use labelled::{PreparedTask, held_out_records};
pub use material::Material;
pub use prepared::{PrepareError, Prepared, absolute, choose};
pub use recommend::recommendation;
pub use report::{Ending, Report};
pub use warning::Warning;

use crate::batch::MaskedText;
use crate::config::Config;
use crate::corpus::{Examples, Tokenizer};
use crate::history::TextFacts;
use crate::measure::Measures;
use crate::objective::Shown;
use crate::plan::{Engine, EngineError, Target};
use crate::run::{Run, State};
use crate::train::{Data, Recipe, Resources, Snapshot, Trainer};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use watch::Watch;
use web_time::{Duration, Instant};

/// Opens a device. Called again when it was lost.
pub type OpenEngine = dyn FnMut() -> Opening;

/// A device that is being opened.
pub type Opening = Pin<Box<dyn Future<Output = Result<(Box<dyn Engine>, Target), EngineError>>>>;

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
    /// How much text it is, and the entropy of its word frequencies: the loss of whoever knows nothing else.
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
    /// Evaluations since that one.
    worse: u64,
    /// Where questions may have no answer: what the last evaluation of this sitting found best.
    null_threshold: Option<f64>,
    /// Rollbacks and lost devices since the newest checkpoint.
    failures: u32,
    ended: bool,
}

impl Session {
    /// Begins a run in `folder`, which must be free. Nothing is written unless the device can train it.
    ///
    /// # Errors
    /// [`SessionError`]: a device that cannot be opened or is too small, a folder that cannot be written.
    pub async fn create_async(folder: &Path, mut setup: Setup) -> Result<Self, SessionError> {
        Run::check_free(folder)?;
        let trainer = trainer(&mut setup).await?;
        let run = Run::create(folder, &setup.config, &setup.tokenizer, &setup.facts)?;
        Self::begin(run, setup, trainer, None).await
    }

    /// Continues `run`: where there is a checkpoint, from the newest, else from step 0.
    ///
    /// # Errors
    /// [`SessionError`]: a device that cannot be opened or is too small, a damaged or foreign checkpoint, a text that is not
    /// the run's.
    pub async fn resume_async(run: Run, setup: Setup) -> Result<Self, SessionError> {
        let newest = run.newest(&setup.config, &setup.recipe.model)?;
        Self::resume_from(run, setup, newest).await
    }

    /// As [`Session::resume_async`] with what [`Run::newest`] found, `None` for a run that was never saved.
    ///
    /// # Errors
    /// As [`Session::resume_async`].
    pub async fn resume_from(
        run: Run,
        mut setup: Setup,
        newest: Option<(Snapshot, State)>,
    ) -> Result<Self, SessionError> {
        let trainer = trainer(&mut setup).await?;
        Self::begin(run, setup, trainer, newest).await
    }

    async fn begin(
        mut run: Run,
        setup: Setup,
        mut trainer: Trainer,
        newest: Option<(Snapshot, State)>,
    ) -> Result<Self, SessionError> {
        if newest.as_ref().is_some_and(|(_, state)| state.text != setup.fingerprint) {
            let (folder, labelled) = (run.folder().into(), setup.config.is_fine_tuning());
            return Err(crate::run::RunError::TextChanged { folder, labelled }.into());
        }
        let (mut seed, mut earlier, mut worse) = (setup.recipe.seed, 0.0, 0);
        match newest {
            Some((snapshot, state)) => {
                (seed, earlier, worse) = (state.seed, state.seconds, state.since_best);
                trainer.resume_async(&snapshot, seed).await?;
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
            worse,
            null_threshold: None,
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
            session.evaluate().await?;
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

    /// Where questions may have no answer: how much must speak for saying none, as the last evaluation of this sitting found it.
    pub fn null_threshold(&self) -> Option<f64> {
        self.null_threshold
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

    /// Whether the schedule is at its end, or so many evaluations were no better that the run ends before it.
    pub fn is_complete(&self) -> bool {
        self.progress() >= 1.0 || self.has_lost_patience()
    }

    /// Whether as many evaluations in a row were no better as the settings allow.
    pub fn has_lost_patience(&self) -> bool {
        self.setup.recipe.training.patience.is_some_and(|most| self.worse >= most)
    }

    /// Whether the session has ended: the schedule is at its end, or it was stopped.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Shows a few held-out sentences of running text, writes them to samples.jsonl, and returns what the networks made of every token.
    ///
    /// # Errors
    /// [`SessionError`] if the device or the disk fails.
    pub async fn sample_async(&mut self, material: &Material) -> Result<Vec<Vec<Shown>>, SessionError> {
        let Material::Text(prepared) = material else { return Ok(Vec::new()) };
        const COUNT: usize = 4;
        const TOKENS: std::ops::RangeInclusive<usize> = 9..=26;
        let mut picked = Examples::new(prepared.held_out.length());
        for ids in prepared.sentences(COUNT, TOKENS) {
            picked.push(&ids, ids.len());
        }
        let shown = self.show_async(Arc::new(picked)).await?;
        let step = self.step();
        for sentence in &shown {
            self.run.log_sample(&report::sample_line(step, sentence, &prepared.tokenizer))?;
        }
        Ok(shown)
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
    pub async fn weights_async(&mut self) -> Result<Vec<f32>, SessionError> {
        Ok(self.trainer.weights_async().await?)
    }

    /// Masks `examples` and asks the networks; see [`Trainer::show_async`].
    ///
    /// # Errors
    /// [`SessionError::Train`] if the device fails.
    pub async fn show_async(&mut self, examples: Arc<Examples>) -> Result<Vec<Vec<Shown>>, SessionError> {
        let Some(masking) = self.setup.recipe.objective.masking() else { return Ok(Vec::new()) };
        let (tokenizer, whole_words) = (&self.setup.tokenizer, self.setup.config.data.whole_words);
        let text = MaskedText::new(examples, tokenizer, masking).with_whole_words(tokenizer, whole_words);
        Ok(self.trainer.show_async(Arc::new(text)).await?)
    }
}

async fn trainer(setup: &mut Setup) -> Result<Trainer, SessionError> {
    let (engine, target) = (setup.open)().await?;
    Ok(Trainer::new(engine, target, setup.recipe.clone(), setup.data.clone(), setup.resources)?)
}
