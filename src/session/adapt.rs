//! Starting from a published ELECTRA instead of random weights: domain adaptation.

use crate::corpus::Tokenizer;
use crate::electra::{Config, GeneratorConfig, Half, Model, ModelConfig, checkpoint};
use crate::probe::{Pretrained, ProbeError};
use std::path::{Path, PathBuf};

/// One half or both, as `transformers` or an earlier run saved them.
#[derive(Debug, Clone)]
pub struct Adaptation {
    /// The generator first, so that of tied embeddings the discriminator's stay.
    halves: Vec<Pretrained>,
}

/// Why a model cannot be started from.
#[derive(Debug, thiserror::Error)]
pub enum AdaptError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] ProbeError),
    /// A generator and a discriminator that cannot share embeddings.
    #[error(
        "{} and {} have different {what}: {generator} and {discriminator}; expected two halves of one model",
        folders[0].display(), folders[1].display()
    )]
    Halves {
        /// The generator's folder and the discriminator's.
        folders: [PathBuf; 2],
        /// What should be the same.
        what: &'static str,
        /// The generator's.
        generator: String,
        /// The discriminator's.
        discriminator: String,
    },
}

impl Adaptation {
    /// Finds what there is: `generator/` and `discriminator/` in `folder` or in the newest of its `checkpoints/`, or
    /// `folder` itself as one of the two.
    ///
    /// # Errors
    /// [`AdaptError`] where there is neither, one of them is damaged, or they do not go together.
    pub fn load(folder: &Path) -> Result<Self, AdaptError> {
        let half = |half| match Pretrained::load(folder, half) {
            Ok(found) => Ok(Some(found)),
            // A folder with the other half only.
            Err(error @ (ProbeError::Half { .. } | ProbeError::NoModel { .. })) => Err((true, error)),
            Err(error) => Err((false, error)),
        };
        let (generator, discriminator) = match (half(Half::Generator), half(Half::Discriminator)) {
            (Ok(generator), Ok(discriminator)) => (generator, discriminator),
            (Ok(generator), Err((true, _))) => (generator, None),
            (Err((true, _)), Ok(discriminator)) => (None, discriminator),
            (Err((false, error)), _) | (_, Err((_, error))) => return Err(error.into()),
        };
        if let (Some(g), Some(d)) = (&generator, &discriminator) {
            let both = |value: fn(&ModelConfig) -> String| (value(&g.config.model), value(&d.config.model));
            for (what, (generator, discriminator)) in [
                ("vocabularies", both(|m| m.vocabulary.to_string())),
                ("widths of embeddings", both(|m| m.embedding.to_string())),
                ("numbers of positions", both(|m| m.positions.to_string())),
                ("numbers of segment types", both(|m| m.types.to_string())),
                ("activations", both(|m| m.activation.name().to_string())),
                ("epsilons of layer norm", both(|m| format!("{:e}", m.layer_norm_epsilon))),
            ] {
                if generator != discriminator {
                    let folders = [g.folder.clone(), d.folder.clone()];
                    return Err(AdaptError::Halves { folders, what, generator, discriminator });
                }
            }
        }
        Ok(Self { halves: [generator, discriminator].into_iter().flatten().collect() })
    }

    /// Gives `config` the sizes of what was found. The half that is not there keeps `config`'s.
    pub fn resize(&self, config: &mut Config) {
        for found in &self.halves {
            let ModelConfig { vocabulary, positions, types, embedding, activation, layer_norm_epsilon, .. } =
                found.config.model;
            config.model = ModelConfig {
                vocabulary,
                positions,
                types,
                embedding,
                activation,
                layer_norm_epsilon,
                ..config.model.clone()
            };
            match found.half {
                Half::Generator => config.generator = found.config.generator.clone(),
                Half::Discriminator => {
                    let ModelConfig { hidden, layers, heads, feed_forward, .. } = found.config.model;
                    config.model = ModelConfig { hidden, layers, heads, feed_forward, ..config.model.clone() };
                }
            }
        }
        let GeneratorConfig { hidden, heads, .. } = config.generator;
        // A preset's generator beside a published discriminator: any number of heads that divides its width will do.
        if !hidden.is_multiple_of(heads) {
            config.generator.heads = 1;
        }
    }

    /// The tokenizer that goes with the weights.
    pub fn tokenizer(&self) -> Option<&Tokenizer> {
        self.halves.last().map(|found| &found.tokenizer)
    }

    /// The step of the checkpoint that was found, where its folder's name says so.
    pub fn step(&self) -> Option<u64> {
        let folder = self.halves.last()?.folder.parent()?;
        folder.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()
    }

