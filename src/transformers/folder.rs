//! A network's folder: where it is in a run, and what is in it.

use super::published::Published;
use super::tensors::{Other, SAFETENSORS, Weights};
use super::{FolderError, read_config_json};
use crate::corpus::Tokenizer;
use crate::model::{Architecture, Builder, Model, ModelConfig, Network, TIED};
use crate::run;
use std::path::{Path, PathBuf};

const CONFIG: &str = "config.json";

/// A network as it lies in its folder.
#[derive(Debug, Clone)]
pub struct Pretrained {
    /// The folder that it was found in.
    pub folder: PathBuf,
    /// The network alone: where each of its parameters is. An encoder whose head is another task's has none.
    pub model: Model,
    /// The weights: a bank, laid out as [`Model::table`] says.
    pub weights: Vec<f32>,
    /// What a person should know of how it was read, a line each.
    pub notes: Vec<String>,
    /// The tokenizer it was trained with.
    pub tokenizer: Tokenizer,
    /// The folder of that tokenizer.
    pub home: PathBuf,
}

impl Pretrained {
    /// Loads a network of a run (`generator/`, `encoder/` or `discriminator/`, else that of the newest `checkpoints/step-N/`)
    /// or of a folder that `transformers` saved. A run's tokenizer may lie in the run's own folder.
    ///
    /// # Errors
    /// [`FolderError`], for everything that can be wrong with the files.
    pub fn load(path: &Path, architecture: Architecture) -> Result<Self, FolderError> {
        Self::open(path, architecture, false)
    }

    /// As a discriminator, the encoder of a folder that holds one under the head of another task, or under none.
    ///
    /// # Errors
    /// As [`Pretrained::load`].
    pub fn load_encoder(path: &Path) -> Result<Self, FolderError> {
        Self::open(path, Architecture::PreTraining, true)
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.model.networks[0]
    }

    fn open(path: &Path, architecture: Architecture, headless: bool) -> Result<Self, FolderError> {
        let folder = find(path, architecture)?;
        let file = folder.join(CONFIG);
        let text = std::fs::read_to_string(&file).map_err(|source| FolderError::Read { path: file, source })?;
        let misfit = |source| FolderError::Checkpoint { path: folder.clone(), source };
        let described = read_config_json(&text).map_err(misfit)?;
        if described.config.positions < 2 {
            return Err(FolderError::Positions { path: folder, found: described.config.positions });
        }
        let other_network = || {
            let other = folder.parent().and_then(|parent| inside(parent, architecture));
            let other = other.filter(|other| *other != folder);
            FolderError::OtherNetwork { path: folder.clone(), expected: architecture, other }
        };
        // A name settles it before anything large is read.
        if described.architecture.is_some_and(|found| found != architecture) {
            return Err(other_network());
        }
        let files = Weights::open(&folder)?;
        let misfit = |source| FolderError::Checkpoint { path: files.path.clone(), source };
        let published = Published::new(&files).map_err(misfit)?;
        let mut encoder = None;
        if described.architecture.is_none() && !published.has_head(architecture) {
            if Architecture::ALL.into_iter().any(|other| published.has_head(other)) {
                return Err(other_network());
            }
            let what = without_head(described.class.as_deref(), &published);
            if !headless {
                return Err(FolderError::Encoder { path: folder, what, expected: architecture });
            }
            encoder = Some(what);
        }
        check_size(&files, &described.config)?;
        let own_output = architecture == Architecture::MaskedLm && published.has_own_output().map_err(misfit)?;
        let mut b = Builder::default();
        let mut network = b.network(name_of(&folder, architecture), &described.config);
        match architecture {
            _ if encoder.is_some() => {}
            Architecture::MaskedLm => b.masked_lm(&mut network, described.tied && !own_output),
            Architecture::PreTraining => b.replaced_tokens(&mut network),
        }
        let model = b.finish(vec![network]);
        let mut weights = vec![0.0; model.table.len()];
        let left = published.read(&model, &model.networks[0], &mut weights).map_err(misfit)?;
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
                "{}: {} of its tensors, such as {first}, {} no part of an {} with this config.json and left out",
                folder.display(),
                left.len(),
                if left.len() == 1 { "is" } else { "are" },
                architecture.name()
            )),
            (None, None) => {}
        }
        let has_tokenizer = |f: &&Path| f.join("tokenizer.json").is_file() || f.join("vocab.txt").is_file();
        let home = [&folder, path].into_iter().find(has_tokenizer).unwrap_or(&folder);
        let home = home.to_path_buf();
        let tokenizer = Tokenizer::load(&home)?;
        if tokenizer.size() > described.config.vocabulary {
            let (tokenizer, model) = (tokenizer.size(), described.config.vocabulary);
            return Err(FolderError::Vocabulary { path: home, tokenizer, model });
        }
        Ok(Self { folder, model, weights, notes, tokenizer, home })
    }
}

