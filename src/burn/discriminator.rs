//! The discriminator: the network that one keeps.

use super::encoder::{Sizes, linear};
use super::gelu::apply;
use super::weights::load;
use super::{BurnError, Embeddings, Encoder, Tokens};
use crate::electra::{Config, Half, Model};
use crate::ops::Activation;
use crate::probe::Pretrained;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

/// Embeddings, encoder and the head that says of every token whether it was replaced.
#[derive(Module, Debug)]
pub struct Discriminator {
    /// Shared with the generator while both are trained.
    pub embeddings: Embeddings,
    /// The layers.
    pub encoder: Encoder,
    /// H to H.
    pub dense: Linear,
    /// H to 1.
    pub prediction: Linear,
    /// Between the two.
    #[module(skip)]
    pub activation: Activation,
}

impl Discriminator {
    /// The discriminator of a run's or of `transformers`' folder, as [`Pretrained::load`] reads it.
    ///
    /// # Errors
    /// [`BurnError::Parameter`], for a generator.
    pub fn from_pretrained(pretrained: &Pretrained, device: &Device) -> Result<Self, BurnError> {
        Self::from_bank(&pretrained.config, &pretrained.model, &pretrained.weights, device)
    }

    /// From a bank of weights, laid out as `model.table` says.
    ///
    /// # Errors
    /// [`BurnError::Parameter`] where `config`, `model` and `bank` do not belong together.
    pub fn from_bank(config: &Config, model: &Model, bank: &[f32], device: &Device) -> Result<Self, BurnError> {
        load(Self::new(config, device), model, Half::Discriminator, bank)
    }

    fn new(config: &Config, device: &Device) -> Self {
        let m = &config.model;
        let sizes = Sizes {
            embedding: m.embedding,
            hidden: m.hidden,
            layers: m.layers,
            heads: m.heads,
            feed_forward: m.feed_forward,
            dropout: m.dropout,
            attention_dropout: m.attention_dropout,
            activation: m.activation,
            epsilon: m.layer_norm_epsilon,
        };
        Self {
            embeddings: Embeddings::new(m, device),
            encoder: Encoder::new(sizes, device),
            dense: linear(m.hidden, m.hidden, device),
            prediction: linear(m.hidden, 1, device),
            activation: m.activation,
        }
    }

    /// What the last layer makes of `tokens`: [B, L, H]. A classifier to be fine-tuned starts here.
    pub fn encode(&self, tokens: &Tokens) -> Tensor<3> {
        self.encoder.forward(self.embeddings.forward(tokens), &tokens.padding)
    }

    /// Logits of "replaced": [B, L].
    pub fn forward(&self, tokens: &Tokens) -> Tensor<2> {
        let hidden = apply(self.dense.forward(self.encode(tokens)), self.activation);
        self.prediction.forward(hidden).squeeze_dim::<2>(2)
    }

    /// The weights as a bank, from which [`crate::electra::checkpoint::to_bytes`] makes a file for `transformers`. What
    /// the discriminator does not have, the generator's own, is 0.
    ///
    /// # Errors
    /// [`BurnError::Read`] where the device gives nothing back.
    pub fn to_bank(&self, model: &Model) -> Result<Vec<f32>, BurnError> {
        let mut bank = vec![0.0; model.table.len()];
        super::weights::values(self, model, Half::Discriminator, &mut bank)?;
        Ok(bank)
    }
}
