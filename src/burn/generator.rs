//! The generator: a masked language model.

use super::encoder::{Sizes, layer_norm, linear};
use super::{Embeddings, Encoder, Tokens, gelu};
use crate::electra::Config;
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Device, Int, Tensor};

/// Encoder and language model head; the embeddings, which are the output matrix too, are the discriminator's.
#[derive(Module, Debug)]
pub struct Generator {
    /// The layers.
    pub encoder: Encoder,
    /// H to E.
    pub dense: Linear,
    /// Over E.
    pub norm: LayerNorm,
    /// A bias for every word: `[V]`.
    pub bias: Param<Tensor<1>>,
}

impl Generator {
    pub(super) fn new(config: &Config, device: &Device) -> Self {
        let (m, g) = (&config.model, &config.generator);
        let sizes = Sizes {
            embedding: m.embedding,
            hidden: g.hidden,
            layers: g.layers,
            heads: g.heads,
            feed_forward: g.feed_forward,
            dropout: m.dropout,
            attention_dropout: m.attention_dropout,
            activation: m.activation,
            epsilon: m.layer_norm_epsilon,
        };
        Self {
            encoder: Encoder::new(sizes, device),
            dense: linear(g.hidden, m.embedding, device),
            norm: layer_norm(m.embedding, m.layer_norm_epsilon, device),
            bias: Param::from_tensor(Tensor::zeros([m.vocabulary], device)),
        }
    }

    /// Logits [M, V] of the words at `positions` `[M]`, rows of B L.
    pub fn forward(&self, embeddings: &Embeddings, tokens: &Tokens, positions: Tensor<1, Int>) -> Tensor<2> {
        let hidden = self.encoder.forward(embeddings.forward(tokens), &tokens.padding);
        let [batch, length, width] = hidden.dims();
        let drawn = hidden.reshape([batch * length, width]).select(0, positions);
        let x = self.norm.forward(gelu(self.dense.forward(drawn)));
        x.matmul(embeddings.word.weight.val().transpose()) + self.bias.val().unsqueeze_dim::<2>(0)
    }
}