/// The network's name: its folder's, where that is one that networks of its kind have.
fn name_of(folder: &Path, architecture: Architecture) -> &'static str {
    let known = architecture.folders().iter().find(|name| folder.ends_with(name));
    known.map_or(architecture.network(), |name| *name)
}

/// What a folder is that has no head of ELECTRA's pre-training.
fn without_head(class: Option<&str>, published: &Published<'_>) -> String {
    match (class, published.foreign()) {
        (Some("ElectraModel"), _) | (None, None) => "an encoder alone (ElectraModel)".into(),
        (Some(name), _) => {
            let name: String = name.chars().take(60).collect();
            format!("fine-tuned for another task ({name})")
        }
        (None, Some(tensor)) => format!("an encoder with another head (the tensor {tensor})"),
    }
}

/// The folder that holds the network.
fn find(path: &Path, architecture: Architecture) -> Result<PathBuf, FolderError> {
    if !path.exists() {
        return Err(FolderError::Missing { path: path.into(), network: architecture });
    }
    if path.join(CONFIG).is_file() {
        return Ok(path.into());
    }
    let in_run =
        |architecture| inside(path, architecture).or_else(|| newest(&path.join(run::CHECKPOINTS), architecture));
    in_run(architecture).ok_or_else(|| {
        // A folder with weights but without sizes is a model that lost a file.
        let other = Other::find(path);
        match path.join(SAFETENSORS).is_file() {
            _ if other != Other::None => FolderError::NoWeights { path: path.into(), other },
            true => FolderError::Read { path: path.join(CONFIG), source: std::io::ErrorKind::NotFound.into() },
            false => {
                let other = Architecture::ALL.into_iter().find_map(in_run);
                FolderError::NoModel { path: path.into(), network: architecture, other }
            }
        }
    })
}

/// The folder in `parent` of a network with that head.
fn inside(parent: &Path, architecture: Architecture) -> Option<PathBuf> {
    let folders = architecture.folders().iter().map(|name| parent.join(name));
    folders.into_iter().find(|folder| folder.join(CONFIG).is_file())
}

/// That network of the checkpoint with the highest step.
fn newest(checkpoints: &Path, architecture: Architecture) -> Option<PathBuf> {
    let steps = std::fs::read_dir(checkpoints).ok()?.flatten().filter_map(|entry| {
        let step: u64 = entry.file_name().to_str()?.strip_prefix("step-")?.parse().ok()?;
        Some((step, inside(&entry.path(), architecture)?))
    });
    steps.max_by_key(|&(step, _)| step).map(|(_, folder)| folder)
}

/// Sizes far beyond the files' are refused before memory is asked for.
fn check_size(files: &Weights, c: &ModelConfig) -> Result<(), FolderError> {
    let product = |a: usize, b: usize| (a as u64).saturating_mul(b as u64);
    let layer = product(c.hidden, c.hidden).saturating_mul(4).saturating_add(product(2 * c.hidden, c.feed_forward));
    let tables = [c.vocabulary, c.positions, c.types].map(|rows| product(rows, c.embedding));
    let elements = tables.into_iter().fold(layer.saturating_mul(c.layers as u64), u64::saturating_add);
    let expected = elements.saturating_mul(2);
    match files.size < expected {
        true => Err(FolderError::Size { path: files.path.clone(), found: files.size, expected }),
        false => Ok(()),
    }
}
