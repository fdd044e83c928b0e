//! A masked language model, such as ELECTRA's generator: which words it would put where a sentence has `[MASK]`.

use super::ProbeError;
use super::network::Network;
use crate::config::Precision;
use crate::corpus::Tokenizer;
use crate::model::Architecture;
use crate::numbers::shortened;
use crate::plan::{Engine, Target};
use crate::transformers::Pretrained;
use serde::{Deserialize, Serialize};

/// A word that may stand for a mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guess {
    /// Its id.
    pub id: u32,
    /// As the vocabulary spells it; `##` continues a word.
    pub token: String,
    /// The network's probability.
    pub p: f64,
}

/// A `[MASK]` and what the network takes it for.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// Its place among the sentence's tokens, `[CLS]` being 0.
    pub position: usize,
    /// The likeliest words, the best first; of two that are equally likely the one with the smaller id.
    pub guesses: Vec<Guess>,
}

/// A sentence with masks as the network sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Guessed {
    /// `[CLS]`, the sentence, `[SEP]`; cut to the model's positions.
    pub ids: Vec<u32>,
    /// The tokens of those ids.
    pub tokens: Vec<String>,
    /// Its masks in order, at least one.
    pub masks: Vec<Mask>,
    /// Whether the sentence was longer than the model's positions.
    pub cut: bool,
}

/// A masked language model on a device.
pub struct Guesser {
    network: Network,
}

impl Guesser {
    /// Puts its weights on `engine`, whose banks must have the length of its table; plans are made for
    /// `target`.
    ///
    /// # Errors
    /// [`ProbeError::Folder`] for a discriminator, [`ProbeError::Engine`].
    pub fn new(pretrained: Pretrained, engine: Box<dyn Engine>, target: Target) -> Result<Self, ProbeError> {
        Ok(Self { network: Network::new(pretrained, Architecture::MaskedLm, engine, target)? })
    }

    /// The same in another precision than f32; asked before anything else.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { network: self.network.in_precision(precision) }
    }

    /// The device, in words.
    pub fn device(&self) -> String {
        self.network.device()
    }

    /// Bytes of a sentence that are looked at at most, however long it is.
    pub fn most_bytes(&self) -> usize {
        self.network.most_bytes()
    }

    /// The `top` likeliest words for every `[MASK]` of `sentence`.
    ///
    /// # Errors
    /// [`ProbeError::NoMask`] for a sentence without one; else as [`Judge::judge`](super::Judge::judge).
    pub fn guess(&mut self, sentence: &str, top: usize) -> Result<Guessed, ProbeError> {
        let network = &mut self.network;
        let (ids, tokens, cut) = network.tokens(sentence)?;
        let mask = network.tokenizer.special().mask;
        let positions: Vec<u32> = (0..).zip(&ids).filter(|&(_, &id)| id == mask).map(|(i, _)| i).collect();
        if positions.is_empty() {
            return Err(ProbeError::NoMask { text: shortened(sentence, 60), cut });
        }
        let logits = network.word_logits(&ids, &positions, false)?;
        let words = network.words(logits[0].len()).to_vec();
        let masks = positions.iter().zip(&logits).map(|(&position, logits)| Mask {
            position: position as usize,
            guesses: guesses(logits, &words, top, &network.tokenizer),
        });
        let masks = masks.collect();
        Ok(Guessed { ids, tokens, masks, cut })
    }
}

/// The `top` likeliest words of the softmax of `logits`, the best first. Rows that are no `words` have their part of the
/// probability, as in `transformers`, and are not told.
pub(super) fn guesses(logits: &[f32], words: &[bool], top: usize, tokenizer: &Tokenizer) -> Vec<Guess> {
    let word = |(id, p)| Guess { id, token: tokenizer.token(id).unwrap_or_default(), p };
    likeliest(logits, words, top).into_iter().map(word).collect()
}

/// The `top` largest of the softmax of `logits` among `words`, with their ids, the largest first.
fn likeliest(logits: &[f32], words: &[bool], top: usize) -> Vec<(u32, f64)> {
    let highest = logits.iter().copied().fold(f32::MIN, f32::max);
    let part = |x: f32| (f64::from(x) - f64::from(highest)).exp();
    let total: f64 = logits.iter().map(|&x| part(x)).sum();
    let mut order: Vec<u32> = (0..logits.len() as u32).filter(|&id| words[id as usize]).collect();
    let by_logit = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    let top = top.min(order.len());
    if top < order.len() {
        order.select_nth_unstable_by(top, by_logit);
        order.truncate(top);
    }
    order.sort_unstable_by(by_logit);
    order.into_iter().map(|id| (id, part(logits[id as usize]) / total)).collect()
}

#[cfg(test)]
mod tests {
    use super::likeliest;

    #[test]
    fn the_likeliest_come_first() {
        let logits = [0.0, 2.0, 1.0, 2.0, -1.0];
        let total: f64 = logits.iter().map(|&x: &f32| f64::from(x).exp()).sum();
        let best = likeliest(&logits, &[true; 5], 3);
        assert_eq!(best.iter().map(|g| g.0).collect::<Vec<_>>(), [1, 3, 2]);
        assert!((best[2].1 - 1f64.exp() / total).abs() < 1e-12);
        let all = likeliest(&logits, &[true; 5], 99);
        assert_eq!(all.len(), 5);
        assert!((all.iter().map(|g| g.1).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(likeliest(&logits, &[true; 5], 0).is_empty());
        let words = [true, false, true, true, true];
        assert_eq!(likeliest(&logits, &words, 9).iter().map(|g| g.0).collect::<Vec<_>>(), [3, 2, 0, 4]);
        assert_eq!(likeliest(&logits, &words, 1)[0].1, best[1].1, "the same number as transformers'");
    }
}
