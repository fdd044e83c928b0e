//! A line of metrics.jsonl, and what is none.

use crate::numbers::shortened;
use serde::{Deserialize, Deserializer};

/// What a line of metrics is.
pub const EXPECTED: &str = "JSON with a step and a generator_loss or discriminator_loss, as `leyden train` writes it";

/// A line that is no line of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {} {}", self.line, self.reason)
    }
}

/// The measures of a line; JSON has no NaN and writes null.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
pub(super) struct Numbers {
    pub(super) generator_loss: Option<f64>,
    pub(super) discriminator_loss: Option<f64>,
    pub(super) replaced_rate: Option<f64>,
    pub(super) generator_accuracy: Option<f64>,
    pub(super) discriminator_accuracy: Option<f64>,
    pub(super) auc: Option<f64>,
}

/// A number that may be null, or not be there at all, which a line of another program shows by.
type Maybe = Option<Option<f64>>;

fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Maybe, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Debug, Deserialize)]
pub(super) struct Line {
    pub(super) step: u64,
    pub(super) seconds: Option<f64>,
    pub(super) tokens: Option<u64>,
    pub(super) learning_rate: Option<f64>,
    pub(super) gradient_norm: Option<f64>,
    pub(super) loss_scale: Option<f64>,
    pub(super) tokens_per_second: Option<f64>,
    pub(super) held_out: Option<Numbers>,
    // As in `Numbers`; flattening it would have every line kept in between, key by key.
    #[serde(default, deserialize_with = "there")]
    pub(super) generator_loss: Maybe,
    #[serde(default, deserialize_with = "there")]
    pub(super) discriminator_loss: Maybe,
    pub(super) replaced_rate: Option<f64>,
    pub(super) generator_accuracy: Option<f64>,
    pub(super) discriminator_accuracy: Option<f64>,
    pub(super) auc: Option<f64>,
}

impl Line {
    /// Reads a line, or says what is wrong with it.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let read: Self = serde_json::from_slice(line).map_err(|error| {
            let reason = error.to_string();
            // The line is one, and its number is another.
            let reason = reason.split(" at line ").next().unwrap_or_default();
            match error.classify() {
                serde_json::error::Category::Data => format!("has other values: {}", shortened(reason, 120)),
                _ => format!("is no JSON: {}", shortened(reason, 120)),
            }
        })?;
        match (read.held_out, read.generator_loss, read.discriminator_loss) {
            (None, None, None) => Err("has no loss of a generator or discriminator".into()),
            _ => Ok(read),
        }
    }
}

/// The step of a line of metrics, or what is wrong with it.
pub(crate) fn step_of(line: &[u8]) -> Result<u64, String> {
    Line::read(line).map(|line| line.step)
}
