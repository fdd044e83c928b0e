//! Both networks and ELECTRA's joint objective; `crate::objective::electra` has the method in words.

use super::weights::{gradients, load, values};
use super::{Batch, BurnError, Discriminator, Generator};
use crate::config::{Config, preset};
use crate::graph::GraphError;
use crate::model::Model;
use crate::model::{Architecture, ModelConfig};
use crate::objective::electra::Electra as Settings;
use crate::objective::{self, GeneratorSizes};
use crate::transformers::Pretrained;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Gradients, IndexingUpdateOp, Int, Tensor, activation};
use std::path::Path;

/// Added to a count that is divided by, and inside the logarithms of the Gumbel noise, as in the reference.
const TINY: f32 = 1e-6;
const NOISE: f32 = 1e-9;

/// A generator and a discriminator that share their embeddings.
#[derive(Module, Debug)]
pub struct Electra {
    /// Its own layers.
    pub generator: Generator,
    /// Its own layers and the shared embeddings.
    pub discriminator: Discriminator,
    /// Of the generator's loss in the sum.
    pub generator_weight: f32,
    /// Of the discriminator's.
    pub discriminator_weight: f32,
}

/// What the objective gives.
#[derive(Debug, Clone)]
pub struct Objective {
    /// The weighted sum of both: `[1]`.
    pub loss: Tensor<1>,
    /// Masked language modelling, mean over the drawn positions, nats: `[1]`.
    pub generator_loss: Tensor<1>,
    /// Replaced-token detection, mean over the tokens, nats: `[1]`.
    pub discriminator_loss: Tensor<1>,
    /// What the generator thinks of the words at the drawn positions: [M, V].
    pub generator_logits: Tensor<2>,
    /// What was put there: `[M]`.
    pub sampled: Tensor<1, Int>,
    /// 1 where a token differs from the original: [B, L].
    pub labels: Tensor<2, Int>,
    /// The discriminator's logits of "replaced": [B, L].
    pub logits: Tensor<2>,
}

impl Electra {
    /// Both networks of a run's folder or of one of its `checkpoints/step-N/`, and their sizes. Weights of the losses are
    /// the paper's, and dropout what config.json says.
    ///
    /// # Errors
    /// [`BurnError::Checkpoint`] for everything that can be wrong with the files, [`BurnError::Mismatch`] where they hold two
    /// models that do not belong together.
    pub fn load(folder: &Path, device: &Device) -> Result<(Self, Config), BurnError> {
        let generator = Pretrained::load(folder, Architecture::MaskedLm)?;
        let discriminator = Pretrained::load(folder, Architecture::PreTraining)?;
        let (g, d) = (generator.network(), discriminator.network());
        for (what, generator, discriminator) in [
            ("vocabulary", g.config.vocabulary, d.config.vocabulary),
            ("embedding width", g.config.embedding, d.config.embedding),
            ("number of positions", g.config.positions, d.config.positions),
            ("number of segment types", g.config.types, d.config.types),
        ] {
            if generator != discriminator {
                return Err(BurnError::Mismatch { what, generator, discriminator });
            }
        }
        let ModelConfig { hidden, layers, heads, feed_forward, .. } = g.config;
        let generator_sizes = objective::Generator::Sizes(GeneratorSizes { hidden, layers, heads, feed_forward });
        let settings = Settings { generator: generator_sizes, ..Settings::default() };
        let electra = Self {
            generator: load(Generator::new(g, device), &generator.model, g, &generator.weights)?,
            discriminator: Discriminator::from_pretrained(&discriminator, device)?,
            generator_weight: settings.generator_weight,
            discriminator_weight: settings.discriminator_weight,
        };
        Ok((electra, Config { model: d.config.clone(), objective: settings.into(), ..preset("small")? }))
    }

