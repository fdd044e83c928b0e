//! One process a run.

use super::RunError;
use crate::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

pub(super) const LOCK: &str = "lock";

/// Holds a run's folder, or another that one process at a time may write to, until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes `folder`.
    pub(crate) fn take(folder: &Path) -> Result<Self, RunError> {
        let path = folder.join(LOCK);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| RunError::file(&path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(RunError::Busy { folder: folder.into() }),
            // A network share without locks must not keep anybody from training.
            Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => Ok(Self { _file: file }),
            Err(TryLockError::Error(e)) => Err(RunError::file(&path, e)),
        }
    }
}
