//! A network on a device: one plan for each shape of input that turns up.

use super::ProbeError;
use super::first::{first, most_bytes};
use crate::batch::padded;
use crate::config::Precision;
use crate::corpus::{self, Tokenizer};
use crate::graph::{Bank, DType, Graph, GraphError, Tensor};
use crate::model::{self, Architecture, COPY, Encoded, Head, Model, NEITHER};
use crate::op::StepState;
use crate::ops;
use crate::plan::{Engine, Plan, Program, Target};
use crate::train::step::without_gradient;
use crate::transformers::{FolderError, Pretrained};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most tokens that a masked language model's plan is asked for: what it gives back, a logit a token and word, stays a few MiB.
const MOST_SLOTS: usize = 16;

/// A plan's sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    /// Sentences.
    pub rows: usize,
    /// Tokens a sentence.
    pub length: usize,
    /// Tokens a sentence that a masked language model is asked for; 0 for a discriminator.
    pub slots: usize,
    /// Whether the last network is asked for them, in place of the first that guesses words.
    pub last: bool,
}

/// A plan for one shape, loaded.
#[derive(Debug, Clone, Copy)]
struct Loaded {
    program: Program,
    ids: Tensor,
    types: Tensor,
    visible: Tensor,
    /// Of a masked language model.
    positions: Option<Tensor>,
}

pub(super) struct Network {
    engine: Box<dyn Engine>,
    target: Target,
    model: Model,
    precision: Precision,
    pub tokenizer: Tokenizer,
    /// The longest sentence in tokens.
    pub positions: usize,
    loaded: BTreeMap<Shape, Loaded>,
    /// Which rows of the vocabulary have a token; empty until somebody asks.
    words: Vec<bool>,
}

impl Network {
    /// `pretrained` is to be of the `expected` kind.
    pub(super) fn new(
        pretrained: Pretrained,
        expected: Architecture,
        mut engine: Box<dyn Engine>,
        target: Target,
    ) -> Result<Self, ProbeError> {
        let network = pretrained.network();
        if network.heads.first().map(Head::architecture) != Some(expected) {
            return Err(FolderError::OtherNetwork { path: pretrained.folder, expected, other: None }.into());
        }
        let positions = network.config.positions;
        let Pretrained { model, weights, tokenizer, .. } = pretrained;
        engine.write_bank(Bank::Parameters, &weights)?;
        Ok(Self::of(model, positions, tokenizer, engine, target))
    }

    /// The networks of `model` over one bank, whose weights are still to be written.
    pub(super) fn of(
        model: Model,
        positions: usize,
        tokenizer: Tokenizer,
        engine: Box<dyn Engine>,
        target: Target,
    ) -> Self {
        let precision = Precision::F32;
        Self { engine, target, model, precision, tokenizer, positions, loaded: BTreeMap::new(), words: Vec::new() }
    }

    /// The same in another precision than f32.
    pub(super) fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Replaces the weights.
    pub(super) fn set_weights(&mut self, weights: &[f32]) -> Result<(), ProbeError> {
        Ok(self.engine.write_bank(Bank::Parameters, weights)?)
    }

    /// The device, in words.
    pub(super) fn device(&self) -> String {
        self.engine.describe()
    }

    /// `[CLS]`, the sentence, `[SEP]` as ids and as tokens, and whether it was cut to the model's positions.
    pub(super) fn tokens(&self, sentence: &str) -> Result<(Vec<u32>, Vec<String>, bool), corpus::Error> {
        let (ids, cut) = first(&self.tokenizer, sentence, self.positions)?;
        let tokens = ids.iter().map(|&id| self.tokenizer.token(id).unwrap_or_default()).collect();
        Ok((ids, tokens, cut))
    }

    /// Bytes of a sentence that are looked at at most.
    pub(super) fn most_bytes(&self) -> usize {
        most_bytes(self.positions)
    }