    /// From a bank of weights, laid out as `model.table` says; [`Model::initial`] makes one to start from scratch with.
    ///
    /// # Errors
    /// [`BurnError::Network`] where `model` is no ELECTRA, [`BurnError::Parameter`] where `bank` is another model's.
    pub fn from_bank(config: &Config, model: &Model, bank: &[f32], device: &Device) -> Result<Self, BurnError> {
        let generator = model.network("generator")?;
        let settings = config.objective.electra().ok_or_else(|| GraphError {
            op: "electra",
            found: config.objective.name().into(),
            expected: "the settings of electra".into(),
        })?;
        Ok(Self {
            generator: load(Generator::new(generator, device), model, generator, bank)?,
            discriminator: Discriminator::from_bank(model, bank, device)?,
            generator_weight: settings.generator_weight,
            discriminator_weight: settings.discriminator_weight,
        })
    }

    /// The weights as a bank, from which [`crate::transformers::to_bytes`] makes files for `transformers`.
    ///
    /// # Errors
    /// [`BurnError::Read`] where the device gives nothing back.
    pub fn to_bank(&self, model: &Model) -> Result<Vec<f32>, BurnError> {
        let mut bank = vec![0.0; model.table.len()];
        values(&self.generator, model, model.network("generator")?, &mut bank)?;
        values(&self.discriminator, model, model.network("discriminator")?, &mut bank)?;
        Ok(bank)
    }

    /// Gradients as a bank.
    ///
    /// # Errors
    /// [`BurnError::Parameter`] for a parameter without a gradient, [`BurnError::Read`] where the device gives nothing back.
    pub fn gradients(&self, found: Gradients, model: &Model) -> Result<Vec<f32>, BurnError> {
        let mut bank = vec![0.0; model.table.len()];
        let found = GradientsParams::from_grads(found, self);
        gradients(&self.generator, &found, model, model.network("generator")?, &mut bank)?;
        gradients(&self.discriminator, &found, model, model.network("discriminator")?, &mut bank)?;
        Ok(bank)
    }

    /// The objective. `samples` `[M]` stand in for the generator's own where given.
    pub fn forward(&self, batch: &Batch, samples: Option<Tensor<1, Int>>) -> Objective {
        // The generator guesses the drawn tokens.
        let masked = batch.tokens.with(batch.masked_ids.clone());
        let guess = self.generator.forward(&self.discriminator.embeddings, &masked, batch.positions.clone());
        let [slots, _] = guess.dims();
        let targets = batch.targets.clone().reshape([slots, 1]);
        let likelihood = activation::log_softmax(guess.clone(), 1).gather(1, targets).reshape([slots]);
        let generator_loss = (likelihood * batch.weights.clone()).sum().neg() / (batch.selected + TINY);

        // Its samples replace them; sampling has no gradient.
        let sampled = samples.unwrap_or_else(|| sample(guess.clone().detach()));
        let original = batch.tokens.ids.clone();
        let change = (sampled.clone() - batch.targets.clone()) * batch.weights.clone().int();
        let corrupted = original
            .clone()
            .reshape([original.shape().num_elements()])
            .select_assign(0, batch.positions.clone(), change, IndexingUpdateOp::Add)
            .reshape(original.dims());
        let labels = corrupted.clone().not_equal(original).int();

        // The discriminator says of every token whether it was replaced.
        let logits = self.discriminator.forward(&batch.tokens.with(corrupted));
        // -log sigmoid(x) of the true side, as (1 - y) x - log sigmoid(x), which does not overflow.
        let untouched = labels.clone().float().neg() + 1.0;
        let surprise = untouched * logits.clone() - activation::log_sigmoid(logits.clone());
        let kept = batch.tokens.padding.clone().bool_not().float();
        let discriminator_loss = (surprise * kept).sum() / (batch.total + TINY);

        let loss =
            generator_loss.clone() * self.generator_weight + discriminator_loss.clone() * self.discriminator_weight;
        Objective { loss, generator_loss, discriminator_loss, generator_logits: guess, sampled, labels, logits }
    }
}

/// A word for each row of logits [M, V], drawn from their softmax: `[M]`.
fn sample(logits: Tensor<2>) -> Tensor<1, Int> {
    let [slots, _] = logits.dims();
    let uniform = logits.random_like(Distribution::Uniform(0.0, 1.0));
    let noise = ((uniform + NOISE).log().neg() + NOISE).log().neg();
    (logits + noise).argmax(1).reshape([slots])
}
