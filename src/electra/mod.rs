//! ELECTRA (Clark et al., arXiv 2003.10555): settings, the two networks and the joint objective.
//!
//! Everything here only describes: [`electra`] on [`objective`]'s page is the whole method, built from
//! [`crate::ops`] on a [`crate::graph::Graph`].

mod config;
pub mod measures;
mod model;
pub mod objective;
mod presets;

pub use crate::model::{Model, ModelConfig, PositionInitialization};
pub use config::{
    Config, ConfigError, DataConfig, GeneratorConfig, ObjectiveConfig, OptimizerConfig, Precision, TrainingConfig,
};
pub use objective::electra;
pub use presets::{PRESETS, preset};
