//! The choice among kernels, from what was measured.
//!
//! Successive halving: every candidate is run once and held against the base kernel, the best few are then timed against it
//! many times over, and the fastest that is the same each time is taken. A multiplication that is like one before is tried
//! with what was good there, and what it needs is compiled while the one before is timed.

use crate::numbers::median;
use crate::op::{MatmulFamily, MatmulKernel, MatmulShape};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How much less time than the base kernel's another must take.
pub const MARGIN: f64 = 0.03;

/// Candidates that are timed more than once.
const FINALISTS: usize = 6;

/// How much slower than the best a candidate may have been in a single run to be timed again.
const HOPE: f64 = 1.3;

/// How much slower than the best one of a like multiplication a candidate may have been there to be tried.
const PROMISING: f64 = 1.5;

/// How many times as large a side of a multiplication that is like another may be.
const LIKE: usize = 4;

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
    /// How far it was from the base kernel ([`crate::gpu::Compared::error`]).
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

/// A kernel that cannot be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut<K = MatmulKernel> {
    /// Which.
    pub kernel: K,
    /// Why.
    pub reason: String,
}

/// A kernel that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried<K = MatmulKernel> {
    /// Which.
    pub kernel: K,
    /// Its seconds: the median of several runs of the best few, of a single run of the others.
    pub seconds: f64,
    /// How far it was from the base kernel ([`crate::gpu::Compared::error`]); none where it was no finite number.
    pub error: Option<f32>,
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
    /// Everything that was tried, the base kernel first; a run's own record has none of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
}

impl MatmulChoice {
    /// The base kernel, and why nothing else was tried.
    pub fn untried(shape: MatmulShape, base: MatmulKernel, why: impl Into<String>) -> Self {
        let untried = Some(why.into());
        let (left_out, tried) = (Vec::new(), Vec::new());
        Self { shape, kernel: base, base_seconds: None, seconds: None, untried, left_out, tried }
    }

    /// How many times as fast as the base kernel it is, where both were timed.
    pub fn gain(&self) -> Option<f64> {
        Some(self.base_seconds? / self.seconds?)
    }

    /// The choice without everything that was tried on the way to it.
    pub(super) fn alone(&self) -> Self {
        Self { tried: Vec::new(), ..self.clone() }
    }
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
            all.push(MatmulChoice::untried(task.shape, base, super::NO_TIME));
            continue;
        }
        let one = One { task, base, budget, next: tasks.get(i + 1), known: &all };
        let choice = one.choose(kernels, given_up, measure);
        measure.keep(&choice);
        all.push(choice);
    }
    all.split_off(known.len())
}

/// The kernels to try for a task: its base, and of the others those that were good for the multiplications like it among the
/// `known`, or were not tried there; the best first.
fn promising(task: &Task, known: &[MatmulChoice], given_up: &[MatmulFamily]) -> Vec<MatmulKernel> {
    let mut kernels: Vec<MatmulKernel> = task.candidates.clone();
    let base = kernels[0];
    kernels.retain(|kernel| *kernel == base || !given_up.contains(&kernel.family));
    let mut alike: Vec<(f64, &MatmulChoice)> =
        known.iter().filter_map(|choice| Some((distance(&task.shape, &choice.shape)?, choice))).collect();
    alike.sort_by(|a, b| a.0.total_cmp(&b.0));
    // How many times as long as the best one it took, for the multiplication most like this for which it was tried.
    let behind = |kernel: &MatmulKernel| {
        alike.iter().find_map(|(_, choice)| {
            // In how many slices k is worked through depends on the sizes.
            let same = choice.tried.iter().filter(|tried| tried.kernel.split(1) == kernel.split(1));
            let seconds = same.map(|tried| tried.seconds).min_by(f64::total_cmp)?;
            Some(seconds / choice.tried.iter().map(|tried| tried.seconds).fold(f64::INFINITY, f64::min))
        })
    };
    kernels.retain(|kernel| *kernel == base || behind(kernel).is_none_or(|behind| behind <= PROMISING));
    kernels[1..].sort_by(|a, b| {
        let [a, b] = [a, b].map(|kernel| behind(kernel).unwrap_or(f64::INFINITY));
        a.total_cmp(&b)
    });
    kernels
}

