//! How far preparing is: a bar, or a line now and then where standard error is no terminal.

use crate::dataset::{Phase, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// Between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

/// What is shown while a dataset is made.
pub(super) struct Bar {
    bar: Option<ProgressBar>,
    phase: Option<Phase>,
    start: Instant,
    said: Instant,
}

impl Bar {
    pub(super) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = || ProgressDrawTarget::stderr_with_hz(10);
        let bar = terminal.then(|| ProgressBar::with_draw_target(None, target()));
        Self { bar, phase: None, start: Instant::now(), said: Instant::now() }
    }

    /// Shows how far it is.
    pub(super) fn show(&mut self, progress: Progress) {
        if self.phase != Some(progress.phase) {
            self.phase = Some(progress.phase);
            self.start = Instant::now();
            self.set_style(progress);
        }
        let seconds = self.start.elapsed().as_secs_f64();
        let rate = progress.text as f64 / 1e6 / seconds.max(1e-9);
        let left = progress.total.filter(|_| progress.read > 0).map(|total| {
            let rest = total.saturating_sub(progress.read) as f64;
            seconds * rest / progress.read as f64
        });
        let mut message = format!("{:.1} MB, {rate:.1} MB/s", progress.text as f64 / 1e6);
        if let Some(left) = left {
            message += &format!(", {left:.0} s left");
        }
        if let Some(bar) = &self.bar {
            if progress.text > 0 {
                bar.set_message(message);
            }
            bar.set_position(progress.read);
        } else if progress.text > 0 && self.said.elapsed() >= PAUSE {
            eprintln!("{}  {message}", name(progress.phase));
            self.said = Instant::now();
        }
    }

    fn set_style(&self, progress: Progress) {
        let Some(bar) = &self.bar else { return };
        let (template, length) = match (progress.phase, progress.total) {
            (Phase::Counting | Phase::Writing, Some(total)) => ("{prefix} {bar:30} {percent:>3} %  {msg}", Some(total)),
            _ => ("{prefix} {spinner} {msg}", None),
        };
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(name(progress.phase));
        bar.set_message("");
        match length {
            Some(length) => bar.set_length(length),
            None => bar.unset_length(),
        }
        bar.enable_steady_tick(Duration::from_millis(200));
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Counting => "counting words",
        Phase::Learning => "making the vocabulary",
        Phase::Writing => "making examples",
    }
}
