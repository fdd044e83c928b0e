//! The progress bar; a line now and then where standard error is no terminal.

use crate::cli::memory;
use crate::cli::output::remark;
use crate::cli::style::Style;
use crate::measure::{Measure, Values};
use crate::numbers::fixed;
use crate::session::{Report, Session};
use crate::train::Interval;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Instant;

/// Losses are shown as a running mean over about this many steps.
const SMOOTH: f64 = 20.0;
/// How many lines a run prints where there is no terminal.
const LINES: u64 = 20;

/// How a step's batch is worked through, where that is not all at once.
pub(super) fn parts(session: &Session) -> Option<String> {
    let trainer = session.trainer();
    let how = memory::how(trainer.fit())?;
    if trainer.short_of_memory() {
        remark("the device had no room for larger parts");
    }
    Some(format!("memory  each step's {} examples {how}", trainer.recipe().shape.examples))
}

/// What is shown while training.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    /// How much of the schedule was behind when this sitting began.
    before: f64,
    printed: u64,
    start: Instant,
    losses: Option<Values>,
    rate: f64,
}

/// The bar's length: it follows the schedule, which may be one of hours.
const LENGTH: u64 = 1_000_000;

impl Progress {
    /// For what is left of a run.
    pub(super) fn new(session: &Session) -> Self {
        let before = session.progress();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(LENGTH), ProgressDrawTarget::stderr_with_hz(10));
            let template = "{bar:20} {msg}  {eta} left";
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_position((before * LENGTH as f64) as u64);
            bar.reset_eta();
            bar
        });
        let printed = (before * LINES as f64) as u64;
        Self { bar, before, printed, start: Instant::now(), losses: None, rate: 0.0 }
    }

    /// Shows what happened.
    pub(super) fn show(&mut self, session: &Session, report: &Report) {
        match report {
            Report::Step { step, values } => self.step(session, step + 1, values),
            Report::Interval { interval, tokens_per_second } => self.interval(session, interval, *tokens_per_second),
            Report::Phase { step, name } => {
                self.say(&format!("{} {name}, from step {step} on", Style::stderr().bold("phase:")));
            }
            Report::Warning(warning) => self.say(&format!("{} {warning}", Style::stderr().yellow("warning:"))),
            Report::RolledBack { reason, step, seed } => {
                let what = format!("{reason}; going on from step {step} with seed {seed}");
                self.say(&format!("{} {what}", Style::stderr().yellow("rolled back:")));
            }
            Report::Reopened { reason, step } => {
                let what = format!("{reason}; opened again, going on from step {step}");
                self.say(&format!("{} {what}", Style::stderr().yellow("device lost:")));
            }
            Report::HeldOut { .. } | Report::Saved { .. } | Report::Ended(_) => {}
        }
    }

    /// A line that stays, above the bar if there is one.
    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn step(&mut self, session: &Session, done: u64, values: &Values) {
        let smooth = |(name, new): (&Arc<str>, f64)| {
            let old = self.losses.as_ref().and_then(|losses| losses.get(name)).unwrap_or(new);
            (name.clone(), old + (new - old) / SMOOTH)
        };
        let losses: Values = values.iter().map(smooth).collect();
        if let Some(bar) = &self.bar {
            let rate = if self.rate > 0.0 { format!("  {:.0} tokens/s", self.rate) } else { String::new() };
            let step = at(session, done);
            bar.set_message(format!("{step}{}{rate}", main(session, &losses)));
            bar.set_position((session.progress() * LENGTH as f64) as u64);
        }
        self.losses = Some(losses);
    }

    fn interval(&mut self, session: &Session, interval: &Interval, tokens_per_second: f64) {
        self.rate = tokens_per_second;
        let now = session.progress();
        let line = (now * LINES as f64) as u64;
        if self.bar.is_none() && line > self.printed {
            self.printed = line;
            let left = self.start.elapsed().as_secs_f64() / (now - self.before).max(1e-9) * (1.0 - now);
            eprintln!(
                "{}{}  {tokens_per_second:.0} tokens/s  {left:.0} s left",
                at(session, interval.step),
                main(session, &interval.values)
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

/// The main measures, two spaces before each.
fn main(session: &Session, values: &Values) -> String {
    let one = |m: &Arc<Measure>| Some(format!("  {} {}", m.short, fixed(values.get(&m.name)?, m.digits.into())));
    session.measures().main().filter_map(one).collect()
}

fn at(session: &Session, step: u64) -> String {
    match session.config().training.hours {
        Some(hours) => format!("step {step}, {:.2}/{hours} h", session.seconds() / 3_600.0),
        None => format!("step {step}/{}", session.config().training.steps),
    }
}
