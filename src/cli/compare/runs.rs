//! The runs behind a comparison: pre-trained, and their checkpoints fine-tuned.

use super::Work;
use super::entry::Entry;
use crate::cli::Failure;
use crate::cli::output::print;
use crate::cli::style::Style;
use crate::cli::train::{Stop, begin_run, continue_run};
use crate::comparison::{Found, RANDOM, Results};
use crate::config::Config;
use crate::history::Recorded;
use crate::run::{Run, State, saved};
use crate::session::Change;
use std::path::{Path, PathBuf};

impl Work<'_> {
    /// Trains a run to its end, or what is left of it: its folder; none where it was stopped.
    pub(super) fn pre_train(&self, entry: &Entry, seed: u64, stop: &Stop) -> Result<Option<PathBuf>, Failure> {
        let folder = self.out.join("runs").join(entry.folder()).join(format!("seed-{seed}"));
        print(&format!("\n{} seed {seed}\n", Style::stdout().bold(&entry.name)))?;
        let mut config = entry.arm.config.clone();
        config.seed = seed;
        let t = &mut config.training;
        // What is measured on held-out text is measured where a checkpoint is written: those alone are kept.
        (t.steps, t.checkpoint_every, t.evaluate_every, t.keep_checkpoints) =
            (entry.steps, entry.every, entry.every, 1_000);
        let how = self.arguments.how()?;
        let complete = match Run::config(&folder).map_err(Failure::input)? {
            None => begin_run(&folder, config, self.arguments.settings.length, how, stop)?,
            Some(found) if !same(&found, &config) => {
                return Err(Failure::Input(format!(
                    "{} holds a run of other settings than these; choose another --out",
                    folder.display()
                )));
            }
            Some(_) if self.checkpoints(&folder)?.last().is_some_and(|(_, state)| state.step == entry.steps) => true,
            Some(_) => {
                let (text, dataset) = (self.arguments.text.clone(), self.arguments.data.clone());
                continue_run(&folder, &Change { text, dataset, ..Change::default() }, how, stop)?
            }
        };
        Ok(complete.then_some(folder))
    }

    fn checkpoints(&self, folder: &Path) -> Result<Vec<(PathBuf, State)>, Failure> {
        saved(folder).map_err(Failure::input)
    }

    /// Fine-tunes checkpoints of a run: whether all of them.
    pub(super) fn score(
        &self,
        results: &mut Results,
        entry: &Entry,
        folder: &Path,
        seed: u64,
        stop: &Stop,
    ) -> Result<bool, Failure> {
        let recorded = Recorded::read(folder).map_err(Failure::work)?;
        let checkpoints = self.checkpoints(folder)?.into_iter().filter(|(_, state)| entry.scores(state.step));
        for (checkpoint, state) in checkpoints {
            let end = state.step == entry.steps;
            let read = recorded.intervals.iter().filter(|moment| moment.step <= state.step).map(|moment| moment.tokens);
            let about = Found {
                arm: entry.arm.name.clone(),
                seed,
                task: String::new(),
                budget: entry.budget,
                step: state.step,
                flops: state.flops.unwrap_or(entry.flops * state.step as f64),
                tokens: read.max().unwrap_or_default(),
                seconds: state.seconds,
                end,
                score: f64::NAN,
            };
            if !self.fine_tune(results, &about, Some(entry), &checkpoint, stop)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fine-tunes the network of a run from random weights.
    pub(super) fn random(&self, results: &mut Results, folder: &Path, seed: u64, stop: &Stop) -> Result<bool, Failure> {
        let checkpoints = self.checkpoints(folder)?;
        let Some((checkpoint, _)) = checkpoints.last() else {
            return Err(Failure::Work(format!("{} has no checkpoint", folder.display())));
        };
        let about = Found {
            arm: RANDOM.into(),
            seed,
            task: String::new(),
            budget: 0.0,
            step: 0,
            flops: 0.0,
            tokens: 0,
            seconds: 0.0,
            end: true,
            score: f64::NAN,
        };
        self.fine_tune(results, &about, None, checkpoint, stop)
    }

    /// Fine-tunes a checkpoint of an entry, or without one the network that it began with.
    fn fine_tune(
        &self,
        results: &mut Results,
        about: &Found,
        entry: Option<&Entry>,
        checkpoint: &Path,
        stop: &Stop,
    ) -> Result<bool, Failure> {
        let (name, place) = match entry {
            Some(entry) => (entry.name.clone(), entry.folder()),
            None => (RANDOM.to_string(), PathBuf::from("random")),
        };
        for task in self.tasks {
            if results.has(&about.arm, about.budget, about.seed, task.name(), Some(about.step)) {
                continue;
            }
            let tuning = self.arguments.tuning(task, self.rate)?;
            let tuning = if entry.is_none() { tuning.with_random_weights() } else { tuning };
            let folder = self.out.join("tasks").join(task.name()).join(&place);
            let folder = folder.join(format!("seed-{}", about.seed)).join(format!("step-{:06}", about.step));
            let title =
                format!("{} seed {}, step {}: {}", Style::stdout().bold(&name), about.seed, about.step, task.name());
            print(&format!("\n{title}\n"))?;
            if !tuning.sit_again(Some(checkpoint), &folder, about.seed, stop)? {
                return Ok(false);
            }
            let Some((.., score)) = Run::best_of(&folder) else {
                return Err(Failure::Work(format!("{}: nothing was measured", folder.display())));
            };
            task.keep_measure(self.out, &folder)?;
            results.add(Found { task: task.name().into(), score, ..about.clone() }).map_err(Failure::work)?;
        }
        Ok(true)
    }
}

/// Whether a run of `found` is what `wanted` would begin, wherever its text lies.
fn same(found: &Config, wanted: &Config) -> bool {
    let (a, b) = (&found.training, &wanted.training);
    found.seed == wanted.seed
        && found.model == wanted.model
        && found.objective == wanted.objective
        && found.optimizer == wanted.optimizer
        && found.data.length == wanted.data.length
        && (a.steps, a.batch, a.checkpoint_every) == (b.steps, b.batch, b.checkpoint_every)
}
