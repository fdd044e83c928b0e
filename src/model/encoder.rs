//! BERT's encoder, which every network has.

use super::{Layer, Linear, ModelConfig, Network, Norm};
use crate::graph::{Graph, GraphError, Tensor};
use crate::math::Activation;
use crate::ops::{self, EmbeddingTables};

/// What the encoder needs to know of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Encoded {
    /// Token types [B, L].
    pub types: Tensor,
    /// Tokens that are not padding: `[B]`.
    pub lengths: Tensor,
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
        self.run(g, ids, c, None)
    }

    /// What [`Network::encode`] makes of each row's first token, `[CLS]`: [B, H]. Of the other tokens the last layer computes nothing
    /// beyond what attention asks for: three quarters of its products are left out.
    ///
    /// # Errors
    /// [`GraphError`] for inputs of other shapes.
    pub fn encode_first(&self, g: &mut Graph, ids: Tensor, c: Encoded) -> Result<Tensor, GraphError> {
        let rows = g.ty(ids).rows();
        let first = ops::zero_indices(g, &[rows, 1])?;
        self.run(g, ids, c, Some(first))
    }

    /// All tokens, or those at `positions` [B, K] in the rows: [B K, H].
    fn run(&self, g: &mut Graph, ids: Tensor, c: Encoded, positions: Option<Tensor>) -> Result<Tensor, GraphError> {
        let embeddings = &self.embeddings;
        let tables = EmbeddingTables {
            word: g.parameter(embeddings.word),
            position: g.parameter(embeddings.position),
            types: g.parameter(embeddings.types),
        };
        let sum = ops::embedding(g, tables, ids, c.types)?;
        let x = norm(g, sum, embeddings.norm, self.config.layer_norm_epsilon)?;
        let mut x = ops::dropout(g, x, if c.dropout { self.config.dropout } else { 0.0 })?;
        if let Some(project) = self.encoder.project {
            x = linear(g, x, project)?;
        }
        for (i, layer) in self.encoder.layers.iter().enumerate() {
            let positions = if i + 1 == self.encoder.layers.len() { positions } else { None };
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
        let layer = self.own.iter().find(|(known, _)| *known == name).ok_or_else(|| self.without(name))?;
        linear(g, x, layer.1)
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
    let mixed = ops::attention(g, qkv, c.lengths, config.heads, attention_dropout)?;
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
