//! What a session reports, and the lines of metrics.jsonl.

use super::Warning;
use crate::corpus::Tokenizer;
use crate::measure::Values;
use crate::objective::Shown;
use crate::train::Interval;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// A step has finished.
    Step {
        /// Its number, from 0.
        step: u64,
        /// Its losses.
        values: Values,
    },
    /// `log_every` steps have finished, or fewer before a checkpoint.
    Interval {
        /// What they came to.
        interval: Interval,
        /// Tokens a second, evaluations and checkpoints left out.
        tokens_per_second: f64,
    },
    /// The held-out text was measured.
    HeldOut {
        /// After how many steps.
        step: u64,
        /// With what result.
        values: Values,
        /// Whether the measure that chooses the best checkpoint is better than ever before.
        best: bool,
    },
    /// Another phase of the objective begins.
    Phase {
        /// After how many steps.
        step: u64,
        /// What it is called.
        name: String,
    },
    /// A checkpoint was written.
    Saved {
        /// After how many steps.
        step: u64,
        /// Where.
        folder: PathBuf,
    },
    /// The run seems to learn nothing, to diverge, or to have settings that will not do.
    Warning(Warning),
    /// A loss was no number; the run went back.
    RolledBack {
        /// What was wrong.
        reason: String,
        /// The step it goes on from.
        step: u64,
        /// The new seed.
        seed: u64,
    },
    /// The device was lost and opened again.
    Reopened {
        /// What was wrong.
        reason: String,
        /// The step it goes on from.
        step: u64,
    },
    /// The session is over, and saved.
    Ended(Ending),
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// Steps done.
    pub step: u64,
    /// Whether the schedule is at its end.
    pub complete: bool,
    /// Seconds of this sitting.
    pub seconds: f64,
    /// The checkpoint.
    pub folder: PathBuf,
}

/// A line of metrics.jsonl while training.
#[derive(Debug, Serialize)]
pub(super) struct IntervalLine<'a> {
    pub(super) seconds: f64,
    pub(super) tokens_per_second: f64,
    #[serde(flatten)]
    pub(super) interval: &'a Interval,
}

/// A line of metrics.jsonl about the held-out text.
#[derive(Debug, Serialize)]
pub(super) struct HeldOutLine<'a> {
    pub(super) step: u64,
    pub(super) seconds: f64,
    pub(super) flops: f64,
    pub(super) held_out: &'a Values,
}

/// A line of samples.jsonl.
pub(super) fn sample_line(step: u64, sentence: &[Shown], tokenizer: &Tokenizer) -> Value {
    let token = |id: u32| tokenizer.token(id).unwrap_or_default();
    let mut line = json!({
        "step": step,
        "original": sentence.iter().map(|v| token(v.original)).collect::<Vec<_>>(),
        "shown": sentence.iter().map(|v| token(v.shown)).collect::<Vec<_>>(),
        "drawn": sentence.iter().map(|v| v.selected).collect::<Vec<_>>(),
    });
    if sentence.iter().any(|v| v.replaced.is_some()) {
        line["p_replaced"] = sentence.iter().map(|v| v.replaced).collect();
    }
    if sentence.iter().any(|v| v.restored.is_some()) {
        line["restored"] = sentence.iter().map(|v| v.restored.map(token)).collect();
    }
    if sentence.iter().any(|v| !v.candidates.is_empty()) {
        let words = |v: &Shown| v.candidates.iter().map(|(word, p)| json!([token(*word), p])).collect::<Vec<_>>();
        line["candidates"] = sentence.iter().map(words).collect();
    }
    line
}
