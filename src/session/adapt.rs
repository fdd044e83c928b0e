//! Starting from a published ELECTRA instead of random weights: domain adaptation.

use crate::config::Config;
use crate::corpus::Tokenizer;
use crate::model::{Architecture, Builder, Head, Network};
use crate::model::{Model, ModelConfig};
use crate::objective::electra::Tying;
use crate::objective::{Generator, GeneratorSizes, ObjectiveConfig};
use crate::transformers::{Entry, FolderError, Pretrained, entries};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A generator, a discriminator or both, as `transformers` or an earlier run saved them.
#[derive(Debug, Clone)]
pub struct Adaptation {
    /// The generator first, so that of tied embeddings the discriminator's stay.
    networks: Vec<Pretrained>,
    notes: Vec<String>,
}

/// Why a model cannot be started from.
#[derive(Debug, thiserror::Error)]
pub enum AdaptError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A generator and a discriminator that cannot share embeddings.
    #[error(
        "{} and {} have different {what}: {generator} and {discriminator}; expected two networks of one model",
        folders[0].display(), folders[1].display()
    )]
    Mismatch {
        /// The generator's folder and the discriminator's.
        folders: [PathBuf; 2],
        /// What should be the same.
        what: &'static str,
        /// The generator's.
        generator: String,
        /// The discriminator's.
        discriminator: String,
    },
    /// A generator and a discriminator for which one id is two words.
    #[error(
        "{} and {} have different vocabularies: id {id} is {} and {}; expected two networks of one model",
        folders[0].display(), folders[1].display(), spelt(&words[0]), spelt(&words[1])
    )]
    Words {
        /// The generator's folder and the discriminator's.
        folders: [PathBuf; 2],
        /// The first id that differs.
        id: u32,
        /// The generator's word and the discriminator's.
        words: [Option<String>; 2],
    },
}

fn spelt(word: &Option<String>) -> String {
    word.as_ref().map_or_else(|| "nothing".into(), |word| format!("{word:?}"))
}

