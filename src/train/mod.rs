//! Training: the recipe, the step, and the loop as a value that one advances.
//!
//! Nothing here touches files, clocks or a screen: [`Trainer::advance`] gives [`Event`]s to whoever drives it.

#[cfg(not(target_family = "wasm"))]
mod blocking;
mod error;
mod event;
mod fit;
mod loaded;
mod micro_batches;
mod phases;
mod rates;
mod recipe;
pub mod step;
mod trainer;
mod training_step;

pub use error::TrainError;
pub use event::{Event, Interval, Snapshot};
pub use fit::{Candidate, Fit, Resources, candidates, fit};
pub use micro_batches::{MicroBatches, Plans, flops_a_step};
pub use rates::Rates;
pub use recipe::Recipe;
pub use trainer::{Data, Trainer};
pub use training_step::TrainingStep;
