//! What can be shown of a sentence, whatever the objective.

use super::Results;
use crate::batch::{Batch, IDS, LENGTHS, POSITIONS, WEIGHTS};

/// What networks can show of what they have learnt, with a sentence; the names are those of a step's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demonstration {
    /// A word for every masked one.
    Masked {
        /// The likeliest words: [B K].
        guesses: &'static str,
    },
    /// Words that a generator replaced, and of every token whether a discriminator takes it for replaced.
    Replaced {
        /// The generator's words: [B K].
        samples: &'static str,
        /// The discriminator's logits: [B L, 1].
        logits: &'static str,
    },
    /// Words that a generator replaced, and what an encoder takes them to have been.
    Restored {
        /// The generator's words: [B K].
        samples: &'static str,
        /// The words that the encoder takes for likeliest there: [B K].
        guesses: &'static str,
    },
    /// What a fine-tuned network says of a text. It takes no batch to be shown: a person types one
    /// ([`Predictor`](crate::task::Predictor)).
    Predictions,
}

/// One token of an example that was shown to the networks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// The token in the text.
    pub original: u32,
    /// The token that a network put there; the text's where it was not asked.
    pub shown: u32,
    /// Whether a network was asked for a word here.
    pub selected: bool,
    /// The probability that it was replaced, where there is a discriminator.
    pub replaced: Option<f32>,
    /// The token that an encoder takes it to have been, where one was asked.
    pub restored: Option<u32>,
}

impl Demonstration {
    /// The tokens of each example of an evaluation step's batch, without padding; examples without tokens are left out.
    pub fn tokens(self, batch: &Batch, out: &Results) -> Vec<Vec<Shown>> {
        let (words, logits, restored) = match self {
            Self::Masked { guesses } => (out.words(guesses), None, None),
            // Training in phases may have no discriminator yet.
            Self::Replaced { samples, logits } => {
                (out.words(samples), Some(out.reals(logits)).filter(|logits| !logits.is_empty()), None)
            }
            Self::Restored { samples, guesses } => (out.words(samples), None, Some(out.words(guesses))),
            Self::Predictions => return Vec::new(),
        };
        let shape = batch.shape();
        let (ids, positions) = (batch.column(IDS.name), batch.column(POSITIONS.name));
        let weights = batch.reals(WEIGHTS.name);
        let example = |(row, &length): (usize, &u32)| {
            let start = row * shape.length;
            let token = |i: usize| Shown {
                original: ids[i],
                shown: ids[i],
                selected: false,
                replaced: logits.map(|logits| 1.0 / (1.0 + (-logits[i]).exp())),
                restored: None,
            };
            let mut tokens: Vec<Shown> = (start..start + length as usize).map(token).collect();
            for slot in row * shape.slots..(row + 1) * shape.slots {
                if weights[slot] > 0.0 {
                    let token = &mut tokens[positions[slot] as usize];
                    (token.selected, token.shown) = (true, words[slot]);
                    token.restored = restored.map(|words| words[slot]);
                }
            }
            tokens
        };
        batch.column(LENGTHS.name).iter().enumerate().filter(|&(_, &length)| length > 0).map(example).collect()
    }
}
