//! Why a model cannot be probed.

use crate::corpus;
use crate::graph::GraphError;
use crate::plan::EngineError;
use crate::transformers::FolderError;

/// A network that cannot be probed, or a device that cannot do it. One line each.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The network's folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Nothing to guess.
    #[error("{text:?} has no [MASK]{}; write [MASK], in capitals, where a word is to be guessed", cut_off(*cut))]
    NoMask {
        /// The beginning of the sentence.
        text: String,
        /// Whether it is longer than the model's positions.
        cut: bool,
    },
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] corpus::Error),
    /// The device.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model does not fit together: a bug, since configurations are checked.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

fn cut_off(cut: bool) -> &'static str {
    if cut { " within the model's positions" } else { "" }
}
