//! What a person is told of a run that goes on but should perhaps not.

use crate::numbers::{counted, fixed, grouped};
use serde::{Deserialize, Serialize};

/// What is wrong with a run that goes on. Each is said once a sitting.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum Warning {
    /// A measure that stays at its last baseline.
    #[error("{found} after {step} steps, where {given}. {attempt}")]
    Stuck {
        /// The measure.
        measure: String,
        /// Steps done.
        step: u64,
        /// What that means, and the value, smoothed.
        found: String,
        /// What reaches the baseline, and the baseline.
        given: String,
        /// What to try.
        attempt: String,
    },
    /// A short run at its end, whose measure is where it was at its beginning.
    #[error(
        "the {network} has learnt nothing: over {steps} steps its {from_to}, where {given}. The learning rate reached {} at \
         most: try more steps, a larger --learning-rate (now {learning_rate}) or a shorter optimizer.warmup (now {warmup})",
        rate(*peak)
    )]
    Nothing {
        /// The measure.
        measure: String,
        /// What it is of.
        network: String,
        /// Steps that were looked at.
        steps: u64,
        /// The measure's means of the first third and of the last, in words.
        from_to: String,
        /// The baselines, in words.
        given: String,
        /// The largest learning rate of these steps.
        peak: f64,
        /// The peak learning rate that was asked for.
        learning_rate: f64,
        /// Steps of warm-up.
        warmup: u64,
    },
    /// Losses that are worse than those of guessing.
    #[error(
        "training diverges: after {step} steps {losses}, where guessing blindly gives {guessing}. Its steps are too large: \
         begin again with a smaller --learning-rate (now {learning_rate}), a longer optimizer.warmup (now {warmup}) or a \
         smaller optimizer.clip_norm (now {clip_norm})"
    )]
    Diverging {
        /// Steps done.
        step: u64,
        /// The losses, in words.
        losses: String,
        /// What guessing gives, in their order.
        guessing: String,
        /// The peak learning rate.
        learning_rate: f64,
        /// Steps of warm-up.
        warmup: u64,
        /// The gradients' largest norm.
        clip_norm: f64,
    },
    /// A warm-up that takes most of the run.
    #[error(
        "the warm-up of {} steps {} the run of {}: the learning rate never gets above {}, {} % of what was asked for. \
         Choose a smaller optimizer.warmup, such as {}, or more steps",
        grouped(*warmup), if warmup > steps { "is longer than" } else { "takes most of" }, grouped(*steps), rate(*peak),
        fixed(100.0 * share, if *share < 0.1 { 1 } else { 0 }), grouped((steps / 10).max(1))
    )]
    Warmup {
        /// Steps of warm-up.
        warmup: u64,
        /// Steps of the run.
        steps: u64,
        /// The largest learning rate of the schedule.
        peak: f64,
        /// That as a share of the rate that was asked for.
        share: f64,
    },
    /// A text that is smaller than a step.
    #[error(
        "the text has {}, fewer than the {} of a step: every step repeats them. Give it more text, or a smaller \
         training.batch",
        counted(*examples as u64, "example"), grouped(*batch as u64)
    )]
    Batch {
        /// Examples to train on.
        examples: usize,
        /// Examples a step.
        batch: usize,
    },
    /// Hardly anything to measure on.
    #[error(
        "the held-out text has {}: what is measured on it says little. Give it more text, or hold out more of it \
         (data.held_out)",
        counted(*examples as u64, "example")
    )]
    HeldOut {
        /// Examples that are held out.
        examples: usize,
    },
}

/// A loss that may be of any size.
pub(super) fn wide(loss: f64) -> String {
    match loss {
        x if !x.is_finite() || x.abs() >= 1e12 => format!("{x:.1e}"),
        x if x >= 1_000.0 => grouped(x.round() as u64),
        x => fixed(x, 3),
    }
}

/// A learning rate in two digits.
fn rate(x: f64) -> String {
    format!("{x:.1e}")
}
