//! Why a network's files cannot be used.

use super::Other;
use crate::corpus;
use crate::model::Architecture;
use std::io;
use std::path::PathBuf;

/// Why weights or a config.json cannot be used. The file's name is added by whoever read it.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Not a safetensors file, or a damaged one.
    #[error("not a readable safetensors file ({0}); expected the weights of a transformers ELECTRA")]
    Safetensors(String),
    /// Tensors that are not there.
    #[error("{count} tensors are missing, the first is {first}; expected an ELECTRA {network}")]
    Missing {
        /// How many.
        count: usize,
        /// One of them.
        first: String,
        /// Which network was asked for.
        network: &'static str,
    },
    /// Tensors that do not belong there.
    #[error("{count} unexpected tensors, the first is {first}; expected an ELECTRA {network}")]
    Unexpected {
        /// How many.
        count: usize,
        /// One of them.
        first: String,
        /// Which network was asked for.
        network: &'static str,
    },
    /// A tensor of another shape or type.
    #[error("{name} is {found}, expected {expected}")]
    Tensor {
        /// Its name.
        name: String,
        /// Its type and shape.
        found: String,
        /// What the config asks for.
        expected: String,
    },
    /// Two names of one tensor.
    #[error("{name} and {other} are the same tensor, expected one of them")]
    Twice {
        /// One name.
        name: String,
        /// The other.
        other: String,
    },
    /// An index of shards that does not fit them.
    #[error("{0}")]
    Index(String),
    /// Not a file of PyTorch's, or a damaged one.
    #[error("not a readable PyTorch file ({0}); expected the weights of a transformers ELECTRA")]
    Pickle(String),
    /// A config.json that cannot be used.
    #[error("config.json: {0}")]
    Config(String),
}

/// A folder that no network can be read from. One line each.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The path does not exist.
    #[error("{} does not exist; expected a run's folder or that of {}", path.display(), kind(*network))]
    Missing {
        /// The path asked for.
        path: PathBuf,
        /// Which network was looked for.
        network: Architecture,
    },
    /// A folder without a model in it.
    #[error("{} holds no {}", path.display(), instead(*network, other))]
    NoModel {
        /// The folder.
        path: PathBuf,
        /// Which network was looked for.
        network: Architecture,
        /// A folder in it with another network.
        other: Option<PathBuf>,
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
        expected.network()
    )]
    Encoder {
        /// The folder.
        path: PathBuf,
        /// What it is, in words.
        what: String,
        /// Which network was looked for.
        expected: Architecture,
    },
    /// A folder with another head than one that comes of fine-tuning, or with none.
    #[error(
        "{} is {what}; expected a fine-tuned model: {}",
        path.display(),
        Architecture::FINE_TUNED.map(Architecture::name).join(", ")
    )]
    NotFineTuned {
        /// The folder.
        path: PathBuf,
        /// What it is, in words.
        what: String,
    },
    /// The other network's folder.
    #[error(
        "{} is a {}; expected the folder of a {}{}",
        path.display(),
        not(*expected),
        expected.network(),
        beside(other)
    )]
    OtherNetwork {
        /// The folder.
        path: PathBuf,
        /// Which network was looked for.
        expected: Architecture,
        /// Its folder beside this one, if there is one.
        other: Option<PathBuf>,
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
}

/// What is looked for.
fn kind(network: Architecture) -> String {
    match Architecture::PRE_TRAINED.contains(&network) {
        true => format!("an {}", network.name()),
        false => "a fine-tuned model".into(),
    }
}

/// What a folder does not hold, and what it holds instead or is expected to.
fn instead(network: Architecture, other: &Option<PathBuf>) -> String {
    let name = network.network();
    match (other, network) {
        (Some(other), Architecture::PreTraining) => {
            format!("{name}; {} guesses masked words", other.display())
        }
        (Some(other), Architecture::MaskedLm) => {
            format!("{name} and no encoder; {} tells replaced tokens", other.display())
        }
        (Some(other), _) => format!("fine-tuned model; {} is a pre-trained one", other.display()),
        (None, _) => {
            let folders =
                network.folders().iter().flat_map(|name| [format!("{name}/"), format!("checkpoints/step-N/{name}/")]);
            format!("model; expected config.json, or {} as a run has", folders.collect::<Vec<_>>().join(" or "))
        }
    }
}

fn beside(other: &Option<PathBuf>) -> String {
    other.as_ref().map_or(String::new(), |path| format!(", such as {}", path.display()))
}

/// What the network that was not looked for is and cannot do.
fn not(expected: Architecture) -> &'static str {
    match expected {
        Architecture::PreTraining => "masked language model, which judges nothing",
        _ => "discriminator, which guesses nothing",
    }
}
