//! What a run survives: a device that goes away, and losses that are no numbers.

use super::watch::Watch;
use super::{Report, Session, SessionError, trainer};
use crate::plan::EngineError;
use crate::random::Random;
use crate::train::{Snapshot, TrainError};
use web_time::{Duration, Instant};

/// Failures that are put up with between two checkpoints.
const PATIENCE: u32 = 3;

/// Domain of the random numbers that make a new seed.
const ROLLBACK_STREAM: u64 = 0x524f_4c4c;

impl Session {
    /// Goes on from the last good state, if the error is one that may be gone then.
    pub(super) async fn recover(&mut self, error: TrainError, reports: &mut Vec<Report>) -> Result<(), SessionError> {
        let step = self.step();
        let lost = matches!(error, TrainError::Engine(EngineError::DeviceLost { .. }));
        let diverged = matches!(error, TrainError::NotFinite { .. } | TrainError::WeightsNotFinite { .. });
        self.failures += 1;
        // A device that is lost twice without a checkpoint between is not coming back by itself.
        let most = if lost { 1 } else { PATIENCE };
        if !(lost || diverged && self.setup.rollback) || self.failures > most {
            let _ = self.run.log_event(step, "failed", &error.to_string());
            return Err(SessionError::Failed { error, folder: self.run.newest_folder() });
        }
        let newest = self.run.newest(&self.setup.config, self.trainer.model())?;
        if diverged {
            // Another order of batches, other masks: most often the spike is not met again.
            self.seed = Random::new(self.seed, ROLLBACK_STREAM, step).below(1 << 53);
        }
        if lost {
            self.trainer = trainer(&mut self.setup).await?;
        }
        let snapshot = match newest {
            Some((snapshot, _)) => snapshot,
            None => self.beginning(),
        };
        self.trainer.resume_async(&snapshot, self.seed).await?;
        let back = snapshot.step;
        self.run.rewind(back, &self.setup.measures)?;
        self.settled = back;
        self.watch = Watch::new(&self.setup.recipe, &self.setup.measures);
        (self.logged, self.aside) = (Instant::now(), Duration::ZERO);
        self.run.log_event(back, if lost { "device lost" } else { "rolled back" }, &error.to_string())?;
        reports.push(match lost {
            true => Report::Reopened { reason: error.to_string(), step: back },
            false => Report::RolledBack { reason: error.to_string(), step: back, seed: self.seed },
        });
        Ok(())
    }

    /// The state at step 0.
    fn beginning(&self) -> Snapshot {
        let model = self.trainer.model();
        let zeros = vec![0.0; model.table.len()];
        let weights = self.setup.initial.clone().unwrap_or_else(|| model.initial(self.setup.recipe.seed));
        Snapshot {
            step: 0,
            phase: 0,
            weights,
            moment1: zeros.clone(),
            moment2: zeros,
            flops: Some(0.0),
            loss_scale: None,
        }
    }
}