impl Adaptation {
    /// Finds what there is for an objective: `generator/`, `discriminator/` or `encoder/` in `folder` or in the newest of its
    /// `checkpoints/`, or `folder` itself as one of them. Where the objective has one network it is that with the most in
    /// common: a masked language model that was trained for itself, else the discriminator, else the generator.
    ///
    /// # Errors
    /// [`AdaptError`] where there is none, one of them is damaged, or they do not go together.
    pub fn load(folder: &Path, objective: &ObjectiveConfig) -> Result<Self, AdaptError> {
        let network = |architecture| match Pretrained::load(folder, architecture) {
            Ok(found) => Ok(Some(found)),
            // A folder that holds another network than either.
            Err(FolderError::Encoder { .. }) if architecture == Architecture::PreTraining => {
                Pretrained::load_encoder(folder).map(Some).map_err(|error| (false, error))
            }
            // A folder with the other network only.
            Err(
                error @ (FolderError::OtherNetwork { .. } | FolderError::NoModel { .. } | FolderError::Encoder { .. }),
            ) => Err((true, error)),
            Err(error) => Err((false, error)),
        };
        let (generator, discriminator) = match (network(Architecture::MaskedLm), network(Architecture::PreTraining)) {
            (Ok(generator), Ok(discriminator)) => (generator, discriminator),
            (Ok(generator), Err((true, _))) => (generator, None),
            (Err((true, _)), Ok(discriminator)) => (None, discriminator),
            (Err((false, error)), _) | (_, Err((_, error))) => return Err(error.into()),
        };
        let alone = objective.clone().generator_mut().is_none();
        // Where a run has three networks, its generator is what begins as one.
        let beside = |g: &Pretrained| g.folder.with_file_name(Architecture::MaskedLm.network());
        let generator = match generator {
            Some(g)
                if discriminator.is_some()
                    && !alone
                    && g.network().name == "encoder"
                    && crate::fs::is_dir(&beside(&g)) =>
            {
                Some(Pretrained::load(&beside(&g), Architecture::MaskedLm)?)
            }
            other => other,
        };
        // Whoever fine-tunes takes an encoder, whatever is beside it or on it.
        let pre_trains = objective.task_kind().is_none();
        let mut notes = Vec::new();
        let (generator, discriminator) = match (generator, discriminator) {
            (Some(g), Some(d)) if alone => {
                // A generator is small; what was trained for itself is worth more.
                let (taken, left) = if g.network().name == "generator" { (d, g) } else { (g, d) };
                if pre_trains {
                    let begins = match first_of(objective) {
                        Some(_) => "one at a time is trained, and begins as",
                        None if networks(objective, &taken).len() == 1 => "one network is trained, and begins as",
                        None => "what shares layers with the network that one keeps begins, as far as it goes, as",
                    };
                    notes.push(format!("{} is left out: {begins} {}", left.folder.display(), taken.folder.display()));
                }
                if taken.network().masked_lm().is_ok() { (Some(taken), None) } else { (None, Some(taken)) }
            }
            both => both,
        };
        notes.extend([&generator, &discriminator].into_iter().flatten().flat_map(|found| found.notes.clone()));
        match (&generator, &discriminator) {
            (None, Some(d))
                if alone
                    && pre_trains
                    && !d.network().heads.is_empty()
                    && networks(objective, d).iter().all(|network| network.replaced_tokens().is_err()) =>
            {
                notes.push(format!(
                    "{}: only its encoder is taken; the head that guesses words begins anew",
                    d.folder.display()
                ));
            }
            (Some(g), None) if g.network().name == "encoder" && generates(g, objective) => notes.push(format!(
                "{} begins as the generator; the discriminator, which is what one keeps, begins at random",
                g.folder.display()
            )),
            _ => {}
        }
        if let Some(g) = generator.as_ref().filter(|g| g.network().name == "encoder") {
            let beside = g.folder.with_file_name(Architecture::MaskedLm.network());
            if pre_trains && g.folder != folder && crate::fs::is_dir(&beside) {
                notes.push(format!("{} is left out: of a run, the network is taken that one keeps", beside.display()));
            }
        }
        if let Some(g) = generator.as_ref().filter(|g| g.network().has_own_output()) {
            notes.push(format!(
                "{}: its own output matrix, generator_lm_head.weight, is left out: the word embeddings are trained as the \
                 output matrix, so it begins worse than it was",
                g.folder.display()
            ));
        }
        if let (Some(g), Some(d)) = (&generator, &discriminator) {
            let both = |value: fn(&ModelConfig) -> String| (value(&g.network().config), value(&d.network().config));
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
                    return Err(AdaptError::Mismatch { folders, what, generator, discriminator });
                }
            }
            let size = g.tokenizer.size().max(d.tokenizer.size()) as u32;
            if let Some(id) = (0..size).find(|&id| g.tokenizer.token(id) != d.tokenizer.token(id)) {
                let words = [g.tokenizer.token(id), d.tokenizer.token(id)];
                return Err(AdaptError::Words { folders: [g.folder.clone(), d.folder.clone()], id, words });
            }
            let shared = objective.electra().is_none_or(|electra| electra.tying != Tying::None);
            if let Some(what) = different_embeddings(g, d).filter(|_| shared) {
                notes.push(format!(
                    "{} and {} have different {what}; both networks share them in training, and the discriminator's are taken",
                    g.folder.display(),
                    d.folder.display()
                ));
            }
        }
        Ok(Self { networks: [generator, discriminator].into_iter().flatten().collect(), notes })
    }

    /// What a person should know of how the folders were read, a line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Gives `config` the sizes of what was found. The network that is not there keeps `config`'s.
    pub fn resize(&self, config: &mut Config) {
        for found in &self.networks {
            let ModelConfig { vocabulary, positions, types, embedding, activation, layer_norm_epsilon, .. } =
                found.network().config;
            config.model = ModelConfig {
                vocabulary,
                positions,
                types,
                embedding,
                activation,
                layer_norm_epsilon,
                ..config.model.clone()
            };
            let ModelConfig { hidden, layers, heads, feed_forward, .. } = found.network().config;
            let begins_generator = generates(found, &config.objective);
            match config.objective.generator_mut().filter(|_| begins_generator) {
                Some(generator) => {
                    *generator = Generator::Sizes(GeneratorSizes { hidden, layers, heads, feed_forward });
                }
                None => config.model = ModelConfig { hidden, layers, heads, feed_forward, ..config.model.clone() },
            }
        }
        // A preset's generator beside a published discriminator: any number of heads that divides its width will do.
        if let Some(Generator::Sizes(generator)) = config.objective.generator_mut()
            && !generator.hidden.is_multiple_of(generator.heads)
        {
            generator.heads = 1;
        }
    }

    /// The network that one keeps, and its tokenizer.
    pub fn encoder(&self) -> (&Network, &Tokenizer) {
        // There is at least one.
        let last = &self.networks[self.networks.len() - 1];
        (last.network(), &last.tokenizer)
    }

    /// The tokenizer that goes with the weights.
    pub fn tokenizer(&self) -> Option<&Tokenizer> {
        self.networks.last().map(|found| &found.tokenizer)
    }

    /// The step of the checkpoint that was found, where its folder's name says so.
    pub fn step(&self) -> Option<u64> {
        self.networks.last()?.step()
    }

    /// The folder of the network that one keeps.
    pub fn folder(&self) -> PathBuf {
        self.networks.last().map(|found| found.folder.clone()).unwrap_or_default()
    }

    /// The folder of that tokenizer.
    pub fn tokenizer_folder(&self) -> PathBuf {
        self.networks.last().map(|found| found.home.clone()).unwrap_or_default()
    }

    /// The first weights of a run of `config`, which [`Adaptation::resize`] has seen: those found, and random ones where
    /// there are none.
    pub fn weights(&self, config: &Config, model: &Model) -> Vec<f32> {
        let mut bank = model.initial(config.seed);
        for found in &self.networks {
            let first = first_of(&config.objective).and_then(|name| model.network(name).ok());
            let Some(network) = first.or_else(|| counterpart(found, model)) else { continue };
            // Where one network is found for several, the one that is kept begins so too, as far as it is alike.
            let kept = model.networks.last().filter(|kept| self.networks.len() == 1 && kept.config == network.config);
            for network in [Some(network), kept.filter(|_| first.is_none())].into_iter().flatten() {
                let ours: HashMap<String, Entry> =
                    entries(model, network).into_iter().map(|e| (e.name.clone(), e)).collect();
                for from in entries(&found.model, found.network()) {
                    // An output matrix of the generator's own has no place in a model that ties it.
                    let alike = |to: &&Entry| !to.alias && to.shape == from.shape;
                    if let Some(to) = ours.get(&from.name).filter(alike) {
                        let units = from.scale / to.scale;
                        let numbers = bank[to.range()].iter_mut().zip(&found.weights[from.range()]);
                        numbers.for_each(|(to, x)| *to = x * units);
                    }
                }
            }
        }
        bank
    }

    /// What was found, in words.
    pub fn describe(&self) -> String {
        let name = |found: &Pretrained| {
            let network = found.network();
            let what = if network.heads.is_empty() { "encoder" } else { network.name };
            format!("{what} of {}", found.folder.display())
        };
        self.networks.iter().map(name).collect::<Vec<_>>().join(" and ")
    }
}

