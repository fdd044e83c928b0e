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
    /// Words that a generator replaced, and which of a few an encoder takes them to have been.
    Chosen {
        /// The generator's words: [B K].
        samples: &'static str,
        /// How many it chooses from.
        options: usize,
        /// A discriminator's logits: [B L, 1]. Without one every token has options, and the first is that it is none of the words,
        /// still the original; with one only selected tokens have some.
        logits: Option<&'static str>,
        /// The words to choose from: [B L, C] or [B K, C].
        candidates: &'static str,
        /// What each option has: as many rows, and one column more where the first is none of the words.
        probabilities: &'static str,
    },
    /// What a fine-tuned network says of a text. It takes no batch to be shown: a person types one
    /// ([`Predictor`](crate::task::Predictor)).
    Predictions,
}

/// One token of an example that was shown to the networks.
#[derive(Debug, Clone, PartialEq)]
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
    /// The words that an encoder chose from with their probabilities, the likeliest first; the word that is shown stands for none of
    /// them. Empty where there was no choice.
    pub candidates: Vec<(u32, f32)>,
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
            Self::Chosen { samples, logits, .. } => (out.words(samples), logits.map(|logits| out.reals(logits)), None),
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
                candidates: Vec::new(),
            };
            let mut tokens: Vec<Shown> = (start..start + length as usize).map(token).collect();
            for slot in row * shape.slots..(row + 1) * shape.slots {
                if weights[slot] > 0.0 {
                    let token = &mut tokens[positions[slot] as usize];
                    (token.selected, token.shown) = (true, words[slot]);
                    token.restored = restored.map(|words| words[slot]);
                    if let Self::Chosen { logits: Some(_), .. } = self {
                        self.choose(out, (slot, shape.examples * shape.slots), token);
                    }
                }
            }
            if let Self::Chosen { logits: None, .. } = self {
                tokens.iter_mut().enumerate().for_each(|(i, token)| self.choose(out, (start + i, ids.len()), token));
            }
            tokens
        };
        batch.column(LENGTHS.name).iter().enumerate().filter(|&(_, &length)| length > 0).map(example).collect()
    }

    /// Puts the options of a row of `rows` into its token.
    fn choose(self, out: &Results, (row, rows): (usize, usize), token: &mut Shown) {
        let Self::Chosen { candidates, probabilities, .. } = self else { return };
        let (words, p) = (out.words(candidates), out.reals(probabilities));
        let (count, options) = (words.len() / rows, p.len() / rows);
        let (words, p) = (&words[row * count..][..count], &p[row * options..][..options]);
        let (none, p) = p.split_at(options - count);
        let mut all: Vec<(u32, f32)> = Vec::new();
        for (&word, &p) in std::iter::once(&token.shown).take(none.len()).zip(none).chain(words.iter().zip(p)) {
            // Words that were drawn twice are one to whoever looks at them.
            match all.iter_mut().find(|(known, _)| *known == word) {
                Some((_, sum)) => *sum += p,
                None => all.push((word, p)),
            }
        }
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        token.replaced = none.first().map(|p| 1.0 - p).or(token.replaced);
        token.restored = all.first().map(|(word, _)| *word).filter(|_| token.selected);
        token.candidates = all;
    }
}
