//! The progress bar; a line now and then where standard error is no terminal.

use crate::cli::output::print;
use crate::cli::style::Style;
use crate::cli::{Failure, memory};
use crate::train::{Interval, Trainer};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::Instant;

/// Losses are shown as a running mean over about this many steps.
const SMOOTH: f64 = 20.0;
/// How many lines a run prints where there is no terminal.
const LINES: u64 = 20;

/// Says what is going on, to a person who watches.
pub(super) fn note(text: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("{}", Style::stderr().dim(text));
    }
}

/// Says how a step's batch is worked through, where that is not all at once.
pub(super) fn parts(trainer: &Trainer) -> Result<(), Failure> {
    let Some(parts) = memory::parts(trainer.micro_batch()) else { return Ok(()) };
    if trainer.short_of_memory() {
        let warning = "the device had no room for larger parts";
        eprintln!("{} {warning}", Style::stderr().yellow("note:"));
    }
    print(&format!("memory  each step's {} examples {parts}\n", trainer.config().training.batch)).map(drop)
}

/// What is shown while training.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    steps: u64,
    before: u64,
    printed: u64,
    start: Instant,
    losses: Option<(f64, f64)>,
    rate: f64,
}

impl Progress {
    /// For a run of `steps`, `done` of which are behind it.
    pub(super) fn new(steps: u64, done: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr_with_hz(10));
            let template = "{bar:30} step {pos}/{len}  {msg}  {eta} left";
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        Self {
            bar,
            steps,
            before: done,
            printed: done * LINES / steps.max(1),
            start: Instant::now(),
            losses: None,
            rate: 0.0,
        }
    }

    /// A step is done.
    pub(super) fn step(&mut self, done: u64, generator: f32, discriminator: f32) {
        let new = (f64::from(generator), f64::from(discriminator));
        let smooth = |old: f64, new: f64| old + (new - old) / SMOOTH;
        let losses = self.losses.map_or(new, |old| (smooth(old.0, new.0), smooth(old.1, new.1)));
        self.losses = Some(losses);
        if let Some(bar) = &self.bar {
            let rate = if self.rate > 0.0 { format!("  {:.0} tokens/s", self.rate) } else { String::new() };
            bar.set_message(format!("generator {:.3}  discriminator {:.4}{rate}", losses.0, losses.1));
            bar.set_position(done);
        }
    }

    /// An interval is done.
    pub(super) fn interval(&mut self, interval: &Interval, tokens_per_second: f64) {
        self.rate = tokens_per_second;
        let line = interval.step * LINES / self.steps.max(1);
        if self.bar.is_none() && line > self.printed {
            self.printed = line;
            let done = (interval.step - self.before).max(1) as f64;
            let left = self.start.elapsed().as_secs_f64() / done * (self.steps - interval.step) as f64;
            eprintln!(
                "step {}/{}  generator {:.3}  discriminator {:.4}  {:.0} tokens/s  {:.0} s left",
                interval.step,
                self.steps,
                interval.measures.generator_loss,
                interval.measures.discriminator_loss,
                tokens_per_second,
                left
            );
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
