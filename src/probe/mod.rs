//! Asks a discriminator about sentences: each token's probability that it was replaced.
//!
//! [`Discriminator::load`] reads a folder, [`Probe::judge`] runs its encoder and head on any [`Engine`]. Sentences are
//! padded to one of few lengths and go in blocks of one row or of many, so that a GPU has few plans to load.

mod error;
mod folder;

pub use error::ProbeError;
pub use folder::Discriminator;

use crate::corpus::{self, Tokenizer};
use crate::electra::{Encoded, Model, discriminator_logits, encode};
use crate::graph::{Bank, DType, Graph, GraphError, Tensor};
use crate::ops::StepState;
use crate::plan::{Engine, EngineError, Plan, Program, Target};
use std::collections::BTreeMap;
use std::sync::Arc;

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

/// Rows and tokens a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    rows: usize,
    length: usize,
}

/// A plan for one shape, loaded.
#[derive(Debug, Clone, Copy)]
struct Loaded {
    program: Program,
    ids: Tensor,
    types: Tensor,
    lengths: Tensor,
}

/// A discriminator on a device.
pub struct Probe {
    engine: Box<dyn Engine>,
    target: Target,
    model: Model,
    tokenizer: Tokenizer,
    positions: usize,
    loaded: BTreeMap<Shape, Loaded>,
}

impl Probe {
    /// Puts the discriminator's weights on `engine`, whose banks must have the length of its table; plans are made for
    /// `target`.
    ///
    /// # Errors
    /// Those of [`Engine::write_bank`].
    pub fn new(discriminator: Discriminator, mut engine: Box<dyn Engine>, target: Target) -> Result<Self, EngineError> {
        let Discriminator { config, model, weights, tokenizer, .. } = discriminator;
        engine.write_bank(Bank::Parameters, &weights)?;
        Ok(Self { engine, target, model, tokenizer, positions: config.model.positions, loaded: BTreeMap::new() })
    }

    /// The device, in words.
    pub fn device(&self) -> String {
        self.engine.describe()
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
            let sentence = self.tokens(sentence.as_ref())?;
            by_length.entry(padded(sentence.ids.len(), self.positions)).or_default().push(i);
            judged.push(sentence);
        }
        for (length, indices) in by_length {
            let most = (MOST_TOKENS / length).clamp(1, MOST_ROWS);
            for block in indices.chunks(most) {
                let rows = if block.len() == 1 { 1 } else { most };
                self.run(Shape { rows, length }, block, &mut judged)?;
            }
        }
        Ok(judged)
    }

    fn tokens(&self, sentence: &str) -> Result<Judged, corpus::Error> {
        let mut ids = self.tokenizer.encode_with_special(sentence, usize::MAX)?;
        let cut = ids.len() > self.positions;
        if cut {
            ids.truncate(self.positions - 1);
            ids.push(self.tokenizer.special().sep);
        }
        let tokens = ids.iter().map(|&id| self.tokenizer.token(id).unwrap_or_default()).collect();
        Ok(Judged { ids, tokens, p_replaced: Vec::new(), cut })
    }

    /// Judges the sentences of `block` in one step.
    fn run(&mut self, shape: Shape, block: &[usize], judged: &mut [Judged]) -> Result<(), ProbeError> {
        let loaded = self.load(shape)?;
        let Shape { rows, length } = shape;
        let mut ids = vec![self.tokenizer.special().pad; rows * length];
        // A row without a sentence has one token of padding: attention over nothing has no mean.
        let mut lengths = vec![1; rows];
        for (row, &i) in block.iter().enumerate() {
            let sentence = &judged[i].ids;
            ids[row * length..][..sentence.len()].copy_from_slice(sentence);
            lengths[row] = sentence.len() as u32;
        }
        self.engine.write(loaded.program, loaded.ids, &ids);
        self.engine.write(loaded.program, loaded.types, &vec![0; rows * length]);
        self.engine.write(loaded.program, loaded.lengths, &lengths);
        self.engine.submit(loaded.program, &StepState::default(), true)?;
        let Some(fetched) = self.engine.collect(true)? else { return Ok(()) };
        let logits = fetched.real(0);
        for (row, &i) in block.iter().enumerate() {
            let logits = &logits[row * length..][..judged[i].ids.len()];
            judged[i].p_replaced = logits.iter().map(|&x| sigmoid(x)).collect();
        }
        Ok(())
    }

    fn load(&mut self, shape: Shape) -> Result<Loaded, ProbeError> {
        if let Some(&loaded) = self.loaded.get(&shape) {
            return Ok(loaded);
        }
        let loaded = plan(&self.model, shape, self.target, &mut *self.engine)?;
        self.loaded.insert(shape, loaded);
        Ok(loaded)
    }
}

/// The discriminator alone, without dropout.
fn plan(model: &Model, shape: Shape, target: Target, engine: &mut dyn Engine) -> Result<Loaded, ProbeError> {
    let build = || -> Result<_, GraphError> {
        let mut g = Graph::new(model.table.clone());
        let tokens = [shape.rows, shape.length];
        let ids = g.input("ids", DType::U32, &tokens);
        let types = g.input("types", DType::U32, &tokens);
        let lengths = g.input("lengths", DType::U32, &[shape.rows]);
        let input = Encoded { types, lengths, dropout: 0.0, attention_dropout: 0.0 };
        let hidden = encode(&mut g, &model.embeddings, &model.discriminator, ids, input)?;
        let logits = discriminator_logits(&mut g, model, hidden)?;
        Ok((g, logits, ids, types, lengths))
    };
    let (g, logits, ids, types, lengths) = build()?;
    let program = engine.load(Plan::new(Arc::new(g), &[logits], target))?;
    Ok(Loaded { program, ids, types, lengths })
}

/// The length that a sentence of `tokens` is padded to: 16, 32, 48, 64, 96, 128, 192, ..., at most `positions`.
fn padded(tokens: usize, positions: usize) -> usize {
    let step = (tokens.saturating_sub(1).checked_ilog2().map_or(1, |log| 1 << log) / 2).max(16);
    tokens.next_multiple_of(step).max(16).min(positions)
}

fn sigmoid(x: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(x)).exp())) as f32
}

#[cfg(test)]
mod tests {
    use super::padded;

    #[test]
    fn few_lengths_hold_every_sentence() {
        let lengths: std::collections::BTreeSet<usize> = (2..=512).map(|n| padded(n, 512)).collect();
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [16, 32, 48, 64, 96, 128, 192, 256, 384, 512]);
        for n in 2..=512 {
            assert!((n..=(n + 15).max(3 * n / 2)).contains(&padded(n, 512)), "{n} is padded to {}", padded(n, 512));
        }
        assert_eq!((padded(2, 9), padded(33, 40), padded(40, 40)), (9, 40, 40));
    }
}
