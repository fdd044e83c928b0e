//! What can go wrong between leyden and burn.

use crate::config::ConfigError;
use crate::graph::GraphError;
use crate::transformers::FolderError;

/// A checkpoint or a device that burn cannot be given. One line each.
#[derive(Debug, thiserror::Error)]
pub enum BurnError {
    /// The files of a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] FolderError),
    /// A model without a network that is asked for.
    #[error(transparent)]
    Network(#[from] GraphError),
    /// Settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Networks that do not belong together.
    #[error(
        "the generator's {what} is {generator}, the discriminator's {discriminator}; expected two networks of one run"
    )]
    Mismatch {
        /// Which size differs.
        what: &'static str,
        /// The generator's.
        generator: usize,
        /// The discriminator's.
        discriminator: usize,
    },
    /// A parameter that only one of both sides has, or that they hold in different shapes.
    #[error("{name} is {found} here and {expected} in leyden")]
    Parameter {
        /// The name in `transformers`, or the path in burn's module.
        name: String,
        /// What it is in the module.
        found: String,
        /// What it is in the table of parameters.
        expected: String,
    },
    /// An adapter that burn does not offer, or that it cannot use.
    #[error("burn cannot use {adapter}: {reason}")]
    Device {
        /// The adapter, in words.
        adapter: String,
        /// Why.
        reason: String,
    },
    /// Something that burn could not compute or read back.
    #[error("burn could not read {what}: {reason}")]
    Read {
        /// What was read.
        what: String,
        /// burn's words.
        reason: String,
    },
}
