//! Why a session could not go on.

use super::{AdaptError, PrepareError};
use crate::electra::ConfigError;
use crate::plan::EngineError;
use crate::run::RunError;
use crate::train::TrainError;
use std::path::PathBuf;

/// Why a session could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The text.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The model to start from.
    #[error(transparent)]
    Adapt(#[from] AdaptError),
    /// Settings that do not go together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The run's folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The device or the numbers.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A device that cannot be opened.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A failure that the session did not survive.
    #[error("{error}{}", saved(folder.as_ref()))]
    Failed {
        /// What failed.
        error: TrainError,
        /// The last good checkpoint.
        folder: Option<PathBuf>,
    },
}

impl SessionError {
    /// Whether what was asked for is to blame, not the machine or the run.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Prepare(error) => error.is_input(),
            Self::Adapt(_) | Self::Config(_) | Self::Engine(_) => true,
            Self::Run(error) => !matches!(error, RunError::File { .. }),
            Self::Train(TrainError::Memory { .. } | TrainError::Device { .. }) => true,
            Self::Train(_) | Self::Failed { .. } => false,
        }
    }
}

fn saved(folder: Option<&PathBuf>) -> String {
    folder
        .map_or_else(|| "; nothing was saved yet".into(), |f| format!("; the last good checkpoint is {}", f.display()))
}
