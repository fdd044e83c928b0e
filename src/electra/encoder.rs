//! The encoder that generator and discriminator share in form, and the two heads.

use super::{Embeddings, EncoderParameters, Layer, Model, Norm, Weights};
use crate::graph::{Graph, GraphError, Tensor};
use crate::ops::{self, EmbeddingTables};

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

fn linear_gelu(g: &mut Graph, x: Tensor, w: Weights) -> Result<Tensor, GraphError> {
    let (weight, bias) = (g.parameter(w.weight), g.parameter(w.bias));
    ops::linear_gelu(g, x, weight, bias)
}

fn norm(g: &mut Graph, x: Tensor, n: Norm) -> Result<Tensor, GraphError> {
    let (gamma, beta) = (g.parameter(n.gamma), g.parameter(n.beta));
    ops::layer_norm(g, x, gamma, beta)
}

/// Embeds `ids` [B, L] and runs the layers: [B L, H].
pub fn encode(
    g: &mut Graph,
    embeddings: &Embeddings,
    p: &EncoderParameters,
    ids: Tensor,
    c: Encoded,
) -> Result<Tensor, GraphError> {
    let tables = EmbeddingTables {
        word: g.parameter(embeddings.word),
        position: g.parameter(embeddings.position),
        types: g.parameter(embeddings.types),
    };
    let sum = ops::embedding(g, tables, ids, c.types)?;
    let x = norm(g, sum, embeddings.norm)?;
    let mut x = ops::dropout(g, x, c.dropout)?;
    if let Some(project) = p.project {
        x = linear(g, x, project)?;
    }
    for layer in &p.layers {
        x = g.in_segment(|g| transformer_layer(g, layer, p.heads, x, c))?;
    }
    Ok(x)
}

/// A post-norm transformer layer, as in BERT: [T, H] to [T, H].
fn transformer_layer(g: &mut Graph, p: &Layer, heads: usize, x: Tensor, c: Encoded) -> Result<Tensor, GraphError> {
    let qkv = linear(g, x, p.qkv)?;
    let mixed = ops::attention(g, qkv, c.lengths, heads, c.attention_dropout)?;
    let mixed = linear(g, mixed, p.attention)?;
    let n = (g.parameter(p.attention_norm.gamma), g.parameter(p.attention_norm.beta));
    let x = ops::residual_layer_norm(g, mixed, x, n, c.dropout)?;
    let wide = linear_gelu(g, x, p.intermediate)?;
    let narrow = linear(g, wide, p.output)?;
    let n = (g.parameter(p.output_norm.gamma), g.parameter(p.output_norm.beta));
    ops::residual_layer_norm(g, narrow, x, n, c.dropout)
}

/// The generator's head up to the vocabulary: dense, GELU, layer norm; [M, Hg] to [M, E].
pub fn generator_head(g: &mut Graph, model: &Model, x: Tensor) -> Result<Tensor, GraphError> {
    let x = linear_gelu(g, x, model.heads.generator_dense)?;
    norm(g, x, model.heads.generator_norm)
}

/// The discriminator's head: dense, GELU, one logit a token; [T, H] to [T, 1].
pub fn discriminator_logits(g: &mut Graph, model: &Model, x: Tensor) -> Result<Tensor, GraphError> {
    let x = linear_gelu(g, x, model.heads.discriminator_dense)?;
    linear(g, x, model.heads.discriminator_prediction)
}
