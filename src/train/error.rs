//! Why there is no training.

use crate::graph::GraphError;
use crate::measure::Values;
use crate::plan::EngineError;
use bytesize::ByteSize;

/// Why training could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The device.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model does not fit together: a bug, since configurations are checked.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A loss that is not a number.
    #[error(
        "step {step}: {}gradient norm {norm}; \
         try a smaller --learning-rate, a longer optimizer.warmup{} or --on-nan rollback",
        named(losses), if *mixed { ", --precision f32" } else { "" }
    )]
    NotFinite {
        /// The step, from 0.
        step: u64,
        /// The step's losses.
        losses: Values,
        /// The gradients' global norm.
        norm: f32,
        /// Whether it was trained in mixed precision.
        mixed: bool,
    },
    /// Not even one example at a time fits into the memory.
    #[error(
        "training on one example at a time needs {} of memory, {} are allowed; \
         use a larger --memory, or a smaller --batch, --length or preset",
        ByteSize(*needed), ByteSize(*allowed)
    )]
    Memory {
        /// Bytes that it needs.
        needed: u64,
        /// Bytes that there may be.
        allowed: u64,
    },
    /// Not even one example at a time stays within what the device can do.
    #[error(
        "training on one example at a time needs a {what} of {}, the device allows {}; \
         use a smaller --length or preset, or --device cpu",
        ByteSize(*needed), ByteSize(*limit)
    )]
    Device {
        /// Buffer or binding.
        what: &'static str,
        /// Bytes that it needs.
        needed: u64,
        /// Bytes that there may be.
        limit: u64,
    },
    /// Weights or moments that are not numbers.
    #[error(
        "after step {step} the weights are no numbers any more; try a smaller --learning-rate or --on-nan rollback"
    )]
    WeightsNotFinite {
        /// Steps done.
        step: u64,
    },
}

/// Losses by name, each with a comma behind it.
fn named(losses: &Values) -> String {
    losses.iter().map(|(name, loss)| format!("{} {}, ", name.replace('_', " "), loss as f32)).collect()
}
