//! Why a session could not go on.

use crate::plan::EngineError;
use crate::run::RunError;
use crate::train::TrainError;
use std::path::PathBuf;

/// Why a session could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
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

fn saved(folder: Option<&PathBuf>) -> String {
    folder
        .map_or_else(|| "; nothing was saved yet".into(), |f| format!("; the last good checkpoint is {}", f.display()))
}