    /// A word's tokens; `##ing` and the like as the vocabulary spells them.
    pub(super) fn pieces(&self, word: &str) -> Result<Vec<u32>, corpus::Error> {
        self.tokenizer.id(word.trim()).map_or_else(|| self.tokenizer.encode(word), |id| Ok(vec![id]))
    }

    /// Runs at most `shape.rows` sentences of at most `shape.length` ids: a discriminator's logits [rows length, 1], or a
    /// masked language model's [rows slots, V] of the tokens at `positions` [rows, slots], each within its sentence.
    pub(super) fn logits(
        &mut self,
        shape: Shape,
        sentences: &[&[u32]],
        positions: &[u32],
    ) -> Result<Vec<f32>, ProbeError> {
        let loaded = self.load(shape)?;
        let Shape { rows, length, slots, .. } = shape;
        let mut ids = vec![self.tokenizer.special().pad; rows * length];
        // A row without a sentence has one token of padding: attention over nothing has no mean.
        let mut lengths = vec![1; rows];
        for (row, sentence) in sentences.iter().enumerate() {
            ids[row * length..][..sentence.len()].copy_from_slice(sentence);
            lengths[row] = sentence.len() as u32;
        }
        self.engine.write(loaded.program, loaded.ids, &ids);
        self.engine.write(loaded.program, loaded.types, &vec![0; rows * length]);
        let visible = match hides_masks(&self.model, shape) {
            true => order(&ids, &lengths, self.tokenizer.special().mask),
            false => lengths,
        };
        self.engine.write(loaded.program, loaded.visible, &visible);
        if let Some(tensor) = loaded.positions {
            let mut all = positions.to_vec();
            all.resize(rows * slots, 0);
            self.engine.write(loaded.program, tensor, &all);
        }
        self.engine.submit(loaded.program, &StepState::default(), true)?;
        Ok(self.engine.collect(true)?.map(|fetched| fetched.real(0)).unwrap_or_default())
    }

    /// Whether each of the `vocabulary` rows of a masked language model has a token: a model's table may have more rows than its
    /// tokenizer has words, and there may be holes among the ids.
    pub(super) fn words(&mut self, vocabulary: usize) -> &[bool] {
        if self.words.len() != vocabulary {
            self.words = (0..vocabulary as u32).map(|id| self.tokenizer.token(id).is_some()).collect();
        }
        &self.words
    }

    /// Its logits [V] for each of `positions` in one sentence; those of the last network, or of the first that guesses words.
    pub(super) fn word_logits(
        &mut self,
        ids: &[u32],
        positions: &[u32],
        last: bool,
    ) -> Result<Vec<Vec<f32>>, ProbeError> {
        let length = padded(ids.len(), self.positions);
        let mut words = Vec::with_capacity(positions.len());
        for positions in positions.chunks(MOST_SLOTS) {
            let slots = positions.len().next_power_of_two().min(length);
            let logits = self.logits(Shape { rows: 1, length, slots, last }, &[ids], positions)?;
            words.extend(logits.chunks(logits.len() / slots).take(positions.len()).map(<[f32]>::to_vec));
        }
        Ok(words)
    }

    fn load(&mut self, shape: Shape) -> Result<Loaded, ProbeError> {
        if let Some(&loaded) = self.loaded.get(&shape) {
            return Ok(loaded);
        }
        let Graphed { g, logits, ids, types, visible, positions } = graph(&self.model, shape, self.precision)?;
        let program = self.engine.load(Plan::new(Arc::new(g), &[logits], self.target))?;
        let loaded = Loaded { program, ids, types, visible, positions };
        self.loaded.insert(shape, loaded);
        Ok(loaded)
    }
}