    /// The folder of that tokenizer.
    pub fn tokenizer_folder(&self) -> PathBuf {
        self.halves.last().map(|found| found.home.clone()).unwrap_or_default()
    }

    /// The first weights of a run of `config`, which [`Adaptation::resize`] has seen: those found, and random ones where
    /// there are none.
    pub fn weights(&self, config: &Config, model: &Model) -> Vec<f32> {
        let mut bank = model.initial(config.seed);
        for found in &self.halves {
            let ours = checkpoint::entries(model, found.half);
            let theirs = checkpoint::entries(&found.model, found.half);
            for (to, from) in ours.iter().zip(&theirs) {
                let len: usize = from.shape.iter().product();
                bank[to.offset..to.offset + len].copy_from_slice(&found.weights[from.offset..from.offset + len]);
            }
        }
        bank
    }

    /// What was found, in words.
    pub fn describe(&self) -> String {
        let name = |found: &Pretrained| format!("{} of {}", found.half.name(), found.folder.display());
        self.halves.iter().map(name).collect::<Vec<_>>().join(" and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{SAMPLE, VocabularyOptions};
    use crate::electra::preset;
    use crate::ops::Activation;

    fn save(folder: &Path, half: Half, config: &Config, model: &Model, bank: &[f32], tokenizer: &Tokenizer) {
        tokenizer.save(folder, config.model.positions).unwrap();
        std::fs::write(folder.join("config.json"), checkpoint::config_json(config, half)).unwrap();
        std::fs::write(folder.join("model.safetensors"), checkpoint::to_bytes(model, half, bank).unwrap()).unwrap();
    }

    #[test]
    fn takes_either_half_or_both() {
        let folder = tempfile::tempdir().unwrap();
        let options = VocabularyOptions { size: 100, ..VocabularyOptions::default() };
        let tokenizer = Tokenizer::train([&SAMPLE[..20_000]], &options).unwrap();
        let mut published = preset("tiny").unwrap().set("model.layers=3").unwrap();
        published.model.vocabulary = tokenizer.size();
        (published.model.activation, published.model.layer_norm_epsilon) = (Activation::Relu, 1e-5);
        let model = Model::new(&published);
        let bank = model.initial(99);
        let save = |half: Half, to: &Path| save(to, half, &published, &model, &bank, &tokenizer);
        let (both, one) = (folder.path().join("both"), folder.path().join("one"));
        save(Half::Generator, &both.join("generator"));
        save(Half::Discriminator, &both.join("discriminator"));
        save(Half::Generator, &one);

        let found = Adaptation::load(&both).unwrap();
        let mut config = preset("mini").unwrap();
        found.resize(&mut config);
        assert_eq!((config.model.layers, config.model.hidden, config.generator.hidden), (3, 128, 8));
        assert_eq!((config.model.activation, config.model.layer_norm_epsilon), (Activation::Relu, 1e-5));
        assert_eq!(found.weights(&config, &Model::new(&config)), bank);

        let found = Adaptation::load(&one).unwrap();
        let mut config = preset("mini").unwrap();
        found.resize(&mut config);
        config.check().unwrap();
        assert_eq!((config.model.layers, config.model.hidden, config.generator.hidden), (4, 192, 8));
        let ours = Model::new(&config);
        let weights = found.weights(&config, &ours);
        let word = |model: &Model, bank: &[f32]| bank[model.table.parameters()[model.embeddings.word].range()].to_vec();
        assert_eq!(word(&ours, &weights), word(&model, &bank));
        assert_ne!(weights, ours.initial(config.seed));

        let error = Adaptation::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("holds no model"), "{error}");
        let refused = |activation, epsilon, expected: &str| {
            let mut other = published.clone();
            (other.model.activation, other.model.layer_norm_epsilon) = (activation, epsilon);
            self::save(&both.join("generator"), Half::Generator, &other, &model, &bank, &tokenizer);
            let error = Adaptation::load(&both).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        refused(Activation::Gelu, 1e-5, "different activations: gelu and relu");
        refused(Activation::Relu, 1e-12, "different epsilons of layer norm: 1e-12 and 1e-5");
        let mut other = published.clone();
        other.model.embedding = 32;
        let wide = Model::new(&other);
        self::save(&both.join("generator"), Half::Generator, &other, &wide, &wide.initial(1), &tokenizer);
        let error = Adaptation::load(&both).unwrap_err().to_string();
        assert!(error.contains("widths of embeddings: 32 and 64"), "{error}");
    }
}
