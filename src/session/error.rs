//! Why a session could not go on.

use super::{AdaptError, ExtendError, PrepareError};
use crate::config::{ConfigError, NotOnGpu};
use crate::plan::EngineError;
use crate::run::{RunError, new_run};
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
    /// A text whose vocabulary no model can be made for.
    #[error("{name}: a vocabulary of {found} words, expected {expected}; give it more text")]
    FewWords {
        /// The text.
        name: String,
        /// The vocabulary's size.
        found: String,
        /// What it may be.
        expected: String,
    },
    /// Whole words of a vocabulary that does not say what goes on a word.
    #[error("{name}: no token of its vocabulary begins with ##; data.whole_words selects words whose pieces do")]
    NoPieces {
        /// The text.
        name: String,
    },
    /// No dataset where one should be.
    #[error("--data {} does not exist; expected the folder of a dataset, as leyden prepare makes it", path.display())]
    NoDataset {
        /// The path.
        path: PathBuf,
    },
    /// Nothing to go on with.
    #[error("{} holds no run", folder.display())]
    NoRun {
        /// The folder.
        folder: PathBuf,
    },
    /// Another end of the schedule that the run cannot have.
    #[error("{}: {error}", folder.display())]
    Extend {
        /// The run.
        folder: PathBuf,
        /// Why not.
        error: ExtendError,
    },
    /// The run's text is not where it was.
    #[error(
        "{}, which the run is trained on, is not there; if it was moved, say where it is now: leyden {} {} {flag} PATH",
        path.display(), going_on(flag), folder.display()
    )]
    TextGone {
        /// A file or folder of the text, or the dataset.
        path: PathBuf,
        /// The run.
        folder: PathBuf,
        /// The flag that takes its new place.
        flag: &'static str,
    },
    /// A dataset in place of text, or text in place of a dataset.
    #[error("the run in {} is trained on {}; say where that is now with {}", folder.display(), kind.name(), kind.flag())]
    OtherKind {
        /// The run.
        folder: PathBuf,
        /// What the run is trained on.
        kind: Kind,
    },
    /// Nothing to fine-tune.
    #[error("training.init_from is missing, expected the model that is fine-tuned")]
    NoModel,
    /// The words of the run.
    #[error(transparent)]
    Tokenizer(#[from] crate::corpus::Error),
    /// What the run starts from is not where it was, and there is no checkpoint.
    #[error(
        "{}, which the run in {} starts from, is not there, and the run was never saved; put it back, or start a new run \
         with --init-from and its new place",
        path.display(), folder.display()
    )]
    StartGone {
        /// The model.
        path: PathBuf,
        /// The run.
        folder: PathBuf,
    },
    /// A text, or a labelled file, that was said to be the run's.
    #[error(
        "{name} is not the {what} that the run in {} was trained on: its examples are others; give the place of that {what}, \
         or start a new run ({} keeps what was learnt)",
        folder.display(), new_run(folder, *labelled), what = if *labelled { "labelled data" } else { "text" }
    )]
    OtherText {
        /// The text.
        name: String,
        /// Whether it is labelled.
        labelled: bool,
        /// The run.
        folder: PathBuf,
    },
    /// What only the CPU engine does, on a GPU.
    #[error(transparent)]
    NotOnGpu(#[from] NotOnGpu),
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
            Self::Adapt(_) | Self::Config(_) | Self::Engine(_) | Self::NoModel | Self::Tokenizer(_) => true,
            Self::NoDataset { .. }
            | Self::FewWords { .. }
            | Self::NoPieces { .. }
            | Self::NoRun { .. }
            | Self::Extend { .. } => true,
            Self::TextGone { .. }
            | Self::OtherKind { .. }
            | Self::StartGone { .. }
            | Self::OtherText { .. }
            | Self::NotOnGpu(_) => true,
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

/// The command that goes on with a run whose material has this flag.
fn going_on(flag: &str) -> &'static str {
    if ["--train", "--dev"].contains(&flag) { "fine-tune --out" } else { "train --run" }
}

/// What a run is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Files of text.
    Text,
    /// A prepared dataset.
    Dataset,
    /// Labelled files.
    Labelled,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Dataset => "a dataset",
            Self::Labelled => "labelled data",
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::Text => "--text",
            Self::Dataset => "--data",
            Self::Labelled => "--train and --dev",
        }
    }
}