/// The network that another one begins a later phase as: who starts from weights starts with it.
fn first_of(objective: &ObjectiveConfig) -> Option<&'static str> {
    objective.phases().into_iter().find_map(|phase| phase.copies).map(|(from, _)| from)
}

/// The networks of an objective where the one that is kept has the sizes of what was found.
fn networks(objective: &ObjectiveConfig, found: &Pretrained) -> Vec<Network> {
    objective.networks(&mut Builder::default(), &found.network().config)
}

/// Whether what was found begins as the generator: it guesses words, and is not an encoder where one is kept.
fn generates(found: &Pretrained, objective: &ObjectiveConfig) -> bool {
    let network = found.network();
    let encoder =
        network.name == "encoder" && networks(objective, found).last().is_some_and(|kept| kept.name == "encoder");
    objective.clone().generator_mut().is_some() && network.masked_lm().is_ok() && !encoder
}

/// The network of `model` that begins as the one that was found: that of its name with its head, else that with its head, else the one
/// that is kept.
fn counterpart<'a>(found: &Pretrained, model: &'a Model) -> Option<&'a Network> {
    let head = |network: &Network| network.heads.first().map(Head::architecture);
    let mut alike =
        model.networks.iter().filter(|network| head(network).is_some() && head(network) == head(found.network()));
    let named = alike.clone().find(|network| network.name == found.network().name);
    named.or_else(|| alike.next()).or_else(|| model.networks.last())
}