/// How unlike two multiplications of the same layout and element types are, in doublings of their sides; none where they are no
/// more alike than any two.
fn distance(a: &MatmulShape, b: &MatmulShape) -> Option<f64> {
    let kind = |s: &MatmulShape| (s.transpose_a, s.transpose_b, s.elements, s.aligned);
    let sides = [(a.m, b.m), (a.n, b.n), (a.k, b.k)];
    let near = sides.iter().all(|&(a, b)| a.max(b) <= LIKE * a.min(b));
    let doublings = |(a, b): &(usize, usize)| (*a as f64 / *b as f64).log2().abs();
    (kind(a) == kind(b) && near)
        .then(|| sides.iter().map(doublings).sum::<f64>() + if a.epilogue == b.epilogue { 0.0 } else { 0.5 })
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
            return Err(Refusal { reason: super::NO_TIME.into(), lost: false });
        }
        measure.look(task, kernels)
    }
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
        /// What is right once and wrong later.
        unsteady: Vec<MatmulKernel>,
        /// Every timing takes so long.
        each: Duration,
        spent: Duration,
        checked: Vec<MatmulKernel>,
        order: Vec<MatmulShape>,
        looked: Vec<Vec<MatmulKernel>>,
        timed: Vec<Vec<MatmulKernel>>,
        next: Vec<(MatmulShape, Vec<MatmulKernel>)>,
        kept: Vec<MatmulChoice>,
    }

    impl Fake {
        fn of(&self, kernel: &MatmulKernel) -> f64 {
            self.seconds.iter().find(|(k, _)| k == kernel).map_or(1.0, |&(_, s)| s)
        }
    }

    impl Measure for Fake {
        fn look(&mut self, task: &Task, kernels: &[MatmulKernel]) -> Result<Vec<Look>, Refusal> {
            self.spent += self.each;
            self.order.push(task.shape);
            self.looked.push(kernels.to_vec());
            if kernels.iter().any(|kernel| self.refused.contains(kernel)) {
                return Err(Refusal { reason: "the driver refused it".into(), lost: self.lost });
            }
            let wrong =
                |kernel: &MatmulKernel| self.wrong.contains(kernel).then(|| "gives 1 where the base gives 2".into());
            let look = |kernel| Look { seconds: self.of(kernel), error: 1e-7, wrong: wrong(kernel) };
            Ok(kernels.iter().map(look).collect())
        }

        fn time(&mut self, _: &Task, kernels: &[MatmulKernel]) -> Result<Vec<Vec<f64>>, Refusal> {
            self.timed.push(kernels.to_vec());
            // One reading that somebody else's work made long.
            Ok(kernels.iter().map(|kernel| vec![self.of(kernel), 50.0, self.of(kernel)]).collect())
        }

        fn check(&mut self, _: &Task, kernel: MatmulKernel) -> Result<Option<String>, Refusal> {
            self.checked.push(kernel);
            Ok(self.unsteady.contains(&kernel).then(|| "gives other bits each time".into()))
        }

        fn next(&mut self, task: &Task, kernels: &[MatmulKernel]) {
            self.next.push((task.shape, kernels.to_vec()));
        }

        fn keep(&mut self, choice: &MatmulChoice) {
            self.kept.push(choice.clone());
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
        let mut choices = choose(vec![task(64)], LONG, &[], &mut Vec::new(), fake);
        assert_eq!(choices.len(), 1);
        choices.remove(0)
    }

    #[test]
    fn the_fastest_that_agrees_wins() {
        let mut fake = Fake { seconds: vec![(kernel(2), 0.7), (kernel(3), 0.5), (kernel(4), 0.6)], ..Fake::default() };
        let choice = one(&mut fake);
        assert_eq!((choice.kernel, choice.gain()), (kernel(3), Some(2.0)));
        assert_eq!(fake.checked, [kernel(3)]);

        assert_eq!(fake.timed, [[kernel(1), kernel(3), kernel(4)]], "what was far behind is not timed again");
        let tried: Vec<(MatmulKernel, f64)> = choice.tried.iter().map(|tried| (tried.kernel, tried.seconds)).collect();
        assert_eq!(tried, [(kernel(1), 1.0), (kernel(2), 0.7), (kernel(3), 0.5), (kernel(4), 0.6)]);
        assert!(choice.tried.iter().all(|tried| tried.error == Some(1e-7)), "{choice:?}");
        assert!(choice.alone().tried.is_empty() && choice.alone().gain() == choice.gain());

        let mut fake = Fake { wrong: vec![kernel(3)], unsteady: vec![kernel(4)], ..fake };
        let choice = one(&mut fake);
        assert_eq!(choice.kernel, kernel(2));
        let out: Vec<MatmulKernel> = choice.left_out.iter().map(|out| out.kernel).collect();
        assert_eq!(out, [kernel(3), kernel(4)]);
        assert!(choice.left_out[0].reason.contains("the base gives"), "{choice:?}");
        assert!(choice.left_out[1].reason.contains("each time"), "{choice:?}");

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
        let choices = choose(vec![all(2), all(1)], LONG, &[], &mut given_up, &mut fake);
        assert_eq!(choices.iter().map(|c| c.kernel).collect::<Vec<_>>(), [kernel(2); 2]);
        // Together, then without the family, and never with it again.
        assert_eq!(fake.order.iter().map(|shape| shape.m).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!((choices[0].left_out.len(), choices[1].left_out.len()), (1, 0));
        assert_eq!(given_up, [MatmulFamily::Cooperative]);
        // A refusal is no reset: each shows for itself.
        let mut fake = Fake { refused: matrices.clone(), ..Fake::default() };
        assert_eq!(choose(vec![all(2)], LONG, &[], &mut Vec::new(), &mut fake)[0].left_out.len(), 2);
    }

    #[test]
    fn the_most_work_comes_first_and_what_is_left_keeps_the_base() {
        let mut fake = Fake { seconds: vec![(kernel(2), 0.5)], each: LONG / 2, ..Fake::default() };
        let tasks = vec![task(1), task(3), task(2), task(4)];
        let choices = choose(tasks, LONG, &[], &mut Vec::new(), &mut fake);
        let order: Vec<usize> = choices.iter().map(|choice| choice.shape.m).collect();
        assert_eq!(order, [4, 3, 2, 1]);
        assert_eq!(fake.order.len(), 2);
        assert_eq!(choices.iter().map(|c| c.kernel).collect::<Vec<_>>(), [kernel(2), kernel(2), kernel(1), kernel(1)]);
        assert!(choices[1].untried.is_none() && choices[2].untried.is_some());
        assert_eq!(fake.kept, choices[..2], "what was chosen is kept at once");
    }

    #[test]
    fn what_was_slow_for_a_like_shape_is_not_tried_and_the_next_is_announced() {
        let seconds = vec![(kernel(1), 1.0), (kernel(2), 0.4), (kernel(3), 0.9), (kernel(4), 0.5)];
        // By form, whatever the slices: here each has its own.
        let form = |n: usize| -> MatmulKernel { format!("tiles 64x64x{} 4x4", 16 * n).parse().unwrap() };
        let task = |m: usize, layout: &str| Task {
            shape: format!("{m}x64x256 {layout} f32 f32 f32 f32").parse().unwrap(),
            candidates: vec![form(1), form(2), form(4), form(8)],
            work: m as u64,
        };
        let seconds =
            [form(1), form(2), form(4), form(8)].into_iter().zip(seconds).map(|(form, (_, s))| (form, s)).collect();
        let mut fake = Fake { seconds, ..Fake::default() };
        let tasks = vec![task(256, "nn"), task(128, "nn"), task(127, "nt"), task(64, "nn")];
        let choices = choose(tasks, LONG, &[], &mut Vec::new(), &mut fake);
        assert_eq!(choices.iter().map(|c| c.kernel).collect::<Vec<_>>(), [form(2); 4]);
        let all = vec![form(1), form(2), form(4), form(8)];
        let good = vec![form(1), form(2), form(8)];
        // One of another layout is tried with everything.
        assert_eq!(fake.looked, [all.clone(), good.clone(), all.clone(), good.clone()]);
        let next: Vec<usize> = fake.next.iter().map(|(shape, _)| shape.m).collect();
        assert_eq!(next, [128, 127, 64]);
        // What is known from before counts as well.
        let mut later = Fake { seconds: fake.seconds.clone(), ..Fake::default() };
        choose(vec![task(64, "nn")], LONG, &choices, &mut Vec::new(), &mut later);
        assert_eq!(later.looked, [good]);
        // Five times as large is another matter.
        let mut later = Fake { seconds: fake.seconds.clone(), ..Fake::default() };
        choose(vec![task(8_192, "nn")], LONG, &choices, &mut Vec::new(), &mut later);
        assert_eq!(later.looked, [all]);
    }
}
