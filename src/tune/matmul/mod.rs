//! The choice among kernels of a matrix multiplication, from what was measured.
//!
//! Successive halving: every candidate is run once and held against the base kernel, the best few are then timed against it
//! many times over, and the fastest that is the same each time is taken. A multiplication that is like one before is tried
//! with what was good there, and what it needs is compiled while the one before is timed.

mod like;

use super::{LeftOut, MARGIN, MatmulChoice, NO_TIME, Tried};
use crate::numbers::median;
use crate::op::{MatmulFamily, MatmulKernel, MatmulShape};
use like::promising;
use std::time::Duration;

/// Candidates that are timed more than once.
const FINALISTS: usize = 6;

/// How much slower than the best a candidate may have been in a single run to be timed again.
const HOPE: f64 = 1.3;

/// A multiplication for which there is a choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The multiplication.
    pub shape: MatmulShape,
    /// The base kernel, then the others.
    pub candidates: Vec<MatmulKernel>,
    /// Floating-point operations of it in a step: the most expensive come first.
    pub work: u64,
}

/// Why a kernel cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For people, in a few words.
    pub reason: String,
    /// Whether it brought the device down.
    pub lost: bool,
}

/// A candidate after a single run.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Seconds of the run.
    pub seconds: f64,
    /// How far it was from the base kernel ([`Compared::error`](super::Compared::error)).
    pub error: f32,
    /// What is wrong with it, if anything is.
    pub wrong: Option<String>,
}

/// What the choice asks of a device.
pub trait Measure {
    /// One run of each of the kernels beside the task's base kernel; a refusal where not all of them can be run.
    fn look(&mut self, task: &Task, kernels: &[MatmulKernel]) -> Result<Vec<Look>, Refusal>;

    /// Several readings for each of the kernels, in seconds; a refusal where not all of them can be run.
    fn time(&mut self, task: &Task, kernels: &[MatmulKernel]) -> Result<Vec<Vec<f64>>, Refusal>;

    /// What is wrong with a kernel's results beside the base kernel's over several runs, if anything; a refusal where it cannot
    /// be run.
    fn check(&mut self, task: &Task, kernel: MatmulKernel) -> Result<Option<String>, Refusal>;

    /// Says what will be looked at next, so that it can be compiled meanwhile.
    fn next(&mut self, task: &Task, kernels: &[MatmulKernel]);

    /// Keeps what was chosen, in case nothing comes after it: a machine may be taken away in the middle.
    fn keep(&mut self, _choice: &MatmulChoice) {}

    /// Time since the trying began.
    fn elapsed(&self) -> Duration;
}

/// Tries every task's candidates, the task with the most work first, and chooses for each. When `budget` is over, the rest
/// run on the base kernel. Families that are `given_up` are not tried; that of cooperative matrices joins them where it seems
/// to have brought the device down: it is an experiment, and one reset of a person's GPU is enough. `known` are choices of
/// before that may be like some.
pub fn choose(
    mut tasks: Vec<Task>,
    budget: Duration,
    known: &[MatmulChoice],
    given_up: &mut Vec<MatmulFamily>,
    measure: &mut dyn Measure,
) -> Vec<MatmulChoice> {
    tasks.retain(|task| !task.candidates.is_empty());
    tasks.sort_by_key(|task| std::cmp::Reverse(task.work));
    let mut all: Vec<MatmulChoice> = known.to_vec();
    for (i, task) in tasks.iter().enumerate() {
        let (base, kernels) = (task.candidates[0], promising(task, &all, given_up));
        if measure.elapsed() >= budget {
            all.push(MatmulChoice::untried(task.shape, base, NO_TIME));
            continue;
        }
        let one = One { task, base, budget, next: tasks.get(i + 1), known: &all };
        let choice = one.choose(kernels, given_up, measure);
        measure.keep(&choice);
        all.push(choice);
    }
    all.split_off(known.len())
}

/// The choice for one task.
struct One<'a> {
    task: &'a Task,
    base: MatmulKernel,
    budget: Duration,
    /// What comes next.
    next: Option<&'a Task>,
    /// What was chosen before.
    known: &'a [MatmulChoice],
}

fn matrices(kernel: &MatmulKernel) -> bool {
    kernel.family == MatmulFamily::Cooperative
}

/// What a file keeps of looks.
fn tried(looks: &[(MatmulKernel, Look)]) -> Vec<Tried> {
    let finite = looks.iter().filter(|(_, look)| look.seconds.is_finite());
    finite
        .map(|(kernel, look)| {
            let error = Some(look.error).filter(|error| error.is_finite());
            Tried { kernel: *kernel, seconds: look.seconds, error }
        })
        .collect()
}

