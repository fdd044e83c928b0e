//! The discriminator: the network that one keeps.

use super::encoder::linear;
use super::gelu::apply;
use super::weights::load;
use super::{BurnError, Embeddings, Encoder, Tokens};
use crate::math::Activation;
use crate::model::{Model, Network};
use crate::transformers::Pretrained;
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
    /// [`BurnError::Network`], for a generator.
    pub fn from_pretrained(pretrained: &Pretrained, device: &Device) -> Result<Self, BurnError> {
        Self::from_bank(&pretrained.model, &pretrained.weights, device)
    }

    /// From a bank of weights, laid out as `model.table` says.
    ///
    /// # Errors
    /// [`BurnError::Network`] where `model` has no discriminator, [`BurnError::Parameter`] where `bank` is another model's.
    pub fn from_bank(model: &Model, bank: &[f32], device: &Device) -> Result<Self, BurnError> {
        let network = model.network("discriminator")?;
        load(Self::new(network, device), model, network, bank)
    }

    fn new(network: &Network, device: &Device) -> Self {
        let m = &network.config;
        Self {
            embeddings: Embeddings::new(m, device),
            encoder: Encoder::new(m, device),
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

    /// The weights as a bank, from which [`crate::transformers::to_bytes`] makes a file for `transformers`. What
    /// the discriminator does not have, the generator's own, is 0.
    ///
    /// # Errors
    /// [`BurnError::Read`] where the device gives nothing back.
    pub fn to_bank(&self, model: &Model) -> Result<Vec<f32>, BurnError> {
        let mut bank = vec![0.0; model.table.len()];
        super::weights::values(self, model, model.network("discriminator")?, &mut bank)?;
        Ok(bank)
    }
}
