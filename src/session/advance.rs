//! A session step by step: what is due after each, and what is said of it.

use super::report::{HeldOutLine, IntervalLine};
use super::watch::Watch;
use super::{Ending, Report, Session, SessionError, Setup, Warning};
use crate::measure::{Better, Values};
use crate::run::{Identity, RunStatus};
use crate::task::evaluation::Score;
use crate::train::Event;
use std::borrow::Cow;
use std::path::PathBuf;
use web_time::{Duration, Instant};

impl Session {
    /// Starts a step, reports on what has finished and does what is due; with `stop`, saves and ends.
    ///
    /// # Errors
    /// [`SessionError`] for what the session cannot recover from. Earlier checkpoints are untouched.
    pub async fn advance_async(&mut self, stop: bool) -> Result<Vec<Report>, SessionError> {
        let mut reports = Vec::new();
        if self.ended {
            return Ok(reports);
        }
        for warning in std::mem::take(&mut self.pending) {
            self.warn(self.step(), warning, &mut reports)?;
        }
        match self.go(stop, &mut reports).await {
            Ok(()) => {}
            Err(SessionError::Train(error)) => self.recover(error, &mut reports).await?,
            Err(error) => return Err(error),
        }
        Ok(reports)
    }

    async fn go(&mut self, stop: bool, reports: &mut Vec<Report>) -> Result<(), SessionError> {
        if self.setup.recipe.training.hours.is_some() {
            self.trainer.set_progress(self.progress());
        }
        let complete = self.is_complete();
        let ends = complete || stop || self.step() >= self.until;
        if self.step() > self.settled || ends {
            self.settle(ends, complete, reports).await?;
        }
        // What was just measured may have been one time too many.
        let impatient = self.has_lost_patience();
        let (complete, ends) = (complete || impatient, ends || impatient);
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
        let events = self.trainer.advance_async().await?;
        self.handle(events, reports)
    }

    /// Does what is due at this step: evaluation and checkpoint. At the end, whatever is not done yet.
    async fn settle(&mut self, ends: bool, complete: bool, reports: &mut Vec<Report>) -> Result<(), SessionError> {
        let t = &self.setup.recipe.training;
        let step = self.step();
        let unsettled = step > self.settled;
        let by_clock =
            t.checkpoint_minutes > 0.0 && self.saved_at.elapsed().as_secs_f64() > 60.0 * t.checkpoint_minutes;
        // The last that there is of a phase.
        let phase_ends = unsettled && self.trainer.next_phase() != self.trainer.recipe().phase;
        let evaluates = unsettled && step.is_multiple_of(t.evaluate_every) || phase_ends || complete;
        let saves = unsettled && step.is_multiple_of(t.checkpoint_every) || phase_ends || by_clock || ends;
        if !evaluates && !saves {
            return Ok(());
        }
        let events = self.trainer.finish_async().await?;
        self.handle(events, reports)?;
        // A line of metrics ends here, so that a run which goes on from this checkpoint writes the lines that it would have
        // written otherwise.
        let rest = self.trainer.close_interval().map(Event::Interval);
        self.handle(rest.into_iter().collect(), reports)?;
        let began = Instant::now();
        let mut held_out = None;
        if evaluates {
            let values = self.evaluate().await?;
            let value = self.setup.measures.selecting().map_or(f64::NAN, |m| values.or_nan(&m.name));
            // What is not measured yet, as of a network whose phase comes later, is neither better nor worse.
            let best = !value.is_nan() && self.best.is_none_or(|best| self.better().beats(value, best));
            self.worse = if best || value.is_nan() { 0 } else { self.worse + 1 };
            held_out = Some((value, best));
            self.null_threshold = values.get(Score::NullThreshold.key()).filter(|threshold| threshold.is_finite());
            reports.push(Report::HeldOut { step, values, best });
        }
        let best = held_out.is_some_and(|(_, best)| best);
        let saves = saves || self.has_lost_patience();
        if (saves || best) && (step > self.saved || self.run.newest_folder().is_none() || held_out.is_some()) {
            let folder = self.save(held_out.map(|(value, _)| value)).await?;
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

    pub(super) async fn evaluate(&mut self) -> Result<Values, SessionError> {
        let held_out = self.trainer.evaluate_async().await?;
        let (step, seconds, flops) = (self.step(), self.seconds(), self.trainer.flops());
        self.run.log(&HeldOutLine { step, seconds, flops, held_out: &held_out })?;
        Ok(held_out)
    }

    /// Writes a checkpoint, with what was just measured if anything was.
    async fn save(&mut self, held_out: Option<f64>) -> Result<PathBuf, SessionError> {
        let snapshot = self.trainer.snapshot_async().await?;
        let standing = RunStatus {
            seed: self.seed,
            seconds: self.seconds(),
            held_out,
            better: self.better(),
            since_best: self.worse,
        };
        let Setup { config, tokenizer, fingerprint, .. } = &self.setup;
        let mut model = Cow::Borrowed(self.trainer.model());
        // Weights that were not measured have no threshold of their own.
        if self.null_threshold.is_some() && held_out.is_some() {
            model.to_mut().set_null_threshold(self.null_threshold);
        }
        let identity = Identity { config, model: &model, tokenizer, text: fingerprint };
        let folder = self.run.checkpoint(&snapshot, &standing, identity)?;
        (self.saved, self.saved_at, self.failures) = (snapshot.step, Instant::now(), 0);
        Ok(folder)
    }

    fn handle(&mut self, events: Vec<Event>, reports: &mut Vec<Report>) -> Result<(), SessionError> {
        for event in events {
            match event {
                Event::Step { step, values } => {
                    let warning = self.watch.step(&self.setup.recipe, step, &values);
                    reports.push(Report::Step { step, values });
                    if let Some(warning) = warning {
                        self.warn(step + 1, warning, reports)?;
                    }
                }
                Event::Phase { step, name } => {
                    // What was measured before says nothing of what is measured from here on.
                    (self.best, self.worse) = (None, 0);
                    self.watch = Watch::new(&self.setup.recipe, &self.setup.measures);
                    self.run.log_event(step, "phase", name)?;
                    reports.push(Report::Phase { step, name: name.into() });
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

    /// Waits for every step that was started and reports on them.
    ///
    /// # Errors
    /// [`SessionError`], as [`Session::advance_async`].
    pub async fn flush_async(&mut self) -> Result<Vec<Report>, SessionError> {
        let mut reports = Vec::new();
        match self.trainer.finish_async().await {
            Ok(events) => self.handle(events, &mut reports)?,
            Err(error) => self.recover(error, &mut reports).await?,
        }
        Ok(reports)
    }

    /// Writes a checkpoint now, unless the newest is of this step. A line of metrics ends here.
    ///
    /// # Errors
    /// [`SessionError`], as [`Session::advance_async`].
    pub async fn checkpoint_async(&mut self) -> Result<Vec<Report>, SessionError> {
        let mut reports = self.flush_async().await?;
        if self.step() == self.saved && self.run.newest_folder().is_some() {
            return Ok(reports);
        }
        let began = Instant::now();
        let rest = self.trainer.close_interval().map(Event::Interval);
        self.handle(rest.into_iter().collect(), &mut reports)?;
        match self.save(None).await {
            Ok(folder) => reports.push(Report::Saved { step: self.step(), folder }),
            Err(SessionError::Train(error)) => self.recover(error, &mut reports).await?,
            Err(error) => return Err(error),
        }
        self.aside += began.elapsed();
        Ok(reports)
    }
}
