//! What the trainer says, and what it can be stopped and gone on with.

use crate::measure::Values;
use serde::{Deserialize, Serialize};

/// What the trainer reports.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A step has finished.
    Step {
        /// Its number, from 0.
        step: u64,
        /// Its losses.
        values: Values,
    },
    /// `log_every` steps have finished, or the last one.
    Interval(Interval),
    /// Another phase begins.
    Phase {
        /// Steps done.
        step: u64,
        /// What it is called.
        name: &'static str,
    },
}

/// The means over some steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Steps done.
    pub step: u64,
    /// Tokens of this interval, padding not counted.
    pub tokens: u64,
    /// Floating-point operations of the whole run so far: forward and backward, what was computed again not counted.
    pub flops: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// The gradients' global norm before clipping, of the last step that was not skipped.
    pub gradient_norm: f32,
    /// In mixed precision, the loss scale of the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f32>,
    /// Steps that changed nothing because their scaled gradients were too large for half precision.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// What was measured, and the baselines that move.
    #[serde(flatten)]
    pub values: Values,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The state of a run between two steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Steps done.
    pub step: u64,
    /// Which of the objective's phases they were of. Where the next one begins, it has not yet.
    pub phase: usize,
    /// The bank of parameters.
    pub weights: Vec<f32>,
    /// Adam's first moments.
    pub moment1: Vec<f32>,
    /// Adam's second moments.
    pub moment2: Vec<f32>,
    /// Floating-point operations so far; `None` where a checkpoint of before does not say.
    pub flops: Option<f64>,
    /// In mixed precision, the loss scale and the good steps since it was changed.
    pub loss_scale: Option<[f32; 2]>,
}