/// An order of attention ([`ops::attention`]) of sentences of ids, in which all see the tokens that are neither padding nor masked.
fn order(ids: &[u32], lengths: &[u32], mask: u32) -> Vec<u32> {
    let length = ids.len() / lengths.len().max(1);
    let sentence = |(ids, &valid): (&[u32], &u32)| {
        let rank = |(i, &id): (usize, &u32)| if i < valid as usize && id != mask { 0 } else { u32::MAX };
        let ranks: Vec<u32> = ids.iter().enumerate().map(rank).collect();
        ranks.into_iter().chain(vec![0; length])
    };
    ids.chunks_exact(length.max(1)).zip(lengths).flat_map(sentence).collect()
}

/// A network's graph and the tensors that go in and come out.
struct Graphed {
    g: Graph,
    logits: Tensor,
    ids: Tensor,
    types: Tensor,
    visible: Tensor,
    positions: Option<Tensor>,
}

/// The network that says of tokens whether they were replaced: a discriminator, or an encoder that says whether to copy, or whether a
/// token is none of some words.
///
/// # Errors
/// [`GraphError`] where there is none.
pub(super) fn judge(model: &Model) -> Result<&model::Network, GraphError> {
    let own = [COPY, NEITHER].into_iter().find_map(|name| with_own(model, name));
    own.map_or_else(|| model.with_head(Architecture::PreTraining), Ok)
}

/// The network with that layer of an objective's own.
pub(super) fn with_own<'a>(model: &'a Model, layer: &str) -> Option<&'a model::Network> {
    model.networks.iter().find(|network| network.own.iter().any(|(name, _)| *name == layer))
}

/// The network that is asked for words: the last, or the first that guesses some.
///
/// # Errors
/// [`GraphError`] where there is none.
fn guesser(model: &Model, last: bool) -> Result<&model::Network, GraphError> {
    model.networks.last().filter(|_| last).map_or_else(|| model.with_head(Architecture::MaskedLm), Ok)
}

/// Whether no token attends to `[MASK]` in that one.
fn hides_masks(model: &Model, shape: Shape) -> bool {
    let head = |network: &model::Network| network.masked_lm().is_ok_and(|head| !head.attends_to_masks);
    shape.slots > 0 && guesser(model, shape.last).is_ok_and(head)
}

/// One network alone, without dropout: the masked language model if it is asked for tokens, else the discriminator.
fn graph(model: &Model, shape: Shape, precision: Precision) -> Result<Graphed, GraphError> {
    let mut g = Graph::new(model.table.clone());
    let tokens = [shape.rows, shape.length];
    let ids = g.input("ids", DType::U32, &tokens);
    let types = g.input("types", DType::U32, &tokens);
    let visible = match hides_masks(model, shape) {
        true => g.input("order", DType::U32, &[shape.rows, 2 * shape.length]),
        false => g.input("lengths", DType::U32, &[shape.rows]),
    };
    let input = Encoded { types, visible, dropout: false };
    let (logits, positions) = if shape.slots > 0 {
        let network = guesser(model, shape.last)?;
        let hidden = network.encode(&mut g, ids, input)?;
        let positions = g.input("positions", DType::U32, &[shape.rows, shape.slots]);
        let head = network.masked_lm()?;
        let selected = ops::gather_rows(&mut g, hidden, positions)?;
        let x = head.hidden(&mut g, selected)?;
        let (output, bias) = (g.parameter(head.output), g.parameter(head.bias));
        (ops::linear(&mut g, x, output, bias)?, Some(positions))
    } else {
        let network = judge(model)?;
        let hidden = network.encode(&mut g, ids, input)?;
        let logits = match network.replaced_tokens() {
            Ok(head) => head.logits(&mut g, hidden)?,
            Err(_) if network.own_layer(COPY).is_ok() => network.own_linear(&mut g, COPY, hidden)?,
            Err(_) => {
                let x = network.masked_lm()?.hidden(&mut g, hidden)?;
                network.own_linear(&mut g, NEITHER, x)?
            }
        };
        (logits, None)
    };
    without_gradient(&mut g, &[logits], precision)?;
    Ok(Graphed { g, logits, ids, types, visible, positions })
}
