//! What may be another where a run goes on: the end of its schedule, and where what it learns from is.

use super::error::Kind;
use super::{SessionError, prepared};
use crate::config::Config;
use crate::run::State;
use crate::train::Snapshot;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What may be another where a run goes on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The end of its schedule.
    pub longer: Option<Extension>,
    /// The places of its text, which was moved; none where it was not.
    pub text: Vec<PathBuf>,
    /// The place of its dataset.
    pub dataset: Option<PathBuf>,
    /// The place of the labelled file that it learns from.
    pub train: Option<PathBuf>,
    /// The place of the labelled file that it is measured by.
    pub dev: Option<PathBuf>,
}

impl Change {
    /// Whether what is learnt from was moved.
    pub(super) fn moved(&self) -> bool {
        !self.text.is_empty() || self.dataset.is_some() || self.train.is_some() || self.dev.is_some()
    }

    /// Puts the new places into the settings of the run in `folder`.
    pub(super) fn apply(&self, config: &mut Config, folder: &Path) -> Result<(), SessionError> {
        let Self { text, dataset, train, dev, .. } = self;
        let other = |kind| Err(SessionError::OtherKind { folder: folder.into(), kind });
        let Some(task) = &mut config.task else {
            return match (config.data.dataset.is_some(), train.is_some() || dev.is_some()) {
                (true, labelled) if labelled || !text.is_empty() => other(Kind::Dataset),
                (false, labelled) if labelled || dataset.is_some() => other(Kind::Text),
                _ => Ok(prepared::choose(config, text, dataset.as_deref())?),
            };
        };
        if !text.is_empty() || dataset.is_some() {
            return other(Kind::Labelled);
        }
        for (new, place, flag) in [(train, &mut task.train, "--train"), (dev, &mut task.dev, "--dev")] {
            if let Some(new) = new {
                *place = Some(prepared::absolute(new, flag)?);
            }
        }
        Ok(())
    }
}

/// How much of a run is done.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Completed {
    /// Steps.
    pub steps: u64,
    /// Seconds of training, over all sittings.
    pub seconds: f64,
    /// Evaluations since the best one.
    pub since_best: u64,
}

impl Completed {
    /// As [`Run::newest`](crate::run::Run::newest) found it.
    pub fn of(newest: Option<&(Snapshot, State)>) -> Self {
        newest.map_or_else(Self::default, |(snapshot, state)| {
            let State { seconds, since_best, .. } = *state;
            Self { steps: snapshot.step, seconds, since_best }
        })
    }

    /// Whether the schedule of `config` is at its end.
    pub fn completes(&self, config: &Config) -> bool {
        if config.training.patience.is_some_and(|most| self.since_best >= most) {
            return true;
        }
        match config.training.hours {
            Some(hours) => self.seconds >= 3_600.0 * hours,
            None => self.steps >= config.training.steps,
        }
    }
}

/// Another end of a run's schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Extension {
    /// After so many steps in all.
    Steps(u64),
    /// After so many hours in all.
    Hours(f64),
}

/// Why a run cannot be given another end.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ExtendError {
    /// Its end is an hour, not a step.
    #[error("it follows the clock: use --hours instead of --steps to let it go on")]
    Clock,
    /// Its end is a step, not an hour.
    #[error("it counts steps: use --steps instead of --hours to let it go on")]
    Steps,
    /// It is there already.
    #[error("--steps {asked}: it has done {done} already, expected more")]
    StepsBehind {
        /// The end asked for.
        asked: u64,
        /// Steps done.
        done: u64,
    },
    /// It is there already.
    #[error("--hours {asked}: it has taken {done:.2} already, expected more")]
    HoursBehind {
        /// The end asked for.
        asked: f64,
        /// Hours taken.
        done: f64,
    },
}

/// Gives a run of `config` another end; whether that changed anything. The learning rate then falls to 0 there.
///
/// # Errors
/// [`ExtendError`].
pub fn extend(config: &mut Config, longer: Extension, done: Completed) -> Result<bool, ExtendError> {
    let t = &mut config.training;
    match (longer, t.hours) {
        (Extension::Steps(_), Some(_)) => Err(ExtendError::Clock),
        (Extension::Hours(_), None) => Err(ExtendError::Steps),
        (Extension::Steps(asked), None) if asked != t.steps => {
            if asked <= done.steps {
                return Err(ExtendError::StepsBehind { asked, done: done.steps });
            }
            t.steps = asked;
            Ok(true)
        }
        (Extension::Hours(asked), Some(before)) if asked != before => {
            let spent = done.seconds / 3_600.0;
            if asked <= spent {
                return Err(ExtendError::HoursBehind { asked, done: spent });
            }
            t.hours = Some(asked);
            Ok(true)
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    #[test]
    fn a_schedule_grows_in_its_own_unit() {
        let mut config = preset("tiny").unwrap().set("training.steps=100").unwrap();
        let done = Completed { steps: 60, seconds: 1_800.0, since_best: 0 };
        assert!(!done.completes(&config) && Completed { steps: 100, ..done }.completes(&config));
        assert_eq!(extend(&mut config, Extension::Steps(100), done), Ok(false));
        assert_eq!(extend(&mut config, Extension::Steps(200), done), Ok(true));
        assert_eq!(config.training.steps, 200);
        assert_eq!(
            extend(&mut config, Extension::Steps(60), done),
            Err(ExtendError::StepsBehind { asked: 60, done: 60 })
        );
        assert_eq!(extend(&mut config, Extension::Hours(1.0), done), Err(ExtendError::Steps));
        config.training.hours = Some(0.5);
        assert!(done.completes(&config));
        assert_eq!(extend(&mut config, Extension::Hours(2.0), done), Ok(true));
        assert!(!done.completes(&config));
        assert_eq!(
            extend(&mut config, Extension::Hours(0.5), done),
            Err(ExtendError::HoursBehind { asked: 0.5, done: 0.5 })
        );
        assert_eq!(extend(&mut config, Extension::Steps(9), done), Err(ExtendError::Clock));
    }
}
