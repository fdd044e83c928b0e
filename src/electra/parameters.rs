//! The table of parameters of a generator and a discriminator with tied embeddings.

use super::{Config, ModelConfig, PositionInitialization};
use crate::graph::{Initialization, ParameterTable};
use crate::ops::Activation;
use rand_core::{Rng as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use std::sync::Arc;

/// One of the two networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The masked language model that proposes replacements.
    Generator,
    /// The network that is kept.
    Discriminator,
}

impl Half {
    /// The folder's name in a checkpoint.
    pub fn name(self) -> &'static str {
        match self {
            Half::Generator => "generator",
            Half::Discriminator => "discriminator",
        }
    }
}

/// Indices of a linear layer's weight [out, in] and bias `[out]` in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// [out, in]
    pub weight: usize,
    /// `[out]`
    pub bias: usize,
}

/// Indices of a layer norm's scale and shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Norm {
    /// Scale, `[C]`.
    pub gamma: usize,
    /// Shift, `[C]`.
    pub beta: usize,
}

/// The tied embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embeddings {
    /// [V, E]
    pub word: usize,
    /// [P, E]
    pub position: usize,
    /// [Y, E]
    pub types: usize,
    /// Over E.
    pub norm: Norm,
}

/// One encoder layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Query, key and value on top of each other: [3 H, H].
    pub qkv: Weights,
    /// Attention's output: [H, H].
    pub attention: Weights,
    /// Behind attention.
    pub attention_norm: Norm,
    /// [F, H]
    pub intermediate: Weights,
    /// [H, F]
    pub output: Weights,
    /// Behind the feed-forward part.
    pub output_norm: Norm,
}

/// One encoder's own parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderParameters {
    /// Embedding width to hidden width, where they differ.
    pub project: Option<Weights>,
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
    /// Attention heads.
    pub heads: usize,
}

/// The layers on top of the encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadParameters {
    /// Generator: hidden to embedding width.
    pub generator_dense: Weights,
    /// Generator: over the embedding width.
    pub generator_norm: Norm,
    /// Generator: embedding width to words. The word embeddings, but in a published model that has a matrix of its own.
    pub generator_output: usize,
    /// Generator: a bias for every word.
    pub generator_bias: usize,
    /// Discriminator: hidden to hidden.
    pub discriminator_dense: Weights,
    /// Discriminator: hidden to 1.
    pub discriminator_prediction: Weights,
}

/// Both networks: where everything is in the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The layout of the banks.
    pub table: Arc<ParameterTable>,
    /// Tied.
    pub embeddings: Embeddings,
    /// The generator's encoder.
    pub generator: EncoderParameters,
    /// The discriminator's encoder.
    pub discriminator: EncoderParameters,
    /// Both heads.
    pub heads: HeadParameters,
    /// Of the layers and of the discriminator's head.
    pub activation: Activation,
    /// Of every layer norm.
    pub epsilon: f64,
}

/// The output bias of a row without a token: far below any logit, and a number in 16 bits too.
const SILENT: f32 = -1e4;

struct Builder {
    /// Of embeddings and layer weights.
    normal: Initialization,
    specs: Vec<(String, Vec<usize>, bool, Initialization)>,
}

impl Builder {
    fn push(&mut self, name: String, shape: &[usize], decay: bool, init: Initialization) -> usize {
        self.specs.push((name, shape.to_vec(), decay, init));
        self.specs.len() - 1
    }

    fn linear(&mut self, name: &str, out: usize, width: usize, init: Initialization) -> Weights {
        let weight = self.push(format!("{name}.weight"), &[out, width], true, init);
        Weights { weight, bias: self.push(format!("{name}.bias"), &[out], false, Initialization::Zeros) }
    }

    fn norm(&mut self, name: &str, width: usize) -> Norm {
        let gamma = self.push(format!("{name}.weight"), &[width], false, Initialization::Ones);
        Norm { gamma, beta: self.push(format!("{name}.bias"), &[width], false, Initialization::Zeros) }
    }

    fn encoder(
        &mut self,
        half: Half,
        embedding: usize,
        (hidden, layers, heads, wide): (usize, usize, usize, usize),
    ) -> EncoderParameters {
        let (half, normal) = (half.name(), self.normal);
        let project = (embedding != hidden).then(|| {
            self.linear(&format!("{half}.embeddings_project"), hidden, embedding, Initialization::GlorotUniform)
        });
        let layer = |i: usize| {
            let name = |part: &str| format!("{half}.encoder.layer.{i}.{part}");
            Layer {
                qkv: self.linear(&name("attention.self.qkv"), 3 * hidden, hidden, normal),
                attention: self.linear(&name("attention.output.dense"), hidden, hidden, normal),
                attention_norm: self.norm(&name("attention.output.LayerNorm"), hidden),
                intermediate: self.linear(&name("intermediate.dense"), wide, hidden, normal),
                output: self.linear(&name("output.dense"), hidden, wide, normal),
                output_norm: self.norm(&name("output.LayerNorm"), hidden),
            }
        };
        EncoderParameters { project, layers: (0..layers).map(layer).collect(), heads }
    }
}

impl Model {
    /// Lays out the parameters of `config`'s generator and discriminator.
    pub fn new(config: &Config) -> Self {
        Self::laid_out(config, true)
    }

    /// The same with an output matrix of the generator's own in place of the word embeddings. It is not trained.
    pub fn with_own_output(config: &Config) -> Self {
        Self::laid_out(config, false)
    }