impl One<'_> {
    fn choose(
        self,
        mut kernels: Vec<MatmulKernel>,
        given_up: &mut Vec<MatmulFamily>,
        measure: &mut dyn Measure,
    ) -> MatmulChoice {
        let Self { task, base, .. } = self;
        let mut choice = MatmulChoice { untried: None, ..MatmulChoice::untried(task.shape, base, "") };
        let looks = match self.look(&mut kernels, &mut choice.left_out, given_up, measure) {
            Ok(looks) => looks,
            Err(Refusal { reason, .. }) => {
                return MatmulChoice { left_out: choice.left_out, ..MatmulChoice::untried(task.shape, base, reason) };
            }
        };
        let mut all: Vec<(MatmulKernel, Look)> = kernels.into_iter().zip(looks).collect();
        choice.left_out.extend(all.iter().filter_map(|(kernel, look)| {
            let reason = look.wrong.clone()?;
            Some(LeftOut { kernel: *kernel, reason })
        }));
        let mut finalists: Vec<usize> =
            (1..all.len()).filter(|&i| all[i].1.wrong.is_none() && all[i].1.seconds > 0.0).collect();
        finalists.sort_by(|&a, &b| all[a].1.seconds.total_cmp(&all[b].1.seconds));
        let best = finalists.first().map_or(f64::INFINITY, |&i| all[i].1.seconds);
        finalists.retain(|&i| all[i].1.seconds <= best * HOPE);
        finalists.truncate(FINALISTS);
        if let Some(next) = self.next {
            let looked = MatmulChoice { tried: tried(&all), ..choice.clone() };
            let known: Vec<MatmulChoice> = self.known.iter().cloned().chain([looked]).collect();
            measure.next(next, &promising(next, &known, given_up));
        }
        let timed: Vec<MatmulKernel> = std::iter::once(base).chain(finalists.iter().map(|&i| all[i].0)).collect();
        let times = match measure.time(task, &timed) {
            Ok(times) => times,
            Err(Refusal { reason, lost }) => {
                // Each of them has run before, so it is none of them alone.
                if lost && timed.iter().any(matrices) {
                    given_up.push(MatmulFamily::Cooperative);
                }
                return MatmulChoice { left_out: choice.left_out, ..MatmulChoice::untried(task.shape, base, reason) };
            }
        };
        for (&i, times) in std::iter::once(&0).chain(&finalists).zip(&times) {
            all[i].1.seconds = median(times);
        }
        choice.tried = tried(&all);
        let base_seconds = all[0].1.seconds;
        // A reading that is not a number wins nothing.
        finalists.retain(|&i| all[i].1.seconds > 0.0 && all[i].1.seconds < base_seconds * (1.0 - MARGIN));
        finalists.sort_by(|&a, &b| all[a].1.seconds.total_cmp(&all[b].1.seconds));
        let mut won = (base, base_seconds);
        for i in finalists {
            let kernel = all[i].0;
            if given_up.contains(&kernel.family) {
                continue;
            }
            let reason = match measure.check(task, kernel) {
                Ok(None) => {
                    won = (kernel, all[i].1.seconds);
                    break;
                }
                Ok(Some(reason)) => reason,
                Err(Refusal { reason, lost }) => {
                    if lost && matrices(&kernel) {
                        given_up.push(kernel.family);
                    }
                    reason
                }
            };
            choice.left_out.push(LeftOut { kernel, reason });
        }
        choice.kernel = won.0;
        [choice.base_seconds, choice.seconds] = [base_seconds, won.1].map(|s| Some(s).filter(|s| s.is_finite()));
        choice
    }

    /// A look at all of `kernels` that can be run, of which the others are taken out.
    fn look(
        &self,
        kernels: &mut Vec<MatmulKernel>,
        left_out: &mut Vec<LeftOut>,
        given_up: &mut Vec<MatmulFamily>,
        measure: &mut dyn Measure,
    ) -> Result<Vec<Look>, Refusal> {
        let (task, base) = (self.task, self.base);
        let mut together = measure.look(task, kernels);
        if let (Err(Refusal { reason, lost: true }), Some(&kernel)) = (&together, kernels.iter().find(|&k| matrices(k)))
        {
            left_out.push(LeftOut { kernel, reason: reason.clone() });
            given_up.push(kernel.family);
            kernels.retain(|kernel| !matrices(kernel));
            together = measure.look(task, kernels);
        }
        if together.is_ok() {
            return together;
        }
        // Which of them it is, each shows alone.
        measure.look(task, &[base])?;
        let mut cut = false;
        kernels.retain(|&kernel| {
            let late = measure.elapsed() >= self.budget;
            cut |= late;
            if kernel == base || given_up.contains(&kernel.family) || late {
                return kernel == base;
            }
            let Err(Refusal { reason, lost }) = measure.look(task, &[kernel]) else { return true };
            if lost && matrices(&kernel) {
                given_up.push(kernel.family);
            }
            left_out.push(LeftOut { kernel, reason });
            false
        });
        if cut {
            return Err(Refusal { reason: NO_TIME.into(), lost: false });
        }
        measure.look(task, kernels)
    }
}

#[cfg(test)]
mod tests;
