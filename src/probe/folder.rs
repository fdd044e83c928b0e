//! A network's folder: where it is in a run, and what is in it.

use super::ProbeError;
use crate::corpus::Tokenizer;
use crate::electra::checkpoint::{self, CheckpointError, read_config_json};
use crate::electra::{Config, Half, Model};
use crate::run;
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";

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
        let folder = find(path, half)?;
        let file = folder.join(CONFIG);
        let text = std::fs::read_to_string(&file).map_err(|source| ProbeError::Read { path: file, source })?;
        let misfit = |source| ProbeError::Checkpoint { path: folder.clone(), source };
        let (found, config) = read_config_json(&text).map_err(misfit)?;
        if found != half {
            let other = folder.with_file_name(half.name());
            let other = Some(other).filter(|other| *other != folder && other.join(CONFIG).is_file());
            return Err(ProbeError::Half { path: folder, expected: half, other });
        }
        if config.model.positions < 2 {
            return Err(ProbeError::Positions { path: folder, found: config.model.positions });
        }
        let bytes = read_weights(&folder, &config, half)?;
        let model = Model::new(&config);
        let mut weights = vec![0.0; model.table.len()];
        checkpoint::from_bytes(&model, half, &bytes, &mut weights)
            .map_err(|source| ProbeError::Checkpoint { path: folder.join(WEIGHTS), source })?;
        let has_tokenizer = |f: &&Path| f.join("tokenizer.json").is_file() || f.join("vocab.txt").is_file();
        let home = [&folder, path].into_iter().find(has_tokenizer).unwrap_or(&folder);
        let home = home.to_path_buf();
        let tokenizer = Tokenizer::load(&home)?;
        if tokenizer.size() > config.model.vocabulary {
            let (tokenizer, model) = (tokenizer.size(), config.model.vocabulary);
            return Err(ProbeError::Vocabulary { path: home, tokenizer, model });
        }
        Ok(Self { half, folder, config, model, weights, tokenizer, home })
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
        match path.join(WEIGHTS).is_file() {
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

/// The bytes of the weights. Sizes far beyond the file's are refused before memory is asked for.
fn read_weights(folder: &Path, config: &Config, half: Half) -> Result<Vec<u8>, ProbeError> {
    let path = folder.join(WEIGHTS);
    if !path.is_file() {
        let pickled = folder.join("pytorch_model.bin").is_file();
        return Err(ProbeError::NoWeights { path: folder.into(), pickled });
    }
    let bytes = std::fs::read(&path).map_err(|source| ProbeError::Read { path: path.clone(), source })?;
    if let Err(error) = SafeTensors::deserialize(&bytes) {
        return Err(ProbeError::Checkpoint { path, source: CheckpointError::Safetensors(error.to_string()) });
    }
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
    if (bytes.len() as u64) < expected {
        return Err(ProbeError::Size { path, found: bytes.len() as u64, expected });
    }
    Ok(bytes)
}
