//! `kernels.json`: which kernels a run is trained with on a GPU, so that it goes on with the same. What stands in it is
//! [`tune`](crate::tune)'s, which knows no run.

use super::RunError;
use crate::fs;
use crate::tune::KernelChoices;
use std::path::Path;

pub(super) const KERNELS: &str = "kernels.json";

/// Writes them into `folder`.
pub(super) fn write(folder: &Path, choices: &KernelChoices) -> Result<(), RunError> {
    let path = folder.join(KERNELS);
    let json = choices.to_json().map_err(|e| RunError::file(&path, e.into()))?;
    super::write(&path, &json)
}

/// Those in `folder`; `None` where the run has never been on a GPU.
pub(super) fn read(folder: &Path) -> Result<Option<KernelChoices>, RunError> {
    let path = folder.join(KERNELS);
    let refused = |reason: String| RunError::Kernels { path: path.clone(), reason };
    match fs::read(&path) {
        Ok(bytes) => KernelChoices::from_json(&bytes).map(Some).map_err(refused),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(refused(e.to_string())),
    }
}
