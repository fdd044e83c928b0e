//! BERT's encoder, which every network has.

use super::{Layer, Linear, ModelConfig, Network, Norm};
use crate::graph::{Graph, GraphError, Tensor};
use crate::math::Activation;
use crate::ops::{self, EmbeddingTables};
use std::ops::Range;

/// What the encoder needs to know of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Encoded {
    /// Token types [B, L].
    pub types: Tensor,
    /// Which tokens are seen: the first so many of each example, `[B]`, those that are not padding; or an order ([`ops::attention`]).
    pub visible: Tensor,
    /// Whether there is dropout, as often as the network's settings say.
    pub dropout: bool,
}

pub(super) fn linear(g: &mut Graph, x: Tensor, w: Linear) -> Result<Tensor, GraphError> {
    let (weight, bias) = (g.parameter(w.weight), g.parameter(w.bias));
    ops::linear(g, x, weight, bias)
}

pub(super) fn linear_activation(
    g: &mut Graph,
    x: Tensor,
    w: Linear,
    activation: Activation,
) -> Result<Tensor, GraphError> {
    let (weight, bias) = (g.parameter(w.weight), g.parameter(w.bias));
    ops::linear_activation(g, x, weight, bias, activation)
}

pub(super) fn norm(g: &mut Graph, x: Tensor, n: Norm, epsilon: f64) -> Result<Tensor, GraphError> {
    let n = (g.parameter(n.gamma), g.parameter(n.beta));
    ops::layer_norm(g, x, n, epsilon)
}

impl Network {
    /// Embeds `ids` [B, L] and runs the layers: [B L, H]. Layer i is a scope of its own, `layer.i`.
    ///
    /// # Errors
    /// [`GraphError`] for inputs of other shapes.
    pub fn encode(&self, g: &mut Graph, ids: Tensor, c: Encoded) -> Result<Tensor, GraphError> {
        self.encode_to(g, ids, c, self.encoder.layers.len())
    }

    /// What [`Network::encode`] makes of each row's first token, `[CLS]`: [B, H]. Of the other tokens the last layer computes nothing
    /// beyond what attention asks for: three quarters of its products are left out.
    ///
    /// # Errors
    /// [`GraphError`] for inputs of other shapes.
    pub fn encode_first(&self, g: &mut Graph, ids: Tensor, c: Encoded) -> Result<Tensor, GraphError> {
        let rows = g.ty(ids).rows();
        let first = ops::zero_indices(g, &[rows, 1])?;
        let x = self.encode_to(g, ids, c, 0)?;
        self.encode_from(g, (x, 0), c, Some(first))
    }

    /// As [`Network::encode`] with the lowest layers, so many of them.
    ///
    /// # Errors
    /// [`GraphError`] for inputs of other shapes.
    pub fn encode_to(&self, g: &mut Graph, ids: Tensor, c: Encoded, layers: usize) -> Result<Tensor, GraphError> {
        let x = self.embed(g, ids, c, None)?;
        self.layers(g, x, 0..layers, None, c)
    }

    /// The layers from `first` on, of `x` [B L, H], what the lower ones have made: [B L, H], or [B K, H] where only the tokens at
    /// `positions` [B, K] are asked for.
    ///
    /// # Errors
    /// [`GraphError`] for inputs of other shapes.
    pub fn encode_from(
        &self,
        g: &mut Graph,
        (x, first): (Tensor, usize),
        c: Encoded,
        positions: Option<Tensor>,
    ) -> Result<Tensor, GraphError> {
        self.layers(g, x, first..self.encoder.layers.len(), positions, c)
    }

    /// Two streams through the same layers, as in XLNet (Yang et al., arXiv 1906.08237, section 2.3): the tokens `ids` [B, L], and for each
    /// slot at `positions` [B, K] a query that knows its place and not its word. It begins as what stands there in `masked` [B, L], `[MASK]`.
    /// `ranks` [B, K], u32, is the order in which selected tokens see each other ([`ops::two_streams`]). The queries' rows: [B K, H].
    ///
    /// # Errors
    /// [`GraphError`] for inputs of other shapes.
    pub fn encode_queries(
        &self,
        g: &mut Graph,
        (ids, masked): (Tensor, Tensor),
        (positions, ranks): (Tensor, Tensor),
        c: Encoded,
    ) -> Result<Tensor, GraphError> {
        let (examples, length) = (g.ty(ids).rows(), g.ty(ids).columns());
        let streams = ops::two_streams(g, c.visible, positions, ranks, length)?;
        let content = self.embed(g, ids, c, None)?;
        let queries = self.embed(g, masked, c, Some(positions))?;
        let x = ops::join_rows(g, content, queries, examples)?;
        let c = Encoded { visible: streams.order, ..c };
        self.layers(g, x, 0..self.encoder.layers.len(), Some(streams.queries), c)
    }