/// Which of the embeddings two networks do not have in common, in words.
fn different_embeddings(generator: &Pretrained, discriminator: &Pretrained) -> Option<&'static str> {
    let values =
        |found: &Pretrained, index: usize| found.weights[found.model.table.parameters()[index].range()].to_vec();
    let (g, d) = (generator.network().embeddings, discriminator.network().embeddings);
    let parts = [
        ("word embeddings", g.word, d.word),
        ("position embeddings", g.position, d.position),
        ("segment embeddings", g.types, d.types),
        ("scales of the embeddings' layer norm", g.norm.gamma, d.norm.gamma),
        ("shifts of the embeddings' layer norm", g.norm.beta, d.norm.beta),
    ];
    let differ = |(_, g, d): &(&str, usize, usize)| values(generator, *g) != values(discriminator, *d);
    parts.into_iter().find(differ).map(|(what, _, _)| what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;
    use crate::corpus::{SAMPLE, VocabularyOptions};
    use crate::math::Activation;
    use crate::transformers::{config_json, to_bytes};

    fn load(folder: &Path) -> Result<Adaptation, AdaptError> {
        Adaptation::load(folder, &preset("tiny").unwrap().objective)
    }

    /// How wide it is.
    fn generator(config: &Config) -> usize {
        config.objective.electra().unwrap().generator.sizes(&config.model).hidden
    }

    fn save(folder: &Path, network: &str, model: &Model, bank: &[f32], tokenizer: &Tokenizer) {
        let network = model.network(network).unwrap();
        tokenizer.save(folder, network.config.positions).unwrap();
        std::fs::write(folder.join("config.json"), config_json(network)).unwrap();
        std::fs::write(folder.join("model.safetensors"), to_bytes(model, network, bank).unwrap()).unwrap();
    }

    #[test]
    fn takes_either_network_or_both() {
        let folder = tempfile::tempdir().unwrap();
        let options = VocabularyOptions { size: 100, ..VocabularyOptions::default() };
        let tokenizer = Tokenizer::train([&SAMPLE[..20_000]], &options).unwrap();
        let mut published = preset("tiny").unwrap().set("model.layers=3").unwrap();
        published.model.vocabulary = tokenizer.size();
        (published.model.activation, published.model.layer_norm_epsilon) = (Activation::Relu, 1e-5);
        let model = Model::new(&published);
        let bank = model.initial(99);
        let save = |network: &str, to: &Path| save(to, network, &model, &bank, &tokenizer);
        let (both, one) = (folder.path().join("both"), folder.path().join("one"));
        save("generator", &both.join("generator"));
        save("discriminator", &both.join("discriminator"));
        save("generator", &one);

        let found = load(&both).unwrap();
        let mut config = preset("mini").unwrap();
        found.resize(&mut config);
        assert_eq!((config.model.layers, config.model.hidden, generator(&config)), (3, 128, 8));
        assert_eq!((config.model.activation, config.model.layer_norm_epsilon), (Activation::Relu, 1e-5));
        assert_eq!(found.weights(&config, &Model::new(&config)), bank);

        let found = load(&one).unwrap();
        let mut config = preset("mini").unwrap();
        found.resize(&mut config);
        config.check().unwrap();
        assert_eq!((config.model.layers, config.model.hidden, generator(&config)), (4, 192, 8));
        let ours = Model::new(&config);
        let weights = found.weights(&config, &ours);
        let word = |model: &Model, bank: &[f32]| {
            bank[model.table.parameters()[model.networks[0].embeddings.word].range()].to_vec()
        };
        assert_eq!(word(&ours, &weights), word(&model, &bank));
        assert_ne!(weights, ours.initial(config.seed));

        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("holds no model"), "{error}");
        let refused = |activation, epsilon, expected: &str| {
            let mut other = published.clone();
            (other.model.activation, other.model.layer_norm_epsilon) = (activation, epsilon);
            self::save(&both.join("generator"), "generator", &Model::new(&other), &bank, &tokenizer);
            let error = load(&both).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        refused(Activation::Gelu, 1e-5, "different activations: gelu and relu");
        refused(Activation::Relu, 1e-12, "different epsilons of layer norm: 1e-12 and 1e-5");
        let mut other = published.clone();
        other.model.embedding = 32;
        let wide = Model::new(&other);
        self::save(&both.join("generator"), "generator", &wide, &wide.initial(1), &tokenizer);
        let error = load(&both).unwrap_err().to_string();
        assert!(error.contains("widths of embeddings: 32 and 64"), "{error}");
    }

    #[test]
    fn both_must_share_words_and_are_told_what_they_do_not_share() {
        let folder = tempfile::tempdir().unwrap();
        let options = VocabularyOptions { size: 100, ..VocabularyOptions::default() };
        let tokenizer = Tokenizer::train([&SAMPLE[..20_000]], &options).unwrap();
        let mut config = preset("tiny").unwrap();
        config.model.vocabulary = tokenizer.size();
        let model = Model::new(&config);
        let (g, d) = (folder.path().join("generator"), folder.path().join("discriminator"));
        save(&g, "generator", &model, &model.initial(1), &tokenizer);
        save(&d, "discriminator", &model, &model.initial(2), &tokenizer);
        let found = load(folder.path()).unwrap();
        let note = found.notes().join("\n");
        assert!(note.contains("different word embeddings") && note.contains("discriminator's are taken"), "{note}");
        let word = |bank: &[f32]| bank[model.table.parameters()[model.networks[0].embeddings.word].range()].to_vec();
        assert_eq!(word(&found.weights(&config, &model)), word(&model.initial(2)));

        // The same words in another order.
        std::fs::remove_file(d.join("tokenizer.json")).unwrap();
        let text = std::fs::read_to_string(d.join("vocab.txt")).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.swap(50, 60);
        std::fs::write(d.join("vocab.txt"), lines.join("\n")).unwrap();
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("id 50") && error.contains(&format!("{:?}", lines[50])), "{error}");
    }

    #[test]
    fn a_fine_tuned_model_gives_its_encoder() {
        let folder = tempfile::tempdir().unwrap();
        let options = VocabularyOptions { size: 100, ..VocabularyOptions::default() };
        let tokenizer = Tokenizer::train([&SAMPLE[..20_000]], &options).unwrap();
        let mut config = preset("tiny").unwrap();
        config.model.vocabulary = tokenizer.size();
        let model = Model::new(&config);
        let bank = model.initial(7);
        save(folder.path(), "discriminator", &model, &bank, &tokenizer);
        let path = folder.path().join("config.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("ElectraForPreTraining", "ElectraForTokenClassification")).unwrap();
        // Its head is still that of a discriminator: the tensors decide.
        assert!(load(folder.path()).unwrap().notes().is_empty());
        let path = folder.path().join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        // Names of one length keep the file's layout.
        let text = |from: &str| from.replace("discriminator_predictions", "classifier_of_named_words");
        let bytes: Vec<u8> =
            text(&bytes.iter().map(|&b| b as char).collect::<String>()).chars().map(|c| c as u8).collect();
        std::fs::write(&path, bytes).unwrap();
        let found = load(folder.path()).unwrap();
        assert!(found.notes()[0].contains("ElectraForTokenClassification"), "{:?}", found.notes());
        assert!(found.describe().starts_with("encoder of"));
        let (weights, initial) = (found.weights(&config, &model), model.initial(config.seed));
        let part = |bank: &[f32], index: usize| bank[model.table.parameters()[index].range()].to_vec();
        let qkv = model.networks[1].encoder.layers[0].qkv.weight;
        assert_eq!(part(&weights, qkv), part(&bank, qkv));
        let head = model.networks[1].replaced_tokens().unwrap().dense.weight;
        assert_eq!(part(&weights, head), part(&initial, head));
    }
}
