//! The encoder that generator and discriminator share in form, and the two heads.

use super::{EncoderParameters, Layer, Model, Norm, Weights};
use crate::graph::{Graph, GraphError, Tensor};
use crate::ops::{self, Activation, EmbeddingTables};

/// What the encoder needs to know of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Encoded {
    /// Token types [B, L].
    pub types: Tensor,
    /// Tokens that are not padding: `[B]`.
    pub lengths: Tensor,
    /// Probability of dropout on embeddings and layers.
    pub dropout: f32,
    /// Probability of dropout on attention probabilities.
    pub attention_dropout: f32,
}

fn linear(g: &mut Graph, x: Tensor, w: Weights) -> Result<Tensor, GraphError> {
    let (weight, bias) = (g.parameter(w.weight), g.parameter(w.bias));
    ops::linear(g, x, weight, bias)
}

fn linear_activation(g: &mut Graph, x: Tensor, w: Weights, activation: Activation) -> Result<Tensor, GraphError> {
    let (weight, bias) = (g.parameter(w.weight), g.parameter(w.bias));
    ops::linear_activation(g, x, weight, bias, activation)
}

fn norm(g: &mut Graph, x: Tensor, n: Norm, epsilon: f64) -> Result<Tensor, GraphError> {
    let n = (g.parameter(n.gamma), g.parameter(n.beta));
    ops::layer_norm(g, x, n, epsilon)
}

/// Embeds `ids` [B, L] and runs the layers: [B L, H]. Layer i is a scope of its own, `layer.i`.
pub fn encode(
    g: &mut Graph,
    model: &Model,
    p: &EncoderParameters,
    ids: Tensor,
    c: Encoded,
) -> Result<Tensor, GraphError> {
    let embeddings = &model.embeddings;
    let tables = EmbeddingTables {
        word: g.parameter(embeddings.word),
        position: g.parameter(embeddings.position),
        types: g.parameter(embeddings.types),
    };
    let sum = ops::embedding(g, tables, ids, c.types)?;
    let x = norm(g, sum, embeddings.norm, model.epsilon)?;
    let mut x = ops::dropout(g, x, c.dropout)?;
    if let Some(project) = p.project {
        x = linear(g, x, project)?;
    }
    for (i, layer) in p.layers.iter().enumerate() {
        let build = |g: &mut Graph| g.in_segment(|g| transformer_layer(g, (model, p.heads), layer, x, c));
        x = g.in_scope(&format!("layer.{i}"), build)?;
    }
    Ok(x)
}

/// A post-norm transformer layer, as in BERT: [T, H] to [T, H].
fn transformer_layer(
    g: &mut Graph,
    (model, heads): (&Model, usize),
    p: &Layer,
    x: Tensor,
    c: Encoded,
) -> Result<Tensor, GraphError> {
    let qkv = linear(g, x, p.qkv)?;
    let mixed = ops::attention(g, qkv, c.lengths, heads, c.attention_dropout)?;
    let mixed = linear(g, mixed, p.attention)?;
    let n = (g.parameter(p.attention_norm.gamma), g.parameter(p.attention_norm.beta));
    let x = ops::residual_layer_norm(g, mixed, x, n, model.epsilon, c.dropout)?;
    let wide = linear_activation(g, x, p.intermediate, model.activation)?;
    let narrow = linear(g, wide, p.output)?;
    let n = (g.parameter(p.output_norm.gamma), g.parameter(p.output_norm.beta));
    ops::residual_layer_norm(g, narrow, x, n, model.epsilon, c.dropout)
}

/// The generator's head up to the vocabulary: dense, GELU, layer norm; [M, Hg] to [M, E]. GELU whatever the layers have, as in
/// `transformers`.
pub fn generator_head(g: &mut Graph, model: &Model, x: Tensor) -> Result<Tensor, GraphError> {
    let x = linear_activation(g, x, model.heads.generator_dense, Activation::Gelu)?;
    norm(g, x, model.heads.generator_norm, model.epsilon)
}

/// The discriminator's head: dense, activation, one logit a token; [T, H] to [T, 1].
pub fn discriminator_logits(g: &mut Graph, model: &Model, x: Tensor) -> Result<Tensor, GraphError> {
    let x = linear_activation(g, x, model.heads.discriminator_dense, model.activation)?;
    linear(g, x, model.heads.discriminator_prediction)
}
