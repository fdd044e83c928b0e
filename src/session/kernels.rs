//! The kernels that a run, or anything else that takes training steps, runs with.

use crate::bench::{Machine, Stepper};
use crate::files::sha256;
use crate::gpu::{Adapter, GpuEngine};
use crate::graph::Bank;
use crate::op::DeviceTraits;
use crate::plan::{Plan, Target};
use crate::train::{Plans, Recipe, Resources, TrainError, fit};
use crate::tune::{Cache, KernelChoices, Kernels, Tuned, Tuner, Work, tune};
use std::time::Duration;

/// Finds the kernels on `adapter` for training `recipe` within `resources`, trying some for no longer than asked. `record` is
/// what a run that goes on has been trained with; `say` is told before something that takes a while.
///
/// # Errors
/// Those of [`fit`]: a device that is too small.
pub fn find_kernels(
    adapter: &Adapter,
    (kernels, budget): (Option<Kernels>, Duration),
    record: Option<KernelChoices>,
    recipe: &Recipe,
    resources: Resources,
    say: &mut dyn FnMut(&str),
) -> Result<Tuned, TrainError> {
    let traits = adapter.info().traits();
    let tuner = Tuner { adapter, traits, kernels, record, cache: Cache::usual(), budget };
    tune(tuner, &mut Training { adapter, recipe, resources }, say)
}

/// Training, as what kernels are found for.
struct Training<'a> {
    adapter: &'a Adapter,
    recipe: &'a Recipe,
    resources: Resources,
}

impl Training<'_> {
    /// A hash of everything that a few steps from the same beginning leave: weights, gradients and moments, which keep
    /// differences that an update of the weights rounds away.
    fn ending(&self, traits: DeviceTraits) -> Result<String, TrainError> {
        let mut engine = GpuEngine::new(self.adapter, self.recipe.model.table.len())?;
        engine.set_traits(traits);
        let machine = Machine::Gpu(Box::new(engine));
        let mut stepper = Stepper::new(machine, self.recipe.clone(), self.resources)?;
        stepper.run(1)?;
        let mut all = String::new();
        for bank in Bank::ALL {
            all += &sha256(bytemuck::cast_slice(&stepper.machine().0.engine().read_bank(bank)?));
        }
        Ok(all)
    }
}

impl Work for Training<'_> {
    type Error = TrainError;

    fn plans(&mut self, traits: DeviceTraits) -> Result<Vec<(Plan, usize)>, TrainError> {
        let Self { recipe, resources, .. } = *self;
        let (target, limits) = (Target::Gpu(traits), self.adapter.info().limits());
        let fit = fit(recipe, target, resources, limits)?;
        let Plans { training, update, evaluation, .. } = Plans::new(recipe, fit, target)?;
        let mut plans = vec![(training.plan, fit.micro_batches.count), (evaluation.plan, 1)];
        plans.extend(update.map(|update| (update.plan, 1)));
        Ok(plans)
    }

    fn repeats(&mut self, traits: DeviceTraits) -> Option<bool> {
        Some(self.ending(traits).ok()? == self.ending(traits).ok()?)
    }
}
