//! The choice among kernels, from what was measured.

use crate::numbers::median;
use crate::ops::{MatmulFamily, MatmulKernel, MatmulShape};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How much less time than the base kernel's another must take.
pub const MARGIN: f64 = 0.03;

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

/// What the choice asks of a device.
pub trait Measure {
    /// Several readings for each of the kernels, in seconds; a refusal where not all of them can be run.
    fn time(&mut self, task: &Task, kernels: &[MatmulKernel]) -> Result<Vec<Vec<f64>>, Refusal>;

    /// What is wrong with a kernel's results beside the base kernel's, if anything; a refusal where it cannot be run.
    fn check(&mut self, task: &Task, kernel: MatmulKernel) -> Result<Option<String>, Refusal>;

    /// Time since the trying began.
    fn elapsed(&self) -> Duration;
}

/// A kernel that cannot be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut<K = MatmulKernel> {
    /// Which.
    pub kernel: K,
    /// Why.
    pub reason: String,
}

/// What was found for a multiplication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatmulChoice {
    /// The multiplication.
    pub shape: MatmulShape,
    /// The kernel to use.
    pub kernel: MatmulKernel,
    /// The base kernel's seconds; none where it was not timed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_seconds: Option<f64>,
    /// The kernel's seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Why nothing was tried, where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untried: Option<String>,
    /// Kernels that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

impl MatmulChoice {
    fn untried(shape: MatmulShape, base: MatmulKernel, why: impl Into<String>) -> Self {
        let untried = Some(why.into());
        Self { shape, kernel: base, base_seconds: None, seconds: None, untried, left_out: Vec::new() }
    }

    /// How many times as fast as the base kernel it is, where both were timed.
    pub fn gain(&self) -> Option<f64> {
        Some(self.base_seconds? / self.seconds?)
    }
}

/// Tries every task's candidates, the task with the most work first, and chooses for each. When `budget` is over, the rest
/// run on the base kernel. Families that are `given_up` are not tried; that of cooperative matrices joins them where it seems
/// to have brought the device down: it is an experiment, and one reset of a person's GPU is enough.
pub fn choose(
    mut tasks: Vec<Task>,
    budget: Duration,
    given_up: &mut Vec<MatmulFamily>,
    measure: &mut dyn Measure,
) -> Vec<MatmulChoice> {
    tasks.sort_by_key(|task| std::cmp::Reverse(task.work));
    let mut choices = Vec::new();
    for task in &mut tasks {
        let Some(&base) = task.candidates.first() else { continue };
        task.candidates.retain(|kernel| *kernel == base || !given_up.contains(&kernel.family));
        choices.push(match measure.elapsed() < budget {
            true => choose_one(task, base, budget, given_up, measure),
            false => MatmulChoice::untried(task.shape, base, super::NO_TIME),
        });
    }
    choices
}

