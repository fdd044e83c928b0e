//! Training: the step, the loop as a value that one advances, and what is measured.
//!
//! Nothing here touches files, clocks, threads or a screen: [`Trainer::advance`] gives [`Event`]s to whoever drives it.

mod metrics;
pub mod step;
mod trainer;

pub use metrics::{Measures, Tally};
pub use trainer::{Event, Interval, Snapshot, Text, TrainError, Trainer, Verdict};
