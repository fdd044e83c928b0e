//! The encoder that generator and discriminator share in form: BERT's, normalised behind each part.

use super::Tokens;
use super::gelu::apply;
use crate::math::Activation;
use crate::model::ModelConfig;
use burn::module::Module;
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::{Dropout, DropoutConfig, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Bool, Device, Tensor};

/// The embeddings that both networks share.
#[derive(Module, Debug)]
pub struct Embeddings {
    /// [V, E]
    pub word: Embedding,
    /// [P, E]
    pub position: Embedding,
    /// [Y, E]
    pub types: Embedding,
    /// Over E.
    pub norm: LayerNorm,
    /// Behind the norm.
    pub dropout: Dropout,
}

impl Embeddings {
    pub(super) fn new(c: &ModelConfig, device: &Device) -> Self {
        let table = |rows| EmbeddingConfig::new(rows, c.embedding).init(device);
        Self {
            word: table(c.vocabulary),
            position: table(c.positions),
            types: table(c.types),
            norm: layer_norm(c.embedding, c.layer_norm_epsilon, device),
            dropout: dropout(c.dropout),
        }
    }

    /// [B, L, E]
    pub fn forward(&self, tokens: &Tokens) -> Tensor<3> {
        let [_, length] = tokens.ids.dims();
        let position = self.position.weight.val().narrow(0, 0, length).unsqueeze_dim::<3>(0);
        let sum = self.word.forward(tokens.ids.clone()) + self.types.forward(tokens.types.clone()) + position;
        self.dropout.forward(self.norm.forward(sum))
    }
}

/// A post-norm transformer layer.
#[derive(Module, Debug)]
pub struct EncoderLayer {
    /// Multi-head self-attention.
    pub attention: MultiHeadAttention,
    /// Behind attention.
    pub attention_norm: LayerNorm,
    /// H to the feed-forward width.
    pub intermediate: Linear,
    /// And back.
    pub output: Linear,
    /// Behind the feed-forward part.
    pub output_norm: LayerNorm,
    /// On what each part adds.
    pub dropout: Dropout,
    /// Between the feed-forward part's two layers.
    #[module(skip)]
    pub activation: Activation,
}

impl EncoderLayer {
    fn new(c: &ModelConfig, device: &Device) -> Self {
        let attention = MultiHeadAttentionConfig::new(c.hidden, c.heads).with_dropout(f64::from(c.attention_dropout));
        Self {
            attention: attention.init(device),
            attention_norm: layer_norm(c.hidden, c.layer_norm_epsilon, device),
            intermediate: linear(c.hidden, c.feed_forward, device),
            output: linear(c.feed_forward, c.hidden, device),
            output_norm: layer_norm(c.hidden, c.layer_norm_epsilon, device),
            dropout: dropout(c.dropout),
            activation: c.activation,
        }
    }

    /// [B, L, H] to [B, L, H].
    pub fn forward(&self, x: Tensor<3>, padding: Tensor<2, Bool>) -> Tensor<3> {
        let mixed = self.attention.forward(MhaInput::self_attn(x.clone()).mask_pad(padding)).context;
        let x = self.attention_norm.forward(self.dropout.forward(mixed) + x);
        let narrow = self.output.forward(apply(self.intermediate.forward(x.clone()), self.activation));
        self.output_norm.forward(self.dropout.forward(narrow) + x)
    }
}

/// From embeddings to what a head sees.
#[derive(Module, Debug)]
pub struct Encoder {
    /// E to H, where they differ.
    pub project: Option<Linear>,
    /// Lowest first.
    pub layers: Vec<EncoderLayer>,
}

impl Encoder {
    pub(super) fn new(c: &ModelConfig, device: &Device) -> Self {
        Self {
            project: (c.embedding != c.hidden).then(|| linear(c.embedding, c.hidden, device)),
            layers: (0..c.layers).map(|_| EncoderLayer::new(c, device)).collect(),
        }
    }

    /// [B, L, E] to [B, L, H].
    pub fn forward(&self, embedded: Tensor<3>, padding: &Tensor<2, Bool>) -> Tensor<3> {
        let x = match &self.project {
            Some(project) => project.forward(embedded),
            None => embedded,
        };
        self.layers.iter().fold(x, |x, layer| layer.forward(x, padding.clone()))
    }
}

// Parameters are created when they are first used, and every one is replaced by a checkpoint's before that.

pub(super) fn linear(from: usize, to: usize, device: &Device) -> Linear {
    LinearConfig::new(from, to).init(device)
}

pub(super) fn layer_norm(width: usize, epsilon: f64, device: &Device) -> LayerNorm {
    LayerNormConfig::new(width).with_epsilon(epsilon).init(device)
}

fn dropout(probability: f32) -> Dropout {
    DropoutConfig::new(f64::from(probability)).init()
}
