//! The generator: a masked language model.

use super::encoder::{layer_norm, linear};
use super::{Embeddings, Encoder, Tokens, gelu};
use crate::model::Network;
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
    pub(super) fn new(network: &Network, device: &Device) -> Self {
        let c = &network.config;
        Self {
            encoder: Encoder::new(c, device),
            dense: linear(c.hidden, c.embedding, device),
            norm: layer_norm(c.embedding, c.layer_norm_epsilon, device),
            bias: Param::from_tensor(Tensor::zeros([c.vocabulary], device)),
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