fn choose_one(
    task: &Task,
    base: MatmulKernel,
    budget: Duration,
    given_up: &mut Vec<MatmulFamily>,
    measure: &mut dyn Measure,
) -> MatmulChoice {
    let mut kernels = task.candidates.clone();
    let mut left_out = Vec::new();
    let matrices = |kernel: &MatmulKernel| kernel.family == MatmulFamily::Cooperative;
    let mut together = measure.time(task, &kernels);
    if let (Err(Refusal { reason, lost: true }), Some(&kernel)) = (&together, kernels.iter().find(|&k| matrices(k))) {
        left_out.push(LeftOut { kernel, reason: reason.clone() });
        given_up.push(kernel.family);
        kernels.retain(|kernel| !matrices(kernel));
        together = measure.time(task, &kernels);
    }
    let times = match together {
        Ok(times) => Ok(times),
        // Which of them it is, each shows alone.
        Err(_) => match measure.time(task, &[base]) {
            Err(refusal) => Err(refusal),
            Ok(_) => {
                kernels.retain(|&kernel| {
                    // What there is no time for is left alone.
                    if kernel == base || given_up.contains(&kernel.family) || measure.elapsed() >= budget {
                        return kernel == base;
                    }
                    let Err(Refusal { reason, lost }) = measure.time(task, &[kernel]) else { return true };
                    if lost && matrices(&kernel) {
                        given_up.push(kernel.family);
                    }
                    left_out.push(LeftOut { kernel, reason });
                    false
                });
                measure.time(task, &kernels)
            }
        },
    };
    let times = match times {
        Ok(times) => times,
        Err(refusal) => return MatmulChoice { left_out, ..MatmulChoice::untried(task.shape, base, refusal.reason) },
    };
    let medians: Vec<f64> = times.iter().map(|times| median(times)).collect();
    let base_seconds = medians[0];
    let mut order: Vec<usize> = (1..kernels.len().min(medians.len())).collect();
    // A reading that is not a number wins nothing.
    order.retain(|&i| medians[i] > 0.0 && medians[i] < base_seconds * (1.0 - MARGIN));
    order.sort_by(|&a, &b| medians[a].total_cmp(&medians[b]));
    let mut won = (base, base_seconds);
    for i in order {
        let kernel = kernels[i];
        if given_up.contains(&kernel.family) {
            continue;
        }
        match measure.check(task, kernel) {
            Ok(None) => {
                won = (kernel, medians[i]);
                break;
            }
            Ok(Some(reason)) => left_out.push(LeftOut { kernel, reason }),
            Err(Refusal { reason, lost }) => {
                if lost && matrices(&kernel) {
                    given_up.push(kernel.family);
                }
                left_out.push(LeftOut { kernel, reason });
            }
        }
    }
    let (kernel, seconds) = won;
    let [base_seconds, seconds] = [base_seconds, seconds].map(|s| Some(s).filter(|s| s.is_finite()));
    MatmulChoice { shape: task.shape, kernel, base_seconds, seconds, untried: None, left_out }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device as plain data: seconds by kernel, what fails to run, and what is wrong with results.
    #[derive(Default)]
    struct Fake {
        seconds: Vec<(MatmulKernel, f64)>,
        refused: Vec<MatmulKernel>,
        /// Whether what is refused brings the device down.
        lost: bool,
        wrong: Vec<MatmulKernel>,
        /// Every timing takes so long.
        each: Duration,
        spent: Duration,
        checked: Vec<MatmulKernel>,
        order: Vec<MatmulShape>,
    }

    impl Measure for Fake {
        fn time(&mut self, task: &Task, kernels: &[MatmulKernel]) -> Result<Vec<Vec<f64>>, Refusal> {
            self.spent += self.each;
            self.order.push(task.shape);
            if kernels.iter().any(|kernel| self.refused.contains(kernel)) {
                return Err(Refusal { reason: "the driver refused it".into(), lost: self.lost });
            }
            let of = |kernel: &MatmulKernel| self.seconds.iter().find(|(k, _)| k == kernel).map_or(1.0, |&(_, s)| s);
            // One reading that somebody else's work made long.
            Ok(kernels.iter().map(|kernel| vec![of(kernel), 50.0, of(kernel)]).collect())
        }

        fn check(&mut self, _: &Task, kernel: MatmulKernel) -> Result<Option<String>, Refusal> {
            self.checked.push(kernel);
            Ok(self.wrong.contains(&kernel).then(|| "gives 1 where the base kernel gives 2".into()))
        }

        fn elapsed(&self) -> Duration {
            self.spent
        }
    }

    fn kernel(slices: usize) -> MatmulKernel {
        let base: MatmulKernel = "tiles 64x64x16 8x4".parse().unwrap();
        base.split(slices)
    }

    fn task(m: usize) -> Task {
        let shape = format!("{m}x64x256 tn f32 f32 f32 f32").parse().unwrap();
        Task { shape, candidates: vec![kernel(1), kernel(2), kernel(3), kernel(4)], work: m as u64 }
    }

    const LONG: Duration = Duration::from_secs(1);

    fn one(fake: &mut Fake) -> MatmulChoice {
        let mut choices = choose(vec![task(64)], LONG, &mut Vec::new(), fake);
        assert_eq!(choices.len(), 1);
        choices.remove(0)
    }

    #[test]
    fn the_fastest_that_agrees_wins() {
        let mut fake = Fake { seconds: vec![(kernel(2), 0.7), (kernel(3), 0.5), (kernel(4), 0.6)], ..Fake::default() };
        let choice = one(&mut fake);
        assert_eq!((choice.kernel, choice.gain()), (kernel(3), Some(2.0)));
        assert_eq!(fake.checked, [kernel(3)]);

        let mut fake = Fake { wrong: vec![kernel(3), kernel(4)], ..fake };
        let choice = one(&mut fake);
        assert_eq!(choice.kernel, kernel(2));
        let out: Vec<MatmulKernel> = choice.left_out.iter().map(|out| out.kernel).collect();
        assert_eq!(out, [kernel(3), kernel(4)]);
        assert!(choice.left_out[0].reason.contains("base kernel"), "{choice:?}");

        let mut fake = Fake { wrong: vec![kernel(2), kernel(3), kernel(4)], ..fake };
        let choice = one(&mut fake);
        assert_eq!((choice.kernel, choice.gain(), choice.left_out.len()), (kernel(1), Some(1.0), 3));
    }

    #[test]
    fn a_little_faster_is_not_enough() {
        let mut fake =
            Fake { seconds: vec![(kernel(2), 0.98), (kernel(3), f64::NAN), (kernel(4), 0.0)], ..Fake::default() };
        assert_eq!(one(&mut fake).kernel, kernel(1));
        assert!(fake.checked.is_empty());
        let mut fake = Fake { seconds: vec![(kernel(2), 0.96)], ..Fake::default() };
        assert_eq!(one(&mut fake).kernel, kernel(2));
    }

    #[test]
    fn what_the_driver_refuses_is_named_and_the_others_are_tried() {
        let seconds = vec![(kernel(2), 0.2), (kernel(4), 0.5)];
        let mut fake = Fake { seconds, refused: vec![kernel(2)], ..Fake::default() };
        let choice = one(&mut fake);
        assert_eq!(choice.kernel, kernel(4));
        let refused = LeftOut { kernel: kernel(2), reason: "the driver refused it".into() };
        assert_eq!(choice.left_out, [refused]);

        let mut fake = Fake { refused: vec![kernel(1)], ..Fake::default() };
        let choice = one(&mut fake);
        assert_eq!((choice.kernel, choice.untried.as_deref()), (kernel(1), Some("the driver refused it")));
    }

    #[test]
    fn a_family_that_brings_the_device_down_is_not_tried_again() {
        let matrices: Vec<MatmulKernel> =
            ["32x32x32 16x32", "64x32x16 32x16"].map(|form| format!("cooperative {form}").parse().unwrap()).to_vec();
        let all = |m| Task { candidates: [&[kernel(1)], &matrices[..], &[kernel(2)]].concat(), ..task(m) };
        let mut fake =
            Fake { seconds: vec![(kernel(2), 0.5)], refused: matrices.clone(), lost: true, ..Fake::default() };
        let mut given_up = Vec::new();
        let choices = choose(vec![all(2), all(1)], LONG, &mut given_up, &mut fake);
        assert_eq!(choices.iter().map(|c| c.kernel).collect::<Vec<_>>(), [kernel(2); 2]);
        // Together, then without the family, and never with it again.
        assert_eq!(fake.order.iter().map(|shape| shape.m).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!((choices[0].left_out.len(), choices[1].left_out.len()), (1, 0));
        assert_eq!(given_up, [MatmulFamily::Cooperative]);
        // A refusal is no reset: each shows for itself.
        let mut fake = Fake { refused: matrices.clone(), ..Fake::default() };
        assert_eq!(choose(vec![all(2)], LONG, &mut Vec::new(), &mut fake)[0].left_out.len(), 2);
    }

    #[test]
    fn the_most_work_comes_first_and_what_is_left_keeps_the_base() {
        let mut fake = Fake { seconds: vec![(kernel(2), 0.5)], each: LONG / 2, ..Fake::default() };
        let tasks = vec![task(1), task(3), task(2), task(4)];
        let choices = choose(tasks, LONG, &mut Vec::new(), &mut fake);
        let order: Vec<usize> = choices.iter().map(|choice| choice.shape.m).collect();
        assert_eq!(order, [4, 3, 2, 1]);
        assert_eq!(fake.order.len(), 2);
        assert_eq!(choices.iter().map(|c| c.kernel).collect::<Vec<_>>(), [kernel(2), kernel(2), kernel(1), kernel(1)]);
        assert!(choices[1].untried.is_none() && choices[2].untried.is_some());
    }
}
