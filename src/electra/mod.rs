//! ELECTRA (Clark et al., arXiv 2003.10555): sizes, parameters, the encoder, the two heads and the joint objective.
//!
//! Everything here only describes: [`electra`] on [`objective`]'s page is the whole method, built from
//! [`crate::ops`] on a [`crate::graph::Graph`].

pub mod checkpoint;
mod config;
mod encoder;
pub mod objective;
mod parameters;
mod presets;

pub use config::{
    Config, ConfigError, DataConfig, GeneratorConfig, ModelConfig, ObjectiveConfig, OptimizerConfig,
    PositionInitialization, Precision, TrainingConfig,
};
pub use encoder::{Encoded, discriminator_logits, encode, generator_head};
pub use objective::electra;
pub use parameters::{Embeddings, EncoderParameters, Half, HeadParameters, Layer, Model, Norm, Weights};
pub use presets::{PRESETS, preset};