    fn laid_out(config: &Config, tied: bool) -> Self {
        let ModelConfig { vocabulary, positions, types, embedding, hidden, layers, heads, feed_forward, .. } =
            config.model;
        let generator = &config.generator;
        let normal = Initialization::TruncatedNormal(config.model.initializer_range as f32);
        let position = match config.model.position_initialization {
            PositionInitialization::Normal => normal,
            PositionInitialization::Sinusoidal => Initialization::Sinusoidal(config.model.initializer_range as f32),
        };
        let mut b = Builder { normal, specs: Vec::new() };
        let embeddings = Embeddings {
            word: b.push("embeddings.word_embeddings.weight".into(), &[vocabulary, embedding], true, normal),
            position: b.push("embeddings.position_embeddings.weight".into(), &[positions, embedding], true, position),
            types: b.push("embeddings.token_type_embeddings.weight".into(), &[types, embedding], true, normal),
            norm: b.norm("embeddings.LayerNorm", embedding),
        };
        let sizes = (generator.hidden, generator.layers, generator.heads, generator.feed_forward);
        let generator_encoder = b.encoder(Half::Generator, embedding, sizes);
        let discriminator = b.encoder(Half::Discriminator, embedding, (hidden, layers, heads, feed_forward));
        let heads = HeadParameters {
            generator_dense: b.linear("generator_predictions.dense", embedding, generator.hidden, normal),
            generator_norm: b.norm("generator_predictions.LayerNorm", embedding),
            generator_output: match tied {
                true => embeddings.word,
                false => b.push("generator_lm_head.weight".into(), &[vocabulary, embedding], true, normal),
            },
            generator_bias: b.push("generator_lm_head.bias".into(), &[vocabulary], false, Initialization::Zeros),
            discriminator_dense: b.linear("discriminator_predictions.dense", hidden, hidden, normal),
            discriminator_prediction: b.linear(
                "discriminator_predictions.dense_prediction",
                1,
                hidden,
                Initialization::GlorotUniform,
            ),
        };
        let table = Arc::new(ParameterTable::new(b.specs));
        let (activation, epsilon) = (config.model.activation, config.model.layer_norm_epsilon);
        Self { table, embeddings, generator: generator_encoder, discriminator, heads, activation, epsilon }
    }

    /// Gives the rows of the vocabulary that have no token, as `has_token` says, an output bias under which the generator's
    /// probability of them is 0: they are never sampled, and as that has no gradient, they stay so.
    pub fn silence(&self, bank: &mut [f32], has_token: impl Fn(u32) -> bool) {
        let bias = &mut bank[self.table.parameters()[self.heads.generator_bias].range()];
        (0..).zip(bias).filter(|(id, _)| !has_token(*id)).for_each(|(_, x)| *x = SILENT);
    }

    /// Initial weights as a bank: a pure function of `seed`.
    pub fn initial(&self, seed: u64) -> Vec<f32> {
        let mut bank = vec![0.0; self.table.len()];
        for (i, p) in self.table.parameters().iter().enumerate() {
            let mut rng = Pcg64Mcg::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(i as u64));
            // 53 random bits in [0, 1).
            let mut uniform = || (rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64);
            let window = &mut bank[p.range()];
            match p.initialization {
                Initialization::Zeros => {}
                Initialization::Ones => window.fill(1.0),
                Initialization::TruncatedNormal(deviation) => {
                    for x in window {
                        *x = loop {
                            // Box and Muller's transform.
                            let radius = (-2.0 * (1.0 - uniform()).ln()).sqrt();
                            let z = radius * (std::f64::consts::TAU * uniform()).cos();
                            if z.abs() <= 2.0 {
                                break z as f32 * deviation;
                            }
                        };
                    }
                }
                Initialization::Sinusoidal(deviation) => {
                    let width = p.shape[1];
                    for (i, x) in window.iter_mut().enumerate() {
                        let (position, column) = ((i / width) as f64, i % width);
                        let angle = position / 10_000f64.powf((column - column % 2) as f64 / width as f64);
                        let wave = if column % 2 == 0 { angle.sin() } else { angle.cos() };
                        // A wave's deviation is sqrt(1/2).
                        *x = (wave * std::f64::consts::SQRT_2 * f64::from(deviation)) as f32;
                    }
                }
                Initialization::GlorotUniform => {
                    let limit = (6.0 / (p.shape[0] + p.shape[1]) as f64).sqrt();
                    window.iter_mut().for_each(|x| *x = ((2.0 * uniform() - 1.0) * limit) as f32);
                }
            }
        }
        bank
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::electra::preset;

    #[test]
    fn small_has_the_papers_parameters() {
        let model = Model::new(&preset("small").unwrap());
        assert_eq!(model.table.count(), 14_196_219);
    }

    #[test]
    fn initial_weights_follow_their_rules() {
        let mut config = preset("small").unwrap();
        config.model.vocabulary = 500;
        let model = Model::new(&config);
        let bank = model.initial(3);
        assert_eq!(bank, model.initial(3));
        assert_ne!(bank, model.initial(4));
        let window = |i: usize| &bank[model.table.parameters()[i].range()];
        let word = window(model.embeddings.word);
        let deviation = (word.iter().map(|x| x * x).sum::<f32>() / word.len() as f32).sqrt();
        // A normal cut at two deviations has .88 of its deviation.
        assert!((deviation - 0.0176).abs() < 0.0003, "{deviation}");
        assert!(word.iter().all(|x| x.abs() <= 0.04));
        assert!(window(model.embeddings.norm.gamma).iter().all(|&x| x == 1.0));
        let last = window(model.heads.discriminator_prediction.weight);
        let limit = (6.0f32 / (1.0 + last.len() as f32)).sqrt();
        assert!(last.iter().all(|x| x.abs() <= limit) && last.iter().any(|x| x.abs() > 0.8 * limit));
    }
}
