//! What may be wrong with a run's folder.

use crate::transformers::CheckpointError;
use std::path::{Path, PathBuf};

/// Why a run's files could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The folder holds something already.
    #[error("{} is not empty; choose another folder with --run", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// A file where a folder should be.
    #[error("{} is a file; expected the folder of a run, or one that --run makes", path.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// Another process trains this run.
    #[error("{} is being trained by another process; wait for it to end, or choose another folder with --run", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// The newest checkpoint is not of this run.
    #[error("{}: {what} differ from the run's; put the run's own checkpoint back, or remove this one to go on from the one before", path.display())]
    Foreign {
        /// The checkpoint's state.
        path: PathBuf,
        /// What is not the same.
        what: &'static str,
    },
    /// The text, or what is labelled, is not what the run was started with.
    #[error("{}: the {} since the run was started: its examples are others; put it back, or start a new run ({} keeps what was learnt)", folder.display(), if *labelled { "labelled data has changed" } else { "text has changed" }, new_run(folder, *labelled))]
    TextChanged {
        /// The run.
        folder: PathBuf,
        /// Whether it is one that fine-tunes.
        labelled: bool,
    },
    /// A file that is missing, truncated, of another run or of another program.
    #[error("{}: {reason}; put the file back, or remove a damaged checkpoint to go on from the one before", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A log with a line of something else.
    #[error("{}: line {line} {reason}; put the run's own file back, or move it away to go on without what it held", path.display())]
    Line {
        /// The log.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A record of kernels that is damaged.
    #[error("{}: {reason}; put the file back, or remove it to have the kernels chosen again", path.display())]
    Kernels {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A zip that is none, or of something else.
    #[error("the zip holds no run: {reason}; expected one of a run's folder")]
    Zip {
        /// What is wrong with it.
        reason: String,
    },
    /// A file or folder that cannot be written.
    #[error("{}: {source}; check the disk's free space and the folder's permissions", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The tokenizer's files.
    #[error(transparent)]
    Tokenizer(#[from] crate::corpus::Error),
    /// The weights.
    #[error(transparent)]
    Weights(#[from] CheckpointError),
}

impl RunError {
    pub(super) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.into(), source }
    }

    /// An error about a run's `folder`, unless it or what it should lie in is a file.
    pub(super) fn of_folder(folder: &Path, otherwise: impl FnOnce() -> Self) -> Self {
        let file = folder.ancestors().find(|path| path.exists() && !path.is_dir());
        file.map_or_else(otherwise, |path| Self::NoFolder { path: path.into() })
    }
}

/// What begins a new run from the weights of this one.
pub(crate) fn new_run(folder: &Path, labelled: bool) -> String {
    let flag = if labelled { "leyden fine-tune" } else { "--init-from" };
    format!("{flag} {}", folder.display())
}
