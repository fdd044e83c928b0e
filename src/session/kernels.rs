//! The kernels that a run, or anything else that takes training steps, runs with.

use crate::electra::{Config, Model};
use crate::gpu::Adapter;
use crate::ops::DeviceTraits;
use crate::plan::{Limits, Plan, Target};
use crate::train::{Plans, Resources, TrainError, fit};
use crate::tune::{BUDGET, Book, Cache, Kernels, Tuned, Tuner, tune};

/// Finds the kernels on `adapter` for training `config` within `resources`. `record` is what a run that goes on has been
/// trained with; `say` is told before something that takes a while.
///
/// # Errors
/// Those of [`fit`]: a device that is too small.
pub fn find_kernels(
    adapter: &Adapter,
    kernels: Option<Kernels>,
    record: Option<Book>,
    (model, config): (&Model, &Config),
    resources: Resources,
    say: &mut dyn FnMut(&str),
) -> Result<Tuned, TrainError> {
    let (traits, limits) = (adapter.info().traits(), adapter.info().limits());
    let tuner = Tuner { adapter, traits, kernels, record, cache: Cache::usual(), budget: BUDGET };
    tune(tuner, &mut |traits| plans(model, config, traits, resources, limits), say)
}

/// The plans of training, with how often each runs in a step.
fn plans(
    model: &Model,
    config: &Config,
    traits: DeviceTraits,
    resources: Resources,
    limits: Limits,
) -> Result<Vec<(Plan, usize)>, TrainError> {
    let target = Target::Gpu(traits);
    let fit = fit(model, config, target, resources, limits)?;
    let Plans { training, update, evaluation, .. } = Plans::new(model, config, fit, target)?;
    let mut plans = vec![(training.plan, fit.micro_batch.parts), (evaluation.plan, 1)];
    plans.extend(update.map(|plan| (plan, 1)));
    Ok(plans)
}
