//! What a network says of a record.

use super::features::Found;
use crate::math::sigmoid;
use crate::model::Problem;
use serde::{Deserialize, Serialize};

/// What a network says of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Prediction {
    /// The probability of each class, which are 1 together.
    Class(Vec<f32>),
    /// The probability of each label.
    Labels(Vec<f32>),
    /// Numbers, one an output.
    Values(Vec<f32>),
    /// A class for each word, by its place.
    Tags(Vec<usize>),
    /// The best answers.
    Answer(Found),
    /// Nothing: the record is of another kind than the network's, or was not shown to it as a whole.
    None,
}

impl Prediction {
    /// Of a text, from its C outputs.
    pub(super) fn of_text(problem: Problem, outputs: &[f32]) -> Self {
        match problem {
            Problem::SingleLabel => Self::Class(softmax(outputs)),
            Problem::MultiLabel => Self::Labels(outputs.iter().map(|&x| sigmoid(x)).collect()),
            Problem::Regression => Self::Values(outputs.to_vec()),
        }
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let highest = logits.iter().copied().fold(f32::MIN, f32::max);
    let parts: Vec<f64> = logits.iter().map(|&x| f64::from(x - highest).exp()).collect();
    let total: f64 = parts.iter().sum();
    parts.into_iter().map(|part| (part / total) as f32).collect()
}

/// The place of the largest, of equals the first.
pub(super) fn best(logits: &[f32]) -> usize {
    (0..logits.len()).reduce(|a, b| if logits[b] > logits[a] { b } else { a }).unwrap_or_default()
}
