//! Why a model cannot be probed.

use super::Other;
use crate::corpus;
use crate::electra::Half;
use crate::electra::checkpoint::CheckpointError;
use crate::graph::GraphError;
use crate::plan::EngineError;
use std::io;
use std::path::PathBuf;

/// A folder that cannot be probed, or a device that cannot do it. One line each.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The path does not exist.
    #[error("{} does not exist; expected a run's folder or that of an ELECTRA {}", path.display(), half.name())]
    Missing {
        /// The path asked for.
        path: PathBuf,
        /// Which network was looked for.
        half: Half,
    },
    /// A folder without a model in it.
    #[error(
        "{} holds no model; expected config.json, or {half}/ or checkpoints/step-N/{half}/ as a run has",
        path.display(),
        half = half.name()
    )]
    NoModel {
        /// The folder.
        path: PathBuf,
        /// Which network was looked for.
        half: Half,
    },
    /// A folder without weights that can be read.
    #[error("{} holds no model.safetensors and no pytorch_model.bin{}", path.display(), other.hint(path))]
    NoWeights {
        /// The folder.
        path: PathBuf,
        /// What there is in their place.
        other: Other,
    },
    /// An encoder without the head that was looked for.
    #[error(
        "{} is {what}, without the head of a {} that could be probed; `leyden train --init-from` starts from its encoder",
        path.display(),
        expected.name()
    )]
    Encoder {
        /// The folder.
        path: PathBuf,
        /// What it is, in words.
        what: String,
        /// Which network was looked for.
        expected: Half,
    },
    /// The other network's folder.
    #[error(
        "{} is a {}; expected the folder of a {}{}",
        path.display(),
        not(*expected),
        expected.name(),
        beside(other)
    )]
    Half {
        /// The folder.
        path: PathBuf,
        /// Which network was looked for.
        expected: Half,
        /// Its folder beside this one, if there is one.
        other: Option<PathBuf>,
    },
    /// Nothing to guess.
    #[error("{text:?} has no [MASK]{}; write [MASK], in capitals, where a word is to be guessed", cut_off(*cut))]
    NoMask {
        /// The beginning of the sentence.
        text: String,
        /// Whether it is longer than the model's positions.
        cut: bool,
    },
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A configuration or weights that do not fit.
    #[error("{}: {source}", path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        source: CheckpointError,
    },
    /// Weights that are too few for the sizes that the configuration gives.
    #[error(
        "{} has {found} bytes, but its config.json describes a model of at least {expected}; \
         expected the two files of one model",
        path.display()
    )]
    Size {
        /// The weights.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// Bytes of the largest matrices.
        expected: u64,
    },
    /// The tokenizer's files.
    #[error(transparent)]
    Tokenizer(#[from] corpus::Error),
    /// A tokenizer of another model.
    #[error(
        "{}: the tokenizer has {tokenizer} tokens but the model only {model} embeddings; \
         expected the tokenizer that the model was trained with",
        path.display()
    )]
    Vocabulary {
        /// The folder.
        path: PathBuf,
        /// Ids of the tokenizer.
        tokenizer: usize,
        /// Rows of the word embedding.
        model: usize,
    },
    /// No room for `[CLS]` and `[SEP]`.
    #[error("{}: max_position_embeddings is {found}, expected at least 2", path.display())]
    Positions {
        /// The folder.
        path: PathBuf,
        /// The longest input in tokens.
        found: usize,
    },
    /// The device.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model does not fit together: a bug, since configurations are checked.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

fn beside(other: &Option<PathBuf>) -> String {
    other.as_ref().map_or(String::new(), |path| format!(", such as {}", path.display()))
}

/// What the network that was not looked for is and cannot do.
fn not(expected: Half) -> &'static str {
    match expected {
        Half::Discriminator => "generator, which judges nothing",
        Half::Generator => "discriminator, which guesses nothing",
    }
}

fn cut_off(cut: bool) -> &'static str {
    if cut { " within the model's positions" } else { "" }
}
