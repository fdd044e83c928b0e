//! The trainer for threads that may wait: each of these is its async namesake, run to its end.

use super::{Event, Snapshot, TrainError, Trainer};
use crate::batch::Source;
use crate::measure::Values;
use crate::objective::Shown;
use pollster::block_on;
use std::sync::Arc;

impl Trainer {
    /// As [`Trainer::advance_async`].
    pub fn advance(&mut self) -> Result<Vec<Event>, TrainError> {
        block_on(self.advance_async())
    }

    /// As [`Trainer::finish_async`].
    pub fn finish(&mut self) -> Result<Vec<Event>, TrainError> {
        block_on(self.finish_async())
    }

    /// As [`Trainer::evaluate_async`].
    pub fn evaluate(&mut self) -> Result<Values, TrainError> {
        block_on(self.evaluate_async())
    }

    /// As [`Trainer::show_async`].
    pub fn show(&mut self, source: Arc<dyn Source>) -> Result<Vec<Vec<Shown>>, TrainError> {
        block_on(self.show_async(source))
    }

    /// As [`Trainer::weights_async`].
    pub fn weights(&mut self) -> Result<Vec<f32>, TrainError> {
        block_on(self.weights_async())
    }

    /// As [`Trainer::snapshot_async`].
    pub fn snapshot(&mut self) -> Result<Snapshot, TrainError> {
        block_on(self.snapshot_async())
    }

    /// As [`Trainer::resume_async`].
    pub fn resume(&mut self, snapshot: &Snapshot, seed: u64) -> Result<(), TrainError> {
        block_on(self.resume_async(snapshot, seed))
    }
}
