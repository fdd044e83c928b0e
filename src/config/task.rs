//! `[task]`: labelled data, and where fine-tuning begins.

use super::{Config, DataConfig, OptimizerConfig, Precision, TrainingConfig, preset};
use crate::objective::ObjectiveConfig;
use crate::task::features::FeatureOptions;
use crate::task::table::Columns;
use crate::task::{Task, sample};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What labelled data a run reads, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskConfig {
    /// What is asked, as in `sst2` or `classify`.
    pub name: String,
    /// The file to learn from; without one, the sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<PathBuf>,
    /// The file to measure by; without one, `data.held_out` of the other, drawn by the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<PathBuf>,
    /// In a table of one's own, the column of the text.
    #[serde(default = "text")]
    pub text: String,
    /// The column of the second text of a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<String>,
    /// The column of the label.
    #[serde(default = "label")]
    pub label: String,
    /// What stands between several labels in a cell.
    #[serde(default = "comma")]
    pub separator: char,
    /// At most so many records of the first file, drawn by the seed, to learn from; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<usize>,
    /// Times through the data, where the number of steps follows from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Whether pairs are learnt in both orders.
    pub swapped: bool,
    /// Whether rare classes weigh more: every class as much as any other.
    pub balanced: bool,
    /// Whether the network begins at random, and only its sizes and its words are the model's.
    pub from_scratch: bool,
    /// Of questions, from one window over a text to the next, in tokens.
    pub stride: usize,
    /// Of questions, the longest one, in tokens.
    pub query: usize,
}

impl TaskConfig {
    /// The columns of a table of one's own.
    pub fn columns(&self) -> Columns {
        Columns { text: self.text.clone(), pair: self.pair.clone(), label: Some(self.label.clone()), id: None }
    }

    /// What people call it: the sample's name, or the task's.
    pub fn title(&self) -> &str {
        if self.train.is_some() { &self.name } else { sample::NAME }
    }
}

fn text() -> String {
    "text".into()
}

fn label() -> String {
    "label".into()
}

fn comma() -> char {
    ','
}

/// What the settings of a fine-tuning run call the place where their numbers come from.
const FINE_TUNING: &str = "fine-tuning";

/// The peak learning rate that a network of layers `hidden` wide is fine-tuned with: the reference's from ELECTRA-Small's width on, and twice as
/// much below. A `tiny` at 3e-4, 6e-4 and 1e-3 came to 69.8, 74.4 and 76.0 % accuracy on SST-2, 90.5, 91.4 and 92.1 % of CoNLL-2000's tags, rank
/// correlations of .57, .65 and .66 on STS-B (one seed), and three others of 66, 65 and 61, 73, 73 and 70, 88, 87 and 85 % on the sample's question.
pub fn learning_rate(hidden: usize) -> f64 {
    if hidden < 256 { 2.0 * REFERENCE_RATE } else { REFERENCE_RATE }
}

/// The reference's peak learning rate for ELECTRA-Small.
const REFERENCE_RATE: f64 = 3e-4;

/// The settings that a task is fine-tuned with: those of the reference for ELECTRA-Small (google-research/electra,
/// configure_finetuning.py, and the paper's table 6). Sizes, labels, steps and, for narrow networks, the learning rate follow from the model
/// and the data.
pub fn fine_tuning(task: &Task) -> Config {
    // Any preset is as good: what does not follow from the model is said below.
    let base = preset(super::PRESETS[2]).unwrap_or_else(|_| unreachable!("a preset's name"));
    let FeatureOptions { stride, query, .. } = FeatureOptions::default();
    Config {
        preset: FINE_TUNING.into(),
        objective: task.objective(),
        data: DataConfig { length: task.length(), held_out: crate::task::split::SHARE, ..base.data },
        task: Some(TaskConfig {
            name: task.name().into(),
            train: None,
            dev: None,
            text: text(),
            pair: None,
            label: label(),
            separator: comma(),
            examples: None,
            epochs: Some(task.epochs()),
            swapped: task.swapped(),
            balanced: false,
            from_scratch: false,
            stride,
            query,
        }),
        optimizer: OptimizerConfig {
            learning_rate: REFERENCE_RATE,
            warmup: 0,
            layer_decay: Some(0.8),
            clip_norm: 1.0,
            bias_correction: false,
            ..base.optimizer
        },
        training: TrainingConfig {
            batch: 32,
            precision: Precision::Auto,
            evaluation_examples: 1 << 20,
            ..base.training
        },
        ..base
    }
}

impl Config {
    /// Whether it is of a run that learns from labelled data.
    pub fn is_fine_tuning(&self) -> bool {
        self.task.is_some()
    }

    /// What follows from how many rows there are to learn from: steps, where they are counted in epochs, a tenth of them as warm-up,
    /// and how often is measured: twice an epoch, or ten times in all where there are many epochs.
    pub fn schedule(&mut self, rows: usize) {
        let Some(task) = &self.task else { return };
        let t = &mut self.training;
        let an_epoch = (rows as f64 / t.batch as f64).max(1.0);
        if let Some(epochs) = task.epochs {
            t.steps = ((epochs * an_epoch).ceil() as u64).max(1);
        }
        self.optimizer.warmup = (t.steps as f64 / 10.0).round() as u64;
        let every = (an_epoch / 2.0).max(t.steps as f64 / 20.0).ceil().max(1.0) as u64;
        (t.evaluate_every, t.checkpoint_every) = (every, every);
        t.log_every = (t.steps / 100).clamp(1, 50);
    }
}

/// Whether an objective learns from labelled data.
pub(super) fn is_task(objective: &ObjectiveConfig) -> bool {
    !ObjectiveConfig::NAMES.contains(&objective.name())
}
