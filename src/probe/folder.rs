//! A network's folder: where it is in a run, and what is in it.

use super::ProbeError;
use super::tensors::{Other, SAFETENSORS, Weights};
use crate::corpus::Tokenizer;
use crate::electra::checkpoint::{Published, TIED, read_config_json};
use crate::electra::{Config, Half, Model};
use crate::run;
use std::path::{Path, PathBuf};

const CONFIG: &str = "config.json";

/// A generator or a discriminator as it lies in its folder.
#[derive(Debug, Clone)]
pub struct Pretrained {
    /// Which of the two.
    pub half: Half,
    /// The folder that it was found in.
    pub folder: PathBuf,
    /// Its sizes; the other half has no layers.
    pub config: Config,
    /// Where each parameter is.
    pub model: Model,
    /// The weights: a bank, laid out as [`Model::table`] says.
    pub weights: Vec<f32>,
    /// Whether its head is there too. A fine-tuned model's is another.
    pub has_head: bool,
    /// What a person should know of how it was read, a line each.
    pub notes: Vec<String>,
    /// The tokenizer it was trained with.
    pub tokenizer: Tokenizer,
    /// The folder of that tokenizer.
    pub home: PathBuf,
}

impl Pretrained {
    /// Loads one half of a run (`generator/` or `discriminator/`, else that of the newest `checkpoints/step-N/`) or of a
    /// folder that `transformers` saved. A run's tokenizer may lie in the run's own folder.
    ///
    /// # Errors
    /// [`ProbeError`], for everything that can be wrong with the files.
    pub fn load(path: &Path, half: Half) -> Result<Self, ProbeError> {
        Self::open(path, half, false)
    }

    /// As a discriminator, the encoder of a folder that holds one under the head of another task, or under none. The head's
    /// weights are 0.
    ///
    /// # Errors
    /// As [`Pretrained::load`].
    pub fn load_encoder(path: &Path) -> Result<Self, ProbeError> {
        Self::open(path, Half::Discriminator, true)
    }

    fn open(path: &Path, half: Half, headless: bool) -> Result<Self, ProbeError> {
        let folder = find(path, half)?;
        let file = folder.join(CONFIG);
        let text = std::fs::read_to_string(&file).map_err(|source| ProbeError::Read { path: file, source })?;
        let misfit = |source| ProbeError::Checkpoint { path: folder.clone(), source };
        let described = read_config_json(&text).map_err(misfit)?;
        if described.config.model.positions < 2 {
            return Err(ProbeError::Positions { path: folder, found: described.config.model.positions });
        }
        let not_this_half = || {
            let other = folder.with_file_name(half.name());
            let other = Some(other).filter(|other| *other != folder && other.join(CONFIG).is_file());
            ProbeError::Half { path: folder.clone(), expected: half, other }
        };
        // A name settles it before anything large is read.
        if described.half.is_some_and(|found| found != half) {
            return Err(not_this_half());
        }
        let files = Weights::open(&folder)?;
        let misfit = |source| ProbeError::Checkpoint { path: files.path.clone(), source };
        let published = Published::new(&files).map_err(misfit)?;
        let mut encoder = None;
        if described.half.is_none() && !published.has_head(half) {
            if [Half::Generator, Half::Discriminator].into_iter().any(|other| published.has_head(other)) {
                return Err(not_this_half());
            }
            let what = without_head(described.architecture.as_deref(), &published);
            if !headless {
                return Err(ProbeError::Encoder { path: folder, what, expected: half });
            }
            encoder = Some(what);
        }
        let config = described.config_of(half);
        check_size(&files, &config, half)?;
        let own_output = half == Half::Generator && published.has_own_output().map_err(misfit)?;
        let model = match own_output || (half == Half::Generator && !described.tied) {
            true => Model::with_own_output(&config),
            false => Model::new(&config),
        };
        let mut weights = vec![0.0; model.table.len()];
        let left = published.read(&model, half, encoder.is_none(), &mut weights).map_err(misfit)?;
        let mut notes = Vec::new();
        if own_output && described.tied {
            notes.push(format!(
                "{}: the output matrix {TIED} is not the word embeddings, although config.json has \
                 tie_word_embeddings; it is taken as it is, as transformers does",
                folder.display()
            ));
        }
        match (&encoder, left.first()) {
            (Some(what), _) => notes.push(format!("{} is {what}; only its encoder is taken", folder.display())),
            (None, Some(first)) => notes.push(format!(
                "{}: {} of its tensors, such as {first}, {} no part of an ELECTRA {} with this config.json and left out",
                folder.display(),
                left.len(),
                if left.len() == 1 { "is" } else { "are" },
                half.name()
            )),
            (None, None) => {}
        }
        let has_tokenizer = |f: &&Path| f.join("tokenizer.json").is_file() || f.join("vocab.txt").is_file();
        let home = [&folder, path].into_iter().find(has_tokenizer).unwrap_or(&folder);
        let home = home.to_path_buf();
        let tokenizer = Tokenizer::load(&home)?;
        if tokenizer.size() > config.model.vocabulary {
            let (tokenizer, model) = (tokenizer.size(), config.model.vocabulary);
            return Err(ProbeError::Vocabulary { path: home, tokenizer, model });
        }
        Ok(Self { half, folder, config, model, weights, has_head: encoder.is_none(), notes, tokenizer, home })
    }
}

