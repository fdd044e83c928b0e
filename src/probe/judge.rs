//! A discriminator: each token's probability that it was replaced.

use super::ProbeError;
use super::network::{Network, Shape};
use crate::batch::padded;
use crate::config::Precision;
use crate::math::sigmoid;
use crate::model::Architecture;
use crate::plan::{Engine, Target};
use crate::transformers::Pretrained;
use std::collections::BTreeMap;

/// Most rows of a plan.
const MOST_ROWS: usize = 16;
/// Most tokens of a plan with more than one row: what it holds beside the weights stays a few MiB.
const MOST_TOKENS: usize = 2_048;

/// A sentence as the model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// `[CLS]`, the sentence, `[SEP]`; cut to the model's positions.
    pub ids: Vec<u32>,
    /// The tokens of those ids.
    pub tokens: Vec<String>,
    /// Each token's probability that it was replaced.
    pub p_replaced: Vec<f32>,
    /// Whether the sentence was longer than the model's positions.
    pub cut: bool,
}

/// A discriminator on a device.
pub struct Judge {
    network: Network,
}

impl Judge {
    /// Puts a discriminator's weights on `engine`, whose banks must have the length of its table; plans are made for
    /// `target`.
    ///
    /// # Errors
    /// [`ProbeError::Folder`] for a generator, [`ProbeError::Engine`].
    pub fn new(discriminator: Pretrained, engine: Box<dyn Engine>, target: Target) -> Result<Self, ProbeError> {
        Ok(Self { network: Network::new(discriminator, Architecture::PreTraining, engine, target)? })
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

    /// Tokenizes and judges sentences; an answer each, in order. An empty sentence is `[CLS]` and `[SEP]`.
    ///
    /// # Errors
    /// [`ProbeError::Engine`], and [`ProbeError::Tokenizer`] if the tokenizer fails, which a WordPiece tokenizer does
    /// not.
    pub fn judge<S: AsRef<str>>(&mut self, sentences: &[S]) -> Result<Vec<Judged>, ProbeError> {
        let mut judged = Vec::with_capacity(sentences.len());
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (i, sentence) in sentences.iter().enumerate() {
            let (ids, tokens, cut) = self.network.tokens(sentence.as_ref())?;
            by_length.entry(padded(ids.len(), self.network.positions)).or_default().push(i);
            judged.push(Judged { ids, tokens, p_replaced: Vec::new(), cut });
        }
        for (length, indices) in by_length {
            let most = (MOST_TOKENS / length).clamp(1, MOST_ROWS);
            for block in indices.chunks(most) {
                let rows = if block.len() == 1 { 1 } else { most };
                let ids: Vec<&[u32]> = block.iter().map(|&i| &judged[i].ids[..]).collect();
                let logits = self.network.logits(Shape { rows, length, slots: 0, last: false }, &ids, &[])?;
                for (&i, logits) in block.iter().zip(logits.chunks(length)) {
                    let sentence = &mut judged[i];
                    sentence.p_replaced = logits[..sentence.ids.len()].iter().map(|&x| sigmoid(x)).collect();
                }
            }
        }
        Ok(judged)
    }
}
