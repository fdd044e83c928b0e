//! What can be wrong with an input or a dataset.

use crate::text::ReadError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a dataset could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A folder that does not exist.
    #[error("{} does not exist: name a dataset's folder", path.display())]
    Missing {
        /// The path asked for.
        path: PathBuf,
    },
    /// An input.
    #[error(transparent)]
    Input(#[from] ReadError),
    /// A file that could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing but white space in all inputs.
    #[error("the input holds no text: it is empty or all white space")]
    Empty,
    /// Too little text for one example of each part.
    #[error(
        "the text is too small: {documents} documents make {training} training and {held_out} held-out examples, and at \
         least one of each is needed; give more text, a smaller --length, or --held-out 0"
    )]
    TooSmall {
        /// Documents found.
        documents: u64,
        /// Training examples they make.
        training: u64,
        /// Held-out examples they make.
        held_out: u64,
    },
    /// The folder to write to holds something.
    #[error("{} is not empty; choose another folder with --out, or remove it", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// Another process is making a dataset there.
    #[error("{} is being written by another process; choose another folder with --out", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// A file that could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder without a manifest.
    #[error("{} is not a dataset: it holds no {}; leyden prepare makes one", folder.display(), super::manifest::FILE)]
    NoDataset {
        /// The folder.
        folder: PathBuf,
    },
    /// A dataset of another version of the layout.
    #[error("{}: version {found} of the layout, expected {}; prepare the dataset again", path.display(), super::manifest::VERSION)]
    Version {
        /// The manifest.
        path: PathBuf,
        /// What it says.
        found: u64,
    },
    /// A file of a dataset that is missing, truncated, changed, or of another dataset.
    #[error("{}: {reason}; the dataset is damaged: copy it again, or prepare it again", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The vocabulary, or options out of range.
    #[error(transparent)]
    Text(#[from] crate::corpus::Error),
    /// Whoever watched asked to end.
    #[error("interrupted: nothing is left of the dataset")]
    Interrupted,
}

impl DatasetError {
    /// Whether the person's input is to blame, and not the machine.
    pub fn is_input(&self) -> bool {
        let written = matches!(self, Self::Write { .. } | Self::Text(crate::corpus::Error::Write { .. }));
        !written && !matches!(self, Self::Interrupted)
    }

    pub(super) fn damaged(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Damaged { path: path.into(), reason: reason.to_string() }
    }

    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.into(), source }
    }
}