/// What a folder is that has no head of ELECTRA's pre-training.
fn without_head(architecture: Option<&str>, published: &Published<'_>) -> String {
    match (architecture, published.foreign()) {
        (Some("ElectraModel"), _) | (None, None) => "an encoder alone (ElectraModel)".into(),
        (Some(name), _) => {
            let name: String = name.chars().take(60).collect();
            format!("fine-tuned for another task ({name})")
        }
        (None, Some(tensor)) => format!("an encoder with another head (the tensor {tensor})"),
    }
}

/// The folder that holds the network.
fn find(path: &Path, half: Half) -> Result<PathBuf, ProbeError> {
    if !path.exists() {
        return Err(ProbeError::Missing { path: path.into(), half });
    }
    if path.join(CONFIG).is_file() {
        return Ok(path.into());
    }
    let inner = path.join(half.name());
    if inner.join(CONFIG).is_file() {
        return Ok(inner);
    }
    newest(&path.join(run::CHECKPOINTS), half).ok_or_else(|| {
        // A folder with weights but without sizes is a model that lost a file.
        let other = Other::find(path);
        match path.join(SAFETENSORS).is_file() {
            _ if other != Other::None => ProbeError::NoWeights { path: path.into(), other },
            true => ProbeError::Read { path: path.join(CONFIG), source: std::io::ErrorKind::NotFound.into() },
            false => ProbeError::NoModel { path: path.into(), half },
        }
    })
}

/// That half of the checkpoint with the highest step.
fn newest(checkpoints: &Path, half: Half) -> Option<PathBuf> {
    let steps = std::fs::read_dir(checkpoints).ok()?.flatten().filter_map(|entry| {
        let step: u64 = entry.file_name().to_str()?.strip_prefix("step-")?.parse().ok()?;
        let folder = entry.path().join(half.name());
        folder.join(CONFIG).is_file().then_some((step, folder))
    });
    steps.max_by_key(|&(step, _)| step).map(|(_, folder)| folder)
}

/// Sizes far beyond the files' are refused before memory is asked for.
fn check_size(files: &Weights, config: &Config, half: Half) -> Result<(), ProbeError> {
    let m = &config.model;
    let product = |a: usize, b: usize| (a as u64).saturating_mul(b as u64);
    let (hidden, layers, feed_forward) = match half {
        Half::Generator => (config.generator.hidden, config.generator.layers, config.generator.feed_forward),
        Half::Discriminator => (m.hidden, m.layers, m.feed_forward),
    };
    let layer = product(hidden, hidden).saturating_mul(4).saturating_add(product(2 * hidden, feed_forward));
    let tables = [m.vocabulary, m.positions, m.types].map(|rows| product(rows, m.embedding));
    let elements = tables.into_iter().fold(layer.saturating_mul(layers as u64), u64::saturating_add);
    let expected = elements.saturating_mul(2);
    match files.size < expected {
        true => Err(ProbeError::Size { path: files.path.clone(), found: files.size, expected }),
        false => Ok(()),
    }
}
