//! The same training step by burn, timed.

use super::step::random_batch;
use crate::batch;
use crate::burn::{Batch, BurnError, Electra, Optimizer, device};
use crate::config::Config;
use crate::gpu::Adapter;
use crate::train::Recipe;
use crate::train::step::learning_rate;
use burn::tensor::Device;
use std::time::Instant;

/// Steps before anything is timed. In the first ones burn compiles kernels, tries the variants of its matrix
/// multiplications and looks for operations to fuse.
const WARM_UP: usize = 5;

/// Takes training steps with burn's modules and optimizer, one after the other, and times them: the model, batches,
/// dropout, clipping and schedule of [`super::Stepper`] on the same configuration, in single precision.
pub struct BurnStepper {
    recipe: Recipe,
    device: Device,
    /// Taken while a step is under way.
    electra: Option<Electra>,
    optimizer: Optimizer,
    next: u64,
}

impl BurnStepper {
    /// Sets burn up on `adapter` with the initial weights of `config`, and warms it up.
    ///
    /// # Errors
    /// [`BurnError`], where burn cannot use the adapter.
    pub fn new(adapter: &Adapter, config: Config) -> Result<Self, BurnError> {
        let device = device(adapter)?.autodiff();
        device.seed(config.seed);
        let recipe = Recipe::new(&config);
        let electra = Electra::from_bank(&config, &recipe.model, &recipe.model.initial(config.seed), &device)?;
        let optimizer = Optimizer::new(&config.optimizer, &electra);
        let mut stepper = Self { recipe, device, electra: Some(electra), optimizer, next: 0 };
        let batches = stepper.batches(WARM_UP);
        stepper.steps(&batches)?;
        Ok(stepper)
    }

    /// Seconds of a step, the mean of `count` after one that is not counted. The clock starts when the device has nothing
    /// left to do and stops when it has done everything; in between nobody waits for it or reads from it, so that burn may
    /// work ahead as far as it likes. Batches are made before.
    ///
    /// # Errors
    /// [`BurnError::Read`], where the device stopped.
    pub fn run(&mut self, count: usize) -> Result<f64, BurnError> {
        let batches = self.batches(1 + count);
        let (first, rest) = batches.split_at(1);
        self.steps(first)?;
        let start = Instant::now();
        self.steps(rest)?;
        Ok(start.elapsed().as_secs_f64() / count as f64)
    }

    /// Batches of the next `count` steps.
    fn batches(&self, count: usize) -> Vec<batch::Batch> {
        (self.next..).take(count).map(|step| random_batch(&self.recipe, step)).collect()
    }

    /// Takes a step on each batch, and waits for them.
    fn steps(&mut self, batches: &[batch::Batch]) -> Result<(), BurnError> {
        for batch in batches {
            let batch = Batch::new(batch, &self.device);
            if let Some(electra) = self.electra.take() {
                let loss = electra.forward(&batch, None).loss;
                let rate = learning_rate(&self.recipe.optimizer, self.recipe.training.steps, self.next as f64);
                self.electra = Some(self.optimizer.step(rate, electra, &loss));
            }
            self.next += 1;
        }
        let failed = |error: burn::tensor::ExecutionError| BurnError::Read {
            what: "a training step".into(),
            reason: error.to_string(),
        };
        self.device.sync().map_err(failed)
    }
}
