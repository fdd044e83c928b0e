//! How a step is made to fit into the memory: in micro-batches, and by computing activations again.
//!
//! Both give the same numbers, micro-batches to rounding, recomputation to the bit. Micro-batches cost the weights and gradients moved once more
//! for each, and launches; recomputation costs arithmetic. The rule: of the ways that fit, that of the least estimated work
//! ([`work`]), and of two alike the one that computes less again.

use super::error::TrainError;
use super::micro_batches::{MicroBatches, Plans};
use super::recipe::Recipe;
use crate::graph::{GraphError, Recompute};
use crate::op::DeviceTraits;
use crate::plan::{Footprint, Limits, Plan, Target};
use serde::{Deserialize, Serialize};

/// What training may use of a device. It does not decide the numbers, so each sitting may have its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resources {
    /// Bytes of the device's memory; what it is known to have if `None`.
    pub memory: Option<u64>,
    /// Which activations are computed again in the backward part; the fastest that fits if `None`.
    pub recompute: Option<Recompute>,
}

impl Resources {
    /// Bytes that training may take of a device.
    pub(super) fn allowed(&self, limits: Limits) -> u64 {
        self.memory.or(limits.memory).unwrap_or(u64::MAX)
    }
}

/// A way to work through a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// The micro-batches.
    pub micro_batches: MicroBatches,
    /// What is computed again.
    pub recompute: Recompute,
}

/// A way to work through a step, and what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The way.
    pub fit: Fit,
    /// Bytes that the engine holds.
    pub bytes: u64,
    /// Floating-point operations of a step, all micro-batches together, that [`crate::op::Op::flops`] counts.
    pub flops: u64,
    /// The estimated work of a step in operations, all micro-batches together.
    pub work: u64,
}

/// Operations that a processor does while it moves a byte: about 10 TFLOP/s by 500 GB/s, 1 by 50 on two cores of a CPU.
const A_BYTE: u64 = 20;

/// Operations that a GPU could do while a dispatch begins and ends: about 2 us at 10 TFLOP/s.
const A_DISPATCH: u64 = 20_000_000;

/// An estimate of a plan's time in operations: those that are counted, moving what its steps read and write, and launches.
pub fn work(plan: &Plan) -> u64 {
    let launches = match plan.target() {
        Target::Gpu(DeviceTraits { software: false, .. }) => Footprint::of(plan).dispatches as u64 * A_DISPATCH,
        Target::Gpu(_) | Target::Cpu => 0,
    };
    let bytes: u64 = plan.calls().iter().map(|call| call.bytes).sum();
    plan.flops() + bytes * A_BYTE + launches
}

impl Candidate {
    fn new(plans: &Plans) -> Self {
        let parts = plans.micro_batches.count as u64;
        let sum = |of: &dyn Fn(&Plan) -> u64| {
            of(&plans.training.plan) * parts + plans.update.iter().map(|update| of(&update.plan)).sum::<u64>()
        };
        Self {
            fit: Fit { micro_batches: plans.micro_batches, recompute: plans.recompute },
            bytes: plans.bytes(),
            flops: sum(&Plan::flops),
            work: sum(&work),
        }
    }
}

/// The best way to work through a step of `recipe` within `resources` and the device's `limits`, the banks, the evaluation step and
/// on the CPU the batches drawn ahead included.
///
/// # Errors
/// [`TrainError::Memory`] or [`TrainError::Device`] where not even one example at a time fits.
pub fn fit(recipe: &Recipe, target: Target, resources: Resources, limits: Limits) -> Result<Fit, TrainError> {
    if resources.recompute.is_none() {
        // Nothing is less work than everything at once.
        let whole = Fit { micro_batches: MicroBatches::new(recipe.shape.examples, 1), recompute: Recompute::Off };
        if within(recipe, target, whole, resources, limits)?.is_ok() {
            return Ok(whole);
        }
    }
    Ok(candidates(recipe, target, resources, limits)?.0.fit)
}

/// The best of the ways that fit, and all of them: for each setting of recomputation that `resources` allows, the fewest
/// micro-batches that do. More of them are taken to need no more memory.
///
/// # Errors
/// [`fit`]'s.
pub fn candidates(
    recipe: &Recipe,
    target: Target,
    resources: Resources,
    limits: Limits,
) -> Result<(Candidate, Vec<Candidate>), TrainError> {
    let settings = resources.recompute.map_or(Recompute::ALL.to_vec(), |one| vec![one]);
    let mut found = Vec::new();
    // The later a setting, the less it needs: the last one's error says the most.
    let mut error = TrainError::Memory { needed: 0, allowed: 0 };
    for recompute in settings {
        match fewest_parts(recipe, target, recompute, resources, limits)? {
            Ok(candidate) => found.push(candidate),
            Err(reason) => error = reason,
        }
    }
    let best = found.iter().copied().min_by_key(|candidate: &Candidate| candidate.work);
    best.map(|best| (best, found)).ok_or(error)
}

fn fewest_parts(
    recipe: &Recipe,
    target: Target,
    recompute: Recompute,
    resources: Resources,
    limits: Limits,
) -> Result<Result<Candidate, TrainError>, GraphError> {
    let batch = recipe.shape.examples;
    let fits = |parts: usize| {
        let fit = Fit { micro_batches: MicroBatches::new(batch, parts), recompute };
        within(recipe, target, fit, resources, limits)
    };
    // Twice as many micro-batches until they fit, then between the last two.
    let (mut fail, mut parts) = (0, 1);
    let mut found = loop {
        match fits(parts)? {
            Ok(candidate) => break candidate,
            Err(error) if parts >= batch => return Ok(Err(error)),
            Err(_) => (fail, parts) = (parts, (2 * parts).min(batch)),
        }
    };
    while fail + 1 < parts {
        let middle = fail.midpoint(parts);
        match fits(middle)? {
            Ok(candidate) => (found, parts) = (candidate, middle),
            Err(_) => fail = middle,
        }
    }
    Ok(Ok(found))
}

/// What the way takes, or why it does not fit.
fn within(
    recipe: &Recipe,
    target: Target,
    fit: Fit,
    resources: Resources,
    limits: Limits,
) -> Result<Result<Candidate, TrainError>, GraphError> {
    let plans = Plans::new(recipe, fit, target)?;
    let allowed = resources.allowed(limits);
    let (needed, buffer, binding) = (plans.bytes() + plans.batches(), plans.largest_buffer(), plans.largest_binding());
    Ok(if needed > allowed {
        Err(TrainError::Memory { needed, allowed })
    } else if buffer > limits.buffer {
        Err(TrainError::Device { what: "buffer", needed: buffer, limit: limits.buffer })
    } else if binding > limits.binding {
        Err(TrainError::Device { what: "binding", needed: binding, limit: limits.binding })
    } else {
        Ok(Candidate::new(&plans))
    })
}
