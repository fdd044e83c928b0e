//! What is said of a sentence's tokens: whether each was replaced, and, by an encoder that chooses words, what it was.

use super::ProbeError;
use super::demonstrator::{Demonstrator, Replaced};
use super::guess::Guess;
use super::network::Shape;
use crate::batch::padded;
use crate::corpus::Tokenizer;
use crate::math::sigmoid;
use std::collections::BTreeMap;

/// Of each token the probability that it was replaced, where something says so; and of some, by their places, what they are taken for.
pub(super) type Verdicts = (Option<Vec<f32>>, BTreeMap<usize, Vec<Guess>>);

impl Demonstrator {
    /// What is said of tokens: [`Self::p_replaced`] and, where words are chosen, of those that were selected or put in, by their places,
    /// what they are taken for.
    pub(super) fn verdicts(
        &mut self,
        tokens: &[Replaced],
        (positions, masked): (&[u32], &[u32]),
        likeliest: &[Vec<Guess>],
    ) -> Result<Verdicts, ProbeError> {
        let Some(options) = self.options else { return Ok((self.p_replaced(tokens)?, BTreeMap::new())) };
        let seen: Vec<u32> = tokens.iter().map(|token| token.shown).collect();
        let slot = |token: &Replaced| positions.iter().position(|&p| p as usize == token.position);
        // Of all tokens where each is a choice, else of those that were selected or put in.
        let asked = |token: &Replaced| self.rejects || token.edited || slot(token).is_some();
        let places: Vec<u32> = (0..).zip(tokens).filter(|(_, token)| asked(token)).map(|(i, _)| i).collect();
        let logits = self.network.word_logits(&seen, &places, true)?;
        let length = padded(seen.len(), self.network.positions);
        let verdicts = self.network.logits(Shape { rows: 1, length, slots: 0, last: false }, &[&seen], &[])?;
        let p_replaced = match self.rejects {
            true => {
                let as_drawn = |token: &Replaced| if token.edited { token.shown } else { masked[token.position] };
                let text: Vec<u32> = tokens.iter().map(as_drawn).collect();
                let drawn = self.network.word_logits(&text, &places, false)?;
                let words = logits.iter().zip(&drawn).map(|(logits, drawn)| expected(logits, drawn, options - 1));
                words.zip(&verdicts).map(|(words, &none)| sigmoid(words - none)).collect()
            }
            false => verdicts[..seen.len()].iter().map(|&logit| sigmoid(logit)).collect(),
        };
        let mut candidates = BTreeMap::new();
        for (i, logits) in places.iter().map(|&i| i as usize).zip(&logits) {
            let (token, slot) = (&tokens[i], slot(&tokens[i]));
            let guesses = slot.map_or(&[][..], |slot| &likeliest[slot]);
            let words = token.original.into_iter().chain(guesses.iter().map(|guess| guess.id)).chain([token.shown]);
            if slot.is_some() || token.edited {
                let none = self.rejects.then(|| (token.shown, verdicts[i]));
                candidates.insert(i, choices(words, logits, none, &self.network.tokenizer));
            }
        }
        Ok((Some(p_replaced), candidates))
    }

    /// The discriminator's probability for each token that it was replaced, if there is a discriminator; of an encoder that says what
    /// the words were, what it gives to all others than the one that stands there.
    fn p_replaced(&mut self, tokens: &[Replaced]) -> Result<Option<Vec<f32>>, ProbeError> {
        if !self.discriminates {
            return Ok(None);
        }
        let seen: Vec<u32> = tokens.iter().map(|token| token.shown).collect();
        if self.restores {
            let places: Vec<u32> = (0..seen.len() as u32).collect();
            let logits = self.network.word_logits(&seen, &places, true)?;
            return Ok(Some(logits.iter().zip(&seen).map(|(logits, &word)| doubt(logits, word)).collect()));
        }
        let length = padded(seen.len(), self.network.positions);
        let logits = self.network.logits(Shape { rows: 1, length, slots: 0, last: false }, &[&seen], &[])?;
        Ok(Some(logits.into_iter().map(sigmoid).collect()))
    }
}

/// The log-sum-exp of the `logits` of `count` words that are drawn by the softmax of `drawn`: the logarithm of the expected sum.
pub(super) fn expected(logits: &[f32], drawn: &[f32], count: usize) -> f32 {
    let highest = |x: &[f32]| f64::from(x.iter().copied().fold(f32::MIN, f32::max));
    let (most, top) = (highest(logits), highest(drawn));
    let weights = drawn.iter().map(|&x| (f64::from(x) - top).exp());
    let (sum, total) = weights.zip(logits).fold((0.0, 0.0), |(sum, total), (weight, &logit)| {
        (sum + weight * (f64::from(logit) - most).exp(), total + weight)
    });
    (most + (count as f64 * sum / total).ln()) as f32
}

/// The softmax over the logits of different words, the likeliest first; `none` is the word that stands there, with the logit of its being
/// none of the others.
fn choices(
    words: impl Iterator<Item = u32>,
    logits: &[f32],
    none: Option<(u32, f32)>,
    tokenizer: &Tokenizer,
) -> Vec<Guess> {
    let mut all: Vec<(u32, f32)> = none.into_iter().collect();
    for word in words {
        if let Some(&logit) = logits.get(word as usize).filter(|_| all.iter().all(|(known, _)| *known != word)) {
            all.push((word, logit));
        }
    }
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    let part = |logit: f32| (f64::from(logit) - f64::from(all[0].1)).exp();
    let total: f64 = all.iter().map(|(_, logit)| part(*logit)).sum();
    let guess = |&(id, logit): &(u32, f32)| Guess {
        id,
        token: tokenizer.token(id).unwrap_or_default(),
        p: part(logit) / total,
    };
    all.iter().map(guess).collect()
}

/// What the softmax gives to all words but this one.
pub(super) fn doubt(logits: &[f32], word: u32) -> f32 {
    let highest = logits.iter().copied().fold(f32::MIN, f32::max);
    let part = |x: &f32| (f64::from(*x) - f64::from(highest)).exp();
    let total: f64 = logits.iter().map(part).sum();
    (1.0 - logits.get(word as usize).map_or(0.0, part) / total) as f32
}