    /// What stands for the tokens before the first layer: [B L, H], or [B K, H] of those at `positions` [B, K].
    fn embed(&self, g: &mut Graph, ids: Tensor, c: Encoded, positions: Option<Tensor>) -> Result<Tensor, GraphError> {
        let embeddings = &self.embeddings;
        let tables = EmbeddingTables {
            word: g.parameter(embeddings.word),
            position: g.parameter(embeddings.position),
            types: g.parameter(embeddings.types),
        };
        let sum = ops::embedding(g, tables, ids, c.types)?;
        let sum = match positions {
            Some(positions) => ops::gather_rows(g, sum, positions)?,
            None => sum,
        };
        let x = norm(g, sum, embeddings.norm, self.config.layer_norm_epsilon)?;
        let x = ops::dropout(g, x, if c.dropout { self.config.dropout } else { 0.0 })?;
        match self.encoder.project {
            Some(project) => linear(g, x, project),
            None => Ok(x),
        }
    }

    /// Some of the layers; the last of all gives the tokens at `positions` [B, K], where they are named.
    fn layers(
        &self,
        g: &mut Graph,
        mut x: Tensor,
        layers: Range<usize>,
        positions: Option<Tensor>,
        c: Encoded,
    ) -> Result<Tensor, GraphError> {
        let last = self.encoder.layers.len();
        for i in layers {
            let (layer, positions) = (&self.encoder.layers[i], positions.filter(|_| i + 1 == last));
            let build = |g: &mut Graph| g.in_segment(|g| transformer_layer(g, &self.config, layer, (x, positions), c));
            x = g.in_scope(&format!("layer.{i}"), build)?;
        }
        Ok(x)
    }

    /// A linear layer of the objective's own on `x` [M, H]: [M, out].
    ///
    /// # Errors
    /// [`GraphError`] where there is none of that name, and for an `x` of another width.
    pub fn own_linear(&self, g: &mut Graph, name: &'static str, x: Tensor) -> Result<Tensor, GraphError> {
        linear(g, x, self.own_layer(name)?)
    }

    /// Where a layer of the objective's own is in the table.
    ///
    /// # Errors
    /// [`GraphError`] where there is none of that name.
    pub fn own_layer(&self, name: &'static str) -> Result<Linear, GraphError> {
        let found = self.own.iter().find(|(known, _)| *known == name);
        found.map(|(_, layer)| *layer).ok_or_else(|| self.without(name))
    }

    /// What is to be said where a page asks for a head that is not there.
    pub(super) fn without(&self, expected: &str) -> GraphError {
        let found: Vec<&str> = self.heads.iter().map(|head| head.architecture().name()).collect();
        GraphError { op: self.name, found: format!("heads of {}", found.join(", ")), expected: expected.into() }
    }
}

/// A post-norm transformer layer, as in BERT: [B L, H] to [B L, H], or to [B K, H] where only the tokens at `positions` [B, K] are asked
/// for. What is behind attention knows one token at a time.
fn transformer_layer(
    g: &mut Graph,
    config: &ModelConfig,
    p: &Layer,
    (x, positions): (Tensor, Option<Tensor>),
    c: Encoded,
) -> Result<Tensor, GraphError> {
    let epsilon = config.layer_norm_epsilon;
    let on = |probability: f32| if c.dropout { probability } else { 0.0 };
    let (dropout, attention_dropout) = (on(config.dropout), on(config.attention_dropout));
    let qkv = linear(g, x, p.qkv)?;
    let mixed = ops::attention(g, qkv, c.visible, config.heads, attention_dropout)?;
    let (mixed, x) = match positions {
        Some(positions) => (ops::gather_rows(g, mixed, positions)?, ops::gather_rows(g, x, positions)?),
        None => (mixed, x),
    };
    let mixed = linear(g, mixed, p.attention)?;
    let n = (g.parameter(p.attention_norm.gamma), g.parameter(p.attention_norm.beta));
    let x = ops::residual_layer_norm(g, mixed, x, n, epsilon, dropout)?;
    let wide = linear_activation(g, x, p.intermediate, config.activation)?;
    let narrow = linear(g, wide, p.output)?;
    let n = (g.parameter(p.output_norm.gamma), g.parameter(p.output_norm.beta));
    ops::residual_layer_norm(g, narrow, x, n, epsilon, dropout)
}
